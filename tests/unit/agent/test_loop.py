"""The agent over the real registry: writes, adoption, deletion, errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kubatch.agent import loop
from kubatch.agent.loop import Agent
from kubatch.agent.streams import AgentStreams
from kubatch.agent.vitals import is_plain
from kubatch.api import errors
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, LEASES, NODES, PODS
from kubatch.client.protocol import Event
from kubatch.registry.api import Registry
from kubatch.runtime.protocol import ContainerId, ContainerSpec
from kubatch.sim.runtime import Exit
from tests.unit.agent.harness import NODE, Faults, Harness, harness, spin
from tests.unit.agent.pods import state


def runs(*words: str, name: str = "c", **fields: object) -> m.Container:
    return m.Container(name=name, image="busybox", command=list(words), **fields)  # type: ignore[arg-type]


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[Harness]:
    async with harness(tmp_path) as made:
        yield made


def tasks_of(agent: Agent) -> int:
    return sum(record.worker is not None for record in agent._records.values())


async def test_a_short_pod_costs_one_write(h: Harness) -> None:
    agent = await h.start_agent(settle=5)
    await h.create(runs("true"))
    status = await h.phase("Succeeded")
    assert state(status) == "terminated(0 Completed)"
    assert [w.status.phase for w in h.client.status_writes if w.status] == ["Succeeded"]
    assert h.events.said[-3:] == [
        'p: Normal Pulled Container image "busybox" already present on machine and can be '
        "accessed by the pod [spec.containers{c}]",
        "p: Normal Created Container created [spec.containers{c}]",
        "p: Normal Started Container started [spec.containers{c}]",
    ]
    await spin(lambda: not tasks_of(agent))
    assert await h.runtime.observe() == []


async def test_a_pod_that_is_over_costs_nothing_when_others_write_to_it(h: Harness) -> None:
    agent = await h.start_agent()
    pod = await h.create(runs("true"))
    await h.phase("Succeeded")
    await spin(lambda: not tasks_of(agent))
    assert pod.metadata is not None
    record = agent._records[pod.metadata.uid or ""]
    said, seen = record.said, record.pod
    await h.client.patch(PODS, "default", "p", {"metadata": {"labels": {"seen": "yes"}}})
    await spin(lambda: record.pod is not seen and not tasks_of(agent))
    assert record.said is said
    assert len(h.client.status_writes) == 1
    await h.client.delete(PODS, "default", "p", grace_period_seconds=0)
    await spin(lambda: not agent._records)


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        (m.PodSpec(containers=[runs("true")]), True),
        (m.PodSpec(containers=[runs("true")], initContainers=[runs("true")]), False),
        (m.PodSpec(containers=[runs("true", lifecycle=m.Lifecycle())]), False),
        (m.PodSpec(containers=[runs("true"), runs("x", livenessProbe=m.Probe())]), False),
    ],
)
def test_a_plain_pod_has_nothing_after_its_start(spec: m.PodSpec, plain: bool) -> None:
    assert is_plain(spec) is plain


async def test_a_longer_pod_is_shown_running(h: Harness) -> None:
    await h.start_agent()
    await h.create(runs("sleep", "0.1"))
    assert state(await h.phase("Running")) == "running"
    await h.phase("Succeeded")
    assert len(h.client.status_writes) == 2


async def test_many_short_pods_leave_no_tasks(h: Harness) -> None:
    agent = await h.start_agent(settle=5)
    names = [f"p{i}" for i in range(60)]
    for name in names:
        await h.create(runs("true"), name=name)
    for name in names:
        await h.phase("Succeeded", name=name)
    await spin(lambda: not tasks_of(agent))
    assert len(h.client.status_writes) == 60
    assert all(record.timer is None for record in agent._records.values())


async def test_node_and_lease(h: Harness) -> None:
    await h.start_agent()
    node = await h.client.get(NODES, None, NODE)
    assert node.status is not None
    assert node.status.nodeInfo is not None
    assert node.status.nodeInfo.containerRuntimeVersion == "scripted://1.0.0"
    lease = await h.client.get(LEASES, "kube-node-lease", NODE)
    assert lease.spec is not None
    assert lease.spec.holderIdentity == NODE
    assert [s.split(" ")[2] for s in h.events.said] == [
        "Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID",
        "NodeReady",
    ]  # fmt: skip
    await h.stop_agent()
    await h.start_agent()  # a node that is there already is taken over


async def test_deletion_ends_the_container_and_the_pod(h: Harness) -> None:
    await h.start_agent()
    pod = await h.create(runs("sleep", "1000"))
    await h.phase("Running")
    await h.client.delete(PODS, "default", "p")
    await h.gone()
    assert pod.metadata is not None
    assert [number for _, number in h.runtime.signalled] == [15]
    last = h.client.status_writes[-1].status
    assert last is not None
    assert (last.phase, state(last)) == ("Failed", "terminated(143 Error)")
    await vanish(h)
    assert await h.runtime.observe() == []


async def test_a_pod_with_a_finalizer_ends_and_stays(h: Harness) -> None:
    await h.start_agent()
    pod = m.Pod(
        metadata=m.ObjectMeta(name="p", namespace="default", finalizers=["example.com/f"]),
        spec=m.PodSpec(containers=[runs("sleep", "1000")], nodeName=NODE, restartPolicy="Never"),
    )
    await h.client.create(PODS, pod)
    await h.phase("Running")
    await h.client.delete(PODS, "default", "p")
    await h.phase("Failed")
    await h.until(lambda: grace_of(h) == 0)
    await h.client.remove_finalizer(PODS, "default", "p", "example.com/f")
    await h.gone()


def grace_of(h: Harness) -> int | None:
    pod = h.pods.get("default", "p")
    assert pod is not None
    assert pod.metadata is not None
    return pod.metadata.deletionGracePeriodSeconds


async def test_force_deletion_kills_and_clears(h: Harness) -> None:
    await h.start_agent()
    pod = await h.create(runs("stubborn"))
    await h.phase("Running")
    assert pod.metadata is not None
    folder = h.data_dir / "logs" / "pods" / f"default_p_{pod.metadata.uid}"
    assert folder.is_dir()
    await h.client.delete(PODS, "default", "p", grace_period_seconds=0)
    await h.gone()
    await spin(lambda: h.runtime.signalled)
    assert [number for _, number in h.runtime.signalled] == [15]
    h.runtime.end(h.runtime.signalled[0][0], 1)
    await vanish(h)
    assert await h.runtime.observe() == []
    assert not folder.exists()


class Late(Faults):
    """A client that hands on one event of a watch at a time, when told to."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.held = False
        self.allowed = asyncio.Semaphore(0)

    async def watch(self, *args: Any, **words: Any) -> AsyncIterator[Sequence[Event[Any]]]:
        async for batch in super().watch(*args, **words):
            for event in batch:
                if self.held:
                    await self.allowed.acquire()
                yield [event]


