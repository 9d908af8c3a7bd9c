"""What is known about one pod on this machine: the input of every decision about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256

from kubatch.agent.backoff import Backoff, RestartRule, restarts_all
from kubatch.agent.verdict import Verdict
from kubatch.agent.vitals import HEALTHY, Health, Hook, Vitals, first_health, has_probes
from kubatch.api import models as m
from kubatch.runtime.protocol import Container, ContainerId, ContainerState

TERMINAL_PHASES = ("Succeeded", "Failed")
# pkg/kubelet/container/runtime.go, of containers that run anew with their whole pod
RESET_REASON = "RestartingAllContainers"
RESET_MESSAGE = "The container is removed because RestartAllContainers in place"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# pkg/kubelet/kubelet_pods.go: convertToAPIContainerStatuses, of a container lost while it ran
USED_TO_RUN = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the runtime can honour. A pod that asks for more is refused, never half served."""

    mounts: bool = False  # volumes at their mountPath
    users: bool = False  # any runAsUser and runAsGroup
    groups: bool = False  # fsGroup and supplementalGroups
    capabilities: frozenset[str] = frozenset()  # those a container may add
    privileged: bool = False  # privileged containers, and namespaces that are not their own
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
    hooked: frozenset[str] = frozenset()  # those whose preStop hook was begun


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
    verdict: Verdict | None = None  # this node refuses the pod, or ends it
    # Single containers being ended, by a probe or a hook, while the pod goes on.
    endings: Mapping[ContainerId, Stopping] = field(default_factory=dict)
    # Of these, the ones that a probe ends to run anew, whatever their exit code says.
    renewed: frozenset[ContainerId] = frozenset()


NOTHING_KNOWN = Memory()


class Kind(Enum):
    """The four sorts of containers in a pod."""

    INIT = "init"
    SIDECAR = "sidecar"  # an init container with restartPolicy Always
    REGULAR = "regular"
    EPHEMERAL = "ephemeral"  # added to a pod that runs, to look into it


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
    health: Health = HEALTHY  # of the latest attempt
    post_start: Hook | None = None  # of the latest attempt
    pre_stop: Hook | None = None  # of the latest attempt
    hook_errors: Mapping[int, str] = field(default_factory=dict)  # of postStart, by attempt
    renewed: bool = False  # its latest attempt was ended to run anew

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
    def was_reset(self) -> bool:
        """Whether its pod starts anew, and it has not been started since."""
        return self.exited and self.attempts[-1].reason == RESET_REASON

    @property
    def resets(self) -> bool:
        """Whether it ended in such a way that all containers of its pod run anew."""
        if not self.exited or not self.restart_rules:
            return False
        code = self.attempts[-1].exit_code
        return not self.was_reset and code is not None and restarts_all(self.restart_rules, code)

    @property
    def field_path(self) -> str:
        """How events name the container (pkg/kubelet/container/ref.go: fieldPath)."""
        return f"spec.{_FIELDS.get(self.kind, 'initContainers')}{{{self.name}}}"

    @property
    def starting(self) -> bool:
        """Whether its postStart hook runs, or failed: then it does not count as running."""
        hook = self.post_start
        return self.running and hook is not None and (not hook.done or hook.error is not None)

    @property
    def started(self) -> bool:
        """Whether it runs, and its hook and startup probe are done with."""
        return self.running and not self.starting and self.health.started

    @property
    def ready(self) -> bool:
        """Whether it may be sent work."""
        return self.started and self.health.ready

    @property
    def hook_failed(self) -> bool:
        """Whether it runs, and must end because its postStart hook failed."""
        return self.running and self.post_start is not None and self.post_start.error is not None

    @property
    def has_pre_stop(self) -> bool:
        """Whether something is to be done before it is told to end."""
        return self.spec.lifecycle is not None and self.spec.lifecycle.preStop is not None


_FIELDS = {Kind.REGULAR: "containers", Kind.EPHEMERAL: "ephemeralContainers"}


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
    ephemeral: tuple[ContainerFacts, ...] = ()
    pod_ip: str | None = None  # "": none yet; None: the host's

    @property
    def everything(self) -> tuple[ContainerFacts, ...]:
        """Every container, the ephemeral ones last."""
        return self.containers + self.ephemeral

    @property
    def resetting(self) -> ContainerFacts | None:
        """The container because of which all of the pod's are to be removed, to run anew."""
        return next((c for c in self.containers if c.resets), None)

    @property
    def can_reset(self) -> bool:
        """Whether a container has a rule for that (AllContainersCouldRestart)."""
        return any(rule.everything for c in self.containers for rule in c.restart_rules)

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
    vitals: Vitals | None = None,
    pod_ip: str | None = None,
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
    policy = spec.restartPolicy or "Always"
    renewed = memory.renewed
    known = _Known(uid, runtime, by_name, _statuses_by_name(status), tails or {}, vitals, renewed)
    containers = [
        _container_facts(container, early, policy, known)
        for early, specs in ((True, spec.initContainers), (False, spec.containers))
        for container in specs or ()
    ]
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
        pod_ip=pod_ip,
        runtime=runtime,
        volumes=volumes,
        ephemeral=tuple(
            _with_vitals(
                ContainerFacts(c.name, Kind.EPHEMERAL, as_container(c), "Never", (), *known.of(c)),
                known,
            )
            for c in spec.ephemeralContainers or ()
        ),
    )


