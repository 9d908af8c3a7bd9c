"""What every Runtime must do, whatever runs the containers.

A subclass provides the fixture `runtime`, opened, and may replace the programs by some that its
runtime understands.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path

import pytest

from kubatch.runtime.protocol import (
    Container,
    ContainerId,
    ContainerNotFound,
    ContainerSpec,
    ContainerState,
    ExecFailed,
    Runtime,
    Session,
)

TIMEOUT_S = 10.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_numbers = itertools.count()


class Watcher:
    """The one consumer of a runtime's changes, with a deadline on every wait."""

    def __init__(self, runtime: Runtime) -> None:
        self._changes = runtime.changes()

    async def next(self) -> Container:
        """The next change."""
        return await asyncio.wait_for(anext(self._changes), TIMEOUT_S)

    async def exit(self, id: ContainerId) -> Container:
        """The end of one container; changes of others are passed over."""
        while True:
            seen = await self.next()
            if seen.id == id and seen.state is ContainerState.EXITED:
                return seen


def new_id(container: str = "main", attempt: int = 0) -> ContainerId:
    """An id nobody used."""
    return ContainerId(f"pod-{next(_numbers)}", container, attempt)


def make_spec(
    folder: Path,
    *argv: str,
    id: ContainerId | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    labels: Mapping[str, str] | None = None,
    tty: bool = False,
    stdin: bool = False,
    stdin_once: bool = False,
) -> ContainerSpec:
    """A container that logs below a folder."""
    id = id or new_id()
    return ContainerSpec(
        id=id,
        argv=argv,
        env={"PATH": PATH} if env is None else env,
        working_dir=cwd,
        log_path=folder / "logs" / id.pod_uid / id.container / f"{id.attempt}.log",
        labels=labels or {},
        tty=tty,
        stdin=stdin,
        stdin_once=stdin_once,
    )


async def read_all(session: Session, stream: str = "stdout") -> bytes:
    """Output to its end."""
    parts = []
    async with asyncio.timeout(TIMEOUT_S):
        while data := await session.read(stream):
            parts.append(data)
    return b"".join(parts)


async def read_until(session: Session, text: bytes, stream: str = "stdout") -> bytes:
    """Output until it holds a text."""
    found = b""
    async with asyncio.timeout(TIMEOUT_S):
        while text not in found:
            data = await session.read(stream)
            assert data, f"ended after {found!r}"
            found += data
    return found


async def exit_of(session: Session) -> int:
    """The exit code, and the session is closed."""
    code = await asyncio.wait_for(session.wait(), TIMEOUT_S)
    await session.close()
    return code


def log_records(path: Path) -> list[tuple[str, str, str]]:
    """(stream, F or P, text) for each line of a CRI log."""
    records = []
    for line in path.read_text().split("\n")[:-1]:
        moment, stream, tag, text = line.split(" ", 3)
        assert moment.endswith("Z")
        records.append((stream, tag, text))
    return records


