"""A node under stress: pods in numbers, pods that misbehave, and everything that may die."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.runtime.sandbox import available
from tests.kubectl import tools
from tests.recovery.stage import Stage, disk, memory, stage

WHY_NOT = available()
RUNTIMES = [
    "process",
    pytest.param(
        "sandbox",
        marks=pytest.mark.skipif(bool(WHY_NOT), reason=f"no sandboxes here: {WHY_NOT}"),
    ),
]
pytestmark = pytest.mark.slow

MIB = 1 << 20
# Sandboxes take the same way through the node, and more of the machine's time.
PODS = {"process": 200, "sandbox": 120}
CHILDREN = {"process": 500, "sandbox": 200}  # and as many of theirs
OUTPUT_BYTES = {"process": 200_000_000, "sandbox": 100_000_000}
LOST = "The container could not be located when the pod was terminated"
USED_TO_RUN = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_much_at_once(runtime: str, tmp_path: Path) -> None:
    options = ("--max-pods", "210", "--eviction-hard", "none")
    async with stage(tmp_path, runtime, *options) as on:
        before = memory(on.machine.pid)
        await asyncio.gather(many(on), loud(on), multiplying(on), standing_still(on))
        await on.no_pods()
        await on.nothing_left()
        server = memory(on.machine.pid)
        shims = [memory(pid) for pid in on.machine.shims()]
        print(f"{runtime}: server {before // MIB} -> {server // MIB} MiB, shims {shims}")
        assert server - before < 100 * MIB
        assert max(shims) < 50 * MIB
    assert on.machine.shims() == []
    assert on.machine.left_over() == []


async def many(on: Stage) -> None:
    """All of a Job's pods run at the same time."""
    pods = PODS[on.machine.runtime]
    await on.create_job("many", "sleep 1", parallelism=pods, completions=pods)
    assert (await on.job("many")).succeeded == pods
    await on.delete_job("many")


async def loud(on: Stage) -> None:
    """What a pod prints takes so much room and no more."""
    line = "x" * 99
    script = f"yes {line} | head -c {OUTPUT_BYTES[on.machine.runtime]}; echo the end"
    limits = {"resources": {"limits": {"memory": "100Mi"}}}
    await on.create("loud", script, container=limits)
    status = await on.pod("loud", has_ended)
    assert status.phase == "Succeeded"
    (folder,) = (on.machine.data_dir / "logs/pods").glob("default_loud_*")
    assert 40 * MIB < disk(folder) <= 50 * MIB
    assert len(list(folder.glob("main/0.log*"))) == 5
    kubectl = tools.find_kubectls().values()
    for binary in list(kubectl)[-1:]:
        home = on.machine.data_dir.parent
        said = await asyncio.to_thread(
            tools.Kubectl(binary, "", on.machine.kubeconfig, home), "logs", "loud", "--tail=2"
        )
        assert said == f"{line}\nthe end\n"
    await on.delete("loud")


async def multiplying(on: Stage) -> None:
    """Children and theirs, each in a session of its own, which hear no signal that can be."""
    children = CHILDREN[on.machine.runtime]
    script = (
        "trap '' TERM; i=0; "
        f"while [ $i -lt {children} ]; do setsid sh -c 'sleep 3600; :' & i=$((i+1)); done; wait"
    )
    await on.create("multiplying", script)
    await on.pod("multiplying", is_running)
    assert await looked(lambda: len(on.machine.pods()) > 2 * children)
    await on.delete("multiplying", grace=1)
    await on.gone("multiplying")


async def standing_still(on: Stage) -> None:
    """A stopped program does not hear SIGTERM either."""
    names = ("still", "still-late")
    await on.create("still", "sleep 3601; :")
    await on.create(
        "still-late", "sleep 3601; :", activeDeadlineSeconds=3, terminationGracePeriodSeconds=1
    )
    for name in names:
        await on.pod(name, is_running)
    assert await looked(lambda: len(sleepers(on)) == 2)
    for pid in sleepers(on):
        for victim in (parent(pid), pid):
            os.kill(victim, signal.SIGSTOP)
    await on.delete("still", grace=1)
    await on.gone("still")
    late = await on.pod("still-late", has_ended)
    assert (late.phase, late.reason) == ("Failed", "DeadlineExceeded")
    await on.delete("still-late")


