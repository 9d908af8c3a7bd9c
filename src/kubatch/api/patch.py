"""The three ways of saying what to change: merge patch, JSON patch, strategic merge patch.

All take and give plain JSON values, and change none they are given; the result may share parts
with its inputs. All raise PatchError with the code, reason and message of
apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubatch.api.errors import ApiError, Cause, Details, PatchError
from kubatch.api.fields import show
from kubatch.api.json_patch import json_patch
from kubatch.api.json_text import go_kind
from kubatch.api.strategic import go_text, strategic

__all__ = ["json_patch", "merge", "strategic", "undecodable"]


def merge(original: Any, patch: Any) -> Any:
    """The original with a merge patch applied (RFC 7386): null deletes, lists are replaced.

    Raises PatchError 400 when the patch is not an object.
    """
    if not isinstance(patch, dict):
        raise PatchError(
            400,
            "BadRequest",
            f"error decoding patch: json: cannot unmarshal {go_kind(patch)} into Go value of "
            "type map[string]interface {}",
        )
    return _merged(original, patch)


def _merged(original: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    out = dict(original) if isinstance(original, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = _merged(out.get(name), value)
    return out


def undecodable(kind: str, patch: Any, document: Any, why: str) -> ApiError:
    """422 for a result that does not decode, the kind of patch being merge, json or strategic.

    The message shows what the API server had in hand then: the patched JSON, or the strategic
    patch as Go prints a map.
    """
    if kind == "strategic":
        shown = show(go_text(patch))
    else:
        shown = show(msgspec.json.encode(document).decode())
    cause = Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", "patch")
    message = f' "" is invalid: patch: {cause.message}'
    return PatchError(422, "Invalid", message, Details(causes=(cause,)))
