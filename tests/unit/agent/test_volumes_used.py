"""Volumes as the agent uses them: waited for, followed, and gone with the pod."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import structs

from kubatch.agent.facts import Capabilities
from kubatch.agent.life import Life
from kubatch.agent.prepare import Host
from kubatch.agent.record import PodRecord, uid_of
from kubatch.agent.worker import PodWorker
from kubatch.api import models as m
from kubatch.api.models import core_v1
from kubatch.api.resource import CONFIGMAPS, PODS
from kubatch.runtime.images import ImageMap
from kubatch.sim.runtime import ScriptedRuntime
from kubatch.world import World
from tests.unit.agent.harness import Events, Harness, harness
from tests.unit.agent.pods import container
from tests.unit.agent.test_volumes import CONFIG, Shop, config, made, named, shop

__all__ = ["shop"]  # a fixture, used by name

LABELS = core_v1.DownwardAPIVolumeFile(
    path="labels", fieldRef=core_v1.ObjectFieldSelector(fieldPath="metadata.labels")
)

MOUNTS = Capabilities(mounts=True, users=True, groups=True)
CONFIGURED = container(
    "c", command=["cat"], volumeMounts=[m.VolumeMount(name="config", mountPath="/config")]
)


def shown_in(spec: Any, target: str) -> Path:
    (source,) = (mount.source for mount in spec.mounts if mount.target == target)
    assert source is not None
    return Path(source)


async def looked_after(h: Harness) -> m.PodStatus:
    """The status that the agent writes first."""

    def found() -> m.PodStatus | None:
        pod = h.pods.get("default", "p")
        status = pod.status if pod is not None else None
        return status if status is not None and status.containerStatuses else None

    status: m.PodStatus = await h.until(found)
    return status


async def test_a_pod_waits_for_its_volumes(tmp_path: Path) -> None:
    async with harness(tmp_path) as h:
        await h.start_agent(capabilities=MOUNTS)
        await h.create(CONFIGURED, volumes=[CONFIG])
        status = await looked_after(h)
        said = [text for text in h.events.said if text.startswith("p: ")]
        assert said[0] == (
            'p: Warning FailedMount MountVolume.SetUp failed for volume "config" : '
            'configmap "cm" not found'
        )
        conditions = {c.type: c.status for c in status.conditions or ()}
        assert conditions["PodReadyToStartContainers"] == "False"
        assert status.podIP is None
        assert h.runtime.started == []
        await h.client.create(CONFIGMAPS, config({"a": "1"}))
        await h.phase("Running")
        spec = h.runtime.started[0]
        assert (shown_in(spec, "/config") / "a").read_text() == "1"
        assert spec.isolation is not None
        assert spec.isolation.hostname == "p"
        await h.stop_agent(kill=True)


async def test_last_words_and_the_end_of_volumes(tmp_path: Path) -> None:
    async with harness(tmp_path) as h:
        await h.start_agent(capabilities=MOUNTS)
        await h.client.create(CONFIGMAPS, config({"a": "1"}))
        await h.create(CONFIGURED, volumes=[CONFIG])
        await h.phase("Running")
        spec = h.runtime.started[0]
        shown_in(spec, "/dev/termination-log").write_text("so long")
        assert shown_in(spec, "/etc/hosts").read_text().endswith("127.0.0.1\tp\n")
        h.runtime.end(spec.id, 3)
        status = await h.phase("Failed")
        assert status.containerStatuses is not None
        (ended,) = status.containerStatuses
        assert ended.state is not None
        assert ended.state.terminated is not None
        assert ended.state.terminated.message == "so long"
        await h.stop_agent(kill=True)
        assert not shown_in(spec, "/config").exists()


@dataclass
class Watch:
    """A clock that the test sets."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


async def test_volumes_follow_what_they_show(shop: Shop, tmp_path: Path) -> None:
    watch = Watch(shop.world.now())
    shop.world = World(watch)
    shop.volumes = shop.again()
    runtime = ScriptedRuntime(shop.world)
    await runtime.open()
    host = Host("node-1", "10.0.0.1", "scripted", tmp_path / "logs", ImageMap(()), MOUNTS, {})
    events = Events()
    life = Life(runtime, shop.world, events, host.address, lambda record: record.wanted.set())
    worker = PodWorker(
        shop.client, runtime, shop.world, events, host, shop.volumes, life=life, settle=0
    )
    await shop.create(CONFIGMAPS, config({"a": "1"}))
    fields = m.Volume(name="fields", downwardAPI=core_v1.DownwardAPIVolumeSource(items=[LABELS]))
    asked = made(CONFIG, fields)
    assert asked.spec is not None
    asked.spec.containers[0].command = ["cat"]
    created = await shop.client.create(PODS, structs.replace(asked, metadata=named(name="p")))
    record = PodRecord(uid_of(created), created)

    due = await worker.turn(record)
    assert due is not None
    assert 60 <= (due - watch.moment).total_seconds() < 90
    (spec,) = runtime.started
    a, labels = shown_in(spec, "/config") / "a", shown_in(spec, "/fields") / "labels"
    assert (a.read_text(), labels.read_text()) == ("1", "")

    await shop.client.patch(CONFIGMAPS, "default", "cm", {"data": {"a": "2"}})
    watch.moment = due - timedelta(seconds=1)
    assert await worker.turn(record) == due
    assert a.read_text() == "1"
    watch.moment = due
    later = await worker.turn(record)
    assert later is not None
    assert later > due
    assert a.read_text() == "2"

    change = {"metadata": {"labels": {"new": "label"}}}
    record.take(await shop.client.patch(PODS, "default", "p", change))
    await worker.turn(record)  # its own fields are shown at once
    assert labels.read_text() == 'new="label"'
    await runtime.close(kill=True)


async def test_a_mount_is_refused_where_nothing_can_be_mounted(tmp_path: Path) -> None:
    async with harness(tmp_path) as h:
        await h.start_agent()
        await h.create(CONFIGURED, volumes=[CONFIG])
        await looked_after(h)
        said = [text for text in h.events.said if text.startswith("p: ")]
        assert "gives containers no file system of their own" in said[-1]
        await h.stop_agent(kill=True)
