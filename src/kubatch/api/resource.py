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
    # This resource shows the objects of another one, in its own form: they are kept, watched and
    # collected under that one.
    shows: Resource[Any] | None = None
    deprecation: str = ""  # a Warning that every request for it gets

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        """`batch/v1`, or `v1` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def kept(self) -> bool:
        """Whether objects are stored as this resource's: not another's, and not only asked for."""
        return self.shows is None and "list" in self.verbs

    @property
    def prefix(self) -> str:
        """Where the store keeps objects of this resource, in every namespace."""
        return self.shows.prefix if self.shows else f"/{self.group}/{self.plural}/"

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
        Subresource("attach", ("create", "get"), "PodAttachOptions"),
        Subresource("binding", ("create",), "Binding"),
        Subresource("ephemeralcontainers", _READ_WRITE),
        Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
        Subresource("exec", ("create", "get"), "PodExecOptions"),
        Subresource("log", ("get",)),
        Subresource("portforward", ("create", "get"), "PodPortForwardOptions"),
        Subresource("resize", _READ_WRITE),
        _STATUS,
    ),
)  # fmt: skip
EVENTS = Resource("", "v1", "Event", "events", m.Event, short_names=("ev",))
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", m.ConfigMap, short_names=("cm",))
SECRETS = Resource("", "v1", "Secret", "secrets", m.Secret)
SERVICEACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", m.ServiceAccount,
    short_names=("sa",),
    subresources=(
        Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    ),
)  # fmt: skip
JOBS = Resource("batch", "v1", "Job", "jobs", m.Job, categories=("all",), subresources=(_STATUS,))
CRONJOBS = Resource(
    "batch", "v1", "CronJob", "cronjobs", m.CronJob,
    short_names=("cj",), categories=("all",), subresources=(_STATUS,),
)  # fmt: skip
EVENTS_V1 = Resource(
    "events.k8s.io", "v1", "Event", "events", m.EventsV1Event, short_names=("ev",), shows=EVENTS
)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", m.Lease)
RBAC = "rbac.authorization.k8s.io"
CLUSTERROLEBINDINGS = Resource(
    RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", m.ClusterRoleBinding, namespaced=False
)
CLUSTERROLES = Resource(RBAC, "v1", "ClusterRole", "clusterroles", m.ClusterRole, namespaced=False)
ROLEBINDINGS = Resource(RBAC, "v1", "RoleBinding", "rolebindings", m.RoleBinding)
ROLES = Resource(RBAC, "v1", "Role", "roles", m.Role)


def _question(
    group: str, kind: str, model: type[T], version: str = "v1", *, namespaced: bool = False
) -> Resource[T]:
    """A kind that is created, answered and never stored (server/reviews)."""
    plural = f"{kind.lower()}s"
    return Resource(group, version, kind, plural, model, namespaced, verbs=("create",))


_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
TOKENREVIEWS = _question(_AUTHENTICATION, "TokenReview", m.TokenReview)
SELFSUBJECTREVIEWS = _question(_AUTHENTICATION, "SelfSubjectReview", m.SelfSubjectReview)
# What kubectl 1.27 asks for; newer ones ask for v1.
SELFSUBJECTREVIEWS_V1BETA1 = _question(
    _AUTHENTICATION, "SelfSubjectReview", m.SelfSubjectReview, "v1beta1"
)
LOCALSUBJECTACCESSREVIEWS = _question(
    _AUTHORIZATION, "LocalSubjectAccessReview", m.LocalSubjectAccessReview, namespaced=True
)
SELFSUBJECTACCESSREVIEWS = _question(
    _AUTHORIZATION, "SelfSubjectAccessReview", m.SelfSubjectAccessReview
)
SELFSUBJECTRULESREVIEWS = _question(
    _AUTHORIZATION, "SelfSubjectRulesReview", m.SelfSubjectRulesReview
)
SUBJECTACCESSREVIEWS = _question(_AUTHORIZATION, "SubjectAccessReview", m.SubjectAccessReview)
# The body of serviceaccounts/token, which has no path of its own.
TOKENREQUESTS = _question(_AUTHENTICATION, "TokenRequest", m.TokenRequest)
BINDINGS = Resource("", "v1", "Binding", "bindings", m.Binding, verbs=("create",))
SERVICES = Resource(
    "", "v1", "Service", "services", m.Service,
    short_names=("svc",),
    categories=("all",),
    subresources=(_STATUS,),
)  # fmt: skip
ENDPOINTS = Resource(
    "", "v1", "Endpoints", "endpoints", m.Endpoints,
    short_names=("ep",),
    deprecation=(
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    ),
)  # fmt: skip
ENDPOINTSLICES = Resource(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", m.EndpointSlice
)
RESOURCEQUOTAS = Resource(
    "", "v1", "ResourceQuota", "resourcequotas", m.ResourceQuota,
    short_names=("quota",), subresources=(_STATUS,),
)  # fmt: skip
LIMITRANGES = Resource("", "v1", "LimitRange", "limitranges", m.LimitRange, short_names=("limits",))
PERSISTENTVOLUMES = Resource(
    "", "v1", "PersistentVolume", "persistentvolumes", m.PersistentVolume,
    namespaced=False, short_names=("pv",), subresources=(_STATUS,),
)  # fmt: skip
PERSISTENTVOLUMECLAIMS = Resource(
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", m.PersistentVolumeClaim,
    short_names=("pvc",), subresources=(_STATUS,),
)  # fmt: skip
PODTEMPLATES = Resource("", "v1", "PodTemplate", "podtemplates", m.PodTemplate)
REPLICASETS = Resource(
    "apps", "v1", "ReplicaSet", "replicasets", m.ReplicaSet,
    short_names=("rs",),
    categories=("all",),
    subresources=(Subresource("scale", _READ_WRITE, "Scale", "autoscaling", "v1"), _STATUS),
)  # fmt: skip
PRIORITYCLASSES = Resource(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", m.PriorityClass,
    namespaced=False, short_names=("pc",),
)  # fmt: skip
PODDISRUPTIONBUDGETS = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", m.PodDisruptionBudget,
    short_names=("pdb",), subresources=(_STATUS,),
)  # fmt: skip
# Gone from Kubernetes in 1.25, but still what old manifests say.
CRONJOBS_V1BETA1 = Resource(
    "batch", "v1beta1", "CronJob", "cronjobs", m.CronJob,
    short_names=("cj",),
    categories=("all",),
    subresources=(_STATUS,),
    shows=CRONJOBS,
    deprecation=(
        "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob"
    ),
)  # fmt: skip

RESOURCES: tuple[Resource[Any], ...] = (
    BINDINGS,
    CONFIGMAPS,
    ENDPOINTS,
    EVENTS,
    LIMITRANGES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    PODTEMPLATES,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    REPLICASETS,
    CRONJOBS,
    JOBS,
    CRONJOBS_V1BETA1,
    LEASES,
    ENDPOINTSLICES,
    EVENTS_V1,
    PODDISRUPTIONBUDGETS,
    PRIORITYCLASSES,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
    SELFSUBJECTREVIEWS,
    SELFSUBJECTREVIEWS_V1BETA1,
    TOKENREVIEWS,
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
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
