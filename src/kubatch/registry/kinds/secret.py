"""Secrets (pkg/registry/core/secret; pkg/apis/core/validation: ValidateSecret)."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Secret
from kubatch.api.resource import SECRETS
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import immutable
from kubatch.registry.metadata import config_key_errors
from kubatch.registry.strategy import Column, Row, Strategy

DATA_BYTES_MAX = 1024 * 1024
ACCOUNT_NAME = "kubernetes.io/service-account.name"
_REDACTED = "<secret contents redacted>"
_FIXED = "field is immutable when `immutable` is set"


def base64_length(text: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(text) // 4 * 3 - text[-2:].count("=")


def immutable_causes(new: Any, old: Any, names: Sequence[str]) -> list[Cause]:
    """An object marked immutable stays so, and keeps its data."""
    if not old.immutable:
        return []
    out = []
    if not new.immutable:
        out.append(fields.forbidden("immutable", _FIXED))
    out += [
        fields.forbidden(name, _FIXED)
        for name in names
        if (getattr(new, name) or {}) != (getattr(old, name) or {})
    ]
    return out


def _type(secret: Secret) -> str:
    return secret.type or ""


class SecretStrategy(Strategy[Secret]):
    resource = SECRETS
    fields: Mapping[str, Callable[[Secret], str]] = {"type": _type}
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Type", description="Used to facilitate programmatic handling of secret data."),
        Column("Data", type="integer", description="Number of entries in data."),
        Column("Age", description="Time since the secret was created."),
    )

    def default(self, obj: Secret) -> None:
        """stringData is written over data and gone (Convert_v1_Secret_To_core_Secret)."""
        if obj.type is None:
            obj.type = "Opaque"
        if obj.stringData:
            encoded = {k: b64encode(v.encode()).decode() for k, v in obj.stringData.items()}
            obj.data = {**(obj.data or {}), **encoded}
        obj.stringData = None

    def validate_create(self, obj: Secret) -> list[Cause]:
        out: list[Cause] = []
        size = 0
        for key, value in (obj.data or {}).items():
            path = f"data[{key}]"
            out += [fields.invalid(path, key, why) for why in config_key_errors(key)]
            size += base64_length(value)
        if size > DATA_BYTES_MAX:
            out.append(fields.too_long("data", DATA_BYTES_MAX))
        _by_type(obj, out)
        return out

    def prepare_update(self, new: Secret, old: Secret) -> None:
        """An update that names no type means the old one."""
        if not new.type:
            new.type = old.type

    def validate_update(self, new: Secret, old: Secret) -> list[Cause]:
        out: list[Cause] = []
        immutable(new.type, old.type, "type", out)
        out += immutable_causes(new, old, ("data",))
        return out + self.validate_create(new)

    def row(self, obj: Secret, now: datetime) -> Row:
        assert obj.metadata is not None
        created = age(obj.metadata.creationTimestamp, now)
        return Row((obj.metadata.name, obj.type or "", len(obj.data or ()), created))


def _by_type(secret: Secret, out: list[Cause]) -> None:
    data = secret.data or {}
    if secret.type == "kubernetes.io/service-account-token":
        annotations = (secret.metadata.annotations if secret.metadata else None) or {}
        if not annotations.get(ACCOUNT_NAME):
            out.append(fields.required(f"metadata.annotations[{ACCOUNT_NAME}]"))
    elif secret.type in _JSON_KEYS:
        _json(data, _JSON_KEYS[secret.type], out)
    elif secret.type == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            out += [fields.required("data[username]"), fields.required("data[password]")]
    elif secret.type == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            out.append(fields.required("data[ssh-privatekey]"))
    elif secret.type == "kubernetes.io/tls":
        out += [fields.required(f"data[{k}]") for k in ("tls.crt", "tls.key") if k not in data]


_JSON_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


def _json(data: Mapping[str, str], key: str, out: list[Cause]) -> None:
    """A registry login must be a JSON object; the message never shows it."""
    if key not in data:
        out.append(fields.required(f"data[{key}]"))
        return
    why = ""
    try:
        if not isinstance(json.loads(b64decode(data[key])), dict):
            why = "json: cannot unmarshal into Go value of type map[string]interface {}"
    except (ValueError, binascii.Error):
        why = "unexpected end of JSON input" if not data[key] else "invalid character in JSON"
    if why:
        out.append(fields.invalid(f"data[{key}]", _REDACTED, why))
