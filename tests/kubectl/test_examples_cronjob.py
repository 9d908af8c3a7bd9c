"""The CronJobs of examples/cronjob, each policy, without waiting for minutes to pass.

A CronJob whose last run is said to be long ago has missed one, and makes up for the latest at once.
Its schedule is moved on from one minute of the hour to the next, all of them over already, so that
it misses another.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubectl import tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)


@pytest.fixture(scope="module")
def kubectl(server: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    """The newest kubectl, in a namespace for these."""
    found = tools.find_kubectls()
    version = [v for v in found if v != "PATH"][-1:] or ["PATH"]
    home: Path = tmp_path_factory.mktemp("home")
    tools.Kubectl(found[version[0]], version[0], server.kubeconfig, home)(
        "create", "namespace", "crons"
    )
    return tools.Kubectl(found[version[0]], version[0], server.kubeconfig, home, "crons")


def apply(kubectl: tools.Kubectl, name: str, minutes_ago: int, **spec: Any) -> None:
    """An example's CronJob, for a minute of the hour that was so long ago."""
    manifest = yaml.safe_load(Path(tools.example(f"cronjob-{name}")).read_text(encoding="utf-8"))
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    manifest["spec"] |= {"schedule": f"{at.minute} * * * *", **spec}
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def miss(kubectl: tools.Kubectl, name: str, minutes_ago: int = 30) -> None:
    """Let a CronJob believe that its last run was half an hour ago."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    status = {"status": {"lastScheduleTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}}
    words = ("patch", "cronjob", name, "--subresource=status", "--type=merge")
    kubectl(*words, "--patch", json.dumps(status))


def jobs(kubectl: tools.Kubectl, name: str) -> list[str]:
    """Its Jobs that are not being deleted."""
    return [
        job["metadata"]["name"]
        for job in kubectl.json("get", "jobs")["items"]
        if job["metadata"]["ownerReferences"][0]["name"] == name
        and "deletionTimestamp" not in job["metadata"]
    ]


def run_twice(kubectl: tools.Kubectl, name: str) -> str:
    """A first run, then the time of a second while the first works; the first one's name."""
    apply(kubectl, name, 4, startingDeadlineSeconds=1800)
    miss(kubectl, name)
    assert tools.eventually(lambda: len(jobs(kubectl, name)) == 1)
    (first,) = jobs(kubectl, name)
    # A changed schedule alone counts from its change on.
    apply(kubectl, name, 3, startingDeadlineSeconds=1800)
    miss(kubectl, name)
    return first


def test_allow(kubectl: tools.Kubectl) -> None:
    first = run_twice(kubectl, "allow")
    assert tools.eventually(lambda: len(jobs(kubectl, "allow")) == 2)
    assert first in jobs(kubectl, "allow")
    kubectl("delete", "cronjob", "allow")


def test_forbid(kubectl: tools.Kubectl) -> None:
    first = run_twice(kubectl, "forbid")
    said = ("events", "--for", "cronjob/forbid")
    assert tools.eventually(lambda: "JobAlreadyActive" in kubectl(*said))
    assert jobs(kubectl, "forbid") == [first]
    kubectl("delete", "cronjob", "forbid")


def test_replace(kubectl: tools.Kubectl) -> None:
    first = run_twice(kubectl, "replace")
    assert tools.eventually(lambda: jobs(kubectl, "replace") not in ([], [first]))
    assert len(jobs(kubectl, "replace")) == 1
    kubectl("delete", "cronjob", "replace")


def test_a_run_too_late_for_its_deadline_is_left_out(kubectl: tools.Kubectl) -> None:
    apply(kubectl, "forbid", 4)  # twenty seconds, as the example says
    miss(kubectl, "forbid")
    assert jobs(kubectl, "forbid") == []
    apply(kubectl, "forbid", 3, startingDeadlineSeconds=1800)
    miss(kubectl, "forbid", 29)
    assert tools.eventually(lambda: len(jobs(kubectl, "forbid")) == 1)
    kubectl("delete", "cronjob", "forbid")
