"""ConfigMaps (pkg/registry/core/configmap; pkg/apis/core/validation: ValidateConfigMap)."""

from __future__ import annotations

from datetime import datetime

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import ConfigMap
from kubatch.api.resource import CONFIGMAPS
from kubatch.registry.age import age
from kubatch.registry.kinds.secret import DATA_BYTES_MAX, base64_length, immutable_causes
from kubatch.registry.metadata import byte_length, config_key_errors
from kubatch.registry.strategy import Column, Row, Strategy


class ConfigMapStrategy(Strategy[ConfigMap]):
    resource = CONFIGMAPS
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Data", type="integer", description="Number of entries in data and binaryData."),
        Column("Age", description="Time since the config map was created."),
    )

    def validate_create(self, obj: ConfigMap) -> list[Cause]:
        out: list[Cause] = []
        data, binary = obj.data or {}, obj.binaryData or {}
        size = 0
        for key, value in data.items():
            path = f"data[{key}]"
            out += [fields.invalid(path, key, why) for why in config_key_errors(key)]
            if key in binary:
                out.append(fields.invalid(path, key, "duplicate of key present in binaryData"))
            size += byte_length(value)
        for key, value in binary.items():
            out += [fields.invalid(f"binaryData[{key}]", key, w) for w in config_key_errors(key)]
            size += base64_length(value)
        if size > DATA_BYTES_MAX:
            # The error is about the whole object: an empty path, as Kubernetes has it.
            out.append(fields.too_long("[]", DATA_BYTES_MAX))
        return out

    def validate_update(self, new: ConfigMap, old: ConfigMap) -> list[Cause]:
        return immutable_causes(new, old, ("data", "binaryData")) + self.validate_create(new)

    def row(self, obj: ConfigMap, now: datetime) -> Row:
        assert obj.metadata is not None
        count = len(obj.data or ()) + len(obj.binaryData or ())
        return Row((obj.metadata.name, count, age(obj.metadata.creationTimestamp, now)))