class RuntimeSuite:
    """Subclass it, name it Test..., and provide `runtime`."""

    succeeds: tuple[str, ...] = ("true",)
    exits_with_3: tuple[str, ...] = ("sh", "-c", "exit 3")
    runs_long: tuple[str, ...] = ("sleep", "1000")
    prints_both: tuple[str, ...] = ("sh", "-c", "echo hello; echo oops >&2")
    missing: tuple[str, ...] = ("/nope",)
    echoes: tuple[str, ...] = ("cat",)  # gives back its input, and ends with it

    @pytest.fixture
    def watcher(self, runtime: Runtime) -> Watcher:
        return Watcher(runtime)

    async def test_a_container_starts_runs_and_exits(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.succeeds, labels={"app": "x"})
        started = await runtime.start(spec)
        assert (started.id, started.state) == (spec.id, ContainerState.RUNNING)
        assert started.started_at is not None
        assert started.started_at.tzinfo is UTC
        assert started.labels == {"app": "x"}
        assert await watcher.next() == started
        ended = await watcher.next()
        assert (ended.id, ended.state, ended.exit_code) == (spec.id, ContainerState.EXITED, 0)
        assert ended.started_at == started.started_at
        assert ended.finished_at is not None
        assert ended.finished_at >= started.started_at
        assert (ended.reason, ended.message, ended.labels) == ("", "", {"app": "x"})
        assert list(await runtime.observe()) == [ended]

    async def test_exit_code_is_the_programs(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.exits_with_3)
        await runtime.start(spec)
        assert (await watcher.exit(spec.id)).exit_code == 3

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    async def test_death_by_signal_is_128_plus_its_number(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path, number: signal.Signals
    ) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        await runtime.signal(spec.id, number)
        ended = await watcher.exit(spec.id)
        assert (ended.exit_code, ended.reason) == (128 + number, "")

    async def test_output_is_in_the_log_when_the_exit_is_seen(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.prints_both)
        await runtime.start(spec)
        await watcher.exit(spec.id)
        assert sorted(log_records(spec.log_path)) == [
            ("stderr", "F", "oops"),
            ("stdout", "F", "hello"),
        ]

    async def test_a_second_start_changes_nothing(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        first = await runtime.start(spec)
        assert await runtime.start(spec) == first
        await runtime.signal(spec.id, signal.SIGKILL)
        ended = await watcher.exit(spec.id)
        assert await runtime.start(spec) == ended
        assert list(await runtime.observe()) == [ended]

    async def test_what_cannot_start_has_exited(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.missing)
        failed = await runtime.start(spec)
        assert failed.state is ContainerState.EXITED
        assert (failed.exit_code, failed.reason) == (128, "StartError")
        assert failed.started_at is None
        assert failed.message != ""
        assert await watcher.next() == failed
        assert await runtime.start(spec) == failed

    async def test_signal_after_the_end_is_no_error(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.succeeds)
        await runtime.start(spec)
        await watcher.exit(spec.id)
        await runtime.signal(spec.id, signal.SIGTERM)

    async def test_unknown_containers_are_not_found(self, runtime: Runtime) -> None:
        with pytest.raises(ContainerNotFound):
            await runtime.signal(new_id(), signal.SIGTERM)
        with pytest.raises(ContainerNotFound):
            await runtime.remove(new_id())

    async def test_remove_forgets_and_keeps_the_log(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.prints_both)
        await runtime.start(spec)
        await watcher.exit(spec.id)
        await runtime.remove(spec.id)
        assert list(await runtime.observe()) == []
        assert spec.log_path.exists()
        with pytest.raises(ContainerNotFound):
            await runtime.remove(spec.id)

    async def test_remove_kills_what_runs(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        await runtime.remove(spec.id)
        assert (await watcher.exit(spec.id)).exit_code == 137
        assert list(await runtime.observe()) == []

    async def test_many_starts_at_once(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        specs = [make_spec(tmp_path, *self.succeeds) for _ in range(100)]
        await asyncio.gather(*(runtime.start(spec) for spec in specs))
        waiting = {spec.id for spec in specs}
        running: set[ContainerId] = set()
        while waiting:
            seen = await watcher.next()
            if seen.state is ContainerState.RUNNING:
                running.add(seen.id)
            else:
                assert seen.id in running  # a start is always seen before its end
                waiting.remove(seen.id)
        assert len(await runtime.observe()) == 100

    async def test_changes_end_with_close(self, runtime: Runtime, tmp_path: Path) -> None:
        watcher = Watcher(runtime)
        spec = make_spec(tmp_path, *self.succeeds)
        await runtime.start(spec)
        await watcher.exit(spec.id)
        await runtime.close(kill=True)
        with pytest.raises(StopAsyncIteration):
            await watcher.next()

    # Sessions

    async def test_exec_runs_another_program(self, runtime: Runtime, tmp_path: Path) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        session = await runtime.exec(spec.id, self.prints_both, tty=False, stdin=False)
        assert await read_all(session) == b"hello\n"
        assert await read_all(session, "stderr") == b"oops\n"
        assert await exit_of(session) == 0
        session = await runtime.exec(spec.id, self.exits_with_3, tty=False, stdin=False)
        assert await exit_of(session) == 3
        (container,) = await runtime.observe()
        assert container.state is ContainerState.RUNNING

    async def test_exec_takes_input(self, runtime: Runtime, tmp_path: Path) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        session = await runtime.exec(spec.id, self.echoes, tty=False, stdin=True)
        await session.write(b"one\n")
        assert await read_until(session, b"\n") == b"one\n"
        await session.write(b"two")
        await session.end_input()
        assert await read_all(session) == b"two"
        assert await exit_of(session) == 0

    async def test_exec_of_what_cannot_start(self, runtime: Runtime, tmp_path: Path) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        for tty in (False, True):
            with pytest.raises(ExecFailed, match=self.missing[0]):
                await runtime.exec(spec.id, self.missing, tty=tty, stdin=True)

    async def test_sessions_need_a_running_container(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.succeeds)
        await runtime.start(spec)
        await watcher.exit(spec.id)
        for id in (spec.id, new_id()):
            with pytest.raises(ContainerNotFound):
                await runtime.exec(id, self.succeeds, tty=False, stdin=False)
            with pytest.raises(ContainerNotFound):
                await runtime.attach(id, stdin=True)

    async def test_what_was_execd_ends_with_the_container(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        session = await runtime.exec(spec.id, self.runs_long, tty=False, stdin=False)
        await runtime.signal(spec.id, signal.SIGKILL)
        assert await exit_of(session) == 137

    async def test_what_was_execd_ends_with_the_session_if_it_is_to(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        """However it takes being hung up on: whoever asks every second must leave nothing."""
        spec = make_spec(tmp_path, *self.runs_long)
        await runtime.start(spec)
        session = await runtime.exec(
            spec.id, self.runs_long, tty=False, stdin=False, on_close=signal.SIGKILL
        )
        await session.close()
        (container,) = await runtime.observe()
        assert container.state is ContainerState.RUNNING

    async def test_attach_reaches_the_program(
        self, runtime: Runtime, watcher: Watcher, tmp_path: Path
    ) -> None:
        spec = make_spec(tmp_path, *self.echoes, stdin=True, stdin_once=True)
        await runtime.start(spec)
        session = await runtime.attach(spec.id, stdin=True)
        await session.write(b"hello\n")
        assert await read_until(session, b"\n") == b"hello\n"
        await session.end_input()
        assert await read_all(session) == b""
        assert (await watcher.exit(spec.id)).exit_code == 0
        assert await exit_of(session) == 0
