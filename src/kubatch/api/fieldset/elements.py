"""Steps of a field path in the form FieldsV1 gives them: `f:name`, `k:{"name":"a"}`, `v:"x"`.

(sigs.k8s.io/structured-merge-diff: fieldpath/serialize-pe.go, fieldpath/element.go.) A step is its
own text, written in one way only, so that steps compare as strings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any, TypeVar

from kubatch.api.fields import show

T = TypeVar("T")

# Steps are remembered up to this length: they come from strangers too.
_REMEMBERED_CHARACTERS_MAX = 512

# Marks a node of a set as a member although it has children.
SELF = "."


def _remembered(function: Callable[[str], T]) -> Callable[[str], T]:
    """A function of a step that keeps what it found of short ones."""
    cached = lru_cache(maxsize=4096)(function)

    @wraps(function)
    def ask(step: str) -> T:
        return (cached if len(step) <= _REMEMBERED_CHARACTERS_MAX else function)(step)

    return ask


def field(name: str) -> str:
    """The step to a struct's field or a map's entry."""
    return "f:" + name


def key(values: Mapping[str, Any]) -> str:
    """The step to a list's element, by the fields that tell it apart."""
    if len(values) == 1:
        ((name, value),) = values.items()
        if type(value) is str and len(value) <= _REMEMBERED_CHARACTERS_MAX:
            return _named(name, value)
    return "k:" + _text(values)


@lru_cache(maxsize=4096)
def _named(name: str, value: str) -> str:
    return "k:" + _text({name: value})


def value(plain: Any) -> str:
    """The step to a set's element."""
    return "v:" + _text(plain)


_text: Callable[[Any], str] = json.JSONEncoder(
    separators=(",", ":"), sort_keys=True, ensure_ascii=False
).encode


@_remembered
def canonical(step: str) -> str | None:
    """A step as somebody wrote it, in our one way; None for a kind that nobody knows.

    Raises ValueError for a step of a known kind that cannot be read.
    """
    kind = step[:2]
    if kind == "f:" or step == SELF:
        return step
    if kind == "k:":
        read = json.loads(step[2:])
        if not isinstance(read, dict):
            raise ValueError(f"not the key of an element: {step}")
        return _encodable(key(read))
    if kind == "v:":
        return _encodable(value(json.loads(step[2:])))
    if kind == "i:":
        return f"i:{int(step[2:])}"
    return None


def _encodable(step: str) -> str:
    step.encode()  # half a surrogate pair cannot be stored: UnicodeEncodeError is a ValueError
    return step


@_remembered
def show_step(step: str) -> str:
    """A step as messages show it: `.name`, `[name="a"]`, `[="x"]`, `[0]`."""
    match step[:2]:
        case "f:":
            return "." + step[2:]
        case "k:":
            pairs = json.loads(step[2:]).items()
            return "[" + ",".join(f"{name}={show(v)}" for name, v in pairs) + "]"
        case "v:":
            return f"[={show(json.loads(step[2:]))}]"
        case _:
            return f"[{step[2:]}]"


@_remembered
def order(step: str) -> tuple[Any, ...]:
    """What steps are sorted by (PathElement.Compare): fields, keys, values, indexes."""
    match step[:2]:
        case "f:":
            return (1, step[2:])
        case "k:":
            return (2, *(part for pair in json.loads(step[2:]).items() for part in _pair(*pair)))
        case "v:":
            return (3, *_ranked(json.loads(step[2:])))
        case "i:":
            return (4, int(step[2:]))
        case _:
            return (0,)


def _pair(name: str, plain: Any) -> tuple[Any, ...]:
    return (name, *_ranked(plain))


def _ranked(plain: Any) -> tuple[Any, ...]:
    """Values of different types in the order of value.Compare: numbers, strings, booleans."""
    if isinstance(plain, bool):
        return (2, plain)
    if isinstance(plain, int | float):
        return (0, plain)
    return (1, plain) if isinstance(plain, str) else (3, _text(plain))
