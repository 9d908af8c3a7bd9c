"""`kubatch tree`: rows from objects, and as a program beside a real server."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import models
from kubatch.cli.tree import Found, by_owner, rows
from tests.kubectl import tools

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
PODS: dict[str, Any] = {"spec": {"containers": [{"name": "c"}]}}


def found(kind: str, name: str, *owners: str, uid: str = "", **parts: Any) -> Found:
    """An object, two minutes old, with owners by their uid."""
    refs = [
        {"apiVersion": "v1", "kind": "K", "name": "n", "uid": owner, "controller": True}
        for owner in owners
    ]
    meta = {
        "name": name, "namespace": "default", "uid": uid or name, "ownerReferences": refs,
        "creationTimestamp": (NOW - timedelta(minutes=2)).isoformat(),
    }  # fmt: skip
    return Found(kind, msgspec.convert({"metadata": meta, **parts}, getattr(models, kind)))


def conditions(*types: str, reason: str = "R") -> dict[str, Any]:
    return {
        "conditions": [
            {"type": t, "status": "True", "reason": reason, "lastTransitionTime": NOW.isoformat()}
            for t in types
        ]
    }


def table(root: Found, *others: Found) -> list[tuple[str, ...]]:
    return list(rows(root, by_owner(others), NOW))


def test_a_cronjob_its_jobs_and_their_pods() -> None:
    job: dict[str, Any] = {"spec": {"template": PODS}}
    cron: dict[str, Any] = {"spec": {"schedule": "* * * * *", "jobTemplate": job}}
    root = found("CronJob", "x", **cron, status={"active": [{"name": "x-2"}]})
    shown = table(
        root,
        found("Pod", "x-2-b", "x-2", **PODS, status={"phase": "Pending"}),
        found("Job", "x-2", "x", **job),
        found("Pod", "other", **PODS),
        found("Job", "x-1", "x", **job, status=conditions("Complete")),
        found("Pod", "x-1-a", "x-1", **PODS,
              status={"phase": "Running", **conditions("Ready", reason="")}),
    )  # fmt: skip
    assert shown == [
        ("default", "CronJob/x", "-", "", "1 active", "2m"),
        ("default", "├─Job/x-1", "-", "", "Complete", "2m"),
        ("default", "│ └─Pod/x-1-a", "True", "", "Running", "2m"),
        ("default", "└─Job/x-2", "-", "", "Running", "2m"),
        ("default", "  └─Pod/x-2-b", "-", "", "Pending", "2m"),
    ]


@pytest.mark.parametrize(
    ("kind", "parts", "cells"),
    [
        ("Job", {"spec": {"template": PODS}, "status": conditions("Failed")}, ("-", "", "Failed")),
        (
            "CronJob",
            {"spec": {"schedule": "", "jobTemplate": {}, "suspend": True}},
            ("-", "", "Suspended"),
        ),
        ("CronJob", {"spec": {"schedule": "", "jobTemplate": {}}}, ("-", "", "0 active")),
        (
            "ReplicaSet",
            {"spec": {"selector": {}}, "status": {"replicas": 2, "readyReplicas": 1}},
            ("-", "", "1/2 ready"),
        ),
        ("ReplicaSet", {"spec": {"selector": {}}}, ("-", "", "")),
        ("PersistentVolumeClaim", {"status": {"phase": "Bound"}}, ("-", "", "Bound")),
        ("ConfigMap", {}, ("-", "", "")),
        ("Pod", {**PODS, "status": conditions("Ready", reason="a\x1b[2Jb")},
         ("True", "a?[2Jb", "")),
    ],
)  # fmt: skip
def test_cells(kind: str, parts: dict[str, Any], cells: tuple[str, ...]) -> None:
    ((_, name, *shown, age),) = table(found(kind, "a", **parts))
    assert (name, tuple(shown), age) == (f"{kind}/a", cells, "2m")


def test_a_loop_of_owners_ends() -> None:
    one, two = found("ConfigMap", "a", "b"), found("ConfigMap", "b", "a")
    names = [row[1] for row in table(one, one, two)]
    assert names == ["ConfigMap/a", "└─ConfigMap/b", "  └─ConfigMap/a"]


@given(st.lists(st.integers(0, 7), max_size=12))
def test_the_branches_are_those_of_a_slow_drawing(parents: Sequence[int]) -> None:
    objects = [
        found("ConfigMap", f"n{i + 1:02}", f"n{min(parent, i):02}")
        for i, parent in enumerate(parents)
    ]

    def draw(name: str) -> list[str]:
        children = sorted(
            o.object.metadata.name
            for o in objects
            if o.object.metadata.ownerReferences[0].uid == name
        )
        lines = [f"ConfigMap/{name}"]
        for child in children:
            first, rest = ("└─", "  ") if child == children[-1] else ("├─", "│ ")
            head, *tail = draw(child)
            lines += [first + head, *(rest + line for line in tail)]
        return lines

    assert [row[1] for row in table(found("ConfigMap", "n00"), *objects)] == draw("n00")


@pytest.mark.slow
def test_beside_a_server(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(tools.KUBATCH), "tree", *words, "--kubeconfig", str(tmp_path / "kubeconfig")]
        return subprocess.run(
            argv,
            capture_output=True, text=True, timeout=30,
            env={"HOME": str(tmp_path), "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
        )  # fmt: skip

    with tools.running_server(tmp_path, "--no-agent"):
        done = run("serviceaccount/default", "-n", "default")
        header, row = done.stdout.splitlines()
        assert header.split() == ["NAMESPACE", "NAME", "READY", "REASON", "STATUS", "AGE"]
        assert row.split()[:3] == ["default", "ServiceAccount/default", "-"]
        missing = run("job/none")
        assert (missing.returncode, missing.stdout) == (1, "")
        assert missing.stderr == 'kubatch: jobs.batch "none" not found\n'
        assert run("thing/x").returncode == 2
    gone = run("job/none")
    assert gone.returncode == 1
    assert gone.stderr.endswith("is the server running?\n")
