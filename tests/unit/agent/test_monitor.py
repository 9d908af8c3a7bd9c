"""A node that is looked at: pressure shows, pods go, and what is used is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from kubatch.agent.loop import Agent
from kubatch.agent.measures import Measures, spent
from kubatch.agent.monitor import Monitor
from kubatch.agent.record import PodRecord
from kubatch.agent.signals import Amount, Look, look, size_of
from kubatch.agent.storage import Storage, is_limited
from kubatch.agent.usage import History, Reading
from kubatch.api import models as m
from kubatch.api.consumption import Use
from kubatch.api.resource import NODES
from kubatch.meters import Meters
from kubatch.runtime.images import ImageMap
from kubatch.runtime.protocol import Container, ContainerId, ContainerState, Features, Usage
from kubatch.sim.runtime import Exit
from kubatch.world import World
from tests.unit.agent.harness import NODE, Harness, harness
from tests.unit.agent.pods import START, container, pod

MIB = 1 << 20
HARD = {"memory.available": "100Mi", "nodefs.available": "10%"}


class Machine:
    """What the monitor is told to see."""

    def __init__(self) -> None:
        self.seen = Look({"memory.available": Amount(1000 * MIB, 2000 * MIB)}, 10.0, 1000 * MIB)
        self.usages: list[Usage] = []

    def look(self, disk: Path) -> Look:
        return self.seen

    async def usage(self) -> list[Usage]:
        return self.usages


@asynccontextmanager
async def monitored(path: Path) -> AsyncIterator[tuple[Harness, Monitor, Machine]]:
    """An agent whose looks are the test's."""
    machine = Machine()
    async with harness(path) as h:
        agent = await h.start_agent()
        h.runtime.usage = machine.usage  # type: ignore[method-assign]
        monitor = agent._new_monitor(h.events, path, HARD)
        assert monitor is not None
        monitor._look = machine.look
        agent.monitor = monitor
        yield h, monitor, machine


async def node_conditions(h: Harness) -> Mapping[str, tuple[str, str | None]]:
    node = await h.client.get(NODES, None, NODE)
    assert node.status is not None
    return {c.type: (c.status, c.reason) for c in node.status.conditions or ()}


async def test_memory_pressure(tmp_path: Path) -> None:
    async with monitored(tmp_path) as (h, monitor, machine):
        created = [await h.create(container(command=["sleep", "1000"]), name=n) for n in ("a", "b")]
        for name in ("a", "b"):
            await h.phase("Running", name=name)
        uids = [p.metadata.uid or "" for p in created if p.metadata is not None]
        machine.usages = [
            Usage(ContainerId(uid, "c", 0), 1.0, (i + 1) * 300 * MIB) for i, uid in enumerate(uids)
        ]
        await monitor.turn()
        assert (await node_conditions(h))["MemoryPressure"][0] == "False"
        machine.seen = Look({"memory.available": Amount(50 * MIB, 2000 * MIB)})
        await monitor.turn()
        status = await h.phase("Failed", name="b")
        message = (
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
            "Container c was using 600Mi, request is 0, has larger consumption of memory. "
        )
        assert (status.reason, status.message) == ("Evicted", message)
        first = (status.conditions or [])[0]
        assert (first.type, first.status, first.reason, first.message) == (
            "DisruptionTarget", "True", "TerminationByKubelet", message,
        )  # fmt: skip
        shown = (status.containerStatuses or [])[0].state
        assert shown is not None
        assert shown.terminated is not None
        assert shown.terminated.exitCode == 143
        assert (await node_conditions(h))["MemoryPressure"] == (
            "True", "KubeletHasInsufficientMemory",
        )  # fmt: skip
        assert f"b: Warning Evicted {message}" in h.events.said
        for told in (
            f"{NODE}: Warning EvictionThresholdMet Attempting to reclaim memory",
            f"{NODE}: Normal NodeHasInsufficientMemory "
            f"Node {NODE} status is now: NodeHasInsufficientMemory",
        ):
            assert told in h.events.said
        await h.create(container(command=["true"]), name="late")
        late = await h.phase("Failed", name="late")
        assert (late.reason, late.message) == (
            "Evicted", "Pod was rejected: The node had condition: [MemoryPressure]. ",
        )  # fmt: skip
        assert (await h.phase("Running", name="a")).reason is None


