"""What containers leave behind: children of ours that no request started.

As their subreaper we become the parent of whatever loses its own. A process that stayed in its
container's Unix session is known by that. One that made a session for itself is known by its
environment, which it has inherited; one that hides that, too, may be of any container that runs
now, and is ended with the last of them.
"""

from __future__ import annotations

import os
import signal

from . import spawn
from .kin import end_kin

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from collections.abc import Iterable

    from .attempt import Attempt
    from .server import Shim

_ENDED_SESSIONS_MAX = 4096
_ENVIRON_BYTES_MAX = 1 << 20


class Strays:
    """Knows whose they are, and ends them."""

    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._ended_sessions: dict[int, None] = {}
        self._owners: dict[int, frozenset[Attempt]] = {}  # any of which may be the one
        self._others = True  # what another shim started has ended, perhaps before we came

    def ended(self, sessions: Iterable[int], *, adopted: bool = False) -> None:
        """These Unix sessions belong to nobody any more; `adopted`: another shim's."""
        self._others = self._others or adopted
        for session in sessions:
            self._ended_sessions[session] = None
        while len(self._ended_sessions) > _ENDED_SESSIONS_MAX:
            del self._ended_sessions[next(iter(self._ended_sessions))]

    def started(self, pid: int) -> None:
        """A number names a new process now."""
        self._ended_sessions.pop(pid, None)

    def tidy(self) -> None:
        """End what containers left that ended and were not our children."""
        if self._others:
            self._others = False
            end_kin(self._shim.attempts.values())

    def kill(self) -> None:
        """End the strays of what has ended."""
        shim = self._shim
        found = [
            pid
            for pid in spawn.children() or ()
            if pid not in shim.by_pid and not shim.sessions.owns(pid)
        ]
        if not found and not self._owners:
            return
        self._owners = {pid: self._owners[pid] for pid in found if pid in self._owners}
        for pid in found:
            try:
                if self._is_over(pid):
                    os.kill(pid, signal.SIGKILL)  # a child is ours until reaped, so this is safe
            except ProcessLookupError:
                pass

    def _is_over(self, pid: int) -> bool:
        session = os.getsid(pid)
        if session in self._ended_sessions:
            return True
        if session in self._shim.by_pid:
            return False
        owners = self._owners.get(pid)
        if owners is None:
            owners = self._owners[pid] = _owners(pid, list(self._shim.attempts.values()))
        return not any(owner.pid for owner in owners)


def _owners(pid: int, known: list[Attempt]) -> frozenset[Attempt]:
    """The containers whose environment a process has; all, when none fits.

    Those that have just ended count, too: their children become ours in the same moment.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            has = set(file.read(_ENVIRON_BYTES_MAX).split(b"\0"))
    except OSError:
        has = set()
    fit = [a for a in known if a.env and all(_pair(*pair) in has for pair in a.env.items())]
    return frozenset(fit or [a for a in known if a.pid])


def _pair(name: str, value: str) -> bytes:
    return f"{name}={value}".encode("utf-8", "surrogateescape")
