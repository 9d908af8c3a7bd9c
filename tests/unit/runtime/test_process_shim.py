"""The shim outlives the server, and a new one takes the place of one that died."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import ContainerState, RuntimeUnavailable
from tests.suites.runtime_suite import (
    TIMEOUT_S,
    Watcher,
    make_spec,
)
from tests.unit.runtime.tools import (
    BOOT,
    SHIM,
    Opener,
    alive,
    eventually,
    run,
    shim_of,
    shims_of,
)


async def test_a_new_client_finds_everything(opened: Opener, tmp_path: Path) -> None:
    first = await opened()
    running = await first.start(make_spec(tmp_path, "sleep", "1000", labels={"a": "b"}))
    exited = await run(first, tmp_path, "sh", "-c", "exit 4")
    script = "while [ ! -e go ]; do sleep 0.01; done; echo late; exit 5"
    ends_alone = make_spec(tmp_path, "sh", "-c", script, cwd=str(tmp_path))
    await first.start(ends_alone)
    await first.close(kill=False)
    (tmp_path / "go").touch()
    await eventually(lambda: "late" in ends_alone.log_path.read_text())

    second = await opened()
    watcher = Watcher(second)
    found = {container.id: container for container in await second.observe()}
    assert found[running.id] == running
    assert found[exited.id] == exited
    if found[ends_alone.id].state is ContainerState.RUNNING:
        found[ends_alone.id] = await watcher.exit(ends_alone.id)
    assert (found[ends_alone.id].exit_code, found[ends_alone.id].reason) == (5, "")


async def test_two_clients_see_the_same(opened: Opener, tmp_path: Path) -> None:
    first, second = await opened(), await opened()
    watcher = Watcher(second)
    spec = make_spec(tmp_path, "sleep", "1000")
    started = await first.start(spec)
    assert await watcher.next() == started
    await second.signal(spec.id, signal.SIGTERM)
    ended = await watcher.next()
    assert ended.exit_code == 143
    assert await Watcher(first).exit(spec.id) == ended
    assert await first.observe() == await second.observe() == [ended]
    await first.remove(spec.id)
    assert list(await second.observe()) == []


async def test_a_killed_shim_is_replaced(opened: Opener, directory: Path, tmp_path: Path) -> None:
    runtime = await opened()
    watcher = Watcher(runtime)
    survivor = await runtime.start(make_spec(tmp_path, "sleep", "1000"))
    lost = await runtime.start(make_spec(tmp_path, "sleep", "1000"))
    exited = await run(runtime, tmp_path, "true")
    old = shim_of(directory)
    os.kill(old, signal.SIGSTOP)  # so that it cannot see the end of the lost one
    assert lost.pid is not None
    os.kill(lost.pid, signal.SIGKILL)
    os.kill(old, signal.SIGKILL)

    unknown = await watcher.exit(lost.id)
    assert (unknown.exit_code, unknown.reason) == (137, "ContainerStatusUnknown")
    assert (unknown.pid, unknown.started_at) == (lost.pid, lost.started_at)
    assert unknown.finished_at is not None
    found = {container.id: container for container in await runtime.observe()}
    assert found == {survivor.id: survivor, lost.id: unknown, exited.id: exited}
    assert shim_of(directory) != old

    await runtime.signal(survivor.id, signal.SIGTERM)
    ended = await watcher.exit(survivor.id)
    assert (ended.exit_code, ended.reason) == (137, "ContainerStatusUnknown")
    assert (await run(runtime, tmp_path, "true")).exit_code == 0


async def test_close_with_kill_ends_what_a_dead_shim_left(
    opened: Opener, directory: Path, tmp_path: Path
) -> None:
    runtime = await opened()
    started = await runtime.start(make_spec(tmp_path, "sleep", "1000"))
    await runtime.close(kill=False)
    os.kill(shim_of(directory), signal.SIGKILL)
    again = await opened()
    assert list(await again.observe()) == [started]
    await again.close(kill=True)
    assert started.pid is not None
    assert not alive(started.pid)


def test_it_works_on_uvloop(tmp_path: Path) -> None:
    """The event loop of the product; its transports are not asyncio's."""

    async def scenario(runtime: ProcessRuntime) -> None:
        watcher = Watcher(runtime)
        started = await runtime.start(make_spec(tmp_path, "sleep", "1000"))
        assert (await run(runtime, tmp_path, "sh", "-c", "exit 3")).exit_code == 3
        old = shim_of(tmp_path / "runtime")
        os.kill(old, signal.SIGKILL)
        await eventually(lambda: shims_of(tmp_path / "runtime") not in ([], [old]))
        assert started in await runtime.observe()
        await runtime.signal(started.id, signal.SIGKILL)
        assert (await watcher.exit(started.id)).exit_code == 137

    async def play() -> None:
        runtime = ProcessRuntime(tmp_path / "runtime")
        await runtime.open()
        try:
            await scenario(runtime)
        finally:
            await runtime.close(kill=True)

    uvloop.run(play())


