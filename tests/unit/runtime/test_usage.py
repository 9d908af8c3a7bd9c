"""What containers use, from a list of processes; and where control groups can be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubatch.runtime.protocol import ContainerId
from kubatch.runtime.shim import cgroups, hierarchies
from kubatch.runtime.shim.hierarchies import V2, Hierarchy, parse_mounts, parse_places
from kubatch.runtime.usage import Process, Running, _working_set, parse_stat, processes, share

A, B = ContainerId("u", "a", 0), ContainerId("u", "b", 0)


def test_a_line_of_proc() -> None:
    seen = parse_stat(Path(f"/proc/{os.getpid()}/stat").read_text())
    assert seen is not None
    assert (seen.pid, seen.parent) == (os.getpid(), os.getppid())
    assert seen.memory_bytes > 1 << 20
    odd = parse_stat("7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 100 50 25 25 20 0 1 0 5 4096 3 0")
    assert odd is not None
    assert (odd.parent, odd.session, odd.cpu_seconds) == (1, 7, 200 / os.sysconf("SC_CLK_TCK"))
    assert parse_stat("7 (a) S") is None
    assert os.getpid() in {process.pid for process in processes()}


def test_whose_a_process_is() -> None:
    table = [
        Process(1, 0, 1, 100.0, 1000),
        Process(10, 1, 10, 1.0, 10),
        Process(11, 10, 10, 2.0, 20),
        Process(12, 11, 12, 4.0, 40),  # a session of its own, but a grandchild
        Process(13, 1, 10, 8.0, 80),  # its parent is gone; the session tells
        Process(20, 1, 20, 0.5, 5),
        Process(31, 32, 31, 9.0, 9),  # a circle: the list is no snapshot
        Process(32, 31, 31, 9.0, 9),
    ]
    found = share([Running(A, 10, {}), Running(B, 20, {})], table)
    assert [(u.id, u.cpu_seconds, u.memory_bytes) for u in found] == [(A, 15.0, 150), (B, 0.5, 5)]


def test_a_working_set(tmp_path: Path) -> None:
    (tmp_path / "memory.usage_in_bytes").write_text("5000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 2000\n")
    assert _working_set({"memory": str(tmp_path)}) == 3000
    (tmp_path / "memory.current").write_text("700\n")
    assert _working_set({"": str(tmp_path)}) == 699
    assert _working_set({"cpu": str(tmp_path)}) == 0


V1_PLACES = "4:memory:/outer/x\n1:cpu,cpuacct:/\n0::/\n"
V1_MOUNTS = (
    "30 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "31 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "33 1 0:4 / /proc rw - proc proc rw\n"
)


def test_where_we_are() -> None:
    places = parse_places(V1_PLACES)
    assert places == {"memory": "/outer/x", "cpu": "/", "cpuacct": "/", "": "/"}
    mounts = parse_mounts(V1_MOUNTS, places)
    assert mounts["memory"] == ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/outer/x")
    assert mounts["cpu"] == ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu")
    assert mounts[V2] == ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified")


@pytest.mark.parametrize(
    ("root", "place", "own"),
    [("/", "/", ""), ("/", "/a/b", "/a/b"), ("/docker/1", "/docker/1", ""),
     ("/docker/1", "/docker/1/x", "/x"), ("/", "/../..", "")],
)  # fmt: skip
def test_our_own_directory(root: str, place: str, own: str) -> None:
    line = f"30 1 0:1 {root} /cg rw - cgroup2 cgroup2 rw\n"
    assert parse_mounts(line, {V2: place}) == {V2: ("/cg", f"/cg{own}")}


def test_limits_of_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On files that stand for the kernel's, since version 2 cannot be had everywhere."""
    base = tmp_path / "kubatch-1"
    group = base / "u" / "c.0"
    group.mkdir(parents=True)
    names = ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "cpu.weight",
             "pids.max")  # fmt: skip
    for folder in (group.parent, group):
        for name in names:
            (folder / name).touch()
    (group.parent / "cgroup.subtree_control").touch()
    found = Hierarchy(2, str(base), ("cpu", "memory", "pids"))
    monkeypatch.setattr(hierarchies, "find", lambda name: {V2: found})
    monkeypatch.setattr(cgroups, "find", lambda name: {V2: found})
    groups = cgroups.Cgroups("kubatch-1")
    assert groups.enforced == ["cpu", "memory", "pids"]
    limits = {"memory": 1 << 20, "cpu_quota": 50_000, "cpu_shares": 1024, "pids": 5,
              "pod": {"cpu_shares": 2048}}  # fmt: skip
    assert groups.make({"id": ("u", "c", 0), "limits": limits}) == {V2: str(group)}
    assert {name: (group / name).read_text() for name in names} == {
        "memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1",
        "cpu.max": "50000 100000", "cpu.weight": "39", "pids.max": "5",
    }  # fmt: skip
    assert (group.parent / "cpu.weight").read_text() == "79"
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert cgroups.oom_kills({V2: str(group)}) == 2
    assert groups.make({"id": ("u", "d", 0), "limits": {"pod": {}}}) == {}


def test_weights() -> None:
    assert [cgroups.weight(n) for n in (0, 2, 1024, 262_144)] == [1, 1, 39, 10_000]
