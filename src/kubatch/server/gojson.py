"""What Go's encoding/json says of broken JSON: people search for these texts. Pure."""

from __future__ import annotations

import json
import re

from kubatch.api.json_text import TYPE_META, go_kind


def go_json_error(data: bytes) -> str:
    """What encoding/json says of text that codec.parse_json refused."""
    try:
        text = data.decode(errors="replace")
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return _syntax_error(text, error)
    except RecursionError:
        return "exceeded max depth"
    except ValueError as error:
        return str(error)
    if isinstance(value, dict):
        return "invalid UTF-8 in string literal"
    return f"json: cannot unmarshal {go_kind(value)} into Go value of type {TYPE_META}"


def _syntax_error(text: str, error: json.JSONDecodeError) -> str:
    at = error.pos + error.msg.startswith("Illegal trailing comma")  # told at the comma
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    if at >= len(text) or error.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    character = f"invalid character {_go_rune(text[at])}"
    match error.msg:
        case "Extra data":
            return f"{character} after top-level value"
        case (
            "Expecting property name enclosed in double quotes"
            | "Illegal trailing comma before end of object"
        ):
            return f"{character} looking for beginning of object key string"
        case "Expecting ':' delimiter":
            return f"{character} after object key"
        case "Expecting ',' delimiter":
            where = "array element" if _in_array(text[:at]) else "object key:value pair"
            return f"{character} after {where}"
        case _:
            return f"{character} looking for beginning of value"


def _no_constant(name: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(f"invalid character {_go_rune(name[0])} looking for beginning of value")


def _go_rune(character: str) -> str:
    return {"'": r"'\''", '"': "'\"'"}.get(character, f"'{character}'")


def _in_array(text: str) -> bool:
    """Whether the innermost open bracket is a square one."""
    stack: list[str] = []
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if token[0] in "[{":
            stack.append(token[0])
        elif token[0] in "]}" and stack:
            stack.pop()
    return bool(stack) and stack[-1] == "["
