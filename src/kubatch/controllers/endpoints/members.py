"""Which pods stand behind a Service, and under which ports; shared by Endpoints and slices.

k8s.io/endpointslice/util/controller_utils.go, pkg/controller/endpoint/endpoints_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.api.resource import PODS
from kubatch.reconcile.controller import Index, Key

HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
_NO_META = m.ObjectMeta()
_NO_SPEC = m.PodSpec(containers=[])
_NO_STATUS = m.PodStatus()


def may_serve(pod: m.Pod) -> bool:
    """It has an address and has not ended; it may be on its way out (ShouldPodBeInEndpoints)."""
    status = pod.status or _NO_STATUS
    return bool(status.podIP or status.podIPs) and status.phase not in ("Succeeded", "Failed")


def _namespace(pod: m.Pod) -> Iterable[str]:
    meta = pod.metadata or _NO_META
    return (meta.namespace or "",) if meta.labels and may_serve(pod) else ()


# Pods that may stand behind a Service. Those of a batch that are over cost nothing.
SERVING_PODS = Index("serving-pods", PODS, _namespace)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of an endpoint, with the name that the Service gave it."""

    name: str
    port: int | None
    protocol: str
    app_protocol: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One pod behind a Service."""

    namespace: str
    name: str
    uid: str
    addresses: tuple[str, ...]
    node: str
    ready: bool
    ready_since: datetime | None
    terminating: bool
    hostname: str  # "" unless its name is to be found below the Service's
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Triggers:
    """The moments that the last decision has taken into account (trigger_time_tracker.go)."""

    service: datetime | None = None
    pods: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """What of a pod matters to Services; equal ones wake nobody (podEndpointsChanged)."""

    labels: dict[str, str] | None
    serves: bool
    addresses: tuple[str, ...]
    ready: bool
    terminating: bool
    node: str | None
    names: tuple[str | None, str | None]


def watched(pod: m.Pod) -> Watched:
    """What of a pod matters to Services."""
    meta, spec = pod.metadata or _NO_META, pod.spec or _NO_SPEC
    return Watched(
        meta.labels,
        may_serve(pod),
        addresses(pod),
        _ready(pod)[0],
        meta.deletionTimestamp is not None,
        spec.nodeName,
        (spec.hostname, spec.subdomain),
    )


class Selectors:
    """Which Services select a pod, so that a pod's change need not wake all of a namespace.

    It is fed by the changes of Services. A pod seen before its Service is no loss, since the
    Service's own arrival wakes it.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, dict[str, str]]] = {}

    def service_keys(self, old: m.Service | None, new: m.Service | None) -> Iterator[Key]:
        """The key of a Service that changed, whose selector is noted."""
        known = new if new is not None else old
        if known is None or known.metadata is None:
            return
        key = Key(known.metadata.namespace or "", known.metadata.name or "")
        selector = selector_of(new) if new is not None else None
        there = self._known.setdefault(key.namespace, {})
        if selector:
            there[key.name] = selector
        else:
            there.pop(key.name, None)
        if not there:
            del self._known[key.namespace]
        yield key

    def pod_keys(self, old: m.Pod | None, new: m.Pod | None) -> list[Key]:
        """The Services that have to look at a pod's change."""
        one = new if new is not None else old
        meta = (one.metadata if one is not None else None) or _NO_META
        there = self._known.get(meta.namespace or "")
        if not there:
            return []
        sides = [watched(pod) for pod in (old, new) if pod is not None]
        if len(sides) == 2 and sides[0] == sides[1]:
            return []
        seen = [side.labels or {} for side in sides if side.serves]
        return [
            Key(meta.namespace or "", name)
            for name, selector in there.items()
            if any(selector.items() <= labels.items() for labels in seen)
        ]

    def all_keys(self) -> Iterator[Key]:
        """Every Service that selects pods."""
        for namespace, there in self._known.items():
            yield from (Key(namespace, name) for name in there)


