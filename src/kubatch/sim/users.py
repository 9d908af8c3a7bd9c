"""People who use the cluster: they create Jobs, change their minds, and delete things."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import CRONJOBS, JOBS, NAMESPACES, PODS
from kubatch.client.local import LocalClient
from kubatch.sim import shapes
from kubatch.sim.shapes import Drawn
from kubatch.sim.truth import finished, index_set
from kubatch.world import Rng

TEAM = "team"  # a namespace that may be deleted with all that is in it
ADOPTABLE = {"app": "adoptable"}  # the selector of Jobs that choose their pods themselves


class Ledger(Protocol):
    """Who is told what the users did, since it excuses what would else be wrong."""

    def created(self, job: m.Job, drawn: Drawn) -> None:
        """A Job, as it was stored, and how it must end."""
        ...

    def disturbed(self, job_uid: str) -> None:
        """The Job may end in another way than was known."""
        ...

    def forced(self, pod_uid: str) -> None:
        """The pod goes from the API whatever its containers do."""
        ...


@dataclass
class Users:
    """All of them, as one seeded stream of actions."""

    client: LocalClient
    rng: Rng
    ledger: Ledger
    note: Callable[[str], None]
    watched: Rng | None = None  # the luck of probes and hooks; None: there are none
    jobs_max: int = 5
    actions_max: int = 15
    _serial: int = field(default=0)

    async def run(self) -> None:
        """Act, with pauses, until tired."""
        pause = self.rng.choice([0.05, 0.5, 5.0, 20.0])  # seconds, in the mean
        jobs = self.rng.randint(1, self.jobs_max)
        others = self.rng.choice([0, 0, 2, self.actions_max])
        weights = [self.rng.choice([0, 0, 1, 1, 5]) for _ in self._ACTIONS]
        plan = [Users._create] * jobs
        if any(weights):
            plan += self.rng.choices(self._ACTIONS, weights, k=others)
        later = plan[1:]
        self.rng.shuffle(later)
        for action in [Users._create, *later]:
            await self._try(action)
            await asyncio.sleep(self.rng.expovariate(1.0) * pause)

    async def settle(self) -> None:
        """At the end: stop what goes on for ever, put right what is stuck, perhaps let Jobs run."""
        for cron in (await self.client.list(CRONJOBS)).items:
            await self._try(lambda self, cron=cron: self._delete_cron(cron))  # type: ignore[misc]
        jobs = (await self.client.list(JOBS)).items
        for job in jobs:
            if _is_stuck(job):
                await self._try(lambda self, job=job: self._mend(job))  # type: ignore[misc]
        if self.rng.random() < 0.5:
            return
        for job in jobs:
            await self._try(lambda self, job=job: self._let_run(job))  # type: ignore[misc]

    async def tidy(self) -> None:
        """Delete pods that nobody owns: some would run for ever, and take the room of others."""
        for pod in (await self.client.list(PODS)).items:
            meta = _meta(pod)
            if not meta.ownerReferences and meta.deletionTimestamp is None:
                self.note(f"user: clears away {meta.name}")
                await self._try(lambda self, meta=meta: self._delete(meta))  # type: ignore[misc]

    async def _try(self, action: Callable[[Users], Awaitable[None]]) -> None:
        try:
            await action(self)
        except ApiError as error:
            self.note(f"user: {error.message}")

    # ----- choosing

    async def _a_job(self) -> m.Job | None:
        jobs = (await self.client.list(JOBS)).items
        return self.rng.choice(jobs) if jobs else None

    async def _a_pod(self) -> m.Pod | None:
        pods = (await self.client.list(PODS)).items
        return self.rng.choice(pods) if pods else None

    async def _edit(self, job: m.Job, spec: dict[str, Any]) -> None:
        meta = _meta(job)
        self.note(f"user: edits {meta.name}: {spec}")
        self.ledger.disturbed(meta.uid or "")
        await self.client.patch(JOBS, meta.namespace, meta.name or "", {"spec": spec})

    # ----- creating

    async def _create(self) -> None:
        self._serial += 1
        name = self.rng.choice(["again", f"job-{self._serial}", f"job-{self._serial}"])
        namespace = self.rng.choice(["default", "default", TEAM])
        drawn = shapes.draw(self.rng, namespace, name, self.watched)
        if self.rng.random() < 0.1:
            _select_own_pods(drawn.job)
            drawn = Drawn(drawn.job, None)  # it may find pods that others left
        stored = await self.client.create(JOBS, drawn.job)
        self.note(f"user: creates {namespace}/{name}: {_describe(stored)}")
        self.ledger.created(stored, drawn)

    async def _create_orphan(self) -> None:
        """A pod that a Job with a selector of its own may adopt."""
        self._serial += 1
        command = shapes.Work(seconds=self.rng.choice([1.0, 20.0])).argv()
        spec = m.PodSpec(
            containers=[m.Container(name="main", image="work", command=command)],
            restartPolicy="Never",
        )
        meta = m.ObjectMeta(
            name=f"orphan-{self._serial}", namespace="default", labels=dict(ADOPTABLE)
        )
        await self.client.create(PODS, m.Pod(metadata=meta, spec=spec))
        for job in (await self.client.list(JOBS)).items:
            if job.spec is not None and job.spec.manualSelector:
                self.ledger.disturbed(_meta(job).uid or "")

    async def _create_cron(self) -> None:
        """A CronJob, and the patience to see it run."""
        self._serial += 1
        namespace = self.rng.choice(["default", TEAM])
        cron = shapes.draw_cron(self.rng, namespace, f"cron-{self._serial}")
        stored = await self.client.create(CRONJOBS, cron)
        self.note(f"user: creates {namespace}/{_meta(stored).name}: {_describe_cron(stored)}")
        await asyncio.sleep(self.rng.uniform(0.0, 300.0))

    async def _edit_cron(self) -> None:
        crons = (await self.client.list(CRONJOBS)).items
        if not crons:
            return
        cron = self.rng.choice(crons)
        spec = self.rng.choice([{"suspend": True}, {"suspend": False}, {"schedule": "*/3 * * * *"}])
        self.note(f"user: edits {_meta(cron).name}: {spec}")
        await self.client.patch(
            CRONJOBS, _meta(cron).namespace, _meta(cron).name or "", {"spec": spec}
        )

    async def _delete_cron(self, cron: m.CronJob) -> None:
        meta = _meta(cron)
        how = self.rng.choice(["Background", "Foreground"])
        self.note(f"user: deletes {meta.name} ({how})")
        for job in (await self.client.list(JOBS, meta.namespace)).items:
            if any(owner.uid == meta.uid for owner in _meta(job).ownerReferences or ()):
                self.ledger.disturbed(_meta(job).uid or "")
        await self.client.delete(CRONJOBS, meta.namespace, meta.name or "", propagation=how)

    # ----- changing

    async def _scale(self) -> None:
        job = await self._a_job()
        if job is None or job.spec is None:
            return
        number = self.rng.randint(0, 5)
        spec: dict[str, Any] = {"parallelism": number}
        if job.spec.completionMode == "Indexed" and self.rng.random() < 0.5:
            spec["completions"] = number  # elastic: both together
        await self._edit(job, spec)

    async def _suspend_or_resume(self) -> None:
        job = await self._a_job()
        if job is not None and job.spec is not None:
            await self._edit(job, {"suspend": not job.spec.suspend})

    async def _change_limits(self) -> None:
        job = await self._a_job()
        if job is None:
            return
        limits: list[dict[str, Any]] = [
            {"backoffLimit": self.rng.randint(0, 6)},
            {"activeDeadlineSeconds": self.rng.choice([1, 30, 300])},
            {"podReplacementPolicy": "Failed"},
        ]
        await self._edit(job, self.rng.choice(limits))

    async def _label(self) -> None:
        """A label that nobody asks for: it must change nothing."""
        label = {"metadata": {"labels": {"note": str(self.rng.randint(0, 9))}}}
        if self.rng.random() < 0.5:
            job = await self._a_job()
            if job is not None:
                await self.client.patch(JOBS, _meta(job).namespace, _meta(job).name or "", label)
            return
        pod = await self._a_pod()
        if pod is not None:
            await self.client.patch(PODS, _meta(pod).namespace, _meta(pod).name or "", label)

    async def _release(self) -> None:
        """Take the labels off a pod: its Job has to let it go."""
        pod = await self._a_pod()
        if pod is None:
            return
        meta = _meta(pod)
        self.note(f"user: takes the labels off {meta.name}")
        self._disturb_owner(pod)
        labels = dict.fromkeys(meta.labels or {})
        await self.client.patch(
            PODS, meta.namespace, meta.name or "", {"metadata": {"labels": labels}}
        )

    # ----- deleting

    async def _delete_job(self) -> None:
        job = await self._a_job()
        if job is None:
            return
        meta = _meta(job)
        how = self.rng.choice(["Background", "Foreground", "Orphan", None])
        self.note(f"user: deletes {meta.name} ({how})")
        self.ledger.disturbed(meta.uid or "")
        await self.client.delete(JOBS, meta.namespace, meta.name or "", propagation=how)

    async def _delete_pod(self) -> None:
        pod = await self._a_pod()
        if pod is None:
            return
        meta = _meta(pod)
        grace = self.rng.choice([None, None, 1, 0])
        self.note(f"user: deletes {meta.name} (grace {grace})")
        self._disturb_owner(pod)
        if grace == 0:
            self.ledger.forced(meta.uid or "")
        await self.client.delete(PODS, meta.namespace, meta.name or "", grace_period_seconds=grace)

    async def _delete(self, pod: m.ObjectMeta) -> None:
        await self.client.delete(PODS, pod.namespace, pod.name or "")

    async def _delete_namespace(self) -> None:
        for job in (await self.client.list(JOBS, TEAM)).items:
            self.ledger.disturbed(_meta(job).uid or "")
        self.note(f"user: deletes the namespace {TEAM}")
        await self.client.delete(NAMESPACES, None, TEAM)

    def _disturb_owner(self, pod: m.Pod) -> None:
        for owner in _meta(pod).ownerReferences or ():
            self.ledger.disturbed(owner.uid)

    async def _mend(self, job: m.Job) -> None:
        assert job.spec is not None
        await self._edit(job, {"parallelism": job.spec.completions})

    async def _let_run(self, job: m.Job) -> None:
        spec = job.spec
        assert spec is not None
        if spec.suspend:
            await self._edit(job, {"suspend": False})
        elif spec.parallelism == 0:
            await self._edit(job, {"parallelism": 2})

    _ACTIONS = (
        _create,
        _create_orphan,
        _create_cron,
        _edit_cron,
        _scale,
        _scale,
        _suspend_or_resume,
        _change_limits,
        _label,
        _release,
        _delete_job,
        _delete_pod,
        _delete_pod,
        _delete_namespace,
    )


def _meta(obj: m.Job | m.Pod | m.CronJob) -> m.ObjectMeta:
    assert obj.metadata is not None
    return obj.metadata


def _is_stuck(job: m.Job) -> bool:
    """Whether a Job was made smaller, and could not say so before its parallelism was changed.

    Fewer successes are believed only while completions equal parallelism
    (pkg/apis/batch/validation: RejectDecreasingSucceededCounter), so it waits for its user.
    """
    spec, status = job.spec, job.status
    assert spec is not None
    if spec.completionMode != "Indexed" or spec.completions == spec.parallelism or status is None:
        return False
    kept = [
        index for index in index_set(status.completedIndexes) if index < (spec.completions or 0)
    ]
    return (status.succeeded or 0) > len(kept) and not finished(job)


def _select_own_pods(job: m.Job) -> None:
    spec = job.spec
    assert spec is not None
    spec.manualSelector = True
    spec.selector = m.LabelSelector(matchLabels=dict(ADOPTABLE))
    spec.template.metadata = m.ObjectMeta(labels=dict(ADOPTABLE))


def _describe(job: m.Job) -> str:
    spec = job.spec
    assert spec is not None
    assert spec.template.spec is not None
    shown = {
        "completions": spec.completions,
        "parallelism": spec.parallelism,
        "mode": spec.completionMode,
        "backoffLimit": spec.backoffLimit,
        "perIndex": spec.backoffLimitPerIndex,
        "deadline": spec.activeDeadlineSeconds,
        "suspend": spec.suspend,
        "restart": spec.template.spec.restartPolicy,
    }
    commands = [" ".join(c.command or ()) for c in spec.template.spec.containers]
    return " ".join(f"{k}={v}" for k, v in shown.items() if v is not None) + f" {commands}"


def _describe_cron(cron: m.CronJob) -> str:
    spec = cron.spec
    assert spec is not None
    return f"{spec.schedule} {spec.concurrencyPolicy} deadline={spec.startingDeadlineSeconds}"
