"""The world of a simulation: time from the event loop, chance and secrets from a seed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kubatch.world import Rng, World, seeded

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class SimClock:
    """The running loop's time as a date, and what somebody has set the clock forward or back."""

    def __init__(self) -> None:
        self.jumped = timedelta()

    def now(self) -> datetime:
        """The present; may lie before an earlier present, as on any machine."""
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time()) + self.jumped

    def jump(self, seconds: float) -> None:
        """Set the clock; timers of the loop do not notice."""
        self.jumped += timedelta(seconds=seconds)


@dataclass(frozen=True)
class SimWorld(World):
    """A World without anything real."""

    def token(self) -> str:
        """As hard to guess as the seed, and the same in the next run."""
        return f"{self.rng.getrandbits(192):048x}"


def chance(seed: int, what: str) -> Rng:
    """A stream of chance of its own: what one part draws does not change another's luck."""
    return seeded(f"{seed}/{what}")
