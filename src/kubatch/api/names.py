"""What names, label keys and label values may look like, and how Kubernetes says so.

Each function returns the reasons why a text is not acceptable; an empty tuple means it is. The
texts are those of apimachinery/pkg/api/validate/content (kube.go, dns.go, errors.go).
"""

from __future__ import annotations

import re
from functools import lru_cache

_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_is_qualified = re.compile(_QUALIFIED).fullmatch
_is_value = re.compile(_VALUE).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch

_CHARACTERS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
_QUALIFIED_ERROR = (
    f"{_CHARACTERS} (e.g. 'MyName',  or 'my.name',  or '123-abc', "
    f"regex used for validation is '{_QUALIFIED}')"
)
_VALUE_ERROR = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',"
    f"  or '12345', regex used for validation is '{_VALUE}')"
)
_SUBDOMAIN_ERROR = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    f"for validation is '{_SUBDOMAIN}')"
)

LABEL_BYTES_MAX = 63
SUBDOMAIN_BYTES_MAX = 253


def _too_long(text: str, bytes_max: int) -> list[str]:
    if len(text.encode()) <= bytes_max:
        return []
    return [f"must be no more than {bytes_max} bytes"]


@lru_cache(maxsize=4096)
def subdomain_errors(text: str) -> tuple[str, ...]:
    """Why a text is no DNS-1123 subdomain (IsDNS1123Subdomain)."""
    reasons = _too_long(text, SUBDOMAIN_BYTES_MAX)
    if not _is_subdomain(text):
        reasons.append(_SUBDOMAIN_ERROR)
    return tuple(reasons)


@lru_cache(maxsize=4096)
def label_key_errors(text: str) -> tuple[str, ...]:
    """Why a text is no label key, which is what Kubernetes calls a qualified name (IsLabelKey)."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        tail = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a valid label key {_QUALIFIED_ERROR}{tail}",)
    reasons: list[str] = []
    if slash and not prefix:
        reasons.append("prefix part must be non-empty")
    elif slash:
        reasons += [f"prefix part {reason}" for reason in subdomain_errors(prefix)]
    if not name:
        reasons.append("name part must be non-empty")
    reasons += [f"name part {reason}" for reason in _too_long(name, LABEL_BYTES_MAX)]
    if not _is_qualified(name):
        reasons.append(f"name part {_QUALIFIED_ERROR}")
    return tuple(reasons)


@lru_cache(maxsize=4096)
def label_value_errors(text: str) -> tuple[str, ...]:
    """Why a text is no label value (IsLabelValue)."""
    reasons = _too_long(text, LABEL_BYTES_MAX)
    if not _is_value(text):
        reasons.append(_VALUE_ERROR)
    return tuple(reasons)