def sleepers(on: Stage) -> list[int]:
    return [pid for pid in on.machine.pods() if words(pid) == [b"sleep", b"3601"]]


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_everything_that_may_die(runtime: str, tmp_path: Path) -> None:
    async with stage(tmp_path, runtime) as on:
        machine = on.machine
        await on.create("never", "sleep 3602")
        await on.create("on-failure", "sleep 3602", restartPolicy="OnFailure")
        await on.create("always", "sleep 3602", restartPolicy="Always")
        await on.create("scattered", "setsid sleep 3603 & sleep 3602")
        names = ("never", "on-failure", "always", "scattered")
        for name in names:
            await on.pod(name, is_running)
        ids = [container(on.status(name)).containerID for name in names]
        await asyncio.to_thread(machine.kill_shim)
        # The agent finds out by itself; it can run pods again without a word of ours.
        await on.create("after", "true")
        assert (await on.pod("after", has_ended)).phase == "Succeeded"
        await asyncio.to_thread(machine.kill_server)
        await asyncio.to_thread(machine.kill_shim)
        await asyncio.to_thread(machine.start)
        await on.create("after-both", "true")
        assert (await on.pod("after-both", has_ended)).phase == "Succeeded"
        assert [container(on.status(name)).containerID for name in names] == ids
        assert all(is_running(on.status(name)) for name in names)
        # Their first shim is long dead, and what they left is still found.
        await on.delete("scattered")
        await on.gone("scattered")
        assert await looked(lambda: [b"sleep", b"3603"] not in map(words, machine.pods()))
        await asyncio.to_thread(machine.cut_power)
        assert machine.pods() == []
        await asyncio.to_thread(machine.start)
        lost = await on.pod("never", has_ended)
        assert lost.phase == "Failed"
        assert_lost(container(lost).state, LOST)
        for name in ("on-failure", "always"):
            again = await on.pod(name, lambda s: container(s).restartCount == 1 and is_running(s))
            assert again.phase == "Running"
            assert_lost(container(again).lastState, USED_TO_RUN)
        for name in ("never", "on-failure", "always", "after", "after-both"):
            await on.delete(name)
        await on.no_pods()
        await on.nothing_left()


def assert_lost(state: m.ContainerState | None, message: str) -> None:
    assert state is not None
    assert state.terminated is not None
    ended = state.terminated
    assert (ended.exitCode, ended.reason) == (137, "ContainerStatusUnknown")
    assert ended.message == message


async def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        async with stage(small, "process", "--eviction-hard", "none") as on:
            await full_for_a_while(on, small / "ballast", tmp_path / "go")
            shim_log = (on.machine.data_dir / "runtime/shim.log").read_text()
        assert "Traceback" not in shim_log
    finally:
        subprocess.run(["umount", str(small)], check=True)


async def full_for_a_while(on: Stage, ballast: Path, go: Path) -> None:
    wait = f"while ! test -e {go}; do sleep 0.05; done"
    await on.create_job("j", f"{wait}; echo done", completions=4, parallelism=2)
    await on.create("fails", f"{wait}; echo done; exit 3")
    await on.pod("fails", is_running)
    fill(ballast)
    # SQLite may still have room in what its file has already.
    with pytest.raises(ApiError, match=r"state\.db failed: database or disk is full"):  # noqa: PT012
        for number in range(100):
            await on.create(f"late-{number}", "true")
    go.touch()
    # Nothing can be written down, and everybody can still ask.
    assert await looked(lambda: on.machine.pods() == [])
    assert is_running(on.status("fails"))
    ballast.unlink()
    assert (await on.job("j")).succeeded == 4
    failed = await on.pod("fails", has_ended)
    state = container(failed).state
    assert state is not None
    assert state.terminated is not None
    assert (state.terminated.exitCode, state.terminated.reason) == (3, "Error")


def fill(path: Path) -> None:
    """Take what room there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def is_running(status: m.PodStatus) -> bool:
    """Whether its container runs."""
    shown = status.containerStatuses or ()
    return any(c.state is not None and c.state.running is not None for c in shown)


def has_ended(status: m.PodStatus) -> bool:
    return status.phase in ("Succeeded", "Failed")


def container(status: m.PodStatus) -> m.ContainerStatus:
    [only] = status.containerStatuses or []
    return only


async def looked(check: Callable[[], bool]) -> bool:
    """Whether something of the machine comes true in time; looked at beside everything else."""
    return await asyncio.to_thread(tools.eventually, check)


def words(pid: int) -> Sequence[bytes]:
    """A process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def parent(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rfind(")") + 2 :].split()[1])
