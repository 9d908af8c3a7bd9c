"""Objects for the tests of kinds: made from JSON, as a client's request would be."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from kubatch.api import codec
from kubatch.api.errors import Cause
from kubatch.api.models import CronJob, Job, Pod
from kubatch.api.resource import CRONJOBS, JOBS, PODS, Resource
from kubatch.registry.kinds.table import STRATEGIES
from kubatch.registry.metadata import validate_metadata, validate_metadata_update
from kubatch.registry.strategy import Strategy

T = TypeVar("T")

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
UID = "0f0f0f0f-0000-4000-8000-000000000001"


def decode(resource: Resource[T], value: Mapping[str, Any]) -> T:
    """A client's JSON as a Struct; unknown fields are mistakes of the test."""
    obj, unknown = codec.from_dict(resource, copy.deepcopy(dict(value)))
    assert unknown == []
    return obj


def rules(resource: Resource[T]) -> Strategy[T]:
    return STRATEGIES[resource]


def texts(causes: Sequence[Cause]) -> list[str]:
    """Causes as messages list them."""
    return [f"{cause.field}: {cause.message}" for cause in causes]


def prepared(resource: Resource[T], value: Mapping[str, Any]) -> T:
    """An object as the registry has it just before validation of a create."""
    obj: Any = decode(resource, value)
    strategy = rules(resource)
    obj.metadata.uid = UID
    obj.metadata.creationTimestamp = NOW
    if resource.namespaced and not obj.metadata.namespace:
        obj.metadata.namespace = "default"
    obj.metadata.generation = 1 if strategy.tracks_generation else None
    strategy.default(obj)
    strategy.prepare_create(obj)
    return obj  # type: ignore[no-any-return]


def create_errors(resource: Resource[T], value: Mapping[str, Any]) -> list[str]:
    """What a create with this body answers."""
    obj: Any = prepared(resource, value)
    strategy = rules(resource)
    return texts(validate_metadata(obj.metadata, strategy) + strategy.validate_create(obj))


def created(resource: Resource[T], value: Mapping[str, Any]) -> T:
    """A stored object; its creation must be in order."""
    assert create_errors(resource, value) == []
    return prepared(resource, value)


def update_errors(resource: Resource[T], new: T, old: T) -> list[str]:
    """What a PUT answers."""
    strategy = rules(resource)
    changed: Any = codec.copy(new)
    was: Any = old
    strategy.default(changed)
    strategy.prepare_update(changed, old)
    causes = validate_metadata_update(changed.metadata, was.metadata)
    return texts(causes + strategy.validate_update(changed, old))


def status_errors(resource: Resource[T], new: T, old: T) -> list[str]:
    """What a PUT of the status answers."""
    strategy = rules(resource)
    changed = codec.copy(new)
    strategy.prepare_status_update(changed, old)
    return texts(strategy.validate_status_update(changed, old))


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch, applied."""
    out = dict(base)
    for key, value in change.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


# ----- the simplest objects

CONTAINER: dict[str, Any] = {"name": "c", "image": "busybox"}
POD: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}}
JOB: dict[str, Any] = {
    "metadata": {"name": "q"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}},
}
CRONJOB: dict[str, Any] = {
    "metadata": {"name": "n"},
    "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB["spec"]}},
}


def job(**spec: Any) -> dict[str, Any]:
    """The simplest Job, its spec changed."""
    return merged(JOB, {"spec": spec})


def pod(**spec: Any) -> dict[str, Any]:
    """The simplest Pod, its spec changed."""
    return merged(POD, {"spec": spec})


def cronjob(**spec: Any) -> dict[str, Any]:
    """The simplest CronJob, its spec changed."""
    return merged(CRONJOB, {"spec": spec})


def container(**change: Any) -> dict[str, Any]:
    """A pod of one container, changed."""
    return pod(containers=[merged(CONTAINER, change)])


def job_errors(**spec: Any) -> list[str]:
    return create_errors(JOBS, job(**spec))


def pod_errors(**spec: Any) -> list[str]:
    return create_errors(PODS, pod(**spec))


def container_errors(**change: Any) -> list[str]:
    return create_errors(PODS, container(**change))


def cronjob_errors(**spec: Any) -> list[str]:
    return create_errors(CRONJOBS, cronjob(**spec))


def new_job(**spec: Any) -> Job:
    return created(JOBS, job(**spec))


def new_pod(**spec: Any) -> Pod:
    return created(PODS, pod(**spec))


def new_cronjob(**spec: Any) -> CronJob:
    return created(CRONJOBS, cronjob(**spec))
