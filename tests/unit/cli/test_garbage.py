"""The collector of a long-lived process: survivors are set aside, now and then looked at again."""

from __future__ import annotations

import gc
import weakref

from kubatch.cli.garbage import THRESHOLDS, Collections, tuned


class Node:
    """A cycle when it points to itself."""

    def __init__(self) -> None:
        self.next = self


def test_it_ends_as_it_began() -> None:
    before, callbacks = gc.get_threshold(), list(gc.callbacks)
    with tuned():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == before
    assert gc.callbacks == callbacks
    assert gc.get_freeze_count() == 0


def test_survivors_are_set_aside_and_cycles_found() -> None:
    with tuned():
        alive, lost = Node(), weakref.ref(Node())
        gc.collect()
        assert lost() is None
        assert not any(found is alive for found in gc.get_objects())


def test_what_was_set_aside_is_looked_at_again() -> None:
    collections = Collections(first_sweep=2)
    node = Node()
    lost = weakref.ref(node)
    try:
        collections.after("stop", {"generation": 2})
        del node
        gc.collect()
        assert lost() is not None
        for phase, generation in (("start", 2), ("stop", 0), ("stop", 1)):
            collections.after(phase, {"generation": generation})
            gc.collect()
            assert lost() is not None
        collections.after("stop", {"generation": 2})
        gc.collect()
        assert lost() is None
        collections.after("stop", {"generation": 2})
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