async def test_late_news_of_a_pod_that_is_gone_does_not_run_it_again(h: Harness) -> None:
    """The answer to a write says that the pod is gone before its last changes are heard of."""
    late = Late(h.client._registry)
    h.client = late
    await h.start_agent(settle=0)
    await h.create(runs("stubborn"), restartPolicy="OnFailure")
    await h.phase("Running")
    late.held = True
    label = {"metadata": {"labels": {"late": "news"}}}
    await late.patch(PODS, "default", "p", label)
    await late.delete(PODS, "default", "p", grace_period_seconds=0)
    h.runtime.end(h.runtime.started[0].id, 0)
    await spin(lambda: not h.runtime._held)
    late.allowed.release()
    await spin(lambda: late.allowed.locked())
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(h.runtime.started) == 1
    late.held = False
    late.allowed.release()
    await vanish(h)
    assert len(h.runtime.started) == 1


async def vanish(h: Harness) -> None:
    """Until the agent knows of no pod."""
    agent = h.agent
    assert agent is not None
    await spin(lambda: not agent._records)


async def test_adoption(h: Harness) -> None:
    await h.start_agent()
    await h.create(runs("stubborn"))
    await h.create(runs("stubborn"), name="q", restartPolicy="OnFailure")
    await h.phase("Running")
    await h.phase("Running", name="q")
    await h.stop_agent()
    h.client.status_writes.clear()
    [first, second] = [spec.id for spec in h.runtime.started]
    h.runtime.end(second, 4)
    await h.start_agent()
    await h.until(lambda: restarts(h, "q") == 1)
    assert [spec.id for spec in h.runtime.started] == [first, second, second._replace(attempt=1)]
    assert {w.metadata.name for w in h.client.status_writes if w.metadata} == {"q"}


def restarts(h: Harness, name: str) -> int:
    pod = h.pods.get("default", name)
    statuses = (pod.status.containerStatuses if pod and pod.status else None) or []
    return statuses[0].restartCount if statuses else 0


async def test_orphans_are_ended(h: Harness) -> None:
    await h.runtime.open()
    path = h.data_dir / "logs" / "pods" / "default_old_gone" / "c" / "0.log"
    id = ContainerId("gone", "c", 0)
    await h.runtime.start(ContainerSpec(id, ("sleep", "1000"), {}, None, path))
    assert path.exists()
    await h.start_agent()
    await vanish(h)
    assert h.runtime.signalled == [(id, 15)]
    assert await h.runtime.observe() == []
    assert not path.exists()


async def test_a_lost_container_of_a_never_pod_fails_it(h: Harness) -> None:
    await h.start_agent()
    await h.create(runs("stubborn"))
    await h.phase("Running")
    await h.stop_agent()
    h.runtime.lose(h.runtime.started[0].id)
    await h.start_agent()
    assert state(await h.phase("Failed")) == "terminated(137 ContainerStatusUnknown)"


