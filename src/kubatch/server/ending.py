"""Ending tasks, where who ends them may itself be ended at any moment: a client leaves."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they are over, whatever came of them.

    Not gather(), which would cancel them a second time, in the midst of tidying up, when whoever
    waits here is cancelled.
    """
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody reports it as forgotten