async def test_calls_fail_while_the_shim_is_away(opened: Opener, directory: Path) -> None:
    runtime = await opened()
    shim = shim_of(directory)
    os.kill(shim, signal.SIGSTOP)
    call = asyncio.create_task(runtime.observe())
    await asyncio.sleep(0)
    os.kill(shim, signal.SIGKILL)
    with pytest.raises(RuntimeUnavailable):
        await call
    assert list(await runtime.observe()) == []


async def test_calls_before_open_and_after_close_fail(directory: Path, opened: Opener) -> None:
    runtime = ProcessRuntime(directory)
    with pytest.raises(RuntimeUnavailable):
        await runtime.observe()
    runtime = await opened()
    await runtime.close(kill=False)
    with pytest.raises(RuntimeUnavailable):
        await runtime.observe()


async def test_open_fails_where_no_directory_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeUnavailable, match="could not start"):
        await ProcessRuntime(tmp_path / "file" / "runtime").open()


async def test_the_shim_ignores_polite_signals(
    opened: Opener, directory: Path, tmp_path: Path
) -> None:
    runtime = await opened()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(shim_of(directory), number)
    assert (await run(runtime, tmp_path, "true")).exit_code == 0


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def test_files_are_private(opened: Opener, directory: Path) -> None:
    await opened()
    assert modes(directory.parent)["runtime"] == 0o700
    files = ("journal", "shim.lock", "shim.log", "shim.sock")
    assert modes(directory) == dict.fromkeys(files, 0o600)


@pytest.mark.parametrize(
    "record",
    [
        {"state": "starting"},  # the last shim died while it started it
        {"state": "running", "pid": 1, "birth": 1, "boot": "of another time"},
        {"state": "running", "pid": os.getpid(), "birth": 1, "boot": BOOT},  # a pid used again
        {"state": "running", "pid": 2**22 - 1, "birth": 1, "boot": BOOT},
    ],
)
async def test_what_cannot_be_found_again_has_ended(
    opened: Opener, directory: Path, tmp_path: Path, record: dict[str, object]
) -> None:
    spec = make_spec(tmp_path, "sleep", "1000")
    directory.mkdir(mode=0o700, parents=True)
    line = json.dumps({"id": spec.id, "labels": {}, **record})
    (directory / "journal").write_text(line + "\n")
    runtime = await opened()
    (ended,) = await runtime.observe()
    assert (ended.exit_code, ended.reason) == (137, "ContainerStatusUnknown")
    assert ended.message == "The container could not be located when the pod was terminated"
    assert await runtime.start(spec) == ended  # and is not started a second time


@pytest.mark.parametrize(
    ("request_line", "answer"),
    [
        (b"nonsense\n", b""),
        (b"[1]\n", b""),
        (b"{}\n", b'{"n":null,"error":"KeyError: \'op\'"}\n'),
        (b'{"n":1,"op":"start"}\n', b'{"n":1,"error":"KeyError: \'id\'"}\n'),
        (b'{"n":1,"op":"signal","id":3}\n', b'{"n":1,"error":"TypeError: '),
    ],
)
async def test_bad_requests_do_no_harm(
    opened: Opener, directory: Path, tmp_path: Path, request_line: bytes, answer: bytes
) -> None:
    runtime = await opened()
    with contextlib.chdir(directory):
        reader, writer = await asyncio.open_unix_connection("shim.sock")
    writer.write(request_line)
    assert (await asyncio.wait_for(reader.read(1000), TIMEOUT_S)).startswith(answer)
    writer.close()
    await writer.wait_closed()
    assert (await run(runtime, tmp_path, "true")).exit_code == 0


def start_shim(folder: Path, idle: str) -> int:
    command = [sys.executable, "-S", "-I", "-E", str(SHIM), str(folder), idle]
    return subprocess.run(command, timeout=TIMEOUT_S, check=False).returncode


async def test_one_shim_a_directory(tmp_path: Path) -> None:
    assert start_shim(tmp_path, "0.5") == 0
    assert start_shim(tmp_path, "0.5") == 3
    runtime = ProcessRuntime(tmp_path)
    await runtime.open()
    await runtime.close(kill=True)


async def test_an_idle_shim_ends(tmp_path: Path) -> None:
    assert start_shim(tmp_path, "0.05") == 0
    await eventually(lambda: not (tmp_path / "shim.sock").exists())
    runtime = ProcessRuntime(tmp_path)
    await runtime.open()
    await runtime.close(kill=True)


def test_the_shim_imports_nothing_of_ours() -> None:
    program = (
        f"import sys; sys.path.append({str(SHIM.parents[1])!r}); import shim.daemon;"
        "print([name for name in sys.modules if 'kubatch' in name or 'asyncio' in name])"
    )
    done = subprocess.run([sys.executable, "-SIEc", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"
