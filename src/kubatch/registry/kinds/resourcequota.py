"""ResourceQuotas (pkg/registry/core/resourcequota/strategy.go; ValidateResourceQuota)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import ResourceQuota, ResourceQuotaSpec, ResourceQuotaStatus, core_v1
from kubatch.api.resource import RESOURCEQUOTAS
from kubatch.registry.age import age
from kubatch.registry.kinds.amounts import amount, is_quota_resource, quota_name_errors
from kubatch.registry.metadata import IMMUTABLE
from kubatch.registry.strategy import Column, Row, Strategy

_COMPUTE = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")
)
_PODS = frozenset({"pods"})
# What each scope can limit (IsResourceQuotaScopeValidForResource).
SCOPES: Mapping[str, frozenset[str]] = {
    "Terminating": _PODS | _COMPUTE,
    "NotTerminating": _PODS | _COMPUTE,
    "BestEffort": _PODS,
    "NotBestEffort": _PODS | _COMPUTE,
    "PriorityClass": _PODS | _COMPUTE,
    "CrossNamespacePodAffinity": _PODS | _COMPUTE,
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_ONLY_EXISTS = frozenset(SCOPES) - {"PriorityClass", "VolumeAttributesClass"}


class ResourceQuotaStrategy(Strategy[ResourceQuota]):
    resource = RESOURCEQUOTAS
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Request", description="Used and hard amounts of requests and counts."),
        Column("Limit", description="Used and hard amounts of limits."),
        Column("Age", description="Time since the quota was created."),
    )

    def prepare_create(self, obj: ResourceQuota) -> None:
        obj.status = ResourceQuotaStatus()

    def validate_create(self, obj: ResourceQuota) -> list[Cause]:
        return _validate(obj.spec or ResourceQuotaSpec())

    def prepare_update(self, new: ResourceQuota, old: ResourceQuota) -> None:
        new.status = old.status

    def validate_update(self, new: ResourceQuota, old: ResourceQuota) -> list[Cause]:
        spec, was = new.spec or ResourceQuotaSpec(), old.spec or ResourceQuotaSpec()
        out = _validate(spec)
        if set(spec.scopes or ()) != set(was.scopes or ()):
            out.append(fields.invalid("spec.scopes", spec.scopes, IMMUTABLE))
        return out

    def prepare_status_update(self, new: ResourceQuota, old: ResourceQuota) -> None:
        new.spec = old.spec

    def validate_status_update(self, new: ResourceQuota, old: ResourceQuota) -> list[Cause]:
        out: list[Cause] = []
        status = new.status or ResourceQuotaStatus()
        _amounts(status.hard, "status.hard", out)
        _amounts(status.used, "status.used", out)
        return out

    def row(self, obj: ResourceQuota, now: datetime) -> Row:
        """printers.go: printResourceQuota."""
        assert obj.metadata is not None
        status = obj.status or ResourceQuotaStatus()
        used = status.used or {}
        requests: list[str] = []
        limits: list[str] = []
        for name, hard in sorted((status.hard or {}).items()):
            column = limits if name.startswith("limits.") else requests
            column.append(f"{name}: {used.get(name, '0')}/{hard}")
        created = age(obj.metadata.creationTimestamp, now)
        return Row((obj.metadata.name, ", ".join(requests), ", ".join(limits), created))


def _amounts(found: Mapping[str, str] | None, path: str, out: list[Cause]) -> None:
    for name, text in (found or {}).items():
        where = f"{path}[{name}]"
        out += [fields.invalid(where, name, why) for why in quota_name_errors(name)]
        amount(name, text, where, out)


def _validate(spec: ResourceQuotaSpec) -> list[Cause]:
    out: list[Cause] = []
    _amounts(spec.hard, "spec.hard", out)
    hard = sorted(spec.hard or {})
    scopes = spec.scopes or []
    for scope in scopes:
        if scope not in SCOPES:
            out.append(fields.invalid("spec.scopes", scopes, "unsupported scope"))
        out += [
            fields.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
            for name in hard
            if not _applies(scope, name)
        ]
    _conflicts(scopes, spec, out)
    if spec.scopeSelector is not None:
        requirements = spec.scopeSelector.matchExpressions or []
        for requirement in requirements:
            _requirement(requirement, spec.scopeSelector, hard, out)
        _conflicts([r.scopeName for r in requirements], spec, out)
    return out


def _applies(scope: str, name: str) -> bool:
    return not is_quota_resource(name) or scope not in SCOPES or name in SCOPES[scope]


def _conflicts(scopes: list[str], spec: ResourceQuotaSpec, out: list[Cause]) -> None:
    out += [
        fields.invalid("spec.scopes", spec.scopes, "conflicting scopes")
        for pair in _OPPOSITES
        if pair <= set(scopes)
    ]


def _requirement(
    req: core_v1.ScopedResourceSelectorRequirement,
    selector: core_v1.ScopeSelector,
    hard: list[str],
    out: list[Cause],
) -> None:
    """validateScopedResourceSelectorRequirement; its paths have no index."""
    path = "spec.scopeSelector.matchExpressions"
    if req.scopeName not in SCOPES:
        out.append(fields.invalid(f"{path}.scopeName", req.scopeName, "unsupported scope"))
    out += [
        fields.invalid(path, selector, "unsupported scope applied to resource")
        for name in hard
        if not _applies(req.scopeName, name)
    ]
    if req.scopeName in _ONLY_EXISTS and req.operator != "Exists":
        why = (
            "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
            "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
            "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        out.append(fields.invalid(f"{path}.operator", req.operator, why))
    if req.operator in ("In", "NotIn"):
        if not req.values:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            out.append(fields.required(f"{path}.values", why))
    elif req.operator in ("Exists", "DoesNotExist"):
        if req.values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            out.append(fields.invalid(f"{path}.values", req.values, why))
    else:
        why = "not a valid selector operator"
        out.append(fields.invalid(f"{path}.operator", req.operator, why))
