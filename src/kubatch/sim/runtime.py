"""A Runtime whose containers are scripts: no process, no waiting but the event loop's own.

A program is found by argv[0]. It is how it ends: `Exit(code, after)`, or a function of the
container's spec that says so. Time is the event loop's, so a loop with virtual time runs hours of
containers at once.
"""

from __future__ import annotations

import asyncio
import signal as signals
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kubatch.runtime.protocol import (
    Container,
    ContainerId,
    ContainerNotFound,
    ContainerSpec,
    ContainerState,
    ExecFailed,
    Runtime,
    RuntimeUnavailable,
    Session,
)
from kubatch.world import World


@dataclass(frozen=True, slots=True)
class Exit:
    """How a scripted container ends."""

    code: int = 0
    after: float | None = 0.0  # seconds; None: it runs until it is signalled
    output: str = ""  # written to its log when it starts
    errors: str = ""  # the same, as stderr
    # The exit code after SIGTERM; None: it does not listen, and only SIGKILL helps.
    on_term: int | None = 128 + signals.SIGTERM
    # Gives back what it is sent, and ends when its input does; for sessions.
    echoes: bool = False
    max_rss_bytes: int | None = None


Program = Exit | Callable[[ContainerSpec], Exit]

# What the usual programs of tests do.
PROGRAMS: Mapping[str, Program] = {
    "true": Exit(0),
    "false": Exit(1),
    "exit": lambda spec: Exit(int(spec.argv[1])),
    "sleep": lambda spec: Exit(0, after=float(spec.argv[1])),
    "stubborn": Exit(0, after=None, on_term=None),
    "echo": lambda spec: Exit(0, output=" ".join(spec.argv[1:]) + "\n"),
    "cat": Exit(0, after=None, echoes=True),
}


@dataclass(slots=True)
class _Held:
    """A container that runs, and how it would end."""

    seen: Container
    script: Exit
    spec: ContainerSpec
    timer: asyncio.TimerHandle | None = None
    sessions: list[ScriptedSession] = field(default_factory=list)


class ScriptedSession(Session):
    """The streams of a script: what it prints, and its own input if it echoes."""

    def __init__(
        self, script: Exit, *, attached: bool, stdin: bool, tty: bool, ends: Callable[[int], None]
    ) -> None:
        self.size: tuple[int, int] | None = None
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.attached = attached
        self._script = script
        self._stdin, self._tty = stdin, tty
        self._ends = ends
        self._output: dict[str, deque[bytes]] = {"stdout": deque(), "stderr": deque()}
        self._more = asyncio.Event()

    def say(self, text: str, stream: str = "stdout") -> None:
        """Print something."""
        if text:
            self._output["stdout" if self._tty else stream].append(text.encode())
            self._more.set()

    def end(self, code: int) -> None:
        """The program ends."""
        if not self.exit.done():
            self.exit.set_result(code)
            self._more.set()

    async def read(self, stream: str) -> bytes:
        """What was printed and not read yet."""
        waiting = self._output[stream]
        while not waiting and not self.exit.done():
            self._more.clear()
            await self._more.wait()
        return waiting.popleft() if waiting else b""

    async def write(self, data: bytes) -> None:
        """Input; an echo gives it back."""
        if self._stdin and self._script.echoes and not self.exit.done():
            self._output["stdout"].append(data)
            self._more.set()

    async def end_input(self) -> None:
        """The end of the input, which ends an echo."""
        if self._stdin and self._script.echoes and not self._tty:
            self._ends(self._script.code)

    async def resize(self, width: int, height: int) -> None:
        """Remember the size."""
        self.size = (width, height)

    async def wait(self) -> int:
        """The exit code."""
        return await asyncio.shield(self.exit)

    async def close(self) -> None:
        """Let go."""
        self.end(128 + signals.SIGHUP)


