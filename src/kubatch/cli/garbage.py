"""Python's garbage collector, set up for a process that holds a large state in memory.

The collector looks for cycles among all objects that are alive, again whenever their number has
grown by a quarter: with a few thousand Jobs stored, everybody waits a tenth of a second for it, and
with more of them longer. Stored objects hold no cycles, so looking at each of them once is enough:
what has survived a full collection is set aside. Lest a cycle that came apart later be kept for
good, all of it is looked at once more whenever so many collections have passed again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The youngest are looked at after so many more objects were made than went; what survives, with the
# next ones; all that is not set aside, after every third of those: about 30,000 objects at most,
# which takes some 20 ms.
THRESHOLDS = (5_000, 1, 2)
FIRST_SWEEP = 64  # full collections


class Collections:
    """Sets survivors aside after full collections."""

    def __init__(self, first_sweep: int = FIRST_SWEEP) -> None:
        self._seen = 0
        self._sweep_at = first_sweep

    def after(self, phase: str, info: dict[str, Any]) -> None:
        """One of `gc.callbacks`."""
        if phase != "stop" or info["generation"] < 2:
            return
        self._seen += 1
        if self._seen < self._sweep_at:
            gc.freeze()
        else:
            gc.unfreeze()  # the next full collection looks at everything
            self._sweep_at = 2 * self._seen


@contextmanager
def tuned() -> Iterator[None]:
    """Collect so while the block runs."""
    before, collections = gc.get_threshold(), Collections()
    gc.freeze()  # modules stay
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(collections.after)
    try:
        yield
    finally:
        gc.callbacks.remove(collections.after)
        gc.set_threshold(*before)
        gc.unfreeze()
