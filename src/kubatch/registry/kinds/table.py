"""The rules of every kind that is served: one line for each resource."""

from __future__ import annotations

from typing import Any

from kubatch.api.resource import RESOURCES, Resource
from kubatch.registry.kinds.configmap import ConfigMapStrategy
from kubatch.registry.kinds.cronjob import CronJobStrategy, CronJobV1Beta1Strategy
from kubatch.registry.kinds.endpoints import EndpointsStrategy
from kubatch.registry.kinds.endpointslice import EndpointSliceStrategy
from kubatch.registry.kinds.event import EventStrategy, EventsV1Strategy
from kubatch.registry.kinds.job import JobStrategy
from kubatch.registry.kinds.lease import LeaseStrategy
from kubatch.registry.kinds.limitrange import LimitRangeStrategy
from kubatch.registry.kinds.namespace import NamespaceStrategy
from kubatch.registry.kinds.node import NodeStrategy
from kubatch.registry.kinds.persistentvolume import PersistentVolumeStrategy
from kubatch.registry.kinds.persistentvolumeclaim import PersistentVolumeClaimStrategy
from kubatch.registry.kinds.pod import PodStrategy
from kubatch.registry.kinds.poddisruptionbudget import PodDisruptionBudgetStrategy
from kubatch.registry.kinds.podtemplate import PodTemplateStrategy
from kubatch.registry.kinds.priorityclass import PriorityClassStrategy
from kubatch.registry.kinds.rbac import (
    ClusterRoleBindingStrategy,
    ClusterRoleStrategy,
    RoleBindingStrategy,
    RoleStrategy,
)
from kubatch.registry.kinds.replicaset import ReplicaSetStrategy
from kubatch.registry.kinds.resourcequota import ResourceQuotaStrategy
from kubatch.registry.kinds.secret import SecretStrategy
from kubatch.registry.kinds.service import ServiceStrategy
from kubatch.registry.kinds.serviceaccount import ServiceAccountStrategy
from kubatch.registry.strategy import Strategy

_ALL: tuple[Strategy[Any], ...] = (
    ConfigMapStrategy(),
    EventStrategy(),
    NamespaceStrategy(),
    NodeStrategy(),
    PodStrategy(),
    SecretStrategy(),
    ServiceAccountStrategy(),
    CronJobStrategy(),
    JobStrategy(),
    LeaseStrategy(),
    EventsV1Strategy(),
    ServiceStrategy(),
    EndpointsStrategy(),
    EndpointSliceStrategy(),
    ResourceQuotaStrategy(),
    LimitRangeStrategy(),
    PersistentVolumeStrategy(),
    PersistentVolumeClaimStrategy(),
    PodTemplateStrategy(),
    ReplicaSetStrategy(),
    PriorityClassStrategy(),
    PodDisruptionBudgetStrategy(),
    CronJobV1Beta1Strategy(),
    ClusterRoleBindingStrategy(),
    ClusterRoleStrategy(),
    RoleBindingStrategy(),
    RoleStrategy(),
)

STRATEGIES: dict[Resource[Any], Strategy[Any]] = {s.resource: s for s in _ALL}

# What is only asked, as reviews and bindings are, is answered and never stored.
_LISTED = {r for r in RESOURCES if "list" in r.verbs}
assert set(STRATEGIES) == _LISTED, "every resource needs its rules"
