"""What is known about one pod on this machine: the input of every decision about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256

from kubatch.agent.backoff import Backoff, RestartRule
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId, ContainerState

TERMINAL_PHASES = ("Succeeded", "Failed")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the runtime can honour. A pod that asks for more is refused, never half served."""

    mounts: bool = False  # volumes at their mountPath
    users: bool = False  # any runAsUser and runAsGroup
    groups: bool = False  # fsGroup and supplementalGroups
    capabilities: frozenset[str] = frozenset()  # those a container may add
    probes: bool = False
    hooks: bool = False  # postStart and preStop
    uid: int = 0  # who containers run as when users is False
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a container was not started: shown while it waits, tried again later."""

    reason: str  # CreateContainerConfigError, CreateContainerError
    message: str
    at: datetime
    permanent: bool = False  # only a change of the pod could help, and pods do not change so


@dataclass(frozen=True, slots=True)
class Stopping:
    """A pod's containers being ended, from SIGTERM to SIGKILL."""

    since: datetime  # when the grace period began, or was last made shorter
    grace: int
    told: Mapping[str, datetime] = field(default_factory=dict)  # SIGTERM sent, by container
    killed: Mapping[str, datetime] = field(default_factory=dict)  # SIGKILL sent last


class VolumesState(Enum):
    """How far a pod's volumes are."""

    NONE = "none"  # this runtime mounts nothing
    WANTED = "wanted"  # to be set up before a container starts
    READY = "ready"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class MountTrouble:
    """Volumes that could not be set up, and when to try again."""

    until: datetime
    delay: float  # seconds


@dataclass(frozen=True, slots=True)
class Memory:
    """What the agent keeps about a pod between decisions, and may lose without harm.

    As with a kubelet, a restart forgets back-off and what was already told in events.
    """

    start_time: datetime | None = None
    backoffs: Mapping[str, Backoff] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    stopping: Stopping | None = None
    deadline_told: bool = False
    backoff_told: frozenset[ContainerId] = frozenset()
    mounting: MountTrouble | None = None


NOTHING_KNOWN = Memory()


class Kind(Enum):
    """The three sorts of containers in a pod."""

    INIT = "init"
    SIDECAR = "sidecar"  # an init container with restartPolicy Always
    REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """One container of the pod, and what the runtime knows of it."""

    name: str
    kind: Kind
    spec: m.Container
    restart_policy: str
    restart_rules: tuple[RestartRule, ...]
    attempts: tuple[Container, ...]  # oldest first
    tails: Mapping[int, str]  # the end of the log by attempt, where the message may need it

    @property
    def latest(self) -> Container | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def previous(self) -> Container | None:
        return self.attempts[-2] if len(self.attempts) > 1 else None

    @property
    def running(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].state is ContainerState.RUNNING

    @property
    def exited(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].state is ContainerState.EXITED

    @property
    def field_path(self) -> str:
        """How events name the container (pkg/kubelet/container/ref.go: fieldPath)."""
        group = "containers" if self.kind is Kind.REGULAR else "initContainers"
        return f"spec.{group}{{{self.name}}}"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of this node."""

    pod: m.Pod
    namespace: str
    name: str
    uid: str
    restart_policy: str
    grace: int  # spec.terminationGracePeriodSeconds
    deadline: int | None  # spec.activeDeadlineSeconds
    phase: str  # as the API has it
    deleting: bool
    deletion_grace: int
    containers: tuple[ContainerFacts, ...]  # init containers and sidecars first, in spec order
    held: frozenset[ContainerId]  # what the runtime keeps, to be removed some day
    memory: Memory
    host_ip: str
    runtime: str
    volumes: VolumesState = VolumesState.NONE

    @property
    def full_name(self) -> str:
        """NAME_NAMESPACE(UID), as the kubelet's messages have it (kubecontainer/format: Pod)."""
        return f"{self.name}_{self.namespace}({self.uid})"

    @property
    def regular(self) -> tuple[ContainerFacts, ...]:
        return tuple(c for c in self.containers if c.kind is Kind.REGULAR)

    @property
    def early(self) -> tuple[ContainerFacts, ...]:
        """Init containers and sidecars."""
        return tuple(c for c in self.containers if c.kind is not Kind.REGULAR)