@pytest.mark.parametrize(
    "error", [errors.conflict("", "pods", "p", errors.MODIFIED), errors.internal("disk full")]
)
async def test_errors_of_the_api_are_got_over(h: Harness, error: ApiError) -> None:
    await h.start_agent()
    h.client.next_errors = [error]
    await h.create(runs("true"))
    await h.phase("Succeeded")
    assert len(h.runtime.started) == 1


async def test_a_runtime_that_comes_back(h: Harness) -> None:
    await h.start_agent()
    h.runtime.available = False
    await h.create(runs("true"))
    agent = h.agent
    assert agent is not None
    await spin(lambda: any(r.failures for r in agent._records.values()))
    h.runtime.available = True
    await h.phase("Succeeded")


async def test_a_runtime_that_ends_while_the_agent_starts(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "RECONNECT", 0.0)
    closed = asyncio.Event()

    async def close(*, kill: bool) -> None:
        h.runtime.available = True
        closed.set()

    h.runtime.available = False
    with monkeypatch.context() as patched:
        patched.setattr(h.runtime, "close", close)
        await h.start_agent()
    assert closed.is_set()
    await h.create(runs("true"))
    await h.phase("Succeeded")


async def test_a_node_whose_runtime_is_down_is_not_ready(h: Harness) -> None:
    agent = await h.start_agent()
    h.runtime.available = False
    await agent._heartbeat.report()
    node = await h.client.get(NODES, None, NODE)
    assert node.status is not None
    found = {c.type: c for c in node.status.conditions or ()}
    assert (found["Ready"].status, found["Ready"].message) == ("False", "container runtime is down")
    assert h.events.said[-1].endswith("Normal NodeNotReady Node node-1 status is now: NodeNotReady")


def shown(h: Harness) -> m.PodStatus | None:
    """The pod's status once it tells of containers."""
    pod = h.pods.get("default", "p")
    status = pod.status if pod is not None else None
    return status if status is not None and status.containerStatuses else None


async def test_config_map_missing_then_there(h: Harness) -> None:
    await h.start_agent()
    source = m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="cm"))
    await h.create(runs("true", envFrom=[source]))
    status = await h.until(lambda: shown(h))
    assert (status.phase, state(status)) == ("Pending", "waiting(CreateContainerConfigError)")
    assert h.events.said[-1] == (
        'p: Warning Failed Error: configmap "cm" not found [spec.containers{c}]'
    )
    config = m.ConfigMap(metadata=m.ObjectMeta(name="cm", namespace="default"), data={"A": "1"})
    await h.client.create(CONFIGMAPS, config)
    assert h.runtime.started == []


async def test_missing_program(h: Harness) -> None:
    await h.start_agent(settle=5)
    await h.create(runs("/nope"))
    assert state(await h.phase("Failed")) == "terminated(128 StartError)"
    assert len(h.client.status_writes) == 1
    assert [s.split(" ")[2] for s in h.events.said[-3:]] == ["Pulled", "Created", "Failed"]


async def test_log_tail_is_the_message(tmp_path: Path) -> None:
    async with harness(tmp_path, {"oops": Exit(3, output="oops\n")}) as h:
        await h.start_agent()
        await h.create(runs("oops", terminationMessagePolicy="FallbackToLogsOnError"))
        status = await h.phase("Failed")
        [shown] = status.containerStatuses or []
        assert shown.state is not None
        assert shown.state.terminated is not None
        assert shown.state.terminated.message == "oops\n"


async def test_logs(h: Harness) -> None:
    await h.start_agent()
    streams = AgentStreams(h.client, h.runtime, h.data_dir)
    await h.create(runs("echo", "hello"))
    await h.phase("Succeeded")
    found = [part async for part in streams.logs("default", "p", "", {"follow": "true"})]
    assert found == [b"hello\n"]
    with pytest.raises(ApiError, match='pods "none" not found'):
        await anext(streams.logs("default", "none", "", {}))


async def test_follow_ends_with_the_container(h: Harness) -> None:
    await h.start_agent()
    streams = AgentStreams(h.client, h.runtime, h.data_dir)
    await h.create(runs("stubborn"))
    await h.phase("Running")
    pending = asyncio.ensure_future(collect(streams))
    await asyncio.wait({pending}, timeout=0.02)
    assert not pending.done()
    h.runtime.end(h.runtime.started[0].id, 0)
    async with asyncio.timeout(5):
        assert await pending == b""


async def collect(streams: AgentStreams) -> bytes:
    parts = streams.logs("default", "p", "c", {"follow": True})
    return b"".join([part async for part in parts])


async def test_stop_with_kill_leaves_nothing(h: Harness) -> None:
    await h.start_agent()
    await h.create(runs("sleep", "1000"))
    await h.phase("Running")
    await h.stop_agent(kill=True)
    assert {c.state.value for c in await h.runtime.observe()} == {"exited"}
    assert len(h.client.status_writes) == 1