def selector_of(service: m.Service) -> dict[str, str] | None:
    """What a Service selects pods by; None when endpoints are not made from pods."""
    spec = service.spec
    if spec is None or spec.type == "ExternalName":
        return None
    return dict(spec.selector or {}) or None


def members(service: m.Service, pods: Sequence[m.Pod]) -> tuple[Member, ...]:
    """The pods of a namespace that a Service selects."""
    selector = selector_of(service) or {}
    return tuple(
        _member(service, pod)
        for pod in pods
        if selector.items() <= ((pod.metadata or _NO_META).labels or {}).items()
    )


def _member(service: m.Service, pod: m.Pod) -> Member:
    meta, spec = pod.metadata or _NO_META, pod.spec or _NO_SPEC
    own = service.metadata or _NO_META
    ready, since = _ready(pod)
    return Member(
        meta.namespace or "",
        meta.name or "",
        meta.uid or "",
        addresses(pod),
        spec.nodeName or "",
        ready,
        since,
        meta.deletionTimestamp is not None,
        (spec.hostname or "") if spec.subdomain == own.name else "",  # ShouldSetHostname
        tuple(_ports(service, pod)),
    )


def addresses(pod: m.Pod) -> tuple[str, ...]:
    """A pod's addresses, of one family or two."""
    status = pod.status or _NO_STATUS
    several = tuple(one.ip for one in status.podIPs or () if one.ip)
    return several or ((status.podIP,) if status.podIP else ())


def _ready(pod: m.Pod) -> tuple[bool, datetime | None]:
    condition = find((pod.status or _NO_STATUS).conditions, "Ready")
    if condition is None:
        return False, None
    return condition.status == "True", condition.lastTransitionTime


def _ports(service: m.Service, pod: m.Pod) -> Iterator[Port]:
    """A port whose name the pod does not know is left out (pkg/api/v1/pod: FindPort)."""
    assert service.spec is not None
    for port in service.spec.ports or ():
        protocol = port.protocol or "TCP"
        target = port.port if port.targetPort in (None, "", 0) else port.targetPort
        number = target if isinstance(target, int) else _named(pod, str(target), protocol)
        if number is not None:
            yield Port(port.name or "", number, protocol, port.appProtocol)


def _named(pod: m.Pod, name: str, protocol: str) -> int | None:
    spec = pod.spec or _NO_SPEC
    sidecars = [c for c in spec.initContainers or () if c.restartPolicy == "Always"]
    for container in (*spec.containers, *sidecars):
        for port in container.ports or ():
            if port.name == name and (port.protocol or "TCP") == protocol:
                return port.containerPort
    return None


def trigger(service: m.Service, found: Sequence[Member], last: Triggers) -> datetime | None:
    """The earliest moment that is new since the last decision (ComputeEndpointLastChange...)."""
    moments = [
        member.ready_since
        for member in found
        if member.ready_since is not None and _is_after(member.ready_since, last.pods, member.name)
    ]
    created = (service.metadata or _NO_META).creationTimestamp
    if created is not None and (last.service is None or created > last.service):
        moments.append(created)
    return min(moments, default=None)


def _is_after(moment: datetime, known: dict[str, datetime], name: str) -> bool:
    return name not in known or moment > known[name]


def triggers(service: m.Service, found: Sequence[Member]) -> Triggers:
    """What to remember of a decision's moments."""
    pods = {member.name: member.ready_since for member in found if member.ready_since is not None}
    return Triggers((service.metadata or _NO_META).creationTimestamp, pods)


def go_time(moment: datetime) -> str:
    """As Go prints RFC3339Nano: no fraction that is zero."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def has_address(service: m.Service) -> bool:
    """Whether the Service itself has an address (helper.IsServiceIPSet)."""
    ip = service.spec.clusterIP if service.spec is not None else None
    return bool(ip) and ip != "None"
