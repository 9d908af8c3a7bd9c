"""What a pod asks of a node, as numbers: thousandths of a CPU, bytes, counts.

The arithmetic is component-helpers/resource/helpers.go: PodRequests. Init containers run one after
another, so only the largest matters; sidecars (init containers that restart always) run beside
everything that starts after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from kubatch.api import models as m
from kubatch.api import quantity

Resources = dict[str, int]

_NO_DEFAULTS: Mapping[str, int] = {}
# Pod-level requests replace the containers' for these (and for huge pages).
_POD_LEVEL = ("cpu", "memory")


@lru_cache(maxsize=4096)
def amount(resource: str, text: str) -> int:
    """A quantity in the resource's unit: thousandths for cpu, whole units for all others."""
    return quantity.milli(text) if resource == "cpu" else quantity.whole(text)


def amounts(quantities: Mapping[str, str] | None) -> Resources:
    """A resource list in numbers."""
    return {name: amount(name, str(text)) for name, text in (quantities or {}).items()}


def pod_requests(spec: m.PodSpec, defaults: Mapping[str, int] = _NO_DEFAULTS) -> Resources:
    """What a pod needs at its greediest moment, its overhead included."""
    total: Resources = {}
    for container in spec.containers:
        _add(total, _container(container, defaults))
    peak: Resources = {}
    sidecars: Resources = {}
    for container in spec.initContainers or ():
        own = _container(container, defaults)
        if container.restartPolicy == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        _raise(peak, own)
    _raise(total, peak)
    if spec.resources is not None:
        total.update(_pod_level(amounts(spec.resources.requests)))
    _add(total, amounts(spec.overhead))
    return total


def summed(many: Iterable[Mapping[str, int]]) -> Resources:
    """The sum of resource lists."""
    total: Resources = {}
    for one in many:
        _add(total, one)
    return total


def _container(container: m.Container, defaults: Mapping[str, int]) -> Resources:
    asked = amounts(container.resources.requests) if container.resources else {}
    return {**defaults, **asked}


def _pod_level(asked: Resources) -> Resources:
    return {
        name: value
        for name, value in asked.items()
        if name in _POD_LEVEL or name.startswith("hugepages-")
    }


def _add(total: Resources, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Resources, floor: Mapping[str, int]) -> None:
    for name, value in floor.items():
        if value > total.get(name, 0):
            total[name] = value
