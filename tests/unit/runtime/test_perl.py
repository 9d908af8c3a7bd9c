"""The perl of this machine does what the official image's does, once the image map has helped."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from kubatch.runtime.images import load_image_map

pytestmark = pytest.mark.slow

# pi, decimals 991 to 1,010
LAST_DIGITS = "21642019893809525720"


def has_bignum() -> bool:
    perl = shutil.which("perl")
    return perl is not None and not subprocess.run([perl, "-Mbignum", "-e1"]).returncode


@pytest.mark.skipif(not has_bignum(), reason="no perl with bignum here")
def test_pi_has_more_than_a_thousand_digits() -> None:
    entry = load_image_map(None).resolve("perl:5.34.0")
    assert entry is not None
    done = subprocess.run(
        ["perl", "-Mbignum=bpi", "-wle", "print bpi(1011)"],
        env={"PATH": os.environ["PATH"], **entry.env},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    digits = done.stdout.strip()
    assert digits.startswith("3.14159265358979")
    assert len(digits) == 1012
    assert digits.endswith(LAST_DIGITS), digits[-20:]


@pytest.mark.skipif(not has_bignum(), reason="no perl with bignum here")
def test_programs_without_bignum_do_not_load_it() -> None:
    entry = load_image_map(None).resolve("perl")
    assert entry is not None
    done = subprocess.run(
        ["perl", "-we", 'print exists $INC{"bignum.pm"} ? "loaded" : "absent"'],
        env={"PATH": os.environ["PATH"], **entry.env},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("absent", "")
