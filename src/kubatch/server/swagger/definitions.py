"""The definitions of OpenAPI 2, out of the schemas of OpenAPI 3. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubatch.api.list_types import LIST_KEYS
from kubatch.api.merge_keys import MERGE_KEYS

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_THREE, _TWO = "#/components/schemas/", "#/definitions/"
# What Go says of types with a JSON form of their own, which OpenAPI 2 has no `oneOf` for.
_PLAIN: Mapping[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "type": "string",
        "format": "int-or-string",
    },
}
# Struct members whose other members go when one is set (`patchStrategy:"retainKeys"`).
_RETAINED = frozenset({("PodSpec", "volumes")})
# What no request's kind reaches.
_MORE: Mapping[str, dict[str, Any]] = {
    f"{META}.Patch": {
        "description": "Patch is provided to give a concrete name and type to the body of a PATCH.",
        "type": "object",
    },
}


def reference(name: str) -> dict[str, Any]:
    """A reference to a definition."""
    return {"$ref": f"{_TWO}{name}"}


def definitions(schemas: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """All of them, by name."""
    made = {name: _PLAIN.get(name) or _definition(name, s) for name, s in schemas.items()}
    return dict(sorted((made | dict(_MORE)).items()))


def list_of(name: str, kind: Mapping[str, str]) -> dict[str, Any]:
    """The definition of a kind's list; `name` is the definition of the kind itself."""
    listed = {**kind, "kind": f"{kind['kind']}List"}
    return {
        "description": f"{listed['kind']} is a list of {kind['kind']}s.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "items": {"type": "array", "items": reference(name)},
            "kind": {"type": "string"},
            "metadata": reference(f"{META}.ListMeta"),
        },
        "x-kubernetes-group-version-kind": [listed],
    }


def _definition(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = _converted(schema)
    message = name.rpartition(".")[2]
    for field, inner in made.get("properties", {}).items():
        inner.update(_marks(message, field))
    return made


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "allOf" in value:  # version 2 lets a reference have neighbours
        return {**_converted(value["allOf"][0]), "description": value["description"]}
    if isinstance(ref := value.get("$ref"), str):
        return reference(ref.removeprefix(_THREE))
    return {k: _converted(v) for k, v in value.items()}


def _marks(message: str, field: str) -> dict[str, Any]:
    """By what a list is merged: for strategic merge patches, and for applies."""
    made: dict[str, Any] = {}
    merge_key = MERGE_KEYS.get((message, field))
    if merge_key is not None:
        retained = ",retainKeys" if (message, field) in _RETAINED else ""
        made["x-kubernetes-patch-strategy"] = f"merge{retained}"
        if merge_key:
            made["x-kubernetes-patch-merge-key"] = merge_key
    keys = LIST_KEYS.get((message, field))
    if keys is not None:
        made["x-kubernetes-list-type"] = "map" if keys else "set"
        if keys:
            made["x-kubernetes-list-map-keys"] = list(keys)
    return made
