"""Following Jobs to their end: their pods' output as it comes, their outcome when it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kubatch.api import conditions, owners
from kubatch.api.errors import ApiError
from kubatch.api.resource import JOBS, PODS
from kubatch.client.cache import Cache
from kubatch.registry.age import human_duration
from kubatch.world import World

if TYPE_CHECKING:
    from kubatch.cli.progress import Progress
    from kubatch.cluster import Cluster

# The output of a pod that ended is on disk already; reading it takes no longer than this.
DRAIN_TIMEOUT = 10.0


class Follower:
    """Watches some Jobs and their pods."""

    def __init__(
        self, cluster: Cluster, jobs: list[tuple[str, str]], progress: Progress, world: World
    ) -> None:
        self._streams = cluster.streams
        self._progress = progress
        self._world = world
        self._wanted = set(jobs)
        self._outcomes: dict[tuple[str, str], bool] = {}
        self._finished = asyncio.Event()
        self._jobs = Cache(cluster.client, JOBS)
        self._pods = Cache(cluster.client, PODS)
        self._jobs.add_listener(self._job_changed)
        self._pods.add_listener(self._pod_changed)
        self._logs: dict[tuple[str, str, int], asyncio.Task[None]] = {}
        self._told: set[str] = set()

    async def run(self) -> bool:
        """Until every Job has finished and its output is shown; whether all are complete."""
        async with asyncio.TaskGroup() as tasks:
            caches = [tasks.create_task(c.run()) for c in (self._jobs, self._pods)]
            await self._finished.wait()
            if self._logs:
                await asyncio.wait(self._logs.values(), timeout=DRAIN_TIMEOUT)
            for task in (*caches, *self._logs.values()):
                task.cancel()
        for key in sorted(self._outcomes):
            self._tell_outcome(key)
        return all(self._outcomes.values())

    # ----- Jobs

    def _job_changed(self, before: Any, after: Any) -> None:
        meta = (after or before).metadata
        key = (meta.namespace, meta.name)
        if key not in self._wanted:
            return
        if after is None:
            self._outcomes.setdefault(key, False)
        else:
            found = after.status.conditions if after.status else None
            if conditions.is_true(found, "Complete"):
                self._outcomes[key] = True
            elif conditions.is_true(found, "Failed"):
                self._outcomes[key] = False
        self._progress.status(self._summary())
        if len(self._outcomes) == len(self._wanted):
            self._finished.set()

    def _summary(self) -> str:
        parts = []
        for namespace, name in sorted(self._wanted):
            job = self._jobs.get(namespace, name)
            if job is None or job.spec is None or (namespace, name) in self._outcomes:
                continue
            status = job.status
            done, active = (status.succeeded or 0, status.active or 0) if status else (0, 0)
            goal = job.spec.completions if job.spec.completions is not None else "?"
            parts.append(f"{name} {done}/{goal} done, {active} active")
        return "; ".join(parts) or "finishing"

    def _tell_outcome(self, key: tuple[str, str]) -> None:
        job = self._jobs.get(*key)
        name = f"job.batch/{key[1]}"
        if job is None or job.status is None:
            self._progress.outcome(f"{name} was deleted", good=False)
            return
        status = job.status
        if self._outcomes[key]:
            text = f"{name} complete"
            if status.startTime and status.completionTime:
                took = (status.completionTime - status.startTime).total_seconds()
                text += f" in {human_duration(took)}"
            count = status.succeeded or 0
            self._progress.outcome(f"{text}: {count} succeeded", good=True)
            return
        failed = conditions.find(status.conditions, "Failed")
        why = f"{failed.reason}: {failed.message}" if failed else "unknown"
        self._progress.outcome(f"{name} failed: {why}", good=False)

    # ----- pods

    def _pod_changed(self, before: Any, after: Any) -> None:
        if after is None or not self._concerns(after):
            return
        status = after.status
        statuses = [
            *((status.initContainerStatuses or ()) if status else ()),
            *((status.containerStatuses or ()) if status else ()),
        ]
        for container in statuses:
            self._container_changed(after, container, several=len(statuses) > 1)

    def _concerns(self, pod: Any) -> bool:
        owner = owners.controller_of(pod.metadata)
        return (
            owner is not None
            and owner.kind == "Job"
            and (pod.metadata.namespace, owner.name) in self._wanted
        )

    def _container_changed(self, pod: Any, container: Any, *, several: bool) -> None:
        state, meta = container.state, pod.metadata
        waiting = state.waiting if state else None
        if waiting and waiting.message:
            source = f"{meta.name}/{container.name}"
            text = f"pod/{source} waits: {waiting.reason}: {waiting.message}"
            if text not in self._told:
                self._told.add(text)
                self._progress.say(text)
        attempt = container.restartCount or 0
        for number, previous in ((attempt - 1, True), (attempt, False)):
            key = (meta.uid, container.name, number)
            ran = previous or (state and (state.running or state.terminated))
            if number < 0 or not ran or key in self._logs:
                continue
            source = f"{meta.name}/{container.name}" if several else meta.name
            self._logs[key] = asyncio.create_task(
                self._show(meta.namespace, meta.name, container.name, source, previous)
            )

    async def _show(
        self, namespace: str, pod: str, container: str, source: str, previous: bool
    ) -> None:
        query: dict[str, Any] = {"previous": True} if previous else {"follow": True}
        partial = b""
        try:
            async for chunk in self._streams.logs(namespace, pod, container, query):
                *lines, partial = (partial + chunk).split(b"\n")
                for line in lines:
                    self._progress.log(source, line.decode(errors="replace"))
        except ApiError:
            pass  # the pod went away, or that attempt's log did: nothing left to show
        if partial:
            self._progress.log(source, partial.decode(errors="replace"))
