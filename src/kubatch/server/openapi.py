"""OpenAPI 3 documents, as far as kubectl needs them: create, apply, explain.

Generated from the tables that decode requests (api/schema.py), one document per group and version,
when somebody first asks. The texts that `kubectl explain` shows come from the models' docstrings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from kubatch.api import models, schema
from kubatch.api import resource as table
from kubatch.api.resource import Resource
from kubatch.server import negotiate

VERSION = "v1.36.2"

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
# Types whose JSON form is not their Go form; kube-openapi names them like messages.
_SPECIAL: Mapping[str, tuple[str, dict[str, Any]]] = {
    "time": (f"{_META}.Time", {"type": "string", "format": "date-time"}),
    "microtime": (f"{_META}.MicroTime", {"type": "string", "format": "date-time"}),
    "quantity": (_QUANTITY, {"oneOf": [{"type": "string"}, {"type": "number"}]}),
    "int-or-string": (
        _INT_OR_STRING,
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
}
_PLAIN: Mapping[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "bool": {"type": "boolean"},
    "raw": {"type": "object"},
}


@dataclass(frozen=True, slots=True)
class Document:
    """One group and version's document."""

    body: bytes
    hash: str


# ----- v3


@lru_cache(maxsize=1)
def v3_index() -> bytes:
    """Which documents there are and where; the hash in a URL makes it cacheable for ever."""
    paths = {}
    for group in table.groups():
        for version in table.versions(group):
            name = f"apis/{group}/{version}" if group else f"api/{version}"
            url = f"/openapi/v3/{name}?hash={v3(group, version).hash}"
            paths[name] = {"serverRelativeURL": url}
    return negotiate.encode({"paths": paths})


@lru_cache(maxsize=1)
def v3_index_hash() -> str:
    """Changes when any document does."""
    return hashlib.sha256(v3_index()).hexdigest().upper()


@lru_cache(maxsize=16)
def v3(group: str, version: str) -> Document:
    """The document of a group and version that is served."""
    resources = [r for r in table.RESOURCES if (r.group, r.version) == (group, version)]
    schemas = Schemas()
    paths: dict[str, Any] = {}
    for resource in resources:
        schemas.add_kind(resource)
        paths |= _paths(resource)
    body = negotiate.encode(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": VERSION},
            "paths": paths,
            "components": {"schemas": dict(sorted(schemas.made.items()))},
        }
    )
    return Document(body, hashlib.sha256(body).hexdigest().upper())


def _paths(resource: Resource[Any]) -> dict[str, Any]:
    """The item's path with its patch: what makes kubectl leave validation to the server.

    No request body is described: kubectl would then merge by this document, which says nothing of
    merge keys, instead of by the types it has built in.
    """
    prefix = f"/apis/{resource.group}" if resource.group else "/api"
    scope = "namespaces/{namespace}/" if resource.namespaced else ""
    path = f"{prefix}/{resource.version}/{scope}{resource.plural}/{{name}}"
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [
        {
            "name": n,
            "in": "query",
            "schema": {"type": "boolean" if n == "force" else "string", "uniqueItems": True},
        }
        for n in names
    ]
    operation = {
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": kind,
    }
    if "get" not in resource.verbs:  # questions are created, and that is all
        post = {**operation, "x-kubernetes-action": "post", "parameters": parameters[:-1]}
        return {path.removesuffix("/{name}"): {"post": post}}
    patch = {**operation, "x-kubernetes-action": "patch", "parameters": parameters}
    return {path: {"get": {**operation, "x-kubernetes-action": "get"}, "patch": patch}}


