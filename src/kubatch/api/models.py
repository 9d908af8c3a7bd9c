"""The one door to the Kubernetes object models.

`lightkube-models` holds a msgspec Struct for every Kubernetes kind. Importing any of them runs
`lightkube/__init__`, which loads an HTTP client, YAML and asyncio: over 100 ms that most commands
never use. So the package's parent is stood in for while the models load, and put back after; a
later `import lightkube` runs the real one. tests/tidy holds the start-up budget.

The structs are mutable, compare by value and do not hash. By our convention an object that others
can see (cached, stored, watched) is never changed: `msgspec.structs.replace` makes the next one.
"""

# ruff: noqa: E402, F401 - the stand-in must come first, and re-exporting is this module's purpose

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import ModuleType


def _stand_in_for_parents() -> list[str]:
    if "lightkube" in sys.modules:
        return []
    spec = PathFinder.find_spec("lightkube")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("kubatch needs the package lightkube", name="lightkube")
    root = next(iter(spec.submodule_search_locations))
    for name, path in (("lightkube", root), ("lightkube.core", f"{root}/core")):
        parent = ModuleType(name)
        parent.__path__ = [path]
        sys.modules[name] = parent
    return ["lightkube.core", "lightkube"]


_stood_in = _stand_in_for_parents()

from lightkube.models import (
    apps_v1,
    authentication_v1,
    authorization_v1,
    autoscaling_v1,
    batch_v1,
    coordination_v1,
    core_v1,
    discovery_v1,
    events_v1,
    meta_v1,
    policy_v1,
    rbac_v1,
    scheduling_v1,
)
from lightkube.models.apps_v1 import (
    ReplicaSet,
    ReplicaSetCondition,
    ReplicaSetSpec,
    ReplicaSetStatus,
)
from lightkube.models.authentication_v1 import (
    BoundObjectReference,
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    TokenRequest,
    TokenRequestSpec,
    TokenRequestStatus,
    TokenReview,
    TokenReviewStatus,
    UserInfo,
)
from lightkube.models.authorization_v1 import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
)
from lightkube.models.autoscaling_v1 import Scale, ScaleSpec, ScaleStatus
from lightkube.models.batch_v1 import (
    CronJob,
    CronJobSpec,
    CronJobStatus,
    Job,
    JobCondition,
    JobSpec,
    JobStatus,
    JobTemplateSpec,
    PodFailurePolicy,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
    SuccessPolicy,
    SuccessPolicyRule,
    UncountedTerminatedPods,
)
from lightkube.models.coordination_v1 import Lease, LeaseSpec
from lightkube.models.core_v1 import (
    Affinity,
    Binding,
    ConfigMap,
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    Container,
    ContainerPort,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    EndpointAddress,
    Endpoints,
    EndpointSubset,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    EphemeralContainer,
    Event,
    EventSeries,
    EventSource,
    HostIP,
    Lifecycle,
    LifecycleHandler,
    LimitRange,
    LimitRangeItem,
    LimitRangeSpec,
    LoadBalancerStatus,
    Namespace,
    NamespaceCondition,
    NamespaceSpec,
    NamespaceStatus,
    Node,
    NodeAddress,
    NodeAffinity,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    ObjectFieldSelector,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    Pod,
    PodCondition,
    PodIP,
    PodSchedulingGate,
    PodSecurityContext,
    PodSpec,
    PodStatus,
    PodTemplate,
    PodTemplateSpec,
    PreferredSchedulingTerm,
    Probe,
    ResourceFieldSelector,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    ResourceRequirements,
    Secret,
    SecretEnvSource,
    SecretKeySelector,
    SecurityContext,
    Service,
    ServiceAccount,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    Taint,
    Toleration,
    Volume,
    VolumeMount,
)
from lightkube.models.discovery_v1 import Endpoint, EndpointPort, EndpointSlice
from lightkube.models.events_v1 import Event as EventsV1Event
from lightkube.models.events_v1 import EventSeries as EventsV1EventSeries
from lightkube.models.meta_v1 import (
    DeleteOptions,
    LabelSelector,
    LabelSelectorRequirement,
    ListMeta,
    ManagedFieldsEntry,
    ObjectMeta,
    OwnerReference,
    Preconditions,
)
from lightkube.models.policy_v1 import (
    Eviction,
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from lightkube.models.rbac_v1 import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from lightkube.models.scheduling_v1 import PriorityClass

for _name in _stood_in:
    del sys.modules[_name]
