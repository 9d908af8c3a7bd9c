"""Jobs of every shape, drawn; and of some it is known how they must end."""

from __future__ import annotations

from dataclasses import dataclass

from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerSpec
from kubatch.sim.runtime import Exit, Program
from kubatch.world import Rng

IGNORED_CODE = 42  # podFailurePolicy takes no notice of it
FATAL_CODE = 13  # podFailurePolicy fails the Job
INDEX_CODE = 21  # podFailurePolicy fails the index
UNLIMITED = 2**31 - 1


@dataclass(frozen=True)
class Work:
    """What a Job's containers do, told to them as arguments."""

    seconds: float = 1.0  # mean; 0: at once
    failing: float = 0.0  # the share of runs that fail
    code: int = 1  # of those that fail
    bad_indexes: tuple[int, ...] = ()  # these fail always
    on_term: str = "die"  # die, succeed, ignore
    endless: bool = False  # until it is told to stop
    missing: bool = False  # there is no such program

    def argv(self) -> list[str]:
        program = "missing" if self.missing else "work"
        bad = ",".join(map(str, self.bad_indexes))
        seconds = "endless" if self.endless else f"{self.seconds:.3f}"
        return [program, seconds, f"{self.failing:.3f}", str(self.code), bad, self.on_term]


def programs(rng: Rng, checks: Rng) -> dict[str, Program]:
    """The programs of a node, with luck of their own; what probes and hooks run has another."""

    def work(spec: ContainerSpec) -> Exit:
        seconds, failing, code, bad, on_term = spec.argv[1:6]
        fails = rng.random() < float(failing)
        after = None if seconds == "endless" else rng.expovariate(1.0) * float(seconds)
        index = spec.env.get("JOB_COMPLETION_INDEX")
        if index is not None and index in bad.split(","):
            fails = True
        term = {"die": 143, "succeed": 0, "ignore": None}[on_term]
        return Exit(int(code) if fails else 0, after=after, on_term=term)

    def check(spec: ContainerSpec) -> Exit:
        return Exit(1 if checks.random() < float(spec.argv[1]) else 0)

    return {"work": work, "check": check}


@dataclass(frozen=True)
class Fate:
    """How a Job must end if nobody but the faults interferes; None: not known."""

    type: str  # Complete, Failed
    reason: str = ""  # "": any
    succeeded: int | None = None
    failed: int | None = None
    completed_indexes: tuple[int, ...] | None = None
    failed_indexes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Drawn:
    """A Job to create, and its fate."""

    job: m.Job
    fate: Fate | None


def draw(rng: Rng, namespace: str, name: str, watched: Rng | None = None) -> Drawn:
    """A Job: one of known fate as often as any other.

    `watched` draws its probes and hooks. They have luck of their own, so that Jobs stay what they
    were; and none ends a container whose Job has a known fate.
    """
    if rng.random() < 0.5:
        spec, work, fate = rng.choice(_FATED)(rng)
    else:
        spec, work = _anything(rng)
        fate = None
    job = _job(rng, namespace, name, spec, work, watched, may_kill=fate is None)
    return Drawn(job, fate)


def _job(
    rng: Rng,
    namespace: str,
    name: str,
    spec: m.JobSpec,
    work: Work,
    watched: Rng | None = None,
    *,
    may_kill: bool = False,
) -> m.Job:
    """A Job; `watched` is the luck of its probes and hooks, if it may have any."""
    pod = spec.template.spec
    assert pod is not None
    pod.containers = [m.Container(name="main", image="work", command=work.argv())]
    if rng.random() < 0.2:
        second = Work(seconds=work.seconds, on_term=work.on_term)
        pod.containers.append(m.Container(name="second", image="work", command=second.argv()))
    if rng.random() < 0.2:
        quick = m.Container(name="first", image="work", command=Work(seconds=0.1).argv())
        pod.initContainers = [quick]
    if rng.random() < 0.3:
        needs = m.ResourceRequirements(requests={"cpu": rng.choice(["500m", "1", "2"])})
        pod.containers[0].resources = needs
    pod.terminationGracePeriodSeconds = rng.choice([0, 1, 5, 30, None])
    if watched is not None:
        _watch(watched, pod.containers[0], may_kill=may_kill)
    return m.Job(metadata=m.ObjectMeta(name=name, namespace=namespace), spec=spec)


