"""Strategic merge patch: a merge patch that knows the types it is applied to.

The algorithm is apimachinery/pkg/util/strategicpatch/patch.go, the half that applies
(StrategicMergeMapPatch). There it changes its arguments; here each level makes a new dict or list,
so the object and the patch stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from kubatch.api import schema
from kubatch.api.errors import PatchError
from kubatch.api.json_patch import same, unprocessable
from kubatch.api.json_text import go_kind
from kubatch.api.merge_keys import merge_key

_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_VALUES = "$deleteFromPrimitiveList"
_ORDER = "$setElementOrder"

Map = dict[str, Any]
List = list[Any]
# What a value is: a message, a map, or something that nothing merges into.
Kind = schema.Message | schema.Type


def strategic(original: Map, patch: Any, kind: schema.Message) -> Map:
    """The original with a strategic merge patch applied, both being JSON of the kind given.

    Raises PatchError 400, 422 or 500.
    """
    if not isinstance(patch, dict):
        raise _bad_format(
            f"json: cannot unmarshal {go_kind(patch)} into Go value of type "
            "map[string]interface {}"
        )
    return _merge_map(original, patch, kind)


def _bad_format(message: str) -> PatchError:
    return PatchError(400, "BadRequest", message)


def _failed(message: str) -> PatchError:
    # Errors without a code of their own become a 500 without a reason (ErrorToAPIStatus).
    return PatchError(500, "", message)


def _no_merge_key(element: Map, key: str) -> PatchError:
    return _failed(f"map: {go_text(element)} does not contain declared merge key: {key}")


def _bad_type(expected: str, value: Any) -> PatchError:
    return _failed(f"expected a {expected}, but received a {_go_type(value)}")


def _unknown_directive(directive: Any, element: Map) -> PatchError:
    return _failed(f"unknown patch type: {go_text(directive)} in map: {go_text(element)}")


# ----- maps


def _merge_map(original: Map, patch: Map, kind: Kind) -> Map:
    """One level of the object (mergeMap)."""
    if _DIRECTIVE in patch:
        directive = patch[_DIRECTIVE]
        if directive == "replace":
            return {k: v for k, v in patch.items() if k != _DIRECTIVE}
        if directive == "delete":
            return {}
        raise _unknown_directive(directive, patch)
    merged, left = dict(original), dict(patch)
    if _RETAIN_KEYS in left:
        merged = _retained(merged, left.pop(_RETAIN_KEYS), left)
    for name in [n for n in left if n.startswith(_ORDER)]:
        _merge_ordered(merged, left, name, kind)
    for name, value in left.items():
        if name.startswith(_DELETE_VALUES):
            target = _target(name, _DELETE_VALUES, "invalid patch format of primitive list")
            _merge_member(merged, target, value, kind, deletes=True)
        else:
            _merge_member(merged, name, value, kind, deletes=False)
    return merged


def _target(name: str, prefix: str, error: str) -> str:
    """The list a parallel list is about: `finalizers` of `$setElementOrder/finalizers`."""
    head, slash, target = name.partition("/")
    if not slash or head != prefix:
        raise _bad_format(error)
    return target


def _retained(original: Map, names: Any, patch: Map) -> Map:
    """The members that $retainKeys names; the patch must not set others."""
    error = "invalid patch format of retainKeys"
    if not isinstance(names, list):
        raise _bad_format(error)
    for name, value in patch.items():
        parallel = name.startswith((_DELETE_VALUES, _ORDER))
        if value is not None and not parallel and name not in names:
            raise _bad_format(error)
    return {k: v for k, v in original.items() if k in names}


def _merge_member(merged: Map, name: str, value: Any, kind: Kind, *, deletes: bool) -> None:
    if value is None:
        merged.pop(name, None)
        return
    current = merged.get(name)
    if name not in merged or _go_type(current) != _go_type(value):
        if not deletes:
            _set(merged, name, value)
    elif isinstance(value, dict):
        merged[name] = _merge_map(cast(Map, current), value, _member(kind, name)[0])
    elif isinstance(value, list):
        child, key = _member(kind, name)
        merged[name] = _merge_list(cast(List, current), value, child, key, deletes=deletes)
    else:
        merged[name] = value


def _set(merged: Map, name: str, value: Any) -> None:
    cleaned = _cleaned(value)
    if cleaned is _DROPPED:
        merged.pop(name, None)
    else:
        merged[name] = cleaned


_DROPPED = object()


def _cleaned(value: Any) -> Any:
    """A new value without what only a merge understands: nulls and elements with $patch."""
    if isinstance(value, dict):
        if _DIRECTIVE in value:
            return _DROPPED
        members = ((k, _cleaned(v)) for k, v in value.items() if v is not None)
        return {k: v for k, v in members if v is not _DROPPED}
    if isinstance(value, list):
        return [v for v in map(_cleaned, value) if v is not _DROPPED]
    return value


def _member(kind: Kind, name: str) -> tuple[Kind, str | None]:
    """A member's kind (of a list: its elements'), and its merge key (LookupPatchMetadata)."""
    if isinstance(kind, schema.Message):
        field = kind.fields.get(name)
        if field is None:
            raise _failed(
                f'unable to find api field in struct {kind.name} for the json field "{name}"'
            )
        inner = field.type.element if field.type.form == "list" else None
        return _resolved(inner or field.type), merge_key(kind.name, name)
    if kind.form == "map" and kind.element is not None:
        return _resolved(kind.element), None
    shown = kind.go_name.rpartition(".")[2]
    raise _failed(f'unable to find api field in struct {shown} for the json field "{name}"')


def _resolved(kind: schema.Type) -> Kind:
    return kind if kind.message is None else schema.message(*kind.message)


# ----- lists


def _merge_list(
    original: List, patch: List, element: Kind, key: str | None, *, deletes: bool
) -> List:
    """A list with a patch's elements merged in (mergeSliceHandler)."""
    if deletes:
        return [v for v in original if not _among(v, patch)]
    if key is None:
        return patch
    if not original and not patch:
        return original
    if _one_type(original, patch) is not dict:
        merged = original + [v for v in patch if not _among(v, original)]
        return _in_order(_unique(merged), patch, original, "")
    if not key:
        raise _failed("cannot merge lists without merge key for type struct")
    original, patch = _special_elements(original, patch, key)
    merged = list(original)
    for change in patch:
        if key not in change:
            raise _no_merge_key(change, key)
        at = _find(merged, key, change[key])
        if at is None:
            merged.append(_cleaned(change))
        else:
            merged[at] = _merge_map(merged[at], change, element)
    return _in_order(merged, patch, original, key)


