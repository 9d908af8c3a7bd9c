"""Signalling a container, whatever it is made of."""

from __future__ import annotations

import signal

from . import cgroups, sandboxed, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from .attempt import Attempt


def deliver(attempt: Attempt, number: int) -> None:
    """Signal a container that runs; SIGKILL ends all of it."""
    if not attempt.pid:
        return
    record = attempt.record
    if "sandbox" in record:
        if sandboxed.deliver(record, attempt.pid, number):
            record["killed_by"] = number
    else:
        spawn.kill_group(attempt.pid, number)
    if number == signal.SIGKILL and "cgroup" in record:
        cgroups.kill(record["cgroup"])
