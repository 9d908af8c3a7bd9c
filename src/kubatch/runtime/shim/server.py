"""The shim's loop: requests of clients, output and ends of containers, one thread, one epoll.

One turn takes what came, starts and ends what it asks for, writes the journal once, and only then
answers. Requests: {"n": number, "op": name, ...}; answers: {"n": number, ...}; changes without
being asked: {"c": record} and {"gone": id}.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

from . import sandboxed, spawn
from .attempt import UNKNOWN_END, Attempt, still_running
from .cgroups import Cgroups
from .clock import epoch_us, monotonic
from .cri_log import CriLog
from .deliver import deliver
from .joining import join
from .journal import Journal, Key, key_of
from .sessions import Sessions
from .strays import Strays
from .wire import Client, accepted

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

    from .journal import Record

PROTOCOL = 2
SOCKET = "shim.sock"
_STARTS_PER_TURN = 16  # between them, ends are seen and pipes are emptied
_PIPE_GRACE_S = 1.0
_SHUTDOWN_S = 10.0
_POLL_S = 0.25  # for adopted processes where the kernel has no pidfd
_TIDY_S = 0.05
_FAULTS_MAX = 100
_MASK = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Shim:
    """Everything the shim knows; the current directory is its own."""

    def __init__(self, listener: socket.socket, idle_s: float) -> None:
        self.home = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self.boot = spawn.boot_id()
        self.listener = listener
        self.idle_s = idle_s
        self.idle_since = monotonic()
        self.stopping = False
        self.attempts: dict[Key, Attempt] = {}
        self.by_pid: dict[int, Attempt] = {}  # our children
        self.adopted: dict[Key, Attempt] = {}
        self.draining: dict[Key, Attempt] = {}  # ended, oldest first; pipes still open
        self.strays = Strays(self)
        self.sessions = Sessions(self)
        here = os.fstat(self.home)
        self.cgroups = Cgroups(f"kubatch-{here.st_dev:x}-{here.st_ino:x}")
        self.clients: dict[int, Client] = {}
        self.news: list[tuple[Attempt, Client | None]] = []  # to publish, but not to that client
        self.answers: list[tuple[Client, dict[str, Any]]] = []
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.epoll = select.epoll()
        self.journal = Journal("journal", lambda: [a.record for a in self.attempts.values()])
        self.watch(listener.fileno(), self._accept)
        self._watch_children()
        self._recover()

    def run(self) -> None:
        """Serve until told to stop, or idle for long."""
        faults_left = _FAULTS_MAX
        while not self.stopping:
            try:
                self._turn()
            except Exception as error:
                # A mistake of ours must not take every container along; a lasting one may.
                sys.excepthook(type(error), error, error.__traceback__)
                faults_left -= 1
                if not faults_left:
                    raise

    def _turn(self) -> None:
        for fd, mask in self.epoll.poll(self._timeout()):
            handler = self.handlers.get(fd)
            if handler is not None:
                handler(mask)
        self._serve()
        self._look_at_clock()
        self._publish()

    def watch(self, fd: int, handler: Callable[[int], None], mask: int = _MASK) -> None:
        """Call the handler whenever the file is ready."""
        self.handlers[fd] = handler
        self.epoll.register(fd, mask)

    def forget_fd(self, fd: int) -> None:
        """Watch it no more."""
        if self.handlers.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def _watch_children(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: what is ignored stays ignored in containers.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

        def woken(_: int) -> None:
            os.read(read, 4096)
            self._reap()

        self.watch(read, woken)

    # What ran under the last shim

    def _recover(self) -> None:
        for key, record in self.journal.read().items():
            attempt = self.attempts[key] = Attempt(key, record)
            if attempt.running and not self._adopt(attempt):
                attempt.end(**(sandboxed.end_of(attempt.record) or UNKNOWN_END))
        self.journal.compact()
        self.cgroups.recover(attempt.record for attempt in self.adopted.values())

    def _adopt(self, attempt: Attempt) -> bool:
        if not attempt.find_again(self.boot):
            return False
        self.adopted[attempt.key] = attempt
        if attempt.pidfd >= 0:
            self.watch(attempt.pidfd, lambda _: self._adopted_ended(attempt))
        return True

    def _adopted_ended(self, attempt: Attempt) -> None:
        # Its number may name another process by now; as a group it is then somebody else's.
        if spawn.birth(attempt.pid) in (None, attempt.record["birth"]):
            spawn.kill_group(attempt.pid, signal.SIGKILL)
        self.strays.ended(self.sessions.kill(attempt.key), adopted=True)
        del self.adopted[attempt.key]
        self.forget_fd(attempt.pidfd)
        attempt.pid = 0
        attempt.close()
        end = sandboxed.end_of(attempt.record) or UNKNOWN_END
        attempt.end(**{**end, **self.cgroups.end(attempt.record)})
        self.journal.append(attempt.record)
        self._ended(attempt)

    # Clients

    def _accept(self, _: int) -> None:
        sock = accepted(self.listener)
        if sock is None:
            return
        client = Client(sock)
        fd = sock.fileno()
        self.clients[fd] = client

        def ready(mask: int) -> None:
            if mask & select.EPOLLOUT:
                client.send()
            if mask & _MASK and client.wants_read:
                client.receive()

        self.watch(fd, ready)

    def _drop_broken(self) -> None:
        for fd, client in list(self.clients.items()):
            if client.broken:
                del self.clients[fd]
                self.forget_fd(fd)
                client.close()
                self.idle_since = monotonic()
            else:
                reading = select.EPOLLIN if client.wants_read else 0
                writing = select.EPOLLOUT if client.wants_write else 0
                self.epoll.modify(fd, reading | writing)

    def _serve(self) -> None:
        for client in list(self.clients.values()):
            requests = client.requests
            batch = [requests.popleft() for _ in range(min(len(requests), _STARTS_PER_TURN))]
            # That a start was tried is on disk before it happens: if the shim dies in between,
            # the attempt ended in an unknown way, and is not made twice.
            for request in batch:
                if request.get("op") == "start":
                    self._intend(request)
            writable = self.journal.flush()
            for request in batch:
                if self.stopping:
                    return
                try:
                    self._handle(client, request, writable)
                except (LookupError, TypeError, ValueError, OSError) as error:
                    self._answer(client, request, error=f"{type(error).__name__}: {error}")

    def _intend(self, request: dict[str, Any]) -> None:
        try:
            if key_of(request) not in self.attempts:
                self.journal.append(self._first_record(request))
        except (LookupError, TypeError, ValueError):
            pass  # a request that makes no sense; it is refused when its turn comes

    def _handle(self, client: Client, request: dict[str, Any], writable: bool) -> None:
        op = request["op"]
        if op == "hello":
            client.greeted = True
            self._answer(client, request, protocol=PROTOCOL, pid=os.getpid(), all=self._all(),
                         limits=self.cgroups.enforced)  # fmt: skip
        elif op == "list":
            self._answer(client, request, all=self._all())
        elif op == "shutdown":
            self._shutdown(client, request)
        elif op == "start":
            self._start(client, request, writable)
        else:
            attempt = self.attempts.get(key_of(request))
            if attempt is None:
                self._answer(client, request, missing=True)
            elif op == "signal":
                self._signal(attempt, int(request["signal"]))
                self._answer(client, request)
            elif op == "remove":
                self._remove(client, request, attempt)
            elif op in ("exec", "attach", "resize"):
                self._answer(client, request, **self.sessions.handle(client, request, attempt))
            else:
                self._answer(client, request, error=f"unknown request {op!r}")

    def _all(self) -> list[Record]:
        # One whose end waits for the last output still runs, as far as anyone was told.
        return [a.record for a in self.attempts.values() if a.key not in self.draining] + [
            still_running(a.record) for a in self.draining.values()
        ]

    def _answer(self, client: Client, request: dict[str, Any], **values: Any) -> None:
        self.answers.append((client, {"n": request.get("n"), **values}))

    # Containers

    def _first_record(self, request: dict[str, Any]) -> Record:
        return {
            "id": request["id"],
            "state": "starting",
            "boot": self.boot,
            "labels": request["labels"],
        }

    def _start(self, client: Client, request: dict[str, Any], writable: bool) -> None:
        key = key_of(request)
        known = self.attempts.get(key)
        if known is not None:
            record = still_running(known.record) if key in self.draining else known.record
            self._answer(client, request, c=record)
            return
        if not writable:
            self._answer(client, request, error="the journal cannot be written")
            return
        attempt = self.attempts[key] = Attempt(key, self._first_record(request))
        try:
            self._launch(attempt, request)
        except (spawn.StartError, OSError) as error:
            attempt.close()
            attempt.end(exit_code=128, reason="StartError", message=str(error))
        self.journal.append(attempt.record)
        self.news.append((attempt, client))
        self._answer(client, request, c=attempt.record, new=True)

    def _launch(self, attempt: Attempt, request: dict[str, Any]) -> None:
        attempt.log = CriLog(request["log"], request["log_bytes"], request["log_files"])
        theirs: list[int] = []
        try:
            if request.get("refused"):
                raise spawn.StartError(request["refused"])
            files, env = attempt.open_streams(request, theirs), request["env"]
            if "sandbox" in request:
                files, env = files + sandboxed.files(request, theirs), sandboxed.CLEAN
                attempt.record["sandbox"] = sandboxed.record_of(request)
            if request.get("limits") and (groups := self.cgroups.make(request)):
                attempt.record["cgroup"] = groups
            pid = self.spawn_in(attempt, request["argv"], env, attempt.cwd, files)
        except (OSError, spawn.StartError):
            self.cgroups.end(attempt.record)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        attempt.pid = pid
        attempt.record.update(
            state="running", pid=pid, started_at=epoch_us(), birth=spawn.birth(pid)
        )
        self.by_pid[pid] = attempt
        self.strays.started(pid)
        self.sessions.forget(pid)
        for fd in attempt.pipes:
            self.watch(fd, self._reader(attempt, fd))

    def spawn_in(
        self, attempt: Attempt, argv: list[str], env: dict[str, str], cwd: str,
        files: tuple[Any, ...],
    ) -> int:  # fmt: skip
        """Start a program in a container's control groups and network, where it has any."""
        groups, network = attempt.record.get("cgroup"), attempt.record.get("network")
        if not (groups or network):
            return spawn.spawn(argv, env, cwd, files, self.home)
        return spawn.spawn_after(lambda: join(groups, network), argv, env, cwd, files)

    def _reader(self, attempt: Attempt, fd: int) -> Callable[[int], None]:
        def ready(_: int) -> None:
            attempt.read(fd)
            if attempt.stuck(fd):
                self.forget_fd(fd)  # until resume(); also at its end it would wake us for ever
            elif fd not in attempt.pipes:
                self.handlers.pop(fd, None)  # closed, so epoll has forgotten it
                if not attempt.pipes and attempt.key in self.draining:
                    self._drained(attempt)

        return ready

    def resume(self, attempt: Attempt) -> None:
        """Read output again that waited for its viewers."""
        for fd in attempt.pipes:
            if fd not in self.handlers and not attempt.stuck(fd):
                self.watch(fd, self._reader(attempt, fd))

    def _reap(self) -> None:
        while True:
            # Looked at before it is reaped: until then its number, and so its group, is its own.
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if info is None:
                break
            pid = info.si_pid
            attempt = self.by_pid.pop(pid, None)
            if attempt is not None:
                spawn.kill_group(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            if attempt is not None:
                self._main_ended(attempt, status, usage)
            elif self.sessions.owns(pid):
                self.sessions.ended(pid, spawn.exit_code(status))
        self.strays.kill()

    def _main_ended(self, attempt: Attempt, status: int, usage: Any) -> None:
        self.strays.ended((attempt.pid, *self.sessions.kill(attempt.key)))
        attempt.pid = 0
        attempt.close_input()
        code = spawn.exit_code(status)
        if code == 137 and "killed_by" in attempt.record:
            code = 128 + attempt.record["killed_by"]
        attempt.end(
            exit_code=code,
            max_rss_bytes=usage.ru_maxrss * 1024,
            cpu_seconds=round(usage.ru_utime + usage.ru_stime, 6),
            **self.cgroups.end(attempt.record),
        )
        self.journal.append(attempt.record)
        fds = list(attempt.pipes)
        attempt.drain()
        for fd in fds:
            if fd not in attempt.pipes:
                self.handlers.pop(fd, None)
        if attempt.pipes:
            attempt.deadline = monotonic() + _PIPE_GRACE_S
            self.draining[attempt.key] = attempt
        else:
            self._ended(attempt)

    def _drained(self, attempt: Attempt) -> None:
        del self.draining[attempt.key]
        for stream in attempt.pipes.values():
            if attempt.log is not None:
                attempt.log.flush(stream)
        self._ended(attempt)

    def _ended(self, attempt: Attempt) -> None:
        viewers, attempt.attachments = attempt.attachments, []
        for viewer in viewers:
            viewer.finish(attempt.record["exit_code"])
        self.resume(attempt)
        self.news.append((attempt, None))
        self.idle_since = monotonic()

    def _signal(self, attempt: Attempt, number: int) -> None:
        if attempt.key in self.adopted and spawn.birth(attempt.pid) != attempt.record["birth"]:
            return
        deliver(attempt, number)

    def _remove(self, client: Client, request: dict[str, Any], attempt: Attempt) -> None:
        def gone() -> None:
            if self.attempts.get(attempt.key) is attempt:
                del self.attempts[attempt.key]
                for fd in attempt.pipes:
                    self.forget_fd(fd)
                attempt.close()
                self.journal.append({"id": attempt.record["id"], "state": "removed"})
                for other in self.clients.values():
                    if other.greeted:
                        self.answers.append((other, {"gone": attempt.record["id"]}))
            self._answer(client, request)

        if attempt.running or attempt.key in self.draining:
            attempt.waiters.append(gone)
            self._signal(attempt, signal.SIGKILL)
        else:
            gone()

    # The end of a turn

    def _publish(self) -> None:
        self.journal.flush()
        news, self.news = self.news, []
        answers, self.answers = self.answers, []
        # Answers first: the one who asked learns of a start before it learns of its end.
        for client, answer in answers:
            client.post(answer)
        for attempt, asker in news:
            for client in self.clients.values():
                if client.greeted and client is not asker:
                    client.post({"c": attempt.record})
        for attempt, _ in news:
            waiters, attempt.waiters = attempt.waiters, []
            for call in waiters:
                call()
        if self.answers:
            self._publish()
            return
        for client in self.clients.values():
            client.send()
        self._drop_broken()

    def _timeout(self) -> float | None:
        if any(client.requests for client in self.clients.values()):
            return 0
        now = monotonic()
        times = []
        if self.draining:
            times.append(next(iter(self.draining.values())).deadline - now)
        if any(a.pidfd < 0 for a in self.adopted.values()):
            times.append(_POLL_S)
        if self.cgroups.busy:
            times.append(_TIDY_S)
        if self._idle():
            times.append(self.idle_since + self.idle_s - now)
        return max(0, min(times)) if times else None

    def _idle(self) -> bool:
        return not (self.clients or self.by_pid or self.adopted or self.draining)

    def _look_at_clock(self) -> None:
        now = monotonic()
        self.cgroups.tidy()
        for attempt in list(self.draining.values()):
            if attempt.deadline <= now:
                self._drained(attempt)
        for attempt in list(self.adopted.values()):
            if attempt.pidfd < 0 and spawn.birth(attempt.pid) != attempt.record["birth"]:
                self._adopted_ended(attempt)
        self.strays.tidy()
        if self._idle() and now >= self.idle_since + self.idle_s:
            self._stop()

    def _stop(self) -> None:
        self.cgroups.close()
        try:
            os.unlink(SOCKET)
        except OSError:
            pass
        self.stopping = True

    def _shutdown(self, client: Client, request: dict[str, Any]) -> None:
        deadline = monotonic() + _SHUTDOWN_S
        while monotonic() < deadline:
            for attempt in [*self.by_pid.values(), *self.adopted.values()]:
                self._signal(attempt, signal.SIGKILL)
            children = spawn.children()
            for pid in children or ():
                os.kill(pid, signal.SIGKILL)  # a child is ours until reaped, so this is safe
            self._reap()
            for attempt in list(self.adopted.values()):
                if spawn.birth(attempt.pid) != attempt.record["birth"]:
                    self._adopted_ended(attempt)
            if not (self.by_pid or self.adopted or children):
                break
            time.sleep(0.001)
        for attempt in list(self.draining.values()):
            attempt.drain()
            self._drained(attempt)
        self.strays.tidy()
        self._answer(client, request)
        self._stop()