class ScriptedRuntime(Runtime):
    """Runs scripts; see runtime/protocol.py. State lives in memory, and survives close()."""

    name = "scripted"
    version = "1.0.0"

    def __init__(
        self,
        world: World,
        programs: Mapping[str, Program] | None = None,
        *,
        logs: bool = False,
        witness: Callable[[Container], None] | None = None,
    ) -> None:
        """`witness` sees every start and end at once, whoever else is told late or never."""
        self.started: list[ContainerSpec] = []  # every start, in order
        self.signalled: list[tuple[ContainerId, int]] = []
        self.available = True  # False: every method raises RuntimeUnavailable
        self._world = world
        self._programs = {**PROGRAMS, **(programs or {})}
        self._logs = logs
        self._witness = witness
        self._held: dict[ContainerId, _Held] = {}
        self._changes: deque[Container] = deque()
        self._changed = asyncio.Event()
        self._open = False

    async def open(self) -> None:
        """Connect again: what ran goes on."""
        self._check()
        self._open = True
        self._changes.clear()

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a script. An argv[0] that no program has is a StartError."""
        self._check()
        known = self._held.get(spec.id)
        if known is not None:
            return known.seen
        self.started.append(spec)
        now = self._world.now()
        program = self._programs.get(spec.argv[0])
        if program is None:
            message = f'exec: "{spec.argv[0]}": executable file not found in $PATH'
            seen = Container(
                spec.id, ContainerState.EXITED, None, None, now, 128, "StartError", message,
                labels=spec.labels,
            )  # fmt: skip
            self._held[spec.id] = _Held(seen, Exit(128), spec)
            self._tell(seen)
            return seen
        script = program if isinstance(program, Exit) else program(spec)
        seen = Container(
            spec.id, ContainerState.RUNNING, len(self.started), now, labels=spec.labels
        )
        held = self._held[spec.id] = _Held(seen, script, spec)
        self._tell(seen)
        if self._logs:
            self._write_log(spec, script)
        if script.after is not None:
            loop = asyncio.get_running_loop()
            held.timer = loop.call_later(script.after, self._end, spec.id, script.code)
        return seen

    async def signal(self, id: ContainerId, number: int) -> None:
        """Signal a script: SIGKILL ends it, SIGTERM does what the script says."""
        self._check()
        held = self._held.get(id)
        if held is None:
            raise ContainerNotFound(id)
        self.signalled.append((id, number))
        if number == signals.SIGKILL:
            self._end(id, 128 + number)
        elif number == signals.SIGTERM and held.script.on_term is not None:
            self._end(id, held.script.on_term)

    async def observe(self) -> Sequence[Container]:
        """Everything not removed."""
        self._check()
        return [held.seen for held in self._held.values()]

    async def changes(self) -> AsyncIterator[Container]:
        """Starts and ends as they happen, until close()."""
        while True:
            while self._changes:
                yield self._changes.popleft()
            if not self._open:
                return
            self._changed.clear()
            await self._changed.wait()

    async def remove(self, id: ContainerId) -> None:
        """Forget a container; one that runs is killed first."""
        self._check()
        if id not in self._held:
            raise ContainerNotFound(id)
        self._end(id, 128 + signals.SIGKILL)
        del self._held[id]

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        on_close: int = signals.SIGHUP,
    ) -> ScriptedSession:
        """Run another script beside a container's own."""
        held = self._running(id)
        program = self._programs.get(argv[0])
        if program is None:
            raise ExecFailed(f'exec: "{argv[0]}": executable file not found in $PATH')
        spec = replace(held.spec, argv=tuple(argv))
        script = program if isinstance(program, Exit) else program(spec)
        session = ScriptedSession(
            script, attached=False, stdin=stdin, tty=tty, ends=lambda code: session.end(code)
        )
        session.say(script.output)
        session.say(script.errors, "stderr")
        held.sessions.append(session)
        if script.after is not None:
            asyncio.get_running_loop().call_later(script.after, session.end, script.code)
        return session

    async def attach(self, id: ContainerId, *, stdin: bool) -> ScriptedSession:
        """The streams of a container's own script, which has said already what it says."""
        held = self._running(id)
        stdin = stdin and held.spec.stdin
        session = ScriptedSession(
            held.script,
            attached=True,
            stdin=stdin,
            tty=held.spec.tty,
            ends=lambda code: self._end(id, code),
        )
        held.sessions.append(session)
        return session

    def _running(self, id: ContainerId) -> _Held:
        self._check()
        held = self._held.get(id)
        if held is None or held.seen.state is ContainerState.EXITED:
            raise ContainerNotFound(id)
        return held

    async def close(self, *, kill: bool) -> None:
        """Disconnect; with kill, end everything."""
        if kill:
            for id in list(self._held):
                self._end(id, 128 + signals.SIGKILL)
        self._open = False
        self._changed.set()

    def end(self, id: ContainerId, code: int) -> None:
        """Let a container end now, as if its program had."""
        self._end(id, code)

    def lose(self, id: ContainerId) -> None:
        """Forget a container without a word, as a machine does that loses its power."""
        held = self._held.pop(id)
        if held.timer is not None:
            held.timer.cancel()

    def _check(self) -> None:
        if not self.available:
            raise RuntimeUnavailable("the scripted runtime is switched off")

    def _end(self, id: ContainerId, code: int) -> None:
        held = self._held.get(id)
        if held is None or held.seen.state is ContainerState.EXITED:
            return
        if held.timer is not None:
            held.timer.cancel()
        held.seen = replace(
            held.seen,
            state=ContainerState.EXITED,
            pid=None,
            finished_at=self._world.now(),
            exit_code=code,
            max_rss_bytes=held.script.max_rss_bytes,
        )
        for session in held.sessions:
            session.end(code if session.attached else 128 + signals.SIGKILL)
        self._tell(held.seen)

    def _tell(self, seen: Container) -> None:
        if self._witness is not None:
            self._witness(seen)
        self._changes.append(seen)
        self._changed.set()

    def _write_log(self, spec: ContainerSpec, script: Exit) -> None:
        stamp = self._world.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        streams = (("stdout", script.output), ("stderr", script.errors))
        with spec.log_path.open("a", encoding="utf-8") as file:
            for stream, text in streams:
                file.writelines(f"{stamp} {stream} F {line}\n" for line in text.splitlines())