class Schemas:
    """Collects the schemas that a kind reaches."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}

    def add(self, home: str, name: str) -> None:
        """Add a message of wire.json and everything it refers to."""
        self._message((home, name), schema.message(home, name))

    def add_kind(self, resource: Resource[Any]) -> str:
        """Add a kind's schema and everything it refers to; its name."""
        short = resource.group.partition(".")[0] or "core"
        top = schema.root(resource.group, resource.version, resource.kind)
        key = (f"{short}/{resource.version}", resource.kind)
        made = self._message(key, top)
        made["x-kubernetes-group-version-kind"] = [
            {"group": resource.group, "kind": resource.kind, "version": resource.version}
        ]
        return _definition(key)

    def _message(self, key: tuple[str, str], message: schema.Message) -> dict[str, Any]:
        name = _definition(key)
        if name in self.made:
            return self.made[name]
        summary, texts = _described(key)
        made: dict[str, Any] = {"description": summary, "type": "object"}
        self.made[name] = made
        properties = {}
        for field in message.fields.values():
            inner = self._type(field.type)
            text = texts.get(field.name, "")
            properties[field.name] = _with_description(inner, text)
        made["properties"] = dict(sorted(properties.items()))
        required = sorted(
            f.name for f in message.fields.values() if not f.pointer and not f.omit_empty
        )
        if required:
            made["required"] = required
        return made

    def _type(self, kind: schema.Type) -> dict[str, Any]:
        if kind.form == "message":
            assert kind.message is not None, "a message type names its message"
            self._message(kind.message, schema.message(*kind.message))
            return _reference(_definition(kind.message))
        if kind.form in ("list", "map"):
            assert kind.element is not None, "a container says of what"
            inner = self._type(kind.element)
            if kind.form == "list":
                return {"type": "array", "items": inner}
            return {"type": "object", "additionalProperties": inner}
        if kind.form == "integer":
            width = "int64" if kind.go_name in ("int64", "uint64", "int") else "int32"
            return {"type": "integer", "format": width}
        if special := _SPECIAL.get(kind.form):
            self.made.setdefault(special[0], special[1])
            return _reference(special[0])
        return _PLAIN[kind.form]


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _with_description(inner: dict[str, Any], text: str) -> dict[str, Any]:
    """A $ref may have no neighbours in OpenAPI 3.0, so it goes into an allOf beside its text."""
    if not text:
        return inner
    if "$ref" in inner:
        return {"allOf": [inner], "description": text}
    return {**inner, "description": text}


def _definition(key: tuple[str, str]) -> str:
    group_version, name = key
    if group_version == "meta/v1":
        return f"{_META}.{name}"
    return f"io.k8s.api.{group_version.replace('/', '.')}.{name}"


# ----- texts

_MODULES: Mapping[str, Any] = {
    "meta/v1": models.meta_v1,
    "core/v1": models.core_v1,
    "apps/v1": models.apps_v1,
    "batch/v1beta1": models.batch_v1,
    "discovery/v1": models.discovery_v1,
    "policy/v1": models.policy_v1,
    "scheduling/v1": models.scheduling_v1,
    "batch/v1": models.batch_v1,
    "events/v1": models.events_v1,
    "coordination/v1": models.coordination_v1,
    "authentication/v1": models.authentication_v1,
    "authorization/v1": models.authorization_v1,
    "rbac/v1": models.rbac_v1,
}
_PARAMETER = re.compile(r"^\s*\* \*\*(\w+)\*\* ``[^`]*`` ?-? ?(.*)$")


@cache
def _described(key: tuple[str, str]) -> tuple[str, Mapping[str, str]]:
    """A type's text and its fields', from its model's docstring; empty when it has no model."""
    model = getattr(_MODULES.get(key[0]), key[1], None)
    return parse_docstring(model.__doc__ or "") if model is not None else ("", {})


def parse_docstring(text: str) -> tuple[str, Mapping[str, str]]:
    """The summary of a model and the text of each field; wrapped lines are joined again."""
    head, _, tail = text.partition("**parameters**")
    fields: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in tail.splitlines():
        if match := _PARAMETER.match(line):
            lines = fields.setdefault(match[1].rstrip("_"), [])
            lines.append(match[2].strip())
        else:
            lines.append(line.strip())
    return _unwrap(head.splitlines()), {name: _unwrap(text) for name, text in fields.items()}


def _unwrap(lines: Sequence[str]) -> str:
    """Paragraphs with their own lines joined, empty lines kept between them."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line.strip())
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n\n".join(" ".join(p) for p in paragraphs if p)
