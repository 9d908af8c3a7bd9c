"""The live object with an intent laid over it, and what an intent must be like for that.

Members of structs, maps and keyed lists merge, everything else is replaced. Lists keep the intent's
order, with elements only the live object has staying beside their neighbours.
(sigs.k8s.io/structured-merge-diff: typed/merge.go, typed/validate.go.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kubatch.api.fieldset.elements import field, show_step
from kubatch.api.fieldset.shapes import Shape
from kubatch.api.fieldset.values import ABSENT, NoKey, step_to
from kubatch.api.strategic import go_text


def merge(shape: Shape, live: Any, intent: Any) -> Any:
    """What the object becomes. The intent must be valid; shares parts with both."""
    if live is ABSENT or shape.form == "scalar" or shape.atomic:
        return intent
    if not intent:
        return live or intent  # merging takes nothing away
    if shape.form == "list":
        return _merge_lists(shape, live if isinstance(live, list) else [], intent)
    merged = dict(live) if isinstance(live, dict) else {}
    for name, value in intent.items():
        known = shape.member(name)
        if known is not None:
            merged[name] = merge(known, merged.get(name, ABSENT), value)
    return merged


def _merge_lists(shape: Shape, live: Sequence[Any], intent: Sequence[Any]) -> list[Any]:
    wanted = {step_to(shape, item): item for item in intent}
    present: list[tuple[str, Any]] = []
    for i, item in enumerate(live):
        try:
            step = step_to(shape, item)
        except NoKey:
            step = f"?{i}"  # of nobody's, it stays where it is
        present.append((step, item))
    there: dict[str, Any] = {}
    for step, item in present:
        # Duplicates are not merged with what is wanted, they are replaced by it.
        there[step] = None if step in there else item
    return list(_interleaved(shape, present, there, wanted))


def _interleaved(
    shape: Shape,
    present: Sequence[tuple[str, Any]],
    there: dict[str, Any],
    wanted: dict[str, Any],
) -> Iterator[Any]:
    """The elements of both in their final order (mergingWalker.visitListItems)."""
    order = list(wanted)
    shared = iter([step for step in order if step in there])
    next_shared = next(shared, None)
    taken: set[str] = set()
    at, to = 0, 0
    while at < len(present) or to < len(order):
        if at < len(present) and to < len(order):
            step = present[at][0]
            if step == order[to]:
                taken.add(step)
                yield merge(shape.element, there[step], wanted[step])
                at, to = at + 1, to + 1
                next_shared = next(shared, None)
                continue
            if step in wanted and next_shared is not None and next_shared != step:
                at += 1  # comes later, where the intent has it
                continue
        if at < len(present):
            step, item = present[at]
            if step not in wanted:
                yield item
                at += 1
                continue
            if step in taken:
                at += 1
        if to < len(order):
            step = order[to]
            taken.add(step)
            yield merge(shape.element, there.get(step, ABSENT), wanted[step])
            to += 1
            if step == next_shared:
                next_shared = next(shared, None)


# ----- what an intent must be like


def problems(shape: Shape, value: Any) -> str:
    """Everything wrong with an intent in upstream's words, "" for a valid one."""
    try:
        found = list(_problems(shape, value, ""))
    except RecursionError:
        return "nested too deep"
    if len(found) <= 1:
        return "".join(found)
    return "errors:\n" + "\n".join(f"  {one}" for one in found)


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    why = ""
    if shape.form == "scalar":
        why = _scalar_problem(shape.scalar, value)
    elif shape.form == "list":
        if isinstance(value, list):
            yield from _list_problems(shape, value, path)
        else:
            why = f"expected list, got &{{{go_text(value)}}}"
    elif isinstance(value, dict):
        for name, inner in value.items():
            below = shape.member(name)
            if below is None:
                yield f"{path}.{name}: field not declared in schema"
                return
            yield from _problems(below, inner, path + show_step(field(name)))
    else:
        why = f"expected map, got &{{{go_text(value)}}}"
    if why:
        yield f"{path}: {why}" if path else why


def _list_problems(shape: Shape, value: Sequence[Any], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, item in enumerate(value):
        where = f"[{i}]"
        if not shape.atomic:
            try:
                step = step_to(shape, item)
            except NoKey as error:
                yield f"{path}: element {i}: {error}"
                return
            where = show_step(step)
            if step in seen:
                yield f"{path}: duplicate entries for key {where}"
            seen.add(step)
        yield from _problems(shape.element, item, path + where)


_GO_TYPES = {bool: "bool", str: "string", list: "[]interface {}", dict: "map[string]interface {}"}


def _scalar_problem(kind: str, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "numeric" and not number:
        return f"expected numeric (int or float), got {_GO_TYPES[type(value)]}"
    if kind == "string" and not isinstance(value, str):
        return f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    if kind == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got &{{{go_text(value)}}}"
    if kind == "untyped" and isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_text(value)}}}"
    return ""


def _go_syntax(value: Any) -> str:
    """A value as Go's %#v prints it."""
    if isinstance(value, dict):
        pairs = (f"{_go_syntax(k)}:{_go_syntax(value[k])}" for k in sorted(value))
        return f"map[string]interface {{}}{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return go_text(value)