def read(
    pod: m.Pod,
    attempts: Iterable[Container],
    memory: Memory,
    *,
    host_ip: str,
    runtime: str,
    tails: Mapping[ContainerId, str] | None = None,
    volumes: VolumesState = VolumesState.NONE,
) -> PodFacts:
    """The facts about a pod, every default filled in."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    assert meta is not None
    assert spec is not None
    uid = meta.uid or ""
    by_name: dict[str, list[Container]] = {}
    held = set()
    for attempt in attempts:
        by_name.setdefault(attempt.id.container, []).append(attempt)
        held.add(attempt.id)
    statuses = _statuses_by_name(status)
    policy = spec.restartPolicy or "Always"
    containers = []
    for early, specs in ((True, spec.initContainers), (False, spec.containers)):
        for container in specs or ():
            seen = sorted(by_name.get(container.name, ()), key=lambda c: c.id.attempt)
            if not seen:
                seen = _from_status(uid, statuses.get(container.name))
            containers.append(_container_facts(container, early, policy, seen, tails))
    return PodFacts(
        pod=pod,
        namespace=meta.namespace or "default",
        name=meta.name or "",
        uid=uid,
        restart_policy=policy,
        grace=30
        if spec.terminationGracePeriodSeconds is None
        else spec.terminationGracePeriodSeconds,
        deadline=spec.activeDeadlineSeconds,
        phase=(status.phase if status else None) or "Pending",
        deleting=meta.deletionTimestamp is not None,
        deletion_grace=meta.deletionGracePeriodSeconds or 0,
        containers=tuple(containers),
        held=frozenset(held),
        memory=memory
        if memory.start_time or status is None or status.startTime is None
        else replace(memory, start_time=status.startTime),
        host_ip=host_ip,
        runtime=runtime,
        volumes=volumes,
    )


def container_id(runtime: str, id: ContainerId) -> str:
    """The id under which the API shows one attempt: 64 hex digits, as container engines do."""
    text = f"{runtime}://{id.pod_uid}/{id.container}/{id.attempt}"
    return f"{runtime}://{sha256(text.encode()).hexdigest()}"


def _container_facts(
    spec: m.Container,
    early: bool,
    pod_policy: str,
    attempts: Sequence[Container],
    tails: Mapping[ContainerId, str] | None,
) -> ContainerFacts:
    if not early:
        kind = Kind.REGULAR
    else:
        kind = Kind.SIDECAR if spec.restartPolicy == "Always" else Kind.INIT
    policy = spec.restartPolicy or pod_policy
    if kind is Kind.INIT and policy == "Always":
        # The pod's Always is for containers that serve: an init container that succeeded is done.
        policy = "OnFailure"
    rules: tuple[RestartRule, ...] = ()
    if spec.restartPolicyRules:
        rules = tuple(
            RestartRule(r.exitCodes.operator == "In", tuple(r.exitCodes.values or ()))
            for r in spec.restartPolicyRules
            if r.action == "Restart" and r.exitCodes is not None
        )
    own_tails = {a.id.attempt: tails[a.id] for a in attempts if a.id in tails} if tails else {}
    return ContainerFacts(spec.name, kind, spec, policy, rules, tuple(attempts), own_tails)


def _statuses_by_name(status: m.PodStatus | None) -> dict[str, m.ContainerStatus]:
    if status is None:
        return {}
    groups = (status.initContainerStatuses, status.containerStatuses)
    return {s.name: s for group in groups for s in group or ()}


def _from_status(uid: str, status: m.ContainerStatus | None) -> list[Container]:
    """What the API tells of a container of which the runtime knows nothing (any more)."""
    if status is None or status.state is None or status.containerID is None:
        return []
    id = ContainerId(uid, status.name, status.restartCount)
    ended = status.state.terminated
    if ended is None and status.state.waiting is not None and status.lastState is not None:
        ended = status.lastState.terminated
    if ended is not None:
        return [
            Container(
                id=id,
                state=ContainerState.EXITED,
                pid=None,
                started_at=ended.startedAt,
                finished_at=ended.finishedAt,
                exit_code=ended.exitCode,
                reason=ended.reason or "",
                message=ended.message or "",
            )
        ]
    if status.state.running is None:
        return []
    # pkg/kubelet/kubelet_pods.go: convertToAPIContainerStatuses, for a container that is lost
    return [
        Container(
            id=id,
            state=ContainerState.EXITED,
            pid=None,
            started_at=None,
            exit_code=137,
            reason="ContainerStatusUnknown",
            message="The container could not be located when the pod was deleted.  "
            "The container used to be Running",
        )
    ]