def _watch(rng: Rng, container: m.Container, *, may_kill: bool) -> None:
    """Probes that flip, and hooks; some of them end their container, where that may be."""

    def check(failing: float) -> m.core_v1.ExecAction:
        return m.core_v1.ExecAction(command=["check", f"{failing:.2f}"])

    def probe(failing: float, failures: int) -> m.Probe:
        period = rng.choice([1, 2, 10])
        return m.Probe(exec=check(failing), periodSeconds=period, failureThreshold=failures)

    if rng.random() < 0.25:
        container.readinessProbe = probe(rng.choice([0.0, 0.3, 0.6]), rng.choice([1, 3]))
    if rng.random() < 0.2:
        container.livenessProbe = probe(rng.choice([0.0, 0.2]) if may_kill else 0.0, 2)
    if rng.random() < 0.15:
        container.startupProbe = probe(0.5 if may_kill else 0.0, 5)
    hooks = m.Lifecycle()
    if rng.random() < 0.1:
        hooks.preStop = m.LifecycleHandler(exec=check(0.5))
    if may_kill and rng.random() < 0.2:
        hooks.postStart = m.LifecycleHandler(exec=check(0.3))
    if hooks.preStop is not None or hooks.postStart is not None:
        container.lifecycle = hooks


def _spec(restart: str, **fields: object) -> m.JobSpec:
    template = m.PodTemplateSpec(spec=m.PodSpec(containers=[], restartPolicy=restart))
    return m.JobSpec(template=template, **fields)  # type: ignore[arg-type]


def _numbers(rng: Rng) -> dict[str, object]:
    """Parallelism and completions of a Job that has something to do."""
    if rng.random() < 0.25:
        return {"parallelism": rng.randint(1, 4)}
    fields: dict[str, object] = {
        "completions": rng.randint(1, 6),
        "parallelism": rng.randint(1, 5),
    }
    if rng.random() < 0.5:
        fields["completionMode"] = "Indexed"
    return fields


# ----- Jobs of known fate

_Fated = tuple[m.JobSpec, Work, Fate]


def _succeeds(rng: Rng) -> _Fated:
    numbers = _numbers(rng)
    spec = _spec(rng.choice(["Never", "OnFailure"]), backoffLimit=rng.randint(0, 3), **numbers)
    work = Work(seconds=rng.choice([0.0, 0.5, 5.0, 30.0]))
    indexed = spec.completionMode == "Indexed"
    fate = Fate(
        "Complete",
        "CompletionsReached",
        succeeded=spec.completions,  # a work queue whose first pods are quick starts no others
        failed=0,
        completed_indexes=tuple(range(spec.completions or 0)) if indexed else None,
    )
    return spec, work, fate


def _fails(rng: Rng) -> _Fated:
    numbers = _numbers(rng)
    limit = rng.randint(0, 3)
    restart = rng.choice(["Never", "Never", "OnFailure"])
    spec = _spec(restart, backoffLimit=limit, **numbers)
    work = Work(seconds=rng.choice([0.0, 0.5, 5.0]), failing=1.0, missing=rng.random() < 0.1)
    alone = restart == "Never" and spec.parallelism == 1
    fate = Fate("Failed", "BackoffLimitExceeded", failed=limit + 1 if alone else None)
    return spec, work, fate


def _fails_some_indexes(rng: Rng) -> _Fated:
    completions = rng.randint(1, 5)
    bad = tuple(i for i in range(completions) if rng.random() < 0.4) or (0,)
    limit = rng.randint(0, 2)
    spec = _spec(
        "Never",
        completions=completions,
        parallelism=rng.randint(1, 4),
        completionMode="Indexed",
        backoffLimitPerIndex=limit,
    )
    fate = Fate(
        "Failed",
        "FailedIndexes",
        succeeded=completions - len(bad),
        failed=len(bad) * (limit + 1),
        completed_indexes=tuple(i for i in range(completions) if i not in bad),
        failed_indexes=bad,
    )
    return spec, Work(seconds=rng.choice([0.0, 1.0]), bad_indexes=bad), fate


def _is_failed_by_its_policy(rng: Rng) -> _Fated:
    spec = _spec("Never", podFailurePolicy=_policy(), backoffLimit=UNLIMITED, **_numbers(rng))
    return spec, Work(failing=1.0, code=FATAL_CODE), Fate("Failed", "PodFailurePolicy")


def _has_nothing_to_do(rng: Rng) -> _Fated:
    mode = rng.choice(["Indexed", "NonIndexed"])
    spec = _spec("Never", completions=0, parallelism=rng.randint(0, 2), completionMode=mode)
    spec.suspend = rng.random() < 0.3
    return spec, Work(), Fate("Complete", "CompletionsReached", succeeded=0, failed=0)


