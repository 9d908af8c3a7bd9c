"""What probes and hooks have told about containers."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId

LIVENESS, READINESS, STARTUP = "liveness", "readiness", "startup"


@dataclass(frozen=True, slots=True)
class Health:
    """One attempt, as its probes see it (pkg/kubelet/prober/prober_manager.go: initial values)."""

    started: bool = True  # no startup probe, or it succeeded
    ready: bool = True  # no readiness probe, or it succeeds
    failed: str = ""  # the probe after which the container is to be ended: liveness, startup


HEALTHY = Health()


@dataclass(frozen=True, slots=True)
class Hook:
    """One run of a postStart or preStop hook; there is none before it began."""

    done: bool = False
    error: str | None = None  # once it is done, and failed


@dataclass(slots=True, eq=False)
class Vitals:
    """What is known of the attempts of one pod. The server's next life begins with nothing."""

    health: dict[ContainerId, Health] = field(default_factory=dict)
    post_start: dict[ContainerId, Hook] = field(default_factory=dict)
    pre_stop: dict[ContainerId, Hook] = field(default_factory=dict)

    def forget(self, id: ContainerId) -> None:
        """An attempt is removed."""
        for known in (self.health, self.post_start, self.pre_stop):
            known.pop(id, None)


def first_health(spec: m.Container, shown: m.ContainerStatus | None) -> Health:
    """What to take for true until a probe says more.

    `shown` is the API's word on this same attempt: an agent that finds its containers again leaves
    their readiness as it was (pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses).
    """
    started, ready = spec.startupProbe is None, spec.readinessProbe is None
    if shown is not None:
        started, ready = started or bool(shown.started), ready or shown.ready
    return Health(started, ready)


def has_probes(spec: m.Container) -> bool:
    """Whether anything is to be asked of the container."""
    probes = (spec.startupProbe, spec.livenessProbe, spec.readinessProbe)
    return any(probe is not None for probe in probes)


def is_plain(spec: m.PodSpec) -> bool:
    """Whether nothing comes after the start of its containers but their ends."""
    return not spec.initContainers and not any(
        c.lifecycle is not None or has_probes(c) for c in spec.containers
    )