def as_container(ephemeral: m.EphemeralContainer) -> m.Container:
    """An ephemeral container as one like any other."""
    fields = {name: getattr(ephemeral, name) for name in m.Container.__struct_fields__
              if hasattr(ephemeral, name)}  # fmt: skip
    return m.Container(**fields)


def container_id(runtime: str, id: ContainerId) -> str:
    """The id under which the API shows one attempt: 64 hex digits, as container engines do."""
    text = f"{runtime}://{id.pod_uid}/{id.container}/{id.attempt}"
    return f"{runtime}://{sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything from which the facts about a pod's containers are taken."""

    uid: str
    runtime: str
    attempts: Mapping[str, list[Container]]
    statuses: Mapping[str, m.ContainerStatus]
    tails: Mapping[ContainerId, str]
    vitals: Vitals | None
    renewed: frozenset[ContainerId]

    def of(
        self, spec: m.Container | m.EphemeralContainer
    ) -> tuple[tuple[Container, ...], dict[int, str]]:
        """A container's attempts, oldest first, and the ends of their logs."""
        seen = sorted(self.attempts.get(spec.name, ()), key=lambda c: c.id.attempt)
        if not seen:
            seen = _from_status(self.uid, self.statuses.get(spec.name))
        elif len(seen) == 1 and seen[0].id.attempt:
            seen = _before_reset(seen[0], self.statuses.get(spec.name)) + seen
        own = {a.id.attempt: self.tails[a.id] for a in seen if a.id in self.tails}
        return tuple(seen), own


def _container_facts(
    spec: m.Container, early: bool, pod_policy: str, known: _Known
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
            RestartRule(
                r.exitCodes.operator == "In",
                tuple(r.exitCodes.values or ()),
                r.action == "RestartAllContainers",
            )
            for r in spec.restartPolicyRules
            if r.exitCodes is not None
        )
    plain = ContainerFacts(spec.name, kind, spec, policy, rules, *known.of(spec))
    return _with_vitals(plain, known)


def _with_vitals(c: ContainerFacts, known: _Known) -> ContainerFacts:
    """Add what probes and hooks have told."""
    vitals, latest = known.vitals, c.latest
    if latest is None or not (c.spec.lifecycle is not None or has_probes(c.spec)):
        return c
    vitals = vitals or Vitals()
    health = vitals.health.get(latest.id)
    if health is None:
        shown = known.statuses.get(c.name)
        same = shown is not None and shown.containerID == container_id(known.runtime, latest.id)
        health = first_health(c.spec, shown if same else None)
    errors = {
        attempt.id.attempt: hook.error
        for attempt in c.attempts
        if (hook := vitals.post_start.get(attempt.id)) is not None and hook.error is not None
    }
    return replace(
        c,
        health=health,
        post_start=vitals.post_start.get(latest.id),
        pre_stop=vitals.pre_stop.get(latest.id),
        hook_errors=errors,
        renewed=latest.id in known.renewed,
    )


def _statuses_by_name(status: m.PodStatus | None) -> dict[str, m.ContainerStatus]:
    if status is None:
        return {}
    groups = (
        status.initContainerStatuses,
        status.containerStatuses,
        status.ephemeralContainerStatuses,
    )
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
            message=USED_TO_RUN,
        )
    ]


def _before_reset(first: Container, status: m.ContainerStatus | None) -> list[Container]:
    """The attempt that a reset of the pod removed: only the API tells of it any more."""
    last = status.lastState.terminated if status is not None and status.lastState else None
    if last is None or last.reason != RESET_REASON:
        return []
    return [reset(ContainerId(first.id.pod_uid, first.id.container, first.id.attempt - 1), last)]


def reset(id: ContainerId, before: m.ContainerStateTerminated) -> Container:
    """What stands for an attempt that a reset removed."""
    return Container(
        id=id,
        state=ContainerState.EXITED,
        pid=None,
        started_at=before.startedAt,
        finished_at=before.finishedAt,
        exit_code=137,
        reason=RESET_REASON,
        message=RESET_MESSAGE,
    )