async def test_who_stores_too_much(tmp_path: Path) -> None:
    async with monitored(tmp_path) as (h, monitor, _):
        limits = m.ResourceRequirements(limits={"ephemeral-storage": "64Ki"})
        created = await h.create(container(command=["sleep", "1000"], resources=limits))
        await h.phase("Running")
        assert created.metadata is not None
        logs = tmp_path / "logs" / "pods" / f"default_p_{created.metadata.uid}" / "c"
        logs.mkdir(parents=True, exist_ok=True)
        await monitor.turn()
        (logs / "0.log").write_bytes(b"x" * 100_000)
        await monitor.turn()
        status = await h.phase("Failed")
        assert (status.reason, status.message) == (
            "Evicted",
            "Pod ephemeral local storage usage exceeds the total limit of containers 64Ki. ",
        )
        assert "DisruptionTarget" not in {c.type for c in status.conditions or ()}


async def test_what_is_used_is_told(tmp_path: Path) -> None:
    async with monitored(tmp_path) as (h, monitor, machine):
        created = await h.create(container(command=["sleep", "1000"]))
        await h.phase("Running")
        assert created.metadata is not None
        assert not monitor.pods()
        assert not monitor.nodes()
        id = ContainerId(created.metadata.uid or "", "c", 0)
        machine.usages = [Usage(id, 0.0, 5 * MIB)]
        await monitor.turn()
        (seen,) = monitor.pods()
        assert (seen.namespace, seen.name) == ("default", "p")
        assert [(name, use.memory_bytes) for name, use in seen.containers] == [("c", 5 * MIB)]
        assert not monitor.nodes()
        await monitor.turn()
        (node,) = monitor.nodes()
        assert (node.name, node.use.memory_bytes) == (NODE, 1000 * MIB)


async def test_metrics_and_peaks(tmp_path: Path) -> None:
    """The kubelet's names; and what wait4 told of an ended container is kept for its pod."""
    meters = Meters()
    async with harness(tmp_path, {"eats": Exit(0, max_rss_bytes=7 * MIB)}) as h:
        agent = Agent(
            h.client, h.runtime, ImageMap(()), h.world, NODE, tmp_path, h.events,
            container_env={"PATH": "/bin"}, thresholds={}, meters=meters,
        )  # fmt: skip
        h.agent = agent
        h.task = asyncio.create_task(agent.run())
        await agent.ready.wait()
        await h.create(container(command=["eats"]))
        await h.phase("Succeeded")
        await h.create(container(command=["sleep", "1000"]), name="q")
        await h.phase("Running", name="q")
        gauges = {metric.name: list(read()) for metric, read in meters.gauges}
        assert gauges["kubelet_running_pods"] == [((), 1)]
        assert (("running",), 1) in gauges["kubelet_running_containers"]
        counted = {metric.name: values for metric, values in meters.counters.items()}
        assert counted["kubelet_started_containers_total"] == {("container",): 2}
        assert counted["kubelet_started_pods_total"] == {(): 2}
        (starts,) = [v for metric, v in meters.histograms.items() if "pod_start" in metric.name]
        assert sum(starts[()].counts) == 2


def test_rates() -> None:
    id = ContainerId("u", "c", 0)
    history = History()
    history.take(START, [Usage(id, 2.0, 7)], Reading(START, 100.0, 50))
    assert history.container(id, START - timedelta(seconds=4)) == (Use(0.5, 7), 4.0)
    assert history.container(id, None) is None
    assert history.container(ContainerId("u", "d", 0), START) is None
    assert history.node() is None
    later = START + timedelta(seconds=10)
    history.take(later, [Usage(id, 3.0, 9)], Reading(later, 120.0, 60))
    assert history.container(id, None) == (Use(0.1, 9), 10.0)
    assert history.node() == (Use(2.0, 60), 10.0)


