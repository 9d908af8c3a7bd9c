"""Names and amounts of resources in quotas, limit ranges and claims.

pkg/apis/core/helper/helpers.go; pkg/apis/core/validation/validation.go: validateResourceName,
ValidateResourceQuotaResourceName, ValidateResourceQuantityValue.
"""

from __future__ import annotations

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.registry.kinds.podspec.resources import is_extended, is_huge_page
from kubatch.registry.kinds.rules import NEGATIVE
from kubatch.registry.metadata import qualified_name_errors

COMPUTE = ("cpu", "memory", "ephemeral-storage")
# What is counted in whole objects.
COUNTED = frozenset(
    {
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
QUOTA = frozenset(
    {
        *COMPUTE,
        *(f"requests.{name}" for name in COMPUTE),
        *(f"limits.{name}" for name in COMPUTE),
        "requests.storage",
        *COUNTED,
    }
)
_STANDARD = QUOTA | {"storage"}


def _is_quota_huge_page(name: str) -> bool:
    return is_huge_page(name) or name.startswith("requests.hugepages-")


def is_quota_resource(name: str) -> bool:
    """Whether quotas know a resource by this name alone (IsStandardQuotaResourceName)."""
    return name in QUOTA or _is_quota_huge_page(name)


def name_errors(name: str) -> list[str]:
    """Why nothing is called so (validateResourceName)."""
    errors = list(qualified_name_errors(name))
    if errors or "/" in name or name in _STANDARD or _is_quota_huge_page(name):
        return errors
    return ["must be a standard resource type or fully qualified"]


def quota_name_errors(name: str) -> list[str]:
    """Why a quota cannot limit something called so (ValidateResourceQuotaResourceName)."""
    errors = name_errors(name)
    if "/" not in name and not is_quota_resource(name):
        errors.append("must be a standard resource for quota")
    return errors


def amount(name: str, text: str, path: str, out: list[Cause]) -> None:
    """An amount of a resource: not negative, and whole where the resource is."""
    value = quantity.parse(text)
    if value < 0:
        out.append(fields.invalid(path, text, NEGATIVE))
    if (name in COUNTED or is_extended(name)) and value % 1:
        out.append(fields.invalid(path, text, "must be an integer"))
