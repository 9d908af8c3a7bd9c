"""Which resources there are: group, version, kind, plural, scope, subresources.

Adding a kind to kubatch starts with a line in this table. The values are what discovery shows
(reference: the Kubernetes API's own APIResourceList).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubatch.api import models as m

T = TypeVar("T")

VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
_READ_WRITE = ("get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A part of an object with a path of its own, such as `status` or `log`."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""  # "": the parent's kind
    group: str = ""
    version: str = ""


@dataclass(frozen=True, eq=False)
class Resource(Generic[T]):
    """One row of the table. Compared by identity: there is one value per resource."""

    group: str  # "" for core
    version: str
    kind: str
    plural: str
    model: type[T]
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    subresources: tuple[Subresource, ...] = ()

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        """`batch/v1`, or `v1` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        """Where the store keeps objects of this resource, in every namespace."""
        return f"/{self.group}/{self.plural}/"

    def key(self, namespace: str | None, name: str) -> str:
        """The store's key of one object."""
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def namespace_prefix(self, namespace: str | None) -> str:
        """The prefix of the keys of one namespace's objects; of all when namespace is None."""
        return f"{self.prefix}{namespace}/" if self.namespaced and namespace else self.prefix

    def __repr__(self) -> str:
        return f"<{self.plural}.{self.api_version}>"


_STATUS = Subresource("status", _READ_WRITE)

NAMESPACES = Resource(
    "", "v1", "Namespace", "namespaces", m.Namespace,
    namespaced=False,
    short_names=("ns",),
    verbs=tuple(v for v in VERBS if v != "deletecollection"),
    subresources=(Subresource("finalize", ("update",)), _STATUS),
)  # fmt: skip
NODES = Resource(
    "", "v1", "Node", "nodes", m.Node,
    namespaced=False, short_names=("no",), subresources=(_STATUS,),
)  # fmt: skip
PODS = Resource(
    "", "v1", "Pod", "pods", m.Pod,
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("binding", ("create",), "Binding"),
        Subresource("log", ("get",)),
        _STATUS,
    ),
)  # fmt: skip
EVENTS = Resource("", "v1", "Event", "events", m.Event, short_names=("ev",))
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", m.ConfigMap, short_names=("cm",))
SECRETS = Resource("", "v1", "Secret", "secrets", m.Secret)
SERVICEACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", m.ServiceAccount, short_names=("sa",)
)
JOBS = Resource("batch", "v1", "Job", "jobs", m.Job, categories=("all",), subresources=(_STATUS,))
CRONJOBS = Resource(
    "batch", "v1", "CronJob", "cronjobs", m.CronJob,
    short_names=("cj",), categories=("all",), subresources=(_STATUS,),
)  # fmt: skip
EVENTS_V1 = Resource("events.k8s.io", "v1", "Event", "events", m.EventsV1Event, short_names=("ev",))
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", m.Lease)

RESOURCES: tuple[Resource[Any], ...] = (
    CONFIGMAPS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    CRONJOBS,
    JOBS,
    LEASES,
    EVENTS_V1,
)

_BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_KIND = {(r.api_version, r.kind): r for r in RESOURCES}


def by_path(group: str, version: str, plural: str) -> Resource[Any] | None:
    """The resource a URL names, or None."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource[Any] | None:
    """The resource a manifest names, or None."""
    return _BY_KIND.get((api_version, kind))


def groups() -> list[str]:
    """Every API group served, in the table's order."""
    return list(dict.fromkeys(r.group for r in RESOURCES))


def versions(group: str) -> list[str]:
    """The versions of a group, preferred first."""
    return list(dict.fromkeys(r.version for r in RESOURCES if r.group == group))