def test_this_machine(tmp_path: Path) -> None:
    seen = look(tmp_path)
    for name in ("memory.available", "nodefs.available", "pid.available"):
        assert 0 < seen.signals[name].available <= seen.signals[name].capacity
    assert seen.cpu_seconds > 0
    assert seen.memory_bytes > 0


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 10_000)
    (tmp_path / "link").symlink_to("/usr")
    assert 10_000 <= size_of([tmp_path, tmp_path / "none"]) < 30_000


def test_who_is_measured() -> None:
    limited = m.ResourceRequirements(limits={"ephemeral-storage": "1Gi"})
    assert not is_limited(pod())
    assert is_limited(pod(container(resources=limited)))
    for source, expected in (
        (m.core_v1.EmptyDirVolumeSource(), False),
        (m.core_v1.EmptyDirVolumeSource(sizeLimit="1Mi"), True),
        (m.core_v1.EmptyDirVolumeSource(sizeLimit="1Mi", medium="Memory"), True),
    ):
        assert is_limited(pod(volumes=[m.Volume(name="v", emptyDir=source)])) == expected


async def test_limits_that_nobody_enforces_are_told_once(tmp_path: Path) -> None:
    async with harness(tmp_path, {"work": Exit(1, max_rss_bytes=7 * MIB)}) as h:
        h.runtime.features = Features(limits=frozenset({"cpu"}))
        agent = await h.start_agent()
        limits = m.ResourceRequirements(limits={"cpu": "1", "memory": "1Gi"})
        await h.create(container(command=["work"], resources=limits), restartPolicy="OnFailure")
        await h.until(lambda: any("BackOff" in e for e in h.events.said))
        told = [e for e in h.events.said if "LimitsNotEnforced" in e]
        assert told == [
            "p: Warning LimitsNotEnforced The scripted runtime cannot make control groups on this "
            "machine, so these limits are not enforced: memory"
        ]
        assert agent.spent("nobody") == {}


def test_peaks_in_words() -> None:
    record = PodRecord("u", None)
    for attempt in (0, 1):
        id = ContainerId("u", "c", attempt)
        ended = Container(id, ContainerState.EXITED, None, None, exit_code=0,
                          max_rss_bytes=7 * MIB, cpu_seconds=0.5)  # fmt: skip
        Measures(None).saw(record, ended, START)
    assert spent(record) == {
        "KiB of memory at the peak of container c": 7168,
        "ms of CPU time used by container c": 500,
        "KiB of memory at the peak of container c (restart 1)": 7168,
        "ms of CPU time used by container c (restart 1)": 500,
    }


async def test_volumes_and_layers_are_measured(tmp_path: Path) -> None:
    volumes, memory = tmp_path / "pods" / "u1" / "volumes", tmp_path / "shm" / "u1" / "volumes"
    layer = tmp_path / "layer"
    for folder in (volumes / "v", memory / "m", layer):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 100_000)
    source = m.core_v1.EmptyDirVolumeSource
    built = pod(
        volumes=[
            m.Volume(name="v", emptyDir=source(sizeLimit="1Ki")),
            m.Volume(name="m", emptyDir=source(medium="Memory")),
        ]
    )
    id = ContainerId("u1", "c", 0)
    seen = Container(id, ContainerState.RUNNING, 1, START)
    record = PodRecord("u1", built, {id: seen})

    def place(uid: str, volume: str, in_memory: bool) -> Path:
        return tmp_path / ("shm" if in_memory else "pods") / uid / "volumes" / volume

    storage = Storage(World(), tmp_path, tmp_path / "logs", place)
    await storage.measure([record], [Usage(id, 0.0, 0, layer)], everything=False)
    assert storage.too_much(record) == 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '
    assert 200_000 <= storage.by_container(record)["c"] < 250_000
    await storage.measure([], [], everything=True)
    assert storage.too_much(record) == ""
    assert storage.by_container(record) == {}
    in_memory = m.Volume(name="m", emptyDir=source(medium="Memory", sizeLimit="1Ki"))
    record.pod = pod(volumes=[in_memory])
    await storage.measure([record], [Usage(id, 0.0, 0, layer)], everything=False)
    assert storage.too_much(record) == 'Usage of EmptyDir volume "m" exceeds the limit "1Ki". '
    assert 100_000 <= storage.by_container(record)["c"] < 150_000
