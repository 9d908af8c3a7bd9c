"""An event loop whose clock jumps to the next timer instead of waiting for it.

Tests of delays, back-offs and time-outs take no time this way, and a test that waits for something
that nobody will ever do fails at once.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, cast

P = ParamSpec("P")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class NothingToWaitFor(Exception):
    """Every task waits, and no timer is set."""


class _Selector(selectors.DefaultSelector):
    """Never waits: moves the loop's clock on instead."""

    offset = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise NothingToWaitFor
            self.offset += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that starts at 0 and needs no time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(cast(Any, self._virtual))

    def time(self) -> float:
        return self._virtual.offset


class LoopClock:
    """A world's clock that goes with the running loop's."""

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def virtual_time(
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Run an async test on a VirtualLoop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
