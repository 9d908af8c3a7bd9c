"""A pod as its node sees it: what it takes, what it says of others, and how important it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.api.conditions import find
from kubatch.scheduler.requests import SCORING_DEFAULTS, Resources, pod_requests
from kubatch.scheduler.terms import Terms, read_terms

_NO_META = m.ObjectMeta()
_NO_LABELS: Mapping[str, str] = {}

Port = tuple[str, str, int]  # protocol, host address, port


@dataclass(frozen=True, slots=True)
class Occupant:
    """A pod on a node, or one that would be."""

    pod: m.Pod
    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    priority: int
    started: float  # seconds since the epoch; of one that has not started: infinite
    going: bool
    preempted: bool  # going since the scheduler asked it to
    requests: Resources
    scoring_requests: Resources  # with what scoring assumes for containers that ask for nothing
    ports: tuple[Port, ...]
    terms: Terms
    claims: tuple[str, ...]


def read_occupant(pod: m.Pod) -> Occupant:
    """The facts about a pod."""
    meta, spec = pod.metadata or _NO_META, pod.spec or m.PodSpec(containers=[])
    started = pod.status.startTime if pod.status else None
    going = meta.deletionTimestamp is not None
    target = find(pod.status.conditions if pod.status else None, "DisruptionTarget")
    return Occupant(
        pod,
        meta.namespace or "",
        meta.name or "",
        meta.uid or "",
        meta.labels or _NO_LABELS,
        spec.priority or 0,
        started.timestamp() if started is not None else float("inf"),
        going,
        going and target is not None and target.reason == "PreemptionByScheduler",
        pod_requests(spec),
        pod_requests(spec, SCORING_DEFAULTS),
        host_ports(spec),
        read_terms(pod),
        claims_of(pod),
    )


def host_ports(spec: m.PodSpec) -> tuple[Port, ...]:
    """The ports of the node that a pod asks for, those of sidecars included."""
    sidecars = (one for one in spec.initContainers or () if one.restartPolicy == "Always")
    return tuple(
        (port.protocol or "TCP", port.hostIP or "0.0.0.0", port.hostPort)
        for container in (*spec.containers, *sidecars)
        for port in container.ports or ()
        if port.hostPort
    )


def claims_of(pod: m.Pod) -> tuple[str, ...]:
    """The claims that a pod's volumes name; of an ephemeral volume, the one to be made for it."""
    out: list[str] = []
    for volume in (pod.spec.volumes if pod.spec else None) or ():
        if volume.persistentVolumeClaim is not None:
            out.append(volume.persistentVolumeClaim.claimName)
        elif volume.ephemeral is not None and pod.metadata is not None:
            out.append(f"{pod.metadata.name}-{volume.name}")
    return tuple(out)
