"""Server-side apply over HTTP, and as whom a request writes.

(apiserver/pkg/endpoints/handlers: patch.go: applyPatcher, create.go: managerOrUserAgent.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubatch.api import codec, errors
from kubatch.api.codec import Malformed, Unmarshalled
from kubatch.api.json_text import TYPE_META
from kubatch.api.resource import Resource
from kubatch.api.yaml_text import parse_yaml
from kubatch.registry.api import Registry
from kubatch.registry.strategy import RequestContext
from kubatch.registry.tracking import Apply
from kubatch.registry.values import Entry
from kubatch.server.replies import Call
from kubatch.server.request import (
    FIELD_MANAGER_BYTES_MAX,
    Query,
    WriteOptions,
    first,
    flag,
)


def manager(query: Query, user_agent: str) -> str:
    """Who comes to own what a request writes: as it says, or the program that sent it."""
    asked = first(query, "fieldManager")
    if asked:
        return asked
    name = user_agent.partition("/")[0]
    return (_remembered if len(name) <= FIELD_MANAGER_BYTES_MAX else _program)(name)


def _program(name: str) -> str:
    kept, room = "", FIELD_MANAGER_BYTES_MAX
    for character in name:
        if not character.isprintable():
            continue
        room -= len(character.encode(errors="replace"))
        if room < 0:
            break
        kept += character
    return kept


_remembered = lru_cache(maxsize=64)(_program)


async def apply(
    call: Call,
    resource: Resource[Any],
    registry: Registry,
    ctx: RequestContext,
    options: WriteOptions,
) -> tuple[Entry[Any], bool]:
    """Lay the body over what is there; True beside the answer: there was nothing.

    Raises ApiError 400, 403, 404, 409, 422, 500.
    """
    info = call.info
    intent = decode_intent(await call.body(), options.field_validation, call.warnings)
    asked = Apply(
        resource, intent, options.field_manager, flag(info.query, "force"), info.subresource
    )
    return await registry.apply(asked, info.namespace, info.name, ctx, dry_run=options.dry_run)


def decode_intent(data: bytes, validation: str, warnings: list[str]) -> dict[str, Any]:
    """An intent's YAML or JSON as plain values. Raises ApiError 400.

    Members that are there twice are refused (Strict), told of (Warn), or the last one counts.
    """
    body = _read(data)
    twice = body.strict_errors
    if twice and validation == "Strict":
        listed = "\n  ".join(twice)
        raise errors.bad_request(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:"
            f"\n  {listed}"
        )
    if validation == "Warn":
        warnings.extend(twice)
    return body.value


def _read(data: bytes) -> Unmarshalled:
    if data.lstrip()[:1] == b"{":
        try:
            body = codec.parse_json(data)
        except Malformed:
            pass  # YAML has braces too, and its own words for what is wrong
        else:
            if not body.strict_errors:
                return body
    try:
        return parse_yaml(data)
    except Malformed as error:
        why = str(error)
    if why.startswith("json: cannot unmarshal null"):
        return Unmarshalled({})
    if why.startswith("json:"):
        typed = why.replace(TYPE_META, "map[string]interface {}")
        why = f"error unmarshaling JSON: while decoding JSON: {typed}"
    raise errors.bad_request(f"error decoding YAML: {why}")
