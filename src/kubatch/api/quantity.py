"""Resource quantities: `500m`, `1Gi`, `2e3`.

The rules are apimachinery/pkg/api/resource/quantity.go: a decimal number with a binary suffix, a
decimal suffix or an exponent; at most nine decimal places count, and the rest rounds away from
zero. Amounts are kept in billionths as whole numbers, so nothing here is inexact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}  # powers of two
_DECIMAL = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_SUFFIX_OF_POWER = {power: suffix for suffix, power in _DECIMAL.items()}
# parseQuantityString accepts what this matches, a number without digits included: it is zero.
_PATTERN = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)
FORMAT_ERROR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
SUFFIX_ERROR = "unable to parse quantity's suffix"
_NANO = -9
_NANOS = 10**9
# Go keeps an exponent as a number, whatever its size; we write the digits out, so there is an end.
_EXPONENT_MAX = 1000
_BINARY_MAX = (2**63 - 1) * _NANOS


class _Parts(NamedTuple):
    negative: bool
    digits: str  # before the point, without leading zeros; "0" when there are none
    decimals: str
    power: int  # of two when binary, else of ten
    form: str  # binary, decimal, exponent


def _split(text: str) -> _Parts:
    match = _PATTERN.fullmatch(text) if text else None
    if match is None:
        raise ValueError(FORMAT_ERROR)
    sign, digits, decimals, suffix = match.groups()
    digits = digits.lstrip("0") or "0"
    if suffix in _DECIMAL:
        power, form = _DECIMAL[suffix], "decimal"
    elif suffix in _BINARY:
        power, form = _BINARY[suffix], "binary"
    else:
        exponent = _EXPONENT.fullmatch(suffix)
        if exponent is None or len(exponent[1]) > 5 or abs(int(exponent[1])) > _EXPONENT_MAX:
            raise ValueError(SUFFIX_ERROR)
        power, form = int(exponent[1]), "exponent"
    return _Parts(sign == "-", digits, decimals or "", power, form)


@lru_cache(maxsize=4096)
def _nanos(text: str) -> int:
    """The amount in billionths. Raises ValueError."""
    negative, digits, decimals, power, form = _split(text)
    amount = int(digits + decimals)
    if form == "binary":
        amount, tens = amount << power, 0
    else:
        tens = power
    shift = tens - len(decimals) - _NANO
    # Rounding is away from zero: whoever asks for very little gets something.
    amount = amount * _ten(shift) if shift >= 0 else -(-amount // _ten(-shift))
    if form == "binary":
        amount = min(amount, _BINARY_MAX)
    return -amount if negative else amount


def _ten(power: int) -> int:
    return int(10**power)


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """The amount a quantity stands for. Raises ValueError with Kubernetes' message."""
    nanos = _nanos(text)
    whole, rest = divmod(abs(nanos), _NANOS)
    sign = "-" if nanos < 0 else ""
    return Decimal(f"{sign}{whole}.{rest:09}") if rest else Decimal(f"{sign}{whole}")


def milli(text: str) -> int:
    """Thousandths, rounded up: the unit in which CPUs are compared."""
    return _divided(_nanos(text), 10**6)


def whole(text: str) -> int:
    """Units, rounded up: bytes of memory, numbers of pods."""
    return _divided(_nanos(text), _NANOS)


def _divided(nanos: int, unit: int) -> int:
    """Away from zero, as Quantity.ScaledValue."""
    return -(-nanos // unit) if nanos >= 0 else nanos // unit


def canonical(value: str | int | float) -> str:
    """The quantity as Kubernetes writes it back: a number becomes its text, `0.5` becomes `500m`.

    The suffix family is kept and the mantissa made a whole number (Quantity.CanonicalizeBytes).
    Raises ValueError for what is no quantity.
    """
    return _canonical(str(value))


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    parts, nanos = _split(text), _nanos(text)
    if nanos == 0:
        return "0"
    if _kept_as_written(parts):
        return text
    binary = parts.form == "binary" and nanos % _NANOS == 0
    if binary and abs(nanos) >= 1024 * _NANOS:
        return _binary(nanos // _NANOS)
    mantissa, power = _engineering(nanos)
    if parts.form != "exponent" and power in _SUFFIX_OF_POWER:
        return f"{mantissa}{_SUFFIX_OF_POWER[power]}"
    return f"{mantissa}e{power}" if power else str(mantissa)


def summed(texts: Iterable[str]) -> str:
    """The sum of quantities, in the suffix family of the first that is not zero (Quantity.Add)."""
    nanos, form = 0, ""
    for text in texts:
        amount = _nanos(text)
        nanos += amount
        if amount and not form:
            form = _split(text).form
    if form == "binary" and nanos % _NANOS == 0 and abs(nanos) >= 1024 * _NANOS:
        return _binary(nanos // _NANOS)
    if not nanos:
        return "0"
    mantissa, power = _engineering(nanos)
    if form != "exponent" and power in _SUFFIX_OF_POWER:
        return f"{mantissa}{_SUFFIX_OF_POWER[power]}"
    return f"{mantissa}e{power}" if power else str(mantissa)


def _kept_as_written(parts: _Parts) -> bool:
    """Whether ParseQuantity keeps the text itself, since it looks canonical at a glance.

    At a glance only: `1.500` and `+1` stay what they are, as they do in Kubernetes.
    """
    _, digits, decimals, power, form = parts
    number = int(digits + decimals)
    if form == "binary":
        room = 15 - len(digits) - power * 3 // 10 - 1
        return not decimals and room >= 0 and number & 7 != 0
    room = 18 - len(digits) - len(decimals)
    scale = power - len(decimals)
    shifted = digits + decimals
    return (
        room >= 0
        and scale >= _NANO
        and scale % 3 == 0
        and not shifted.endswith("000")
        and shifted[0] != "0"
    )


def _binary(amount: int) -> str:
    for suffix, power in reversed(_BINARY.items()):
        if amount % (1 << power) == 0:
            return f"{amount >> power if amount >= 0 else -(-amount >> power)}{suffix}"
    return str(amount)


def _engineering(nanos: int) -> tuple[int, int]:
    """A mantissa as small as can be without decimals, and a power of ten divisible by three."""
    mantissa, power = nanos, _NANO
    while mantissa % 1000 == 0:
        mantissa, power = mantissa // 1000, power + 3
    return mantissa, power
