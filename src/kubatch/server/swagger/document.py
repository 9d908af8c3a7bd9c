"""The document of OpenAPI 2 in its two forms, made when somebody first asks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kubatch.api import resource as table
from kubatch.server import negotiate
from kubatch.server.openapi import VERSION, Schemas
from kubatch.server.swagger import protobuf
from kubatch.server.swagger.definitions import META, definitions, list_of
from kubatch.server.swagger.paths import paths_of

ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


@dataclass(frozen=True, slots=True)
class Document:
    """A form of the document."""

    body: bytes
    content_type: str
    tag: str  # changes when the document does


def answer(accept: str) -> Document:
    """The document in the form that is asked for. kubectl stops without the one in protobuf."""
    return _as(PROTOBUF if any(c.media == ASKED for c in negotiate.clauses(accept)) else "")


@lru_cache(maxsize=2)
def _as(content_type: str) -> Document:
    made = document()
    body = protobuf.encode(made) if content_type else negotiate.encode(made)
    tag = f'"{hashlib.sha256(body).hexdigest().upper()}"'
    return Document(body, content_type or negotiate.JSON, tag)


def document() -> dict[str, Any]:
    """Everything that is served, as JSON values."""
    schemas = Schemas()
    paths: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for resource in table.RESOURCES:
        name = schemas.add_kind(resource)
        paths |= paths_of(resource, name)
        if "list" in resource.verbs:
            kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
            lists[f"{name}List"] = list_of(name, kind)
    for name in ("DeleteOptions", "ListMeta", "Status"):
        schemas.add("meta/v1", name)
    assert f"{META}.Status" in schemas.made, "answers refer to it"
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted({**definitions(schemas.made), **lists}.items())),
    }
