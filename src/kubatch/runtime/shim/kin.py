"""What containers leave behind when their shim has died: nobody's children any more.

They are known by what every process of a pod inherits and programs leave alone: the pod's name and
where its API is, which no other server on this machine has. A container without these, or a process
that hides them, is not looked for: nothing that might be somebody else's is ended.
"""

from __future__ import annotations

import os
import signal

from . import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from collections.abc import Iterable, Mapping

    from .attempt import Attempt

_NAMES = ("HOSTNAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
_ENVIRON_BYTES_MAX = 1 << 20
_PASSES_MAX = 20  # while we look, what we end may have made more


def kin_of(env: Mapping[str, str]) -> str:
    """What tells a container's processes, or nothing."""
    values = [env.get(name, "") for name in _NAMES]
    return "\n".join(values) if all(values) else ""


def end_kin(attempts: Iterable[Attempt]) -> None:
    """End the processes of containers of which none runs any more."""
    over: dict[str, bool] = {}
    for attempt in attempts:
        if kin := attempt.record.get("kin"):
            over[kin] = over.get(kin, True) and not attempt.pid
    wanted = {kin for kin, ended in over.items() if ended}
    for _ in range(_PASSES_MAX if wanted else 0):
        found = [pid for pid in _processes() if _kin(pid) in wanted]
        if not found:
            return
        for pid in found:
            _kill(pid, wanted)


def _kill(pid: int, wanted: set[str]) -> None:
    birth = spawn.birth(pid)
    # Read again once its age is known: it must be the same process all along.
    if birth is None or _kin(pid) not in wanted or spawn.birth(pid) != birth:
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _kin(pid: int) -> str:
    """The same of a process, from the environment that it was started with."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read(_ENVIRON_BYTES_MAX)
    except OSError:  # gone, or somebody else's
        return ""
    if b"KUBERNETES_SERVICE_HOST=" not in data:
        return ""
    pairs = (pair.partition("=") for pair in data.decode("utf-8", "surrogateescape").split("\0"))
    return kin_of({name: value for name, _, value in pairs})
