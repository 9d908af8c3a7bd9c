"""ObjectMeta rules that every kind shares.

Sentences and their order follow apimachinery/pkg/util/validation/validation.go and
apimachinery/pkg/api/validation/objectmeta.go. Label keys and values are in `api/names`, which
counts in bytes; the names here are counted in characters, so Kubernetes says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import ObjectMeta, OwnerReference
from kubatch.api.names import LABEL_BYTES_MAX, SUBDOMAIN_BYTES_MAX, label_value_errors
from kubatch.api.names import label_key_errors as qualified_name_errors

if TYPE_CHECKING:  # strategies have names, and names are this module's
    from kubatch.registry.strategy import Strategy

ANNOTATIONS_BYTES_MAX = 256 * 1024
IMMUTABLE = "field is immutable"

__all__ = [
    "IMMUTABLE",
    "annotation_causes",
    "byte_length",
    "config_key_errors",
    "dns_label_errors",
    "dns_subdomain_errors",
    "finalizer_causes",
    "label_causes",
    "label_value_errors",
    "owner_causes",
    "qualified_name_errors",
    "regex_sentence",
    "validate_metadata",
    "validate_metadata_update",
]

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_is_dns_label = re.compile(_DNS_LABEL).fullmatch
_is_dns_subdomain = re.compile(_DNS_SUBDOMAIN).fullmatch
_is_config_key = re.compile(_CONFIG_KEY).fullmatch


def byte_length(text: str) -> int:
    """The length as Go's len() counts it."""
    return len(text) if text.isascii() else len(text.encode())


def regex_sentence(sentence: str, regex: str, *examples: str) -> str:
    """A sentence with examples and the expression, as validation.RegexError builds it."""
    if not examples:
        return f"{sentence} (regex used for validation is '{regex}')"
    listed = " or ".join(f"'{e}', " for e in examples)
    return f"{sentence} (e.g. {listed}regex used for validation is '{regex}')"


# ----- names


def dns_label_errors(name: str) -> list[str]:
    """Why a name is no DNS-1123 label (IsDNS1123Label)."""
    if _is_dns_label(name) and len(name) <= LABEL_BYTES_MAX:
        return []
    found = []
    if byte_length(name) > LABEL_BYTES_MAX:
        found.append(f"must be no more than {LABEL_BYTES_MAX} characters")
    if not _is_dns_label(name):
        if _is_dns_subdomain(name):
            found.append("must not contain dots")
        else:
            found.append(
                regex_sentence(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric "
                    "characters or '-', and must start and end with an alphanumeric character",
                    _DNS_LABEL, "my-name", "123-abc",
                )
            )  # fmt: skip
    return found


def dns_subdomain_errors(name: str) -> list[str]:
    """Why a name is no DNS-1123 subdomain (IsDNS1123Subdomain)."""
    if _is_dns_subdomain(name) and len(name) <= SUBDOMAIN_BYTES_MAX:
        return []
    found = []
    if byte_length(name) > SUBDOMAIN_BYTES_MAX:
        found.append(f"must be no more than {SUBDOMAIN_BYTES_MAX} characters")
    if not _is_dns_subdomain(name):
        found.append(
            regex_sentence(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                "characters, '-' or '.', and must start and end with an alphanumeric character",
                _DNS_SUBDOMAIN, "example.com",
            )
        )  # fmt: skip
    return found


def config_key_errors(key: str) -> list[str]:
    """Why a key of a ConfigMap or Secret is not acceptable (IsConfigMapKey)."""
    found = []
    if byte_length(key) > SUBDOMAIN_BYTES_MAX:
        found.append(f"must be no more than {SUBDOMAIN_BYTES_MAX} characters")
    if not _is_config_key(key):
        found.append(
            regex_sentence(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY, "key.name", "KEY_NAME", "key-name",
            )
        )  # fmt: skip
    if key in (".", ".."):
        found.append(f"must not be '{key}'")
    elif key.startswith(".."):
        found.append("must not start with '..'")
    return found


# ----- parts of the metadata


def label_causes(labels: Mapping[str, str], path: str) -> list[Cause]:
    """Everything wrong with labels or a node selector (ValidateLabels).

    A value's path names the map, not the key, as in 1.36.
    """
    out: list[Cause] = []
    for key, value in labels.items():
        for why in qualified_name_errors(key):
            out.append(fields.invalid(path, key, why))  # noqa: PERF401 - most have none
        for why in label_value_errors(value):
            out.append(fields.invalid(path, value, why))  # noqa: PERF401
    return out


def annotation_causes(annotations: Mapping[str, str], path: str) -> list[Cause]:
    """Everything wrong with annotations: keys as labels' in any case; a total size."""
    out: list[Cause] = []
    total = 0
    for key, value in annotations.items():
        total += byte_length(key) + byte_length(value)
        out.extend(fields.invalid(path, key, why) for why in qualified_name_errors(key.lower()))
    if total > ANNOTATIONS_BYTES_MAX:
        out.append(fields.too_long(path, ANNOTATIONS_BYTES_MAX))
    return out


