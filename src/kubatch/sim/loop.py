"""An event loop on virtual time: its clock jumps to the next timer instead of waiting for it.

Hours pass in no time, and equal programs run alike. Sockets and threads stay outside: nothing that
happens elsewhere can wake this loop.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any, cast

# Turns of the loop in which time may stand still. More means two parts that wake each other for
# ever; a busy moment of a whole cluster takes a few thousand.
TURNS_MAX = 200_000


class NothingToWaitFor(Exception):
    """Every task waits, and no timer is set."""


class TimeStandsStill(Exception):
    """Something is always ready to run, so time never goes on."""


class _Selector(selectors.DefaultSelector):
    """Never waits: moves the loop's clock on instead."""

    now = 0.0
    turns = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise NothingToWaitFor
        if timeout > 0:
            self.now += timeout
            self.turns = 0
            return []
        self.turns += 1
        if self.turns > TURNS_MAX:
            self.turns = 0  # what is running gets the time to be cancelled
            raise TimeStandsStill
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that starts at 0 and needs no time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(cast(Any, self._virtual))
        # After a month a float has no nanoseconds left, and a timer due now would never be run.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual.now
