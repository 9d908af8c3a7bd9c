"""What a decision about a pod may tell its worker to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubatch.agent.facts import NOTHING_KNOWN, ContainerFacts, Memory
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Prepare and start one attempt; what goes wrong becomes a Problem in the memory."""

    container: ContainerFacts
    attempt: int


@dataclass(frozen=True, slots=True)
class SetUpVolumes:
    """Make the pod's volumes ready; what goes wrong is kept in the memory."""


@dataclass(frozen=True, slots=True)
class ReleaseVolumes:
    """Remove the pod's volumes: no container will use them any more."""


@dataclass(frozen=True, slots=True)
class Signal:
    id: ContainerId
    number: int


@dataclass(frozen=True, slots=True)
class RunPreStop:
    """Begin a container's preStop hook; how it went is among the facts later."""

    container: ContainerFacts


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Forget an attempt that ended; with its log unless the pod stays to be read."""

    id: ContainerId
    with_log: bool


@dataclass(frozen=True, slots=True)
class DeletePod:
    """The last DELETE: grace period 0, with the uid as precondition."""


@dataclass(frozen=True, slots=True)
class ForgetPod:
    """Nothing is left of the pod but its logs: delete them and forget it."""


@dataclass(frozen=True, slots=True)
class Emit:
    """An event about the pod, or one of its containers when field_path is given."""

    type: str  # Normal, Warning
    reason: str
    message: str
    field_path: str = ""


Command = (
    StartContainer | SetUpVolumes | ReleaseVolumes | Signal | RunPreStop | RemoveContainer
    | DeletePod | ForgetPod | Emit
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PodDecision:
    """Commands in the order to carry them out; then the status, if there is one to show.

    No status comes with StartContainer and SetUpVolumes: what to show depends on how it went, so
    the pod is decided anew after it, and a pod whose containers can start at once costs no write
    before that.
    """

    because: str
    commands: tuple[Command, ...] = ()
    status: m.PodStatus | None = None
    memory: Memory = NOTHING_KNOWN
    wake_at: datetime | None = None
