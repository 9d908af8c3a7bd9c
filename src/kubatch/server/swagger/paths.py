"""The paths of OpenAPI 2: every verb of every resource, with its parameters. Pure.

Names of operations are those of apiserver/pkg/endpoints/installer.go, since makers of clients
turn them into names of functions.
"""

from __future__ import annotations

from typing import Any

from kubatch.api.resource import Resource, Subresource
from kubatch.server.swagger.definitions import META, reference

_JSON = "application/json"
_PRODUCES = [_JSON, "application/yaml"]
_PATCHES = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_TYPES = {
    "allowWatchBookmarks": "boolean",
    "force": "boolean",
    "gracePeriodSeconds": "integer",
    "limit": "integer",
    "orphanDependents": "boolean",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
    "watch": "boolean",
}
# An HTTP method, what Kubernetes calls it, how its operation's name begins, its query's parameters.
_ITEM = (
    ("get", "get", "read", ()),
    ("put", "update", "replace", _WRITE),
    ("patch", "patch", "patch", (*_WRITE, "force")),
    ("delete", "delete", "delete", _DELETE),
)
_COLLECTION = (
    ("get", "list", "list", _LIST),
    ("post", "create", "create", _WRITE),
    ("delete", "deletecollection", "deletecollection", (*_DELETE, *_LIST)),
)
_ACTIONS = {"update": "put", "create": "post"}


def paths_of(resource: Resource[Any], name: str) -> dict[str, Any]:
    """A resource's paths; `name` is the definition of its kind."""
    prefix = f"/apis/{resource.group}" if resource.group else "/api"
    root = f"{prefix}/{resource.version}"
    within = f"{root}/namespaces/{{namespace}}" if resource.namespaced else root
    made: dict[str, Any] = {}
    collection, item = f"{within}/{resource.plural}", f"{within}/{resource.plural}/{{name}}"
    _add(made, collection, [_operation(resource, name, *o) for o in _COLLECTION])
    _add(made, item, [_operation(resource, name, *o) for o in _ITEM])
    if resource.namespaced and "list" in resource.verbs:
        everywhere = _operation(resource, name, *_COLLECTION[0], everywhere=True)
        _add(made, f"{root}/{resource.plural}", [everywhere])
    for sub in resource.subresources:
        # A connection that is taken over says nothing of itself that a maker of clients could use.
        if sub.name not in ("attach", "exec", "portforward", "proxy"):
            _add(made, f"{item}/{sub.name}", _of_subresource(resource, sub, name))
    return made


def _of_subresource(resource: Resource[Any], sub: Subresource, name: str) -> list[Any]:
    operations = (*_ITEM[:3], _COLLECTION[1])
    return [_operation(resource, name, *o, sub=sub) for o in operations if o[1] in sub.verbs]


def _add(made: dict[str, Any], path: str, operations: list[tuple[str, Any] | None]) -> None:
    there = dict(o for o in operations if o is not None)
    if there:
        there["parameters"] = [
            _parameter(part, "path", f"{part} of what is meant", required=True)
            for part in ("name", "namespace")
            if f"{{{part}}}" in path
        ]
        made[path] = there


def _operation(
    resource: Resource[Any],
    name: str,
    method: str,
    verb: str,
    begins: str,
    query: tuple[str, ...],
    *,
    everywhere: bool = False,
    sub: Subresource | None = None,
) -> tuple[str, Any] | None:
    if sub is None and verb not in resource.verbs:
        return None
    kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    if sub is not None and sub.kind:
        group, version = (sub.group, sub.version) if sub.version else ("", resource.version)
        kind, name = {"group": group, "kind": sub.kind, "version": version}, ""
    made = {
        "operationId": _name(resource, begins, everywhere, sub),
        "tags": [f"{resource.group.partition('.')[0] or 'core'}_{resource.version}"],
        "produces": _PRODUCES,
        "consumes": _PATCHES if verb == "patch" else ["*/*"],
        "parameters": [_parameter(q, "query") for q in query] + _body(verb, name),
        "responses": _responses(verb, name, sub),
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": kind,
    }
    return method, made


def _name(resource: Resource[Any], begins: str, everywhere: bool, sub: Subresource | None) -> str:
    """`readBatchV1NamespacedJobStatus`."""
    group = "".join(p.capitalize() for p in (resource.group.partition(".")[0] or "core").split("."))
    collection = "Collection" if begins == "deletecollection" else ""
    namespaced = "Namespaced" if resource.namespaced and not everywhere else ""
    end = "ForAllNamespaces" if everywhere else ""
    part = sub.name.capitalize() if sub is not None else ""
    verb = "delete" if collection else begins
    version = resource.version.capitalize()
    return f"{verb}{group}{version}{collection}{namespaced}{resource.kind}{part}{end}"


def _parameter(name: str, place: str, text: str = "", *, required: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "in": place, "type": _TYPES.get(name, "string")}
    if text:
        made["description"] = text
    if required:
        made["required"] = True
    return {**made, "uniqueItems": True}


def _body(verb: str, name: str) -> list[dict[str, Any]]:
    definition = {
        "create": name,
        "update": name,
        "patch": f"{META}.Patch",
        "delete": f"{META}.DeleteOptions",
        "deletecollection": f"{META}.DeleteOptions",
    }.get(verb)
    if definition is None:
        return []
    made: dict[str, Any] = {"name": "body", "in": "body"}
    if "delete" not in verb:
        made["required"] = True
    return [{**made, "schema": reference(definition) if definition else {"type": "object"}}]


def _responses(verb: str, name: str, sub: Subresource | None) -> dict[str, Any]:
    if sub is not None and sub.name == "log":
        schema: dict[str, Any] = {"type": "string"}
    elif "delete" in verb:
        schema = reference(f"{META}.Status")
    elif verb == "list":
        schema = reference(f"{name}List")
    else:
        schema = reference(name) if name else {"type": "object"}
    answer = {"description": "OK", "schema": schema}
    made = {"200": answer}
    if verb == "create":
        made["201"] = {**answer, "description": "Created"}
    return {**made, "401": {"description": "Unauthorized"}}
