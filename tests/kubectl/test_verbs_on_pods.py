"""The verbs of kubectl that act on pods, nodes and Services, and those that have no answer here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubectl import tools

# Without any kubectl this import skips this module too.
from tests.kubectl.test_verbs import NEWEST, SLEEP, VERSIONS, at_home, fails

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]


@pytest.fixture(scope="module", params=VERSIONS)
def kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    return at_home(request.param, "pod-verbs-", server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def newest(server: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    return at_home(NEWEST, "more-pod-verbs-", server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def job(newest: tools.Kubectl) -> Iterator[str]:
    """A Job whose only pod runs."""
    newest("create", "job", "busy", *SLEEP)
    newest("wait", "--for=jsonpath={.status.ready}=1", "job/busy", "--timeout=30s")
    yield "busy"
    newest("delete", "job", "busy")


def test_debug(kubectl: tools.Kubectl) -> None:
    kubectl("run", "ill", "--image=busybox", "--restart=Never", "--", "sleep", "300")
    kubectl("wait", "--for=condition=Ready", "pod/ill", "--timeout=30s")
    kubectl("debug", "ill", "--copy-to=copy", "--container=ill", "--", "echo", "copied")
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/copy", "--timeout=30s")
    assert kubectl("logs", "copy") == "copied\n"
    words = ("--image=busybox", "--container=in", "--target=ill", "--", "sh", "-c")
    kubectl("debug", "ill", *words, "echo looked around; exit 3")
    code = "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}"
    assert tools.eventually(lambda: kubectl("get", "pod", "ill", "-o", code) == "3")
    assert kubectl("logs", "ill", "-c", "in") == "looked around\n"
    assert kubectl("get", "pod", "ill", "-o", "jsonpath={.status.phase}") == "Running"
    kubectl("delete", "pod", "ill", "copy", "--now")


def test_exec_and_cp(newest: tools.Kubectl, job: str, tmp_path: Path) -> None:
    assert newest("exec", f"job/{job}", "--", "echo", "hi") == "hi\n"
    (pod,) = newest("get", "pods", "-l", f"job-name={job}", "-o", "name").split()
    newest("cp", f"{pod.removeprefix('pod/')}:/etc/passwd", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == Path("/etc/passwd").read_bytes()


def test_run_without_running(newest: tools.Kubectl) -> None:
    assert newest("run", "dry", "--image=busybox", "--dry-run=server", "-o", "name") == "pod/dry\n"
    assert newest("run", "dry", "--image=busybox", "--dry-run=client", "-o", "name") == "pod/dry\n"
    refused = fails(newest, "run", "bad_name", "--image=busybox")
    assert refused.startswith('The Pod "bad_name" is invalid: \n* metadata.name: Invalid value: ')


def test_expose(newest: tools.Kubectl, job: str) -> None:
    (pod,) = newest("get", "pods", "-l", f"job-name={job}", "-o", "name").split()
    assert newest("expose", pod, "--port=80", "--name=web") == "service/web exposed\n"
    newest("delete", "service", "web")
    assert fails(newest, "expose", f"job/{job}", "--port=80") == (
        "error: cannot expose a Job.batch\n"
    )


@contextmanager
def usable_again(kubectl: tools.Kubectl) -> Iterator[str]:
    """The only node's name; whatever a test did to it is undone."""
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    try:
        yield node
    finally:
        kubectl("uncordon", node)
        kubectl.result("taint", "nodes", node, "tried-")


def test_cordon_drain_and_taint(newest: tools.Kubectl) -> None:
    with usable_again(newest) as node:
        assert newest("cordon", node) == f"node/{node} cordoned\n"
        assert re.search(rf"^{node} +Ready,SchedulingDisabled ", newest("get", "nodes"), re.M)
        assert newest("uncordon", node) == f"node/{node} uncordoned\n"
        assert newest("uncordon", node) == f"node/{node} already uncordoned\n"
        nobody = ("drain", node, "--pod-selector=run=nobody")
        assert newest(*nobody) == f"node/{node} cordoned\nnode/{node} drained\n"
        tried = ("taint", "nodes", node, "tried=yes:PreferNoSchedule")
        assert newest(*tried) == f"node/{node} tainted\n"
        assert fails(newest, *tried) == (
            f"error: node {node} already has tried taint(s) with same effect(s) and --overwrite is "
            "false\n"
        )
        assert "tried=yes:PreferNoSchedule" in newest("describe", "node", node)
        assert newest("taint", "nodes", node, "tried-") == f"node/{node} untainted\n"


# ----- what is not there answers clearly


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("rollout", "status", "job/busy"),
            "error: no status viewer has been implemented for Job.batch\n",
        ),
        (
            ("rollout", "restart", "job/busy"),
            'error: jobs.batch "busy" restarting is not supported\n',
        ),
        (
            ("scale", "job", "busy", "--replicas=2"),
            "Error from server (NotFound): the server could not find the requested resource\n",
        ),
        (
            ("get", "job", "busy", "--subresource=bogus"),
            "Error from server (NotFound): the server could not find the requested resource\n",
        ),
        (
            ("get", "deployments"),
            'error: the server doesn\'t have a resource type "deployments"\n',
        ),
    ],
    ids=lambda v: "-".join(v) if isinstance(v, tuple) else "",
)
def test_what_is_not_there(
    newest: tools.Kubectl, job: str, words: tuple[str, ...], message: str
) -> None:
    assert fails(newest, *words) == message


def test_auth(newest: tools.Kubectl) -> None:
    assert newest("auth", "can-i", "create", "jobs") == "yes\n"
    assert newest.result("auth", "can-i", "create", "jobs", "--as=nobody").stdout == "no\n"
    assert re.search(r"^\*\.\* .* \[\*\]$", newest("auth", "can-i", "--list"), re.M)
