"""Containers held to their limits, and ended with everything they started."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import Container, ContainerSpec, Limits
from kubatch.runtime.sandbox import SandboxRuntime, available
from tests.suites.runtime_suite import Watcher, make_spec
from tests.unit.runtime.tools import Opener, alive, eventually, pids_in, shim_of

MIB = 1 << 20
PYTHON = (sys.executable, "-S", "-I", "-c")


@pytest.fixture
async def limited(opened: Opener) -> ProcessRuntime:
    runtime = await opened()
    if not runtime.features.limits >= {"cpu", "memory", "pids"}:
        pytest.skip("control groups cannot be made here: neither root on v1 nor delegated v2")
    return runtime


def groups_of(directory: Path) -> list[Path]:
    """Our control groups that are there now, in all hierarchies."""
    here = directory.stat()
    name = f"kubatch-{here.st_dev:x}-{here.st_ino:x}"
    return [p for p in Path("/sys/fs/cgroup").rglob(f"{name}/*/*") if p.is_dir()]


async def run(runtime: ProcessRuntime, spec: ContainerSpec) -> Container:
    watcher = Watcher(runtime)
    await runtime.start(spec)
    return await watcher.exit(spec.id)


async def test_who_takes_too_much_memory_is_killed(
    limited: ProcessRuntime, directory: Path, tmp_path: Path
) -> None:
    greedy = "x = bytearray(400 << 20)"
    spec = replace(make_spec(tmp_path, *PYTHON, greedy), limits=Limits(memory_bytes=60 * MIB))
    ended = await run(limited, spec)
    assert (ended.reason, ended.exit_code) == ("OOMKilled", 137)
    await eventually(lambda: not groups_of(directory))


async def test_a_sandbox_is_limited_as_a_whole(tmp_path: Path) -> None:
    if why := available():
        pytest.skip(f"no sandboxes here: {why}")
    runtime = SandboxRuntime(tmp_path / "runtime")
    await runtime.open()
    try:
        if "memory" not in runtime.features.limits:
            pytest.skip("control groups cannot be made here")
        # Perl: the Python of these tests may lie below /tmp, of which a sandbox has its own.
        greedy = "perl -e '$x = q(x) x (400 << 20)'; exit 3"
        spec = make_spec(tmp_path, "sh", "-c", greedy)
        ended = await run(runtime, replace(spec, limits=Limits(memory_bytes=60 * MIB)))
        # Its first process lived on; that the limit was reached counts, as with containerd.
        assert (ended.reason, ended.exit_code) == ("OOMKilled", 3)
    finally:
        await runtime.close(kill=True)
    assert groups_of(tmp_path / "runtime") == []


async def test_enough_memory_is_enough(limited: ProcessRuntime, tmp_path: Path) -> None:
    spec = replace(
        make_spec(tmp_path, *PYTHON, "x = bytearray(10 << 20)"),
        limits=Limits(memory_bytes=60 * MIB, cpu_shares=100),
    )
    ended = await run(limited, spec)
    assert (ended.reason, ended.exit_code) == ("", 0)


async def test_a_pods_limit_holds_for_its_containers_together(
    limited: ProcessRuntime, tmp_path: Path
) -> None:
    spec = replace(
        make_spec(tmp_path, *PYTHON, "x = bytearray(400 << 20)"),
        pod_limits=Limits(memory_bytes=60 * MIB),
    )
    assert (await run(limited, spec)).exit_code == 137


async def test_a_quota_slows_down(limited: ProcessRuntime, tmp_path: Path) -> None:
    busy = "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
    spec = replace(
        make_spec(tmp_path, *PYTHON, busy), limits=Limits(cpu_quota_us=20_000, cpu_shares=204)
    )
    ended = await run(limited, spec)
    assert ended.cpu_seconds is not None
    assert ended.cpu_seconds < 0.3  # of half a second; two periods may be begun with


async def test_no_more_processes_than_allowed(limited: ProcessRuntime, tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6; do sleep 5 & done; wait"
    spec = replace(make_spec(tmp_path, "sh", "-c", script), limits=Limits(pids=4))
    ended = await run(limited, spec)
    assert ended.exit_code == 2  # dash: Cannot fork


async def test_a_fork_bomb_is_ended(
    limited: ProcessRuntime, directory: Path, tmp_path: Path
) -> None:
    """It heeds no signal, and every process of it makes a session of its own."""
    bomb = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    try:\n"
        "        if not os.fork(): os.setsid()\n"
        "    except OSError: time.sleep(0.001)\n"
    )
    spec = replace(make_spec(tmp_path, *PYTHON, bomb), limits=Limits(pids=60, cpu_quota_us=80_000))
    watcher = Watcher(limited)
    await limited.start(spec)
    await eventually(lambda: spec.log_path.exists() and "go" in spec.log_path.read_text())
    await limited.signal(spec.id, signal.SIGTERM)
    await limited.signal(spec.id, signal.SIGKILL)
    assert (await watcher.exit(spec.id)).exit_code == 137
    await eventually(lambda: not groups_of(directory))


async def test_what_cannot_start_leaves_no_group(
    limited: ProcessRuntime, directory: Path, tmp_path: Path
) -> None:
    spec = replace(make_spec(tmp_path, "no-such-program"), limits=Limits(cpu_shares=10))
    ended = await limited.start(spec)
    assert (ended.reason, ended.exit_code) == ("StartError", 128)
    assert ended.message == 'exec: "no-such-program": executable file not found in $PATH'
    assert groups_of(directory) == []
    spec = replace(
        make_spec(tmp_path, "true", cwd=str(tmp_path / "none")), limits=Limits(cpu_shares=10)
    )
    assert "chdir to cwd" in (await limited.start(spec)).message


async def test_an_environment_is_the_same_with_and_without_limits(
    limited: ProcessRuntime, tmp_path: Path
) -> None:
    texts = []
    for limits in (None, Limits(cpu_shares=100)):
        spec = replace(
            make_spec(tmp_path, "sh", "-c", "env; ulimit -n; grep SigB /proc/self/status; pwd"),
            limits=limits,
        )
        await run(limited, spec)
        lines = spec.log_path.read_text().splitlines()
        texts.append(sorted(line.split(" ", 3)[3] for line in lines))
    assert texts[0] == texts[1]


async def test_usage_counts_all_processes(limited: ProcessRuntime, tmp_path: Path) -> None:
    hold = "import time\nx = bytearray(30 << 20)\nprint(1, flush=True)\ntime.sleep(100)"
    specs = [
        replace(make_spec(tmp_path, *PYTHON, hold), limits=limits)
        for limits in (None, Limits(memory_bytes=200 * MIB))
    ]
    for spec in specs:
        await limited.start(spec)
        await pids_in(spec.log_path, 1)
    used = {usage.id: usage for usage in await limited.usage()}
    for spec in specs:
        assert 30 * MIB < used[spec.id].memory_bytes < 60 * MIB
        assert 0 < used[spec.id].cpu_seconds < 5


async def test_a_group_is_found_again_after_the_shim(
    limited: ProcessRuntime, opened: Opener, directory: Path, tmp_path: Path
) -> None:
    """A new shim keeps the groups of what runs, and removes all others."""
    spec = replace(make_spec(tmp_path, "sleep", "1000"), limits=Limits(cpu_shares=100))
    watcher = Watcher(limited)
    await limited.start(spec)
    kept = groups_of(directory)
    left = kept[0].parent.parent / "pod-x" / "c.0"
    left.mkdir(parents=True)
    os.kill(shim_of(directory), signal.SIGKILL)
    again = await opened()
    await again.observe()
    await eventually(lambda: not left.exists())
    assert sorted(groups_of(directory)) == sorted(kept)
    await again.signal(spec.id, signal.SIGKILL)
    await watcher.exit(spec.id)
    await eventually(lambda: not groups_of(directory))


@pytest.mark.parametrize("hides", [False, True], ids=["", "hides its environment"])
async def test_a_daemon_goes_with_its_container(
    opened: Opener, tmp_path: Path, hides: bool
) -> None:
    """Without limits there is no group: it is known by its environment, or ended with the last."""
    runtime = await opened()
    clean = "os.execve('/bin/sleep', ['sleep', '1000'], {})"
    daemon = (
        "import os, time\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        "    if not os.fork():\n"
        "        print(os.getpid(), flush=True)\n"
        "        [os.close(n) for n in range(3)]\n"
        f"        {clean if hides else 'time.sleep(1000)'}\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "time.sleep(0.05)\n"
    )
    other = make_spec(tmp_path, "sleep", "1000", env={"HOSTNAME": "other"})
    if not hides:
        await runtime.start(other)
    spec = make_spec(tmp_path, *PYTHON, daemon, env={"HOSTNAME": "mine"})
    await run(runtime, spec)
    (pid,) = await pids_in(spec.log_path, 1)
    await eventually(lambda: not alive(pid))


async def test_a_daemon_lives_as_long_as_its_container(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    daemon = (
        "import os, time\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        "    if not os.fork():\n"
        "        print(os.getpid(), flush=True)\n"
        "        time.sleep(1000)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "time.sleep(1000)\n"
    )
    spec = make_spec(tmp_path, *PYTHON, daemon, env={"HOSTNAME": "mine"})
    await runtime.start(spec)
    (pid,) = await pids_in(spec.log_path, 1)
    await run(runtime, make_spec(tmp_path, "true", env={"HOSTNAME": "other"}))
    assert alive(pid)
    await runtime.signal(spec.id, signal.SIGKILL)
    await eventually(lambda: not alive(pid))
