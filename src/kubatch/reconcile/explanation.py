"""What the engine remembers about a key for whoever asks why: the last decisions, how they went."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Decision

EXPLANATIONS_MAX = 10_000  # keys remembered
EARLIER_MAX = 5  # decisions before the last one, of each key


@dataclass(frozen=True, slots=True)
class Explanation:
    """The last decision about a key in words, without the objects it was about."""

    because: str
    at: datetime
    wake_at: datetime | None = None  # it will be looked at again then, whatever happens
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""  # why the decision could not be carried out
    retry_at: datetime | None = None
    earlier: tuple[tuple[datetime, str], ...] = ()  # oldest first, each saying something new


class Explanations(OrderedDict[Key, Explanation]):
    """The last decisions of one controller's keys; the key not decided for longest goes first."""

    def note(self, key: Key, decision: Decision, now: datetime) -> None:
        """Remember a decision before it is carried out."""
        earlier: tuple[tuple[datetime, str], ...] = ()
        before = self.get(key)
        if before is not None:
            earlier = before.earlier
            if before.because != decision.because:
                earlier = (*earlier, (before.at, before.because))[-EARLIER_MAX:]
        self[key] = Explanation(
            decision.because, now, decision.wake_at, decision.facts, earlier=earlier
        )
        self.move_to_end(key)
        if len(self) > EXPLANATIONS_MAX:
            self.popitem(last=False)

    def failed(self, key: Key, error: str, retry_at: datetime) -> None:
        """Add to the key's last decision that it went wrong."""
        last = self.get(key)
        if last is not None:
            self[key] = Explanation(
                last.because, last.at, last.wake_at, last.facts, error, retry_at, last.earlier
            )