def _special_elements(original: List, patch: List, key: str) -> tuple[List, List]:
    """Both lists once the elements with a directive have had their effect."""
    plain: List = []
    replaces = False
    for change in patch:
        directive = change.get(_DIRECTIVE)
        if directive is None:
            plain.append(change)
        elif directive == "delete":
            if key not in change:
                raise _no_merge_key(change, key)
            original = [v for v in original if not same(v.get(key), change[key])]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise _failed("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, change)
    return (plain, []) if replaces else (original, plain)


def _merge_ordered(merged: Map, patch: Map, directive: str, kind: Kind) -> None:
    """Merge one list whose order is given (mergePatchIntoOriginal); takes both out of `patch`."""
    order = patch.pop(directive)
    if not isinstance(order, list):
        raise _bad_type("[]interface {}", order)
    name = _target(directive, _ORDER, "invalid patch format of setElementOrder list")
    original, change = merged.get(name), patch.get(name)
    for value in (original, change):
        if value is not None and not isinstance(value, list):
            raise _bad_type("[]interface {}", value)
    element, key = _member(kind, name)
    _check_order(change or [], order, key or "")
    if change is None:
        if original is None:
            return
        joined = original
    elif original is None:
        joined = cast(List, _cleaned(change))
    else:
        joined = _merge_list(original, change, element, key, deletes=False)
    _one_type(original or [], change or [])
    merged[name] = _in_order(joined, order, original or [], key or "")
    patch.pop(name, None)


def _check_order(patch: List, order: List, key: str) -> None:
    """The patch's elements must all be in the order list, in the same order."""
    if not order or not patch:
        return
    wanted = [v for v in patch if not (key and isinstance(v, dict) and _DIRECTIVE in v)]
    at = 0
    for entry in order:
        if at < len(wanted) and same(_identity(wanted[at], key), _identity(entry, key)):
            at += 1
    if at < len(wanted):
        raise _failed(
            f"The order in patch list:\n{go_text(patch)}\n doesn't match {_ORDER} list:\n"
            f"{go_text(order)}\n"
        )


def _in_order(merged: List, patch: List, original: List, key: str) -> List:
    """Elements of the patch in its order, the others among them where they were.

    As normalizeElementOrder: an element that only the server has goes before the next patched
    one that stood after it; a patched one that the server did not have does not wait for any.
    """
    rank = [_identity(v, key) for v in patch]
    before = [_identity(v, key) for v in original]
    patched = [v for v in merged if _index(rank, _identity(v, key)) is not None]
    others = [v for v in merged if _index(rank, _identity(v, key)) is None]
    patched.sort(key=lambda v: _rank(rank, _identity(v, key)))
    others.sort(key=lambda v: _rank(before, _identity(v, key)))
    out: List = []
    for value in patched:
        at = _index(before, _identity(value, key))
        while others and at is not None:
            other = _index(before, _identity(others[0], key))
            if other is None or other >= at:
                break
            out.append(others.pop(0))
        out.append(value)
    return out + others


def _identity(element: Any, key: str) -> Any:
    """What tells an element from others. Raises PatchError for one without its merge key."""
    if not key:
        return element
    if not isinstance(element, dict):
        raise _bad_type("map[string]interface {}", element)
    if key not in element:
        raise _no_merge_key(element, key)
    return element[key]


def _index(identities: Sequence[Any], identity: Any) -> int | None:
    for i, candidate in enumerate(identities):
        if same(candidate, identity):
            return i
    return None


def _rank(identities: Sequence[Any], identity: Any) -> int:
    """Where an element stands; those that the list does not know come last."""
    at = _index(identities, identity)
    return len(identities) if at is None else at


def _find(elements: List, key: str, value: Any) -> int | None:
    for i, element in enumerate(elements):
        if key in element and same(element[key], value):
            return i
    return None


def _among(value: Any, values: Iterable[Any]) -> bool:
    return any(same(value, v) for v in values)


def _unique(values: List) -> List:
    out: List = []
    for value in values:
        if not _among(value, out):
            out.append(value)
    return out


def _one_type(*lists: List) -> type:
    """The type of all elements (sliceElementType)."""
    found: type | None = None
    for element in (v for values in lists for v in values):
        if isinstance(element, list):
            raise unprocessable()
        if found is not None and found is not type(element):
            shown = go_text(list(lists))
            raise _failed(f"list element types are not identical: {shown}")
        found = type(element)
    if found is None:
        raise _failed("no elements in any of the given slices")
    return found


# ----- Go's words


def _go_type(value: Any) -> str:
    if value is None:
        return "%!s(<nil>)"
    names = {bool: "bool", str: "string", int: "int64", float: "float64", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


def go_text(value: Any) -> str:
    """A JSON value as Go's %v prints it: `map[image:x name:y]`, `[a b]`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{go_text(value[k])}' for k in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    return str(value)
