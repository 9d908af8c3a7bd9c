"""The one reader of clocks in the shim, which is a program of its own and outside `world`."""

from __future__ import annotations

import time

monotonic = time.monotonic
epoch_ns = time.time_ns


def epoch_us() -> int:
    """Microseconds since the epoch, as records hold them."""
    return epoch_ns() // 1000
