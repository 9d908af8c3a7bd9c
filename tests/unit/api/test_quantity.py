"""Quantities (apimachinery/pkg/api/resource/quantity_test.go)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.quantity import (
    FORMAT_ERROR,
    SUFFIX_ERROR,
    canonical,
    milli,
    parse,
    whole,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", "0"),
        ("0n", "0"),
        ("0Ki", "0"),
        ("1", "1"),
        ("1Ki", "1024"),
        ("7Mi", str(7 * 2**20)),
        ("3Ei", str(3 * 2**60)),
        ("5n", "0.000000005"),
        ("4u", "0.000004"),
        ("3m", "0.003"),
        ("8k", "8000"),
        ("300T", "300000000000000"),
        ("1E", "1000000000000000000"),
        ("12E", "12000000000000000000"),
        ("1E-3", "0.001"),
        ("1e3", "1000"),
        ("1E18", "1000000000000000000"),
        ("100.035k", "100035"),
        ("0.00050k", "0.5"),
        ("0.5e-2", "0.005"),
        ("1.3E+6", "1300000"),
        ("6.987654321G", "6987654321"),
        ("3.001n", "0.000000004"),
        ("1.1E-9", "0.000000002"),
        ("0.0000000001", "0.000000001"),
        ("0.00000012345", "0.000000124"),
        ("9Ei", "9223372036854775807"),
        ("9223372036854775807Ki", "9223372036854775807"),
        ("100.035Ki", "102435.84"),
        ("0.5Mi", "524288"),
        ("0.05Gi", "53687091.2"),
        ("0.000000000001Ki", "0.000000002"),
        (".001", "0.001"),
        (".0001k", "0.1"),
        ("1.", "1"),
        ("1.G", "1000000000"),
        # upstream takes a missing number for zero
        (".", "0"),
        ("+", "0"),
        ("Ki", "0"),
    ],
)
def test_parse(text: str, amount: str) -> None:
    assert parse(text) == Decimal(amount)
    if text[0] not in "+-":
        assert parse(f"-{text}") == -Decimal(amount)
        assert parse(f"+{text}") == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", FORMAT_ERROR),
        ("1.1.M", FORMAT_ERROR),
        ("1+1.0M", FORMAT_ERROR),
        ("0.1am", FORMAT_ERROR),
        ("aoeu", FORMAT_ERROR),
        (" 1", FORMAT_ERROR),
        ("1 ", FORMAT_ERROR),
        ("true", FORMAT_ERROR),
        ("nan", FORMAT_ERROR),
        ("0.1mi", SUFFIX_ERROR),
        (".5i", SUFFIX_ERROR),
        ("1i", SUFFIX_ERROR),
        ("-3.01e-", SUFFIX_ERROR),
        ("1ee3", SUFFIX_ERROR),
        ("1e4294967297", SUFFIX_ERROR),
        ("1e-99999", SUFFIX_ERROR),
    ],
)
def test_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message follows
        canonical(text)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1024Mi", "1Gi"),
        ("307200Ki", "300Mi"),
        ("1025024Mi", "1001Gi"),
        ("1024Gi", "1Ti"),
        ("5000m", "5"),
        ("0.5", "500m"),
        ("1000M", "1G"),
        ("0.001T", "1G"),
        ("1000u", "1m"),
        ("1.08", "1080m"),
        ("1080000000n", "1080m"),
        (".001e12", "1e9"),
        ("0.001e0", "1e-3"),
        ("1000e-12", "1e-9"),
        ("1e14", "100e12"),
        ("00", "0"),
        ("1000E", "1e21"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1025Ki", "1025Ki"),
        ("1000Ki", "1000Ki"),
        (".001Ki", "1024m"),
        (".000001Ki", "1024u"),
        (".000000001Ki", "1024n"),
        (".000000000001Ki", "2n"),
        ("9Ei", "9223372036854775807"),
        ("12E", "12E"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("3e0", "3e0"),
        ("30e-1", "3"),
        # what looks canonical at a glance is kept as it was written
        ("1.500", "1.500"),
        ("+1", "+1"),
        ("100.035k", "100.035k"),
    ],
)
def test_canonical(text: str, shown: str) -> None:
    assert canonical(text) == shown
    if text[0] != "+" and shown != "0":
        assert canonical(f"-{text}") == f"-{shown}"


@pytest.mark.parametrize(
    ("value", "shown"), [(1, "1"), (0, "0"), (1000, "1k"), (0.5, "500m"), (1.0, "1"), (-2, "-2")]
)
def test_numbers_become_text(value: int | float, shown: str) -> None:
    assert canonical(value) == shown


@pytest.mark.parametrize(
    ("text", "thousandths", "units"),
    [
        ("1", 1000, 1),
        ("100m", 100, 1),
        ("1n", 1, 1),
        ("1500m", 1500, 2),
        ("-1500m", -1500, -2),
        ("1Gi", 2**30 * 1000, 2**30),
        ("12E", 12 * 10**21, 12 * 10**18),
        ("0", 0, 0),
    ],
)
def test_thousandths_and_units_round_away_from_zero(
    text: str, thousandths: int, units: int
) -> None:
    assert milli(text) == thousandths
    assert whole(text) == units


SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
QUANTITIES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**20),
    st.sampled_from(["", ".", ".5", ".025", ".000000001", ".123456789123"]),
    st.sampled_from([*SUFFIXES, "e3", "E-7", "e+12", "e-30", "e40"]),
)


def obvious(text: str) -> Fraction:
    """The definition: number times unit, to nine places away from zero; binary ones capped."""
    unit = next(s for s in sorted(SUFFIXES, key=len, reverse=True) if text.endswith(s))
    number, _, exponent = text.removesuffix(unit).lower().partition("e")
    if unit.endswith("i"):
        factor = Fraction(1024 ** ("KMGTPE".index(unit[0]) + 1))
    else:
        powers = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
        factor = Fraction(10) ** (powers.get(unit, 0) + int(exponent or 0))
    amount = Fraction(number.rstrip(".")) * factor * 10**9
    size = -(-abs(amount).numerator // abs(amount).denominator)
    if unit.endswith("i"):
        size = min(size, (2**63 - 1) * 10**9)
    return Fraction(size if amount >= 0 else -size, 10**9)


@given(QUANTITIES)
def test_parse_agrees_with_the_definition(text: str) -> None:
    assert Fraction(parse(text)) == obvious(text)


@given(QUANTITIES)
def test_canonical_keeps_the_amount_and_is_stable(text: str) -> None:
    shown = canonical(text)
    assert parse(shown) == parse(text)
    # What a binary suffix leaves without one (0.5Ki, 102502519312.5Ki) is read back as decimal, in
    # Go too, and may then get a decimal suffix; from there on it stays. (quantity.go:
    # CanonicalizeBytes writes a BinarySI amount that 1024 does not divide without a suffix, and
    # ParseQuantity takes a number without a suffix for DecimalSI.)
    again = canonical(shown)
    assert parse(again) == parse(text)
    assert again == shown or shown.lstrip("-").isdigit()
    assert canonical(again) == again
