"""What Go's encoding/json says of broken JSON: people search for these texts. Pure.

The walk is that of encoding/json's scanner.go, a state for a state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from kubatch.api.json_text import TYPE_META, go_kind, mended

# scanner.go: maxNestingDepth
_DEPTH_MAX = 10_000
_END = "unexpected end of JSON input"
_SPACE = re.compile(rb"[ \t\r\n]*")
# A string without its last quote, as far as it is right.
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_HEX = re.compile(rb"[0-9a-fA-F]*")
_NUMBER = re.compile(rb"(?:0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]*)?")
_LITERALS = {b"t": b"true", b"f": b"false", b"n": b"null"}


class _Broken(Exception):
    """Where the scanner stops, and why."""


def go_json_error(data: bytes) -> str:
    """What encoding/json says of text that codec.parse_json refused."""
    try:
        _Scanner(data).run()
    except _Broken as error:
        return str(error)
    try:
        value = msgspec.json.decode(mended(data))
    except RecursionError:
        return "exceeded max depth"
    except ValueError:
        return "json: cannot unmarshal number into Go value of type float64"
    return f"json: cannot unmarshal {go_kind(value)} into Go value of type {TYPE_META}"


# A step of the scanner answers the one that follows it, or None after the last.
Step: TypeAlias = Callable[[], Any]


class _Scanner:
    """Looks for the first byte that may not be where it is."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._open: list[bool] = []  # of each open bracket, whether it is a curly one

    def run(self) -> None:
        """Raises _Broken."""
        step: Step | None = self._value
        while step is not None:
            step = step()
        if self._peek():
            raise self._wrong("after top-level value")

    def _peek(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        found = _SPACE.match(self._data, self._at)
        assert found is not None, "it matches nothing too"
        self._at = found.end()
        return self._data[self._at : self._at + 1]

    def _next(self) -> bytes:
        byte = self._peek()
        if not byte:
            raise _Broken(_END)
        return byte

    def _wrong(self, where: str) -> _Broken:
        if self._at >= len(self._data):
            return _Broken(_END)
        return _Broken(f"invalid character {_rune(self._data[self._at])} {where}")

    def _value(self) -> Step:
        byte = self._next()
        if byte in b"{[":
            return self._begin(curly=byte == b"{")
        if byte == b'"':
            self._string()
        elif byte in b"-0123456789":
            self._number()
        elif byte in _LITERALS:
            self._literal(_LITERALS[byte])
        else:
            raise self._wrong("looking for beginning of value")
        return self._after_value

    def _begin(self, *, curly: bool) -> Step:
        self._at += 1
        self._open.append(curly)
        if len(self._open) > _DEPTH_MAX:
            raise _Broken("exceeded max depth")
        if self._next() == (b"}" if curly else b"]"):
            return self._after_value
        return self._member if curly else self._value

    def _after_value(self) -> Step | None:
        if not self._open:
            return None
        byte, curly = self._next(), self._open[-1]
        if byte == (b"}" if curly else b"]"):
            self._at += 1
            self._open.pop()
            return self._after_value
        if byte != b",":
            raise self._wrong("after object key:value pair" if curly else "after array element")
        self._at += 1
        return self._member if curly else self._value

    def _member(self) -> Step:
        if self._next() != b'"':
            raise self._wrong("looking for beginning of object key string")
        self._string()
        if self._next() != b":":
            raise self._wrong("after object key")
        self._at += 1
        return self._value

    def _string(self) -> None:
        found = _STRING.match(self._data, self._at)
        assert found is not None, "it begins with a quote"
        self._at = found.end()
        match self._data[self._at : self._at + 1]:
            case b'"':
                self._at += 1
            case b"\\":
                self._escape()
            case _:
                raise self._wrong("in string literal")

    def _escape(self) -> None:
        """Of an escape that is wrong. Raises _Broken."""
        self._at += 1
        if self._data[self._at : self._at + 1] != b"u":
            raise self._wrong("in string escape code")
        found = _HEX.match(self._data, self._at + 1)
        assert found is not None, "it matches nothing too"
        self._at = found.end()
        raise self._wrong("in \\u hexadecimal character escape")

    def _number(self) -> None:
        self._at += self._data[self._at : self._at + 1] == b"-"
        found = _NUMBER.match(self._data, self._at)
        if found is None:
            raise self._wrong("in numeric literal")
        fraction, exponent = found[1], found[2]
        if fraction == b".":
            self._at = found.end(1)
            raise self._wrong("after decimal point in numeric literal")
        self._at = found.end()
        if exponent is not None and not exponent[-1:].isdigit():
            raise self._wrong("in exponent of numeric literal")

    def _literal(self, word: bytes) -> None:
        for expected in word:
            if self._data[self._at : self._at + 1] != bytes((expected,)):
                why = f"in literal {word.decode()} (expecting {_rune(expected)})"
                raise self._wrong(why)
            self._at += 1


def _rune(byte: int) -> str:
    """A byte as Go shows it, taken for a character of its own (scanner.go: quoteChar)."""
    special = {0x27: r"'\''", 0x22: "'\"'", 0x5C: r"'\\'"}
    named = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r"}
    if byte in special:
        return special[byte]
    if byte in named:
        return f"'{named[byte]}'"
    character = chr(byte)
    if character.isprintable():
        return f"'{character}'"
    return f"'\\x{byte:02x}'" if byte < 0x80 else f"'\\u{byte:04x}'"
