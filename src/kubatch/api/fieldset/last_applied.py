"""Peace between `kubectl apply` and `kubectl apply --server-side` on one object.

The first keeps what it applied in an annotation. The second may change what the annotation says
was applied and nobody changed since, and keeps the annotation true for as long as it is there.
(managedfields/internal: lastappliedmanager.go, lastappliedupdater.go.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubatch.api.fieldset.merging import problems
from kubatch.api.fieldset.sets import EMPTY, FieldSet, difference
from kubatch.api.fieldset.shapes import Shape
from kubatch.api.fieldset.values import compare, to_set

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
# Only kubectl's own manager takes part; whoever names another one opts out.
MANAGER = "kubectl"

# apimachinery/pkg/api/validation: TotalAnnotationSizeLimitB
_ANNOTATIONS_BYTES_MAX = 256 * 1024


def allowed(shape: Shape, live: Mapping[str, Any], api_version: str) -> FieldSet:
    """What a server-side apply may take over: applied on the client, and so to this day."""
    text = _annotations(live).get(ANNOTATION)
    if not text:
        return EMPTY
    try:
        applied = json.loads(text)
    except (ValueError, RecursionError):
        return EMPTY
    if not isinstance(applied, dict) or applied.get("apiVersion") != api_version:
        return EMPTY
    if problems(shape, applied):
        return EMPTY
    change = compare(shape, applied, live)
    fields = to_set(shape, applied)
    for differing in (change.modified, change.added, change.removed):
        fields = difference(fields, differing)
    return fields


def refreshed(merged: dict[str, Any], intent: Mapping[str, Any]) -> dict[str, Any]:
    """The merged object with the annotation saying what was applied now, where there is one."""
    annotations = _annotations(merged)
    if not annotations.get(ANNOTATION):
        return merged
    metadata = dict(intent.get("metadata") or {})
    if isinstance(metadata.get("annotations"), dict):
        kept = {k: v for k, v in metadata["annotations"].items() if k != ANNOTATION}
        metadata["annotations"] = kept
    text = _json({**intent, "metadata": metadata}) + "\n"
    renewed = {**annotations, ANNOTATION: text}
    size = sum(len(str(k).encode()) + len(str(v).encode()) for k, v in renewed.items())
    if size > _ANNOTATIONS_BYTES_MAX:
        del renewed[ANNOTATION]
    return {**merged, "metadata": {**merged["metadata"], "annotations": renewed}}


def _json(value: Any) -> str:
    """As Go's encoder writes unstructured objects: sorted, compact, safe inside HTML."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for character, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escaped)
    return text


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return (obj.get("metadata") or {}).get("annotations") or {}
