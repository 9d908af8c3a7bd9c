"""Exec and attach with host processes: terminals, back-pressure, and what ends with what."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import uvloop

from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import ContainerId, ExecFailed, RuntimeUnavailable
from kubatch.runtime.session import ProcessSession
from tests.suites.runtime_suite import (
    PATH,
    Watcher,
    exit_of,
    make_spec,
    read_all,
    read_until,
)
from tests.unit.runtime.tools import Opener, alive, eventually, logged, shim_of, shims_of

MUCH = 3 << 20  # more than pipes hold


async def started(
    runtime: ProcessRuntime, folder: Path, *argv: str, **options: object
) -> ContainerId:
    spec = make_spec(folder, *(argv or ("sleep", "1000")), **options)  # type: ignore[arg-type]
    await runtime.start(spec)
    return spec.id


async def execd(
    runtime: ProcessRuntime, id: ContainerId, script: str, *, tty: bool = False, stdin: bool = False
) -> ProcessSession:
    return await runtime.exec(id, ("sh", "-c", script), tty=tty, stdin=stdin)


def rss_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Programs beside the container's own


async def test_it_has_the_containers_environment_and_directory(
    opened: Opener, tmp_path: Path
) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path, env={"PATH": PATH, "WORD": "x y"}, cwd=str(tmp_path))
    session = await execd(runtime, id, "pwd; env; cat")
    lines = (await read_all(session)).decode().splitlines()
    assert lines[0] == str(tmp_path)
    assert {line for line in lines[1:] if not line.startswith(("PWD", "_", "SHLVL"))} == {
        f"PATH={PATH}",
        "WORD=x y",
    }
    assert await exit_of(session) == 0


async def test_nothing_else_is_inherited(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    for stdin in (False, True):
        session = await execd(runtime, id, "ls /proc/self/fd | wc -l", stdin=stdin)
        assert await read_all(session) == b"4\n"  # 0, 1, 2 and the one that ls reads by
        await session.close()


async def test_a_terminal(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    script = "tty >&2; echo $TERM; read a; stty size; exit 4"
    session = await execd(runtime, id, script, tty=True, stdin=True)
    assert (await read_until(session, b"xterm\r\n")).startswith(b"/dev/pts/")
    assert await session.read("stderr") == b""
    await session.resize(120, 30)
    await session.write(b"go\n")
    assert await read_all(session) == b"go\r\n30 120\r\n"
    assert await exit_of(session) == 4


async def test_ctrl_c_on_a_terminal(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    session = await execd(runtime, id, "echo up; exec sleep 1000", tty=True, stdin=True)
    await read_until(session, b"up\r\n")
    await session.write(b"\x03")
    assert await exit_of(session) == 130


async def test_much_output_waits_for_its_reader(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    session = await execd(runtime, id, f"head -c {MUCH} /dev/zero; echo done >&2")
    await read_until(session, b"\0")
    assert not await quick(session.wait())
    assert len(await read_all(session)) >= MUCH - (64 << 10)
    assert await read_all(session, "stderr") == b"done\n"
    assert await exit_of(session) == 0


async def quick(work: object) -> bool:
    """Whether something is so at once, give or take a few turns of the loop."""
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    await asyncio.wait((task,), timeout=0.05)
    done = task.done()
    task.cancel()
    return bool(done)


async def test_much_input_waits_for_its_reader(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    go = tmp_path / "go"
    script = f"until [ -e {go} ]; do sleep 0.01; done; wc -c"
    session = await execd(runtime, id, script, stdin=True)
    writing = asyncio.create_task(session.write(b"x" * MUCH))
    await asyncio.wait((writing,), timeout=0.05)
    assert not writing.done()
    go.touch()
    await writing
    await session.end_input()
    assert await read_all(session) == f"{MUCH}\n".encode()
    assert await exit_of(session) == 0


async def test_input_nobody_reads_is_dropped(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    session = await execd(runtime, id, "exec <&-; echo closed; read a < /dev/null", stdin=True)
    await read_all(session)
    await session.write(b"x" * MUCH)
    assert await exit_of(session) == 1


@pytest.mark.parametrize("tty", [False, True])
async def test_closing_hangs_up(opened: Opener, tmp_path: Path, tty: bool) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    session = await execd(runtime, id, "echo $$; exec sleep 1000", tty=tty)
    pid = int(await read_until(session, b"\n"))
    await session.close()
    await eventually(lambda: not alive(pid))
    (container,) = await runtime.observe()
    assert container.exit_code is None


async def test_closing_kills_where_that_was_asked_for(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    script = "trap '' HUP; echo $$; while :; do sleep 1000; done"
    session = await runtime.exec(
        id, ("sh", "-c", script), tty=False, stdin=False, on_close=signal.SIGKILL
    )
    pid = int(await read_until(session, b"\n"))
    await session.close()
    await eventually(lambda: not alive(pid))
    (container,) = await runtime.observe()
    assert container.exit_code is None


async def test_the_background_lives_until_the_container_ends(
    opened: Opener, tmp_path: Path
) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    session = await execd(runtime, id, "sleep 1000 >/dev/null 2>&1 & echo $!")
    pid = int(await read_all(session))
    assert await exit_of(session) == 0
    another = await execd(runtime, id, "true")
    assert await exit_of(another) == 0
    assert alive(pid)
    await runtime.signal(id, signal.SIGKILL)
    await eventually(lambda: not alive(pid))


@pytest.mark.slow
async def test_a_background_program_with_the_pipe_delays_the_end_a_little(
    opened: Opener, tmp_path: Path
) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path)
    session = await execd(runtime, id, "sleep 1000 & echo over")
    assert await read_all(session) == b"over\n"
    assert await exit_of(session) == 0


async def test_exec_under_a_new_shim(opened: Opener, directory: Path, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path, env={"PATH": PATH, "WORD": "kept"}, cwd=str(tmp_path))
    old = shim_of(directory)
    running = await execd(runtime, id, "exec sleep 1000")
    os.kill(old, signal.SIGKILL)
    await eventually(lambda: shims_of(directory) not in ([], [old]))
    with pytest.raises(RuntimeUnavailable):
        await running.wait()
    await running.close()
    session = await execd(runtime, id, "echo $WORD; pwd")
    assert await read_all(session) == f"kept\n{tmp_path}\n".encode()
    assert await exit_of(session) == 0
    with pytest.raises(ExecFailed, match="streams were lost"):
        await runtime.attach(id, stdin=False)


# The container's own program


async def test_a_container_on_a_terminal_is_logged(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    watcher = Watcher(runtime)
    script = "[ -t 0 ] && [ -t 1 ] && echo out; echo err >&2; stty size; exit 5"
    id = await started(runtime, tmp_path, "sh", "-c", script, tty=True)
    assert (await watcher.exit(id)).exit_code == 5
    assert [text for _, _, text in logged(tmp_path, id)] == ["out", "err", "0 0"]
    path = tmp_path / "logs" / id.pod_uid / id.container / "0.log"
    assert path.read_bytes().count(b"\r\n") == 3


async def test_attach_to_a_terminal(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    script = "read a; stty size; echo got $a; exit 6"
    id = await started(runtime, tmp_path, "sh", "-c", script, tty=True, stdin=True, stdin_once=True)
    session = await runtime.attach(id, stdin=True)
    await session.resize(90, 20)
    await session.write(b"it\n")
    assert await read_all(session) == b"it\r\n20 90\r\ngot it\r\n"
    assert await read_all(session, "stderr") == b""
    assert await exit_of(session) == 6


@pytest.mark.parametrize("once", [False, True])
async def test_the_input_stays_open_unless_it_is_for_once(
    opened: Opener, tmp_path: Path, once: bool
) -> None:
    runtime = await opened()
    watcher = Watcher(runtime)
    id = await started(
        runtime, tmp_path, "sh", "-c", "read a; echo $a; read b; echo $b", stdin=True,
        stdin_once=once,
    )  # fmt: skip
    first = await runtime.attach(id, stdin=True)
    await first.write(b"one\n")
    await read_until(first, b"one\n")
    await first.close()
    if not once:
        second = await runtime.attach(id, stdin=True)
        await second.write(b"two\n")
        assert await read_until(second, b"two\n") == b"two\n"
        await second.close()
    assert (await watcher.exit(id)).exit_code == 0
    assert [text for _, _, text in logged(tmp_path, id)] == ["one", "" if once else "two"]


async def test_input_for_a_container_without_one_is_dropped(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path, "sh", "-c", "cat; echo ready; exec sleep 1000")
    session = await runtime.attach(id, stdin=True)
    await session.write(b"x" * MUCH)
    await session.close()


async def test_everybody_attached_sees_the_output(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(
        runtime, tmp_path, "sh", "-c", "read a; echo out; echo err >&2; exit 7", stdin=True
    )
    sessions = [await runtime.attach(id, stdin=True) for _ in range(3)]
    await sessions[1].write(b"go\n")
    for session in sessions:
        assert await read_all(session) == b"out\n"
        assert await read_all(session, "stderr") == b"err\n"
        assert await exit_of(session) == 7


@pytest.mark.slow
async def test_a_viewer_who_does_not_read_costs_no_memory(
    opened: Opener, directory: Path, tmp_path: Path
) -> None:
    """The container waits, until the viewer reads or goes."""
    runtime = await opened(log_file_bytes_max=1 << 30)
    watcher = Watcher(runtime)
    size = 40 << 20
    script = f"read a; yes 0123456789abcdef | head -c {size}; read b"
    id = await started(runtime, tmp_path, "sh", "-c", script, stdin=True)
    idle, reader = [await runtime.attach(id, stdin=True) for _ in range(2)]
    shim = shim_of(directory)
    before = rss_of(shim)
    await reader.write(b"go\n")
    assert await read_until(reader, b"0")
    path = tmp_path / "logs" / id.pod_uid / id.container / "0.log"
    await eventually(lambda: path.stat().st_size > 64 << 10)
    await asyncio.wait((asyncio.ensure_future(reader.read("stderr")),), timeout=0.2)
    assert path.stat().st_size < size // 4
    assert rss_of(shim) - before < 4 << 20
    await idle.close()  # who leaves is not waited for
    rest = asyncio.create_task(read_all(reader))
    await reader.write(b"end\n")
    assert len(await rest) > size - (1 << 20)
    assert (await watcher.exit(id)).exit_code == 0
    assert rss_of(shim) - before < 8 << 20
    await reader.close()


async def test_sessions_work_on_uvloop(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = ProcessRuntime(tmp_path / "runtime")
        await runtime.open()
        try:
            id = await started(runtime, tmp_path)
            session = await execd(runtime, id, "cat; exit 9", stdin=True)
            writing = asyncio.create_task(session.write(b"x" * MUCH))
            reading = asyncio.create_task(read_all(session))
            await writing
            await session.end_input()
            assert len(await reading) == MUCH
            assert await exit_of(session) == 9
            session = await execd(runtime, id, "read a; echo got $a", stdin=True, tty=True)
            await session.write(b"it\n")
            assert await read_all(session) == b"it\r\ngot it\r\n"
            assert await exit_of(session) == 0
        finally:
            await runtime.close(kill=True)

    await asyncio.to_thread(uvloop.run, scenario())


async def test_no_files_are_left_open(opened: Opener, directory: Path, tmp_path: Path) -> None:
    runtime = await opened()
    id = await started(runtime, tmp_path, stdin=True)

    def files() -> tuple[int, int]:
        shim = shim_of(directory)
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{shim}/fd"))

    before = files()
    for tty in (False, True):
        session = await execd(runtime, id, "cat", tty=tty, stdin=True)
        attached = await runtime.attach(id, stdin=True)
        await attached.close()
        await session.close()
        with pytest.raises(ExecFailed):
            await runtime.exec(id, ("/nope",), tty=tty, stdin=True)
    await eventually(lambda: files() == before)
