"""Tests on virtual time.

Delays, back-offs and time-outs take no time this way, and a test that waits for something that
nobody will ever do fails at once.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from kubatch.sim.loop import NothingToWaitFor, VirtualLoop
from kubatch.sim.world import EPOCH
from kubatch.sim.world import SimClock as LoopClock

__all__ = ["EPOCH", "LoopClock", "NothingToWaitFor", "VirtualLoop", "virtual_time"]

P = ParamSpec("P")


def virtual_time(
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Run an async test on a VirtualLoop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