def _runs_out_of_time(rng: Rng) -> _Fated:
    spec = _spec("Never", activeDeadlineSeconds=rng.choice([0, 1, 10, 60]), **_numbers(rng))
    work = Work(endless=True, on_term=rng.choice(["die", "succeed", "ignore"]))
    return spec, work, Fate("Failed", "DeadlineExceeded")


_FATED = (
    _succeeds,
    _succeeds,
    _fails,
    _fails_some_indexes,
    _is_failed_by_its_policy,
    _has_nothing_to_do,
    _runs_out_of_time,
)

# ----- all others


def _policy(index_action: str = "Count") -> m.PodFailurePolicy:
    def rule(action: str, code: int) -> m.PodFailurePolicyRule:
        wanted = m.PodFailurePolicyOnExitCodesRequirement(operator="In", values=[code])
        return m.PodFailurePolicyRule(action=action, onExitCodes=wanted)

    return m.PodFailurePolicy(
        rules=[
            rule("Ignore", IGNORED_CODE),
            rule("FailJob", FATAL_CODE),
            rule(index_action, INDEX_CODE),
        ]
    )


def _anything(rng: Rng) -> tuple[m.JobSpec, Work]:
    restart = rng.choice(["Never", "Never", "OnFailure"])
    spec = _spec(restart, **_numbers(rng))
    spec.backoffLimit = rng.choice([0, 1, 2, 4, 6, None])
    spec.suspend = rng.random() < 0.15
    spec.podReplacementPolicy = rng.choice([None, None, "Failed", "TerminatingOrFailed"])
    indexed = spec.completionMode == "Indexed"
    if indexed and rng.random() < 0.5:
        spec.backoffLimitPerIndex = rng.randint(0, 2)
        spec.backoffLimit = rng.choice([None, None, 3])
        if rng.random() < 0.4:
            spec.maxFailedIndexes = rng.randint(0, spec.completions or 0)
    if restart == "Never" and rng.random() < 0.4:
        per_index = spec.backoffLimitPerIndex is not None
        spec.podFailurePolicy = _policy("FailIndex" if per_index else "Count")
        spec.podReplacementPolicy = None
    if indexed and rng.random() < 0.3:
        spec.successPolicy = _success_policy(rng, spec.completions or 0)
    if rng.random() < 0.15:
        spec.activeDeadlineSeconds = rng.choice([0, 1, 5, 30, 120])
    if rng.random() < 0.1:
        spec.parallelism = 0
    if rng.random() < 0.15:
        spec.ttlSecondsAfterFinished = rng.choice([0, 5, 60])
    work = Work(
        seconds=rng.choice([0.0, 0.2, 2.0, 20.0]),
        failing=rng.choice([0.0, 0.1, 0.4, 0.7]),
        code=rng.choice([1, 1, IGNORED_CODE, FATAL_CODE, INDEX_CODE]),
        on_term=rng.choice(["die", "die", "succeed", "ignore"]),
    )
    return spec, work


def _success_policy(rng: Rng, completions: int) -> m.SuccessPolicy:
    count = rng.randint(1, completions)
    rule = m.SuccessPolicyRule(succeededCount=count)
    if rng.random() < 0.5:
        rule = m.SuccessPolicyRule(succeededIndexes=str(rng.randrange(completions)))
    return m.SuccessPolicy(rules=[rule])


# ----- Jobs on schedule


def draw_cron(rng: Rng, namespace: str, name: str) -> m.CronJob:
    """A CronJob of every minute or every other, whose Jobs are small and end."""
    spec = _spec("Never", parallelism=1, completions=rng.randint(1, 2), backoffLimit=1)
    work = Work(seconds=rng.choice([0.5, 20.0, 90.0]), failing=rng.choice([0.0, 0.3]))
    job = _job(rng, namespace, name, spec, work)
    assert job.spec is not None
    return m.CronJob(
        metadata=m.ObjectMeta(name=name, namespace=namespace),
        spec=m.CronJobSpec(
            schedule=rng.choice(["* * * * *", "*/2 * * * *"]),
            concurrencyPolicy=rng.choice(["Allow", "Forbid", "Forbid", "Replace"]),
            startingDeadlineSeconds=rng.choice([None, None, 30]),
            successfulJobsHistoryLimit=rng.choice([None, 0, 1]),
            failedJobsHistoryLimit=rng.choice([None, 0]),
            jobTemplate=m.JobTemplateSpec(spec=job.spec),
        ),
    )
