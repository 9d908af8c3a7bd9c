"""Which attempt a log request means, and what it hears when there is none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import structs

from kubatch.agent.facts import container_id
from kubatch.agent.streams import AgentStreams, choose_attempt, choose_container, log_options
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.client.protocol import Client, NodeRefused, StreamFailed, StreamOptions
from kubatch.runtime.protocol import ContainerId, ContainerSpec, ContainerState
from kubatch.sim.runtime import ScriptedRuntime
from kubatch.world import World
from tests.unit.agent.pods import START, container, pod


def shown(number: int) -> str:
    return container_id("process", ContainerId("u1", "c", number))


def running(number: int) -> m.ContainerState:
    return m.ContainerState(running=m.ContainerStateRunning(startedAt=START))


def ended(number: int) -> m.ContainerState:
    return m.ContainerState(
        terminated=m.ContainerStateTerminated(exitCode=1, containerID=shown(number))
    )


def waiting(reason: str) -> m.ContainerState:
    return m.ContainerState(waiting=m.ContainerStateWaiting(reason=reason))


def pod_with(
    state: m.ContainerState, last: m.ContainerState | None = None, restarts: int = 0
) -> m.Pod:
    p = pod()
    p.status = m.PodStatus(
        phase="Running",
        containerStatuses=[
            m.ContainerStatus(
                name="c", image="i", imageID="i", ready=True, restartCount=restarts,
                containerID=shown(restarts), state=state, lastState=last or m.ContainerState(),
            )
        ],
    )  # fmt: skip
    return p


@pytest.mark.parametrize(
    ("state", "last", "restarts", "previous", "expected"),
    [
        (running(0), None, 0, False, 0),
        (running(3), ended(2), 3, False, 3),
        (running(3), ended(2), 3, True, 2),
        (ended(0), None, 0, False, 0),
        (ended(1), ended(0), 1, True, 0),
        (waiting("CrashLoopBackOff"), ended(2), 2, False, 2),
        (waiting("CrashLoopBackOff"), ended(2), 2, True, 2),
    ],
)
def test_attempt(
    state: m.ContainerState,
    last: m.ContainerState | None,
    restarts: int,
    previous: bool,
    expected: int,
) -> None:
    found = choose_attempt(pod_with(state, last, restarts), "c", previous, "process")
    assert found == ContainerId("u1", "c", expected)


def refused(p: m.Pod, previous: bool = False) -> str:
    with pytest.raises(ApiError) as error:
        choose_attempt(p, "c", previous, "process")
    assert (error.value.code, error.value.reason) == (400, "BadRequest")
    return error.value.message


@pytest.mark.parametrize(
    ("reason", "rest"),
    [
        ("ContainerCreating", "ContainerCreating"),
        ("CreateContainerConfigError", "CreateContainerConfigError"),
        ("ErrImagePull", "image can't be pulled"),
        ("ImagePullBackOff", "trying and failing to pull image"),
    ],
)
def test_waiting(reason: str, rest: str) -> None:
    message = refused(pod_with(waiting(reason)))
    assert message == f'container "c" in pod "p" is waiting to start: {rest}'


def test_no_previous() -> None:
    message = refused(pod_with(running(0)), previous=True)
    assert message == 'previous terminated container "c" in pod "p" not found'


def test_no_status() -> None:
    assert refused(pod()) == 'container "c" in pod "p" is waiting to start: ContainerCreating'
    p = pod()
    p.status = m.PodStatus(phase="Failed")
    assert refused(p) == 'container "c" in pod "p" is not available'


def test_terminated_without_an_id() -> None:
    state = m.ContainerState(terminated=m.ContainerStateTerminated(exitCode=137))
    assert refused(pod_with(state)) == 'container "c" in pod "p" is terminated'


def test_container_choice() -> None:
    assert choose_container(pod(), "") == "c"
    two = pod(container("a"), container("b"), init=(container("i"),))
    assert choose_container(two, "i") == "i"
    with pytest.raises(ApiError, match=r"choose one of: \[i a b\]"):
        choose_container(two, "")
    with pytest.raises(ApiError, match="container zzz is not valid for pod p"):
        choose_container(two, "zzz")
    debugged = pod(ephemeralContainers=[m.EphemeralContainer(name="d")])
    assert choose_container(debugged, "d") == "d"
    assert choose_container(debugged, "") == "c"


def test_an_ephemeral_container_waits() -> None:
    p = pod(ephemeralContainers=[m.EphemeralContainer(name="d")])
    status = pod_with(waiting("CreateContainerConfigError")).status
    assert status is not None
    assert status.containerStatuses
    told = structs.replace(status.containerStatuses[0], name="d")
    p.status = m.PodStatus(phase="Running", ephemeralContainerStatuses=[told])
    with pytest.raises(ApiError, match='container "d" in pod "p" is waiting to start'):
        choose_attempt(p, "d", False, "process")


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ({"follow": "true"}, "follow", True),
        ({"follow": True}, "follow", True),
        ({"follow": "false"}, "follow", False),
        ({"tailLines": "5"}, "tail_lines", 5),
        ({"tailLines": 0}, "tail_lines", 0),
        ({"sinceSeconds": 60}, "since", START - timedelta(seconds=60)),
        ({"sinceTime": "2026-11-22T03:00:00Z"}, "since", START),
        ({"sinceTime": START}, "since", START),
        ({}, "limit_bytes", None),
    ],
)
def test_options(query: dict[str, Any], field: str, expected: object) -> None:
    assert getattr(log_options(query, START), field) == expected


# ----- programs and ports


class OnePod:
    """A client that knows one pod."""

    def __init__(self, p: m.Pod) -> None:
        self._pod = p

    async def get(self, *_: object) -> m.Pod:
        return self._pod


async def streams_of(tmp_path: Path, *attempts: int) -> tuple[AgentStreams, ScriptedRuntime]:
    """The streams of a pod whose container is in its newest attempt, the others being over."""
    runtime = ScriptedRuntime(World())
    await runtime.open()
    for number in attempts:
        argv = ("cat",) if number == max(attempts) else ("stubborn",)
        id = ContainerId("u1", "c", number)
        await runtime.start(ContainerSpec(id, argv, {}, None, tmp_path / "log", stdin=True))
        if number != max(attempts):
            runtime.end(id, 0)
    return AgentStreams(cast(Client, OnePod(pod())), runtime, tmp_path), runtime


ALL = StreamOptions(stdin=True, stdout=True, stderr=True)


async def test_exec_in_the_newest_attempt(tmp_path: Path) -> None:
    streams, runtime = await streams_of(tmp_path, 0, 1)
    start = await streams.exec("default", "p", "c", ("echo", "hi"), ALL)
    session = await start()
    assert await session.read("stdout") == b"hi\n"
    assert await session.wait() == 0
    start = await streams.exec("default", "p", "", ("stubborn",), ALL)
    session = await start()
    runtime.end(ContainerId("u1", "c", 1), 0)
    assert await session.wait() == 137


async def test_attach_is_to_the_program(tmp_path: Path) -> None:
    streams, runtime = await streams_of(tmp_path, 0)
    session = await (await streams.attach("default", "p", "c", ALL))()
    await session.write(b"hello")
    assert await session.read("stdout") == b"hello"
    await session.end_input()
    assert await session.wait() == 0
    (container,) = await runtime.observe()
    assert container.state is ContainerState.EXITED


async def test_sessions_of_what_does_not_run(tmp_path: Path) -> None:
    streams, runtime = await streams_of(tmp_path)
    with pytest.raises(NodeRefused, match=r'^container not found \("c"\)$'):
        await streams.exec("default", "p", "c", ("true",), ALL)
    with pytest.raises(NodeRefused, match=r'^container not found \("c"\)$'):
        await streams.attach("default", "p", "c", ALL)
    with pytest.raises(NodeRefused, match=r'^pod not found \("p_default"\)$'):
        await streams.port_forward("default", "p")
    runtime.available = False
    with pytest.raises(NodeRefused, match="switched off"):
        await streams.port_forward("default", "p")


async def test_what_goes_wrong_between_looking_and_starting(tmp_path: Path) -> None:
    streams, runtime = await streams_of(tmp_path, 0)
    starting = [
        await streams.exec("default", "p", "c", ("nope",), ALL),
        await streams.exec("default", "p", "c", ("true",), ALL),
        await streams.attach("default", "p", "c", ALL),
    ]
    with pytest.raises(StreamFailed, match="executable file not found"):
        await starting[0]()
    runtime.end(ContainerId("u1", "c", 0), 0)
    for start in starting[1:]:
        with pytest.raises(StreamFailed, match="container not found"):
            await start()
    runtime.available = False
    with pytest.raises(StreamFailed, match="switched off"):
        await starting[1]()
