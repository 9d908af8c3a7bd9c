"""Bodies of requests and answers, as the audit log shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kubatch.api import protobuf
from kubatch.api.yaml_text import parse_yaml
from kubatch.server.negotiate import PROTOBUF

# What could never be part of an event, because of what an event may weigh, is not kept at all.
BODY_BYTES_MAX = 100 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """What came or went, as it was."""

    data: bytes = b""
    media_type: str = ""
    too_large: bool = False

    @staticmethod
    def of(data: bytes, media_type: str) -> Body:
        """Keeps no more than an event can hold."""
        if len(data) > BODY_BYTES_MAX:
            return TOO_LARGE
        return Body(data, media_type)

    def value(self, *, managed_fields: bool) -> Any:
        """What it says; None when there is none, or nobody can read it."""
        if not self.data:
            return None
        try:
            read = _read(self.data, self.media_type)
        except ValueError:
            return None
        return read if managed_fields else _without_managed_fields(read)


NOTHING, TOO_LARGE = Body(), Body(too_large=True)


def _read(data: bytes, media_type: str) -> Any:
    # An object, or a patch: that one is JSON, possibly a list, or YAML for an apply.
    if "yaml" in media_type:
        return parse_yaml(data).value
    if media_type.startswith(PROTOBUF):
        return protobuf.decode(data)
    return msgspec.json.decode(data)


def _without_managed_fields(value: Any) -> Any:
    """audit/request.go: copyWithoutManagedFields; of a list, of each of its items."""
    if not isinstance(value, dict):
        return value
    shown = dict(value)
    if isinstance(meta := shown.get("metadata"), dict):
        shown["metadata"] = {k: v for k, v in meta.items() if k != "managedFields"}
    if isinstance(items := shown.get("items"), list):
        shown["items"] = [_without_managed_fields(item) for item in items]
    return shown
