"""The rules of every kind that is served: one line for each resource."""

from __future__ import annotations

from typing import Any

from kubatch.api.resource import RESOURCES, Resource
from kubatch.registry.kinds.configmap import ConfigMapStrategy
from kubatch.registry.kinds.cronjob import CronJobStrategy
from kubatch.registry.kinds.event import EventStrategy, EventsV1Strategy
from kubatch.registry.kinds.job import JobStrategy
from kubatch.registry.kinds.lease import LeaseStrategy
from kubatch.registry.kinds.namespace import NamespaceStrategy
from kubatch.registry.kinds.node import NodeStrategy
from kubatch.registry.kinds.pod import PodStrategy
from kubatch.registry.kinds.secret import SecretStrategy
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
)

STRATEGIES: dict[Resource[Any], Strategy[Any]] = {s.resource: s for s in _ALL}

assert set(STRATEGIES) == set(RESOURCES), "every resource needs its rules"
