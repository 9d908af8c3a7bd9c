"""The Node object, its conditions, its lease."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as struct_replace

from kubatch.agent import node
from kubatch.agent.machine import read_machine
from kubatch.api import models as m
from kubatch.api.codec import copy
from tests.unit.agent.pods import START

MACHINE = node.Machine(
    cpus=4, memory_bytes=8 << 30, disk_bytes=100 << 30, pods=110, machine_id="m", system_uuid="s",
    boot_id="b", kernel_version="6.1", os_image="Debian", architecture="amd64",
)  # fmt: skip


def reported(old: m.Node, seconds: float = 0, problem: str = "") -> m.Node:
    return node.with_status(
        old, MACHINE, name="n", address="127.0.0.1", runtime="process://1.0.0",
        now=START + timedelta(seconds=seconds), problem=problem,
    )  # fmt: skip


def with_capacity(old: m.Node, capacity: dict[str, str] | None) -> m.Node:
    assert old.status is not None
    return struct_replace(old, status=struct_replace(old.status, capacity=capacity))


def test_registration() -> None:
    fresh = node.new("n", MACHINE)
    assert fresh.metadata is not None
    assert (fresh.metadata.labels or {})["kubernetes.io/hostname"] == "n"
    full = reported(fresh)
    assert full.status is not None
    assert full.status.capacity == {
        "cpu": "4", "ephemeral-storage": "104857600Ki", "memory": "8388608Ki", "pods": "110",
    }  # fmt: skip
    assert full.status.allocatable is not None
    assert full.status.allocatable["memory"] == "8286208Ki"
    assert full.status.nodeInfo is not None
    assert full.status.nodeInfo.containerRuntimeVersion == "process://1.0.0"
    assert [(c.type, c.status) for c in full.status.conditions or ()] == [
        ("MemoryPressure", "False"),
        ("DiskPressure", "False"),
        ("PIDPressure", "False"),
        ("Ready", "True"),
    ]


def test_resources_that_others_announce_stay() -> None:
    first = reported(node.new("n", MACHINE))
    assert first.status is not None
    patched = {**(first.status.capacity or {}), "example.com/x": "3", "hugepages-1Gi": "1Gi"}
    announced = with_capacity(first, patched)
    second = reported(announced, 10)
    assert node.needs_report(announced, second, START + timedelta(seconds=10))
    assert second.status is not None
    for amounts in (second.status.capacity, second.status.allocatable):
        assert amounts is not None
        assert amounts["example.com/x"] == "3"
        assert "hugepages-1Gi" not in amounts
        assert amounts["pods"] == "110"
    # Taken out of the capacity, it leaves what pods may ask for as well.
    taken = with_capacity(second, first.status.capacity)
    assert reported(taken, 20).status == reported(first, 20).status


def test_a_report_is_due_on_change_and_every_five_minutes() -> None:
    first = reported(node.new("n", MACHINE))
    later = START + timedelta(seconds=299)
    assert not node.needs_report(first, reported(first, 299), later)
    assert node.needs_report(first, reported(first, 300), START + timedelta(seconds=300))
    assert node.needs_report(first, reported(first, 1, "container runtime is down"), later)


def test_condition_times() -> None:
    first = reported(node.new("n", MACHINE))
    second = reported(first, 10, "container runtime is down")
    assert second.status is not None
    found = {c.type: c for c in second.status.conditions or ()}
    assert found["Ready"].reason == "KubeletNotReady"
    assert found["Ready"].lastTransitionTime == START + timedelta(seconds=10)
    assert found["DiskPressure"].lastTransitionTime == START
    assert found["DiskPressure"].lastHeartbeatTime == START + timedelta(seconds=10)


@pytest.mark.parametrize("again", [False, True])
def test_events_tell_of_changes(again: bool) -> None:
    first = reported(node.new("n", MACHINE))
    assert [e[1] for e in node.changes(None, first)] == [
        "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady",
    ]  # fmt: skip
    if again:
        assert node.changes(first, copy(first)) == []
    second = reported(first, 10, "container runtime is down")
    assert node.changes(first, second) == [
        ("Normal", "NodeNotReady", "Node n status is now: NodeNotReady")
    ]


def test_lease() -> None:
    owner = node.new("n", MACHINE)
    assert owner.metadata is not None
    owner.metadata.uid = "node-uid"
    lease = node.lease(owner, START)
    assert lease.metadata is not None
    assert lease.metadata.namespace == "kube-node-lease"
    assert [o.uid for o in lease.metadata.ownerReferences or ()] == ["node-uid"]
    later = START + timedelta(seconds=10)
    renewed = node.renewed(lease, "n", later)
    assert renewed.spec is not None
    assert (renewed.spec.renewTime, renewed.spec.leaseDurationSeconds) == (later, 40)


def test_this_machine(tmp_path: Path) -> None:
    machine = read_machine(tmp_path, 110)
    assert machine.cpus >= 1
    assert machine.memory_bytes > 0
    assert machine.disk_bytes > 0
    assert machine.kernel_version


def test_pressure_shows() -> None:
    found = {c.type: c for c in node.conditions([], START, "", ("DiskPressure", "PIDPressure"))}
    assert {kind: (c.status, c.reason, c.message) for kind, c in found.items()} == {
        "MemoryPressure": (
            "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
        ),
        "DiskPressure": ("True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
        "PIDPressure": (
            "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
        ),
        "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
    }  # fmt: skip


def test_cordons_and_reboots_are_told() -> None:
    open_ = m.Node(metadata=m.ObjectMeta(name="n"), spec=m.NodeSpec())
    closed = m.Node(metadata=m.ObjectMeta(name="n"), spec=m.NodeSpec(unschedulable=True))
    assert node.schedulable_changes(None, closed) == node.schedulable_changes(closed, closed) == []
    for before, after, reason in (
        (open_, closed, "NodeNotSchedulable"),
        (closed, open_, "NodeSchedulable"),
    ):
        told = ("Normal", reason, f"Node n status is now: {reason}")
        assert node.schedulable_changes(before, after) == [told]

    def booted(boot: str) -> m.Node:
        machine = replace(MACHINE, boot_id=boot)
        return node.with_status(
            open_, machine, name="n", address="127.0.0.1", runtime="process://1", now=START
        )

    assert node.changes(booted("a"), booted("a")) == []
    assert node.changes(booted("a"), booted("b")) == [
        ("Warning", "Rebooted", "Node n has been rebooted, boot id: b")
    ]


def test_huge_pages_are_not_for_everybody() -> None:
    machine = replace(MACHINE, huge_pages={"1Gi": 0, "2Mi": 4 << 20})
    assert node.capacity(machine)["hugepages-2Mi"] == str(4 << 20)
    without, with_ = node.allocatable(MACHINE)["memory"], node.allocatable(machine)["memory"]
    assert int(without[:-2]) - int(with_[:-2]) == 4096
