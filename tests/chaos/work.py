"""The Jobs of one round: what each is asked to do, and how it must end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.machine import MARK

LABEL = "chaos"
# Losing a shim fails its pods, and a power cut too: Jobs that must complete may lose many.
RETRIES = 1000


@dataclass(frozen=True)
class Task:
    """One Job."""

    name: str
    manifest: dict[str, Any]
    ends: str  # the condition it must end with: Complete, Failed, or "" for either
    completions: int = 0  # of those that complete
    exact: bool = True  # whether each completion runs once when only servers die
    after: str = ""  # done to it on the way: "resume", or "delete-POLICY"


@dataclass(frozen=True)
class Place:
    """Where pods of a run leave their lines, and how they get there."""

    ledger: Path
    data_dir: Path
    mounted: bool  # the ledger's directory must be a volume to be reached


def tasks(round: int, rng: random.Random, place: Place) -> list[Task]:
    """The work of a round, in the order it is created."""
    make = _Maker(f"r{round}", rng, place)
    chosen: list[Callable[[], Task]] = [
        make.indexed, make.plain, make.failing, make.retried, make.index_retried,
        make.pod_failure_policy, make.suspended, make.short_lived, make.deleted,
    ]  # fmt: skip
    rng.shuffle(chosen)
    return [make.indexed(), *(one() for one in chosen[: rng.randint(4, 7)])]


class _Maker:
    def __init__(self, prefix: str, rng: random.Random, place: Place) -> None:
        self._prefix = prefix
        self._rng = rng
        self._place = place
        self._made = 0

    def indexed(self) -> Task:
        n = self._rng.randint(4, 10)
        spec = {"completions": n, "parallelism": self._rng.randint(2, 4)}
        return self._task("indexed", self._work(), {**spec, "completionMode": "Indexed"}, n)

    def plain(self) -> Task:
        n = self._rng.randint(3, 8)
        spec = {"completions": n, "parallelism": self._rng.randint(1, 4)}
        return self._task("plain", self._work(), spec, n)

    def failing(self) -> Task:
        spec = {"backoffLimit": 1}
        return self._task("failing", f"{self._work()}; exit 3", spec, 0, ends="Failed")

    def retried(self) -> Task:
        """Its container is restarted in its pod until it has failed once."""
        script = f'if [ -e "$MARKS/$POD" ]; then {self._work()}; else : >"$MARKS/$POD"; exit 1; fi'
        spec = {"completions": 2, "parallelism": 2}
        task = self._task("retried", script, spec, 2, exact=False)
        task.manifest["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
        return task

    def index_retried(self) -> Task:
        spec = {
            "completions": 3, "parallelism": 3, "completionMode": "Indexed",
            "backoffLimitPerIndex": RETRIES,
        }  # fmt: skip
        return self._task("index-retried", self._work(), spec, 3)

    def pod_failure_policy(self) -> Task:
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
        spec = {"completions": 3, "parallelism": 3, "podFailurePolicy": {"rules": [rule]}}
        return self._task("policy", f"{self._work()}; exit 42", spec, 0, ends="Failed")

    def suspended(self) -> Task:
        spec = {"completions": 2, "parallelism": 2, "suspend": True}
        return self._task("suspended", self._work(), spec, 2, after="resume")

    def short_lived(self) -> Task:
        return self._task("short", self._work(), {"ttlSecondsAfterFinished": 0}, 1)

    def deleted(self) -> Task:
        policy = self._rng.choice(["Foreground", "Background", "Orphan"])
        spec = {"completions": 4, "parallelism": 2}
        work = self._work()
        return self._task("deleted", work, spec, 4, ends="", after=f"delete-{policy}")

    def _work(self) -> str:
        seconds = self._rng.choice([0, 0, 0.05, 0.2, 0.5])
        note = '"$JOB ${JOB_COMPLETION_INDEX:--} $POD $EPOCHREALTIME" >>"$LEDGER"'
        return f"echo start {note}; sleep {seconds}; echo end {note}"

    def _task(
        self,
        kind: str,
        script: str,
        spec: dict[str, Any],
        completions: int,
        *,
        ends: str = "Complete",
        exact: bool = True,
        after: str = "",
    ) -> Task:
        self._made += 1
        name = f"{self._prefix}-{kind}-{self._made}"
        manifest = {
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": "default", "labels": {LABEL: self._prefix}},
            "spec": {"backoffLimit": RETRIES, **spec, "template": self._template(name, script)},
        }  # fmt: skip
        return Task(name, manifest, ends, completions, exact, after)

    def _template(self, job: str, script: str) -> dict[str, Any]:
        place = self._place
        pod_name = {"fieldRef": {"fieldPath": "metadata.name"}}
        env = [
            {"name": MARK, "value": str(place.data_dir)},
            {"name": "JOB", "value": job},
            {"name": "LEDGER", "value": str(place.ledger)},
            {"name": "MARKS", "value": str(place.ledger.parent)},
            {"name": "POD", "valueFrom": pod_name},
        ]
        container: dict[str, Any] = {
            "name": "main", "image": "none", "command": ["bash", "-c", script], "env": env,
        }  # fmt: skip
        spec: dict[str, Any] = {"restartPolicy": "Never", "containers": [container]}
        spec["terminationGracePeriodSeconds"] = 1
        if place.mounted:
            where = str(place.ledger.parent)
            container["volumeMounts"] = [{"name": "ledger", "mountPath": where}]
            spec["volumes"] = [{"name": "ledger", "hostPath": {"path": where}}]
        return {"metadata": {"labels": {LABEL: self._prefix}}, "spec": spec}
