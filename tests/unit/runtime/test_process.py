"""The process runtime: the shared suite, and what only host processes do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubatch.runtime.process import ProcessRuntime
from tests.suites.runtime_suite import (
    PATH,
    RuntimeSuite,
    Watcher,
    log_records,
    make_spec,
)
from tests.unit.runtime.tools import (
    Opener,
    alive,
    eventually,
    log_files,
    logged,
    pids_in,
    run,
    shim_of,
)


class TestProcessRuntime(RuntimeSuite):
    @pytest.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
        runtime = ProcessRuntime(tmp_path / "runtime")
        await runtime.open()
        yield runtime
        await runtime.close(kill=True)


# What a program is given


async def test_environment_is_exact(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    env = {"PATH": PATH, "EMPTY": "", "WORDS": "a b\tc ü"}
    ended = await run(runtime, tmp_path, "env", env=env)
    shown = dict(text.split("=", 1) for _, _, text in logged(tmp_path, ended.id))
    assert shown == env


async def test_program_is_searched_on_the_containers_path(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found $0 $1\n")
    tool.chmod(0o755)
    env = {"PATH": f"/nowhere:{tool.parent}"}
    ended = await run(runtime, tmp_path, "tool", "x y", env=env)
    assert logged(tmp_path, ended.id) == [("stdout", "F", f"found {tool} x y")]


async def test_working_directory(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    ended = await run(runtime, tmp_path, "pwd", cwd=str(tmp_path))
    assert logged(tmp_path, ended.id) == [("stdout", "F", str(tmp_path))]
    ended = await run(runtime, tmp_path, "pwd")
    assert logged(tmp_path, ended.id) == [("stdout", "F", "/")]


async def test_nothing_is_inherited(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    script = "ls /proc/self/fd | wc -l; cat; grep -E 'Sig(Blk|Ign)' /proc/self/status; umask"
    ended = await run(runtime, tmp_path, "sh", "-c", script)
    texts = [text for _, _, text in logged(tmp_path, ended.id)]
    # 0, 1, 2 and the one that ls reads the directory by.
    # glibc's posix_spawn leaves its own two signals, 32 and 33, ignored.
    assert texts == ["4", "SigBlk:\t0000000000000000", "SigIgn:\t0000000180000000", "0022"]


async def test_a_session_of_its_own(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    spec = make_spec(tmp_path, "sleep", "1000")
    pid = (await runtime.start(spec)).pid
    assert pid is not None
    assert os.getsid(pid) == os.getpgid(pid) == pid


async def test_resource_use_is_measured(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    program = "x = bytearray(64 << 20)\nfor i in range(200000): pass"
    ended = await run(runtime, tmp_path, sys.executable, "-S", "-c", program)
    assert ended.exit_code == 0
    assert ended.max_rss_bytes is not None
    assert ended.max_rss_bytes > 64 << 20
    assert ended.cpu_seconds is not None
    assert 0 < ended.cpu_seconds < 5


@pytest.mark.parametrize(
    ("argv", "cwd", "message"),
    [
        (("/nope",), None, 'exec: "/nope": stat /nope: no such file or directory'),
        (("nope",), None, 'exec: "nope": executable file not found in $PATH'),
        (("",), None, 'exec: "": executable file not found in $PATH'),
        (("/etc/passwd",), None, 'exec: "/etc/passwd": permission denied'),
        (("/tmp",), None, 'exec: "/tmp": is a directory'),
        (("/etc/passwd/x",), None, 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory'),
        (
            ("true",),
            "/nope",
            'chdir to cwd ("/nope") set in config.json failed: no such file or directory',
        ),
        (("true", "a" * (3 << 20)), None, "exec /usr/bin/true: argument list too long"),
    ],
)
async def test_start_errors_are_worded_like_runc(
    opened: Opener, tmp_path: Path, argv: tuple[str, ...], cwd: str | None, message: str
) -> None:
    runtime = await opened()
    env = {"PATH": "/usr/bin"}
    failed = await runtime.start(make_spec(tmp_path, *argv, cwd=cwd, env=env))
    assert (failed.exit_code, failed.reason, failed.message) == (128, "StartError", message)


async def test_a_script_without_its_interpreter_cannot_start(
    opened: Opener, tmp_path: Path
) -> None:
    runtime = await opened()
    script = tmp_path / "script"
    script.write_text("#!/nope\n")
    script.chmod(0o755)
    failed = await runtime.start(make_spec(tmp_path, str(script)))
    assert failed.message == f"exec {script}: no such file or directory"


# Output


async def test_a_last_line_without_newline_is_partial(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    ended = await run(runtime, tmp_path, "sh", "-c", "printf 'one\\n\\ntwo'")
    assert logged(tmp_path, ended.id) == [
        ("stdout", "F", "one"),
        ("stdout", "F", ""),
        ("stdout", "P", "two"),
    ]


async def test_long_lines_are_split(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    script = (
        "head -c 40000 /dev/zero | tr '\\0' x; echo; head -c 16384 /dev/zero | tr '\\0' y; echo"
    )
    ended = await run(runtime, tmp_path, "sh", "-c", script)
    shape = [(tag, text[0], len(text)) for _, tag, text in logged(tmp_path, ended.id)]
    assert shape == [("P", "x", 16384), ("P", "x", 16384), ("F", "x", 7232), ("F", "y", 16384)]


@pytest.mark.slow
async def test_much_output_is_complete(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    ended = await run(runtime, tmp_path, "seq", "1", "700000")  # about 5 MB
    files = log_files(tmp_path, ended.id)
    assert len(files) == 4  # 36 MB with time and stream, and a file has 10 MiB
    texts = [text for file in files for _, _, text in log_records(file)]
    assert texts == [str(number) for number in range(1, 700001)]


async def test_log_rotates(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened(log_file_bytes_max=10_000, log_files_max=3)
    ended = await run(runtime, tmp_path, "seq", "1", "5000")
    files = log_files(tmp_path, ended.id)
    assert len(files) == 3
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert files[0].name.startswith("0.log.20")
    numbers = [int(text) for file in files for _, _, text in log_records(file)]
    assert numbers == list(range(numbers[0], 5001))


@pytest.mark.slow
async def test_a_background_process_does_not_delay_the_exit(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    # In another session, so the end of the container does not end it; it keeps the pipe.
    script = "setsid sh -c 'touch up; exec sleep 1000' & until [ -e up ]; do :; done; printf done"
    ended = await run(runtime, tmp_path, "sh", "-c", script, cwd=str(tmp_path))
    assert ended.exit_code == 0
    assert logged(tmp_path, ended.id) == [("stdout", "P", "done")]


# The end of a container is the end of all in it


@pytest.mark.parametrize("shell", ["sh -c", "bash -m -c"])  # -m: a group for each job
async def test_children_end_with_the_container(opened: Opener, tmp_path: Path, shell: str) -> None:
    runtime = await opened()
    script = "sleep 1000 >/dev/null & echo $!"
    ended = await run(runtime, tmp_path, *shell.split(), script)
    assert ended.exit_code == 0
    (child,) = (int(text) for stream, _, text in logged(tmp_path, ended.id) if stream == "stdout")
    await eventually(lambda: not alive(child))


async def test_signals_reach_the_whole_group(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    child = "trap 'echo got; exit' TERM; echo ready; while :; do sleep 0.01; done"
    script = f'trap : TERM; sh -c "{child}" & wait; wait; exit 7'
    spec = make_spec(tmp_path, "sh", "-c", script)
    watcher = Watcher(runtime)
    await runtime.start(spec)
    await eventually(lambda: spec.log_path.read_text().endswith("ready\n"))
    await runtime.signal(spec.id, signal.SIGTERM)
    assert (await watcher.exit(spec.id)).exit_code == 7
    assert ("stdout", "F", "got") in log_records(spec.log_path)


async def test_close_with_kill_leaves_nothing(
    opened: Opener, directory: Path, tmp_path: Path
) -> None:
    runtime = await opened()
    script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; echo $$; wait"
    spec = make_spec(tmp_path, "sh", "-c", script)
    await runtime.start(spec)
    pids = await pids_in(spec.log_path, 3)
    shim = shim_of(directory)
    assert all(alive(pid) for pid in [*pids, shim])
    await runtime.close(kill=True)
    assert [pid for pid in [*pids, shim] if alive(pid)] == []
    again = await opened()
    (ended,) = await again.observe()
    assert (ended.id, ended.exit_code) == (spec.id, 137)
