package KubatchBignum;

# What the official perl image has and some distributions have not: a bignum whose bpi() works.
#
# In perl 5.36 (Debian 12) `perl -Mbignum=bpi -wle 'print bpi(2000)'` dies inside Math::BigInt::Calc,
# because bpi() switches upgrading off for its own arithmetic but not downgrading. This does both.
# PERL5OPT is looked at after the command line's -M switches, so bignum is loaded by now or not used.

use strict;
use warnings;

if ($INC{'bignum.pm'}) {
    my $bpi = \&bignum::bpi;
    my $mended = sub ($) {
        my $downgrade = Math::BigFloat->downgrade();
        Math::BigFloat->downgrade(undef);
        my $pi = $bpi->(@_);
        Math::BigFloat->downgrade($downgrade);
        return $pi;
    };
    no warnings 'redefine';
    *bignum::bpi = $mended;
    *main::bpi = $mended if defined &main::bpi;
}

1;
