"""The waist between those who run pods and whoever gives each of them a network of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class NetworkFailed(Exception):
    """A pod's network, or that of all pods, could not be set up; the text says why."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One pod's place in the network of pods."""

    address: str
    namespace: Path  # a file; whoever joins the namespace it stands for is in the pod's network


class PodNetwork(Protocol):
    """Gives pods their addresses. What it holds outlives this process, as containers do."""

    gateway: str  # this machine's address, as pods reach it; known once it is open
    api: tuple[str, int] | None  # where pods reach the API server

    async def attach(self, uid: str) -> Attachment:
        """A pod's place, made when it has none yet. Raises NetworkFailed."""
        ...

    def find(self, uid: str) -> Attachment | None:
        """A pod's place, if it has one."""
        ...

    async def release(self, uid: str) -> None:
        """Give a pod's place up; no error when it has none."""
        ...

    async def sweep(self, kept: Iterable[str]) -> None:
        """Give up the places of all other pods."""
        ...
