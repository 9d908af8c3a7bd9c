"""Objects as metav1.Table and as PartialObjectMetadata.

The columns and cells are the strategies'; here they become JSON
(apiserver/pkg/endpoints/handlers/response.go: asTable, asPartialObjectMetadata).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from kubatch.api import codec, errors
from kubatch.api.resource import Resource
from kubatch.registry.strategy import Strategy
from kubatch.registry.values import Entry, Page, Selected
from kubatch.server.pieces import PIECE_BYTES_MIN
from kubatch.server.request import Query, first

IncludeObject = Literal["Metadata", "Object", "None"]


def include_object(query: Query) -> IncludeObject:
    """How much of each object a row carries. Raises ApiError 400."""
    asked = first(query, "includeObject")
    match asked:
        case "" | "Metadata":
            return "Metadata"
        case "Object" | "None":
            return asked
    raise errors.bad_request(
        f'Unable to convert to Table as requested: includeObject: Invalid value: "{asked}": '
        "must be 'Metadata', 'Object', 'None', or empty"
    )


def list_meta(page: Page[Any] | Selected) -> bytes:
    """The metadata of a list."""
    meta: dict[str, Any] = {"resourceVersion": str(page.revision)}
    if page.continue_token:
        meta["continue"] = page.continue_token
    if page.remaining is not None:
        meta["remainingItemCount"] = page.remaining
    return codec.encode_json(meta)


def object_json(resource: Resource[Any], entry: Entry[Any]) -> bytes:
    """An object as clients get it; without a resourceVersion when it was not stored."""
    if entry.revision:
        return codec.wire(resource, entry.data, entry.revision)
    return codec.to_wire(resource, entry.obj)


def list_json(resource: Resource[Any], page: Page[Any]) -> bytes:
    """A list: one join of the stored bytes, whatever their number."""
    items = b",".join([codec.wire_item(e.data, e.revision) for e in page.entries])
    return b"%b%b]}\n" % (_list_head(resource, page), items)


def list_pieces(
    resource: Resource[Any], found: Selected, bytes_min: int = PIECE_BYTES_MIN
) -> Iterator[bytes]:
    """A list in pieces of at least so many bytes, but for the last one."""
    parts, size = [_list_head(resource, found)], 0
    items: list[bytes] = []
    data = found.data
    for record in found.records:
        item = codec.wire_item(data(record), record.revision)
        items.append(item)
        size += len(item)
        if size > bytes_min:
            parts.append(b",".join(items))
            yield b"".join(parts)
            parts, items, size = [b","], [], 0
    if not items and parts == [b","]:
        parts = []  # the comma was for what did not come
    yield b"".join((*parts, b",".join(items), b"]}\n"))


def _list_head(resource: Resource[Any], page: Page[Any] | Selected) -> bytes:
    head = codec.type_head(f"{resource.kind}List", resource.api_version)
    return b'%b"metadata":%b,"items":[' % (head, list_meta(page))


# ----- PartialObjectMetadata


def partial_json(entry: Entry[Any], version: str) -> bytes:
    """An object's metadata alone."""
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}' % (
        version.encode(),
        codec.encode_json(entry.obj.metadata),
    )


def partial_list_json(page: Page[Any], version: str) -> bytes:
    """A list of metadata; its items carry kind and apiVersion, unlike those of other lists."""
    items = b",".join([partial_json(e, version) for e in page.entries])
    head = codec.type_head("PartialObjectMetadataList", f"meta.k8s.io/{version}")
    return b'%b"metadata":%b,"items":[%b]}\n' % (head, list_meta(page), items)


# ----- Table


class Tabler:
    """Writes one answer's tables: a list's, an object's, or those of a watch in turn."""

    def __init__(
        self, strategy: Strategy[Any], include: IncludeObject, version: str, now: datetime
    ) -> None:
        self._strategy = strategy
        self._include = include
        self._head = codec.type_head("Table", f"meta.k8s.io/{version}")
        self._version = version
        self._columns: bytes | None = _columns(strategy)
        self.now = now

    def page(self, page: Page[Any]) -> bytes:
        """A list as a table."""
        return self._table(list_meta(page), [self._row(e) for e in page.entries])

    def one(self, entry: Entry[Any]) -> bytes:
        """One object as a table with one row.

        Of several tables in one watch only the first has column definitions (response.go:
        doTransformObject with a tableConvertor per watch).
        """
        meta = b'{"resourceVersion":"%d"}' % entry.revision if entry.revision else b"{}"
        return self._table(meta, [self._row(entry)])

    def bookmark(self, metadata: bytes, revision: int) -> bytes:
        """A watch's bookmark: a table with one empty row about an object without a name."""
        partial = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}'
        row = b'{"cells":%b,"object":%b}' % (
            codec.encode_json([""] * len(self._strategy.columns)),
            partial % (self._version.encode(), metadata),
        )
        return self._table(b'{"resourceVersion":"%d"}' % revision, [row])

    def _table(self, meta: bytes, rows: Sequence[bytes]) -> bytes:
        columns, self._columns = self._columns or b"null", None
        return b'%b"metadata":%b,"columnDefinitions":%b,"rows":[%b]}' % (
            self._head, meta, columns, b",".join(rows),
        )  # fmt: skip

    def _row(self, entry: Entry[Any]) -> bytes:
        row = self._strategy.row(entry.obj, self.now)
        fields: dict[str, Any] = {"cells": list(row.cells)}
        if row.conditions:
            fields["conditions"] = list(row.conditions)
        match self._include:
            case "None":
                fields["object"] = None
            case "Object":
                fields["object"] = msgspec.Raw(object_json(self._strategy.resource, entry))
            case _:
                fields["object"] = msgspec.Raw(partial_json(entry, self._version))
        return codec.encode_json(fields)


def _columns(strategy: Strategy[Any]) -> bytes:
    return codec.encode_json(
        [
            {
                "name": c.name,
                "type": c.type,
                "format": c.format,
                "description": c.description,
                "priority": c.priority,
            }
            for c in strategy.columns
        ]
    )
