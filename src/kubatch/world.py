"""The one door to time, chance and ids.

Nothing else in kubatch reads a clock or a random source, so a run on a simulated world can be
repeated byte for byte. Waiting is asyncio's business: a simulation replaces the event loop's clock.
"""

from __future__ import annotations

import random
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

# The alphabet of Kubernetes' generated names: no vowels and nothing that looks like another
# character (k8s.io/apimachinery/pkg/util/rand: alphanums).
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

Rng = random.Random


def seeded(seed: str) -> Rng:
    """Chance that comes out the same each time, on every machine."""
    return Rng(seed)


class Clock(Protocol):
    """Tells the time; never waits."""

    def now(self) -> datetime:
        """The present as an aware UTC datetime with microseconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class World:
    """Everything a run takes from outside that is not input: time, chance, secrets."""

    clock: Clock = field(default_factory=SystemClock)
    rng: random.Random = field(default_factory=random.SystemRandom)

    def now(self) -> datetime:
        """The present, in UTC, with microseconds."""
        return self.clock.now()

    def uid(self) -> str:
        """A fresh version 4 UUID, as in metadata.uid."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def name_suffix(self, length: int = 5) -> str:
        """The random end of a generated name (apiserver/pkg/storage/names/generate.go)."""
        return "".join(self.rng.choices(NAME_ALPHABET, k=length))

    def token(self) -> str:
        """A bearer token nobody can guess. Never seeded: a secret must not repeat."""
        return secrets.token_urlsafe(32)


def whole_seconds(moment: datetime) -> datetime:
    """The moment as metav1.Time shows it: without a fraction of a second."""
    return moment.replace(microsecond=0)