def owner_causes(owners: Sequence[OwnerReference], path: str) -> list[Cause]:
    """Everything wrong with owner references. Whether an owner exists is not checked."""
    out: list[Cause] = []
    controller = ""
    for ref in owners:
        version = ref.apiVersion.rpartition("/")[2] if ref.apiVersion.count("/") <= 1 else ""
        if not version:
            why = "version must not be empty"
            out.append(fields.invalid(f"{path}.apiVersion", ref.apiVersion, why))
        for name, value in (("kind", ref.kind), ("name", ref.name), ("uid", ref.uid)):
            if not value:
                out.append(fields.invalid(f"{path}.{name}", value, "must not be empty"))
        if ref.apiVersion == "v1" and ref.kind == "Event":
            why = "/v1, Kind=Event is disallowed from being an owner"
            out.append(fields.invalid(path, ref, why))
        if ref.controller:
            if controller:
                why = (
                    'Only one reference can have Controller set to true. Found "true" in '
                    f"references for {controller} and {ref.kind}/{ref.name}"
                )
                out.append(fields.invalid(path, list(owners), why))
            else:
                controller = f"{ref.kind}/{ref.name}"
    return out


def finalizer_causes(finalizers: Sequence[str], path: str) -> list[Cause]:
    """Everything wrong with finalizers: their names, and the two of the garbage collector."""
    out: list[Cause] = []
    for name in finalizers:
        out.extend(fields.invalid(path, name, why) for why in qualified_name_errors(name))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        out.append(fields.invalid(path, list(finalizers), why))
    return out


# core/helper: IsStandardFinalizerName
_STANDARD_FINALIZERS = frozenset(("kubernetes", "orphan", "foregroundDeletion"))


def _own_finalizer_causes(finalizers: Sequence[str], path: str) -> list[Cause]:
    """Finalizers that say not whose they are (core/validation: validateKubeFinalizerName)."""
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        fields.invalid(f"{path}[{i}]", name, why)
        for i, name in enumerate(finalizers)
        if "/" not in name and name not in _STANDARD_FINALIZERS
    ]


def _common_causes(meta: ObjectMeta, path: str) -> list[Cause]:
    out: list[Cause] = []
    if meta.labels:
        out += label_causes(meta.labels, f"{path}.labels")
    if meta.annotations:
        out += annotation_causes(meta.annotations, f"{path}.annotations")
    if meta.ownerReferences:
        out += owner_causes(meta.ownerReferences, f"{path}.ownerReferences")
    return out


def _name_causes(meta: ObjectMeta, check: Callable[[str], Sequence[str]], path: str) -> list[Cause]:
    out: list[Cause] = []
    base = meta.generateName
    if base:
        # A prefix may end in a dash, the random end follows it (maskTrailingDash).
        masked = base[:-1] + "a" if len(base) > 1 and base.endswith("-") else base
        out += [fields.invalid(f"{path}.generateName", base, why) for why in check(masked)]
    if not meta.name:
        out.append(fields.required(f"{path}.name", "name or generateName is required"))
    else:
        out += [fields.invalid(f"{path}.name", meta.name, why) for why in check(meta.name)]
    return out


def validate_metadata(
    meta: ObjectMeta, strategy: Strategy[Any], path: str = "metadata"
) -> list[Cause]:
    """Everything wrong with a new object's metadata (ValidateObjectMeta)."""
    out = _name_causes(meta, strategy.validate_name, path)
    if strategy.resource.namespaced:
        if not meta.namespace:
            out.append(fields.required(f"{path}.namespace"))
        else:
            why = dns_label_errors(meta.namespace)
            out += [fields.invalid(f"{path}.namespace", meta.namespace, w) for w in why]
    elif meta.namespace:
        out.append(fields.forbidden(f"{path}.namespace", "not allowed on this type"))
    out += _common_causes(meta, path)
    if meta.finalizers:
        out += finalizer_causes(meta.finalizers, f"{path}.finalizers")
        out += _own_finalizer_causes(meta.finalizers, f"{path}.finalizers")
    return out


_FIXED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def validate_metadata_update(
    new: ObjectMeta, old: ObjectMeta, path: str = "metadata"
) -> list[Cause]:
    """Everything wrong with a change of metadata (ValidateObjectMetaUpdate)."""
    out: list[Cause] = []
    if old.deletionTimestamp is not None and new.finalizers:
        added = sorted(set(new.finalizers) - set(old.finalizers or ()))
        if added:
            listed = ", ".join(fields.show(name) for name in added)
            why = (
                "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{listed}}}"
            )
            out.append(fields.forbidden(f"{path}.finalizers", why))
    if (new.generation or 0) < (old.generation or 0):
        why = "must not be decremented"
        out.append(fields.invalid(f"{path}.generation", new.generation or 0, why))
    for name in _FIXED:
        now, was = getattr(new, name), getattr(old, name)
        if now != was:
            # Go shows a nil pointer as the quoted word (field.Error.ErrorBody).
            out.append(fields.invalid(f"{path}.{name}", "null" if now is None else now, IMMUTABLE))
    out += _common_causes(new, path)
    if new.finalizers:
        out += _own_finalizer_causes(new.finalizers, f"{path}.finalizers")
    return out
