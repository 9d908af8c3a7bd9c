"""The arithmetic of disruption budgets: how many pods there should be, and how many may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from kubatch.api.models import Pod, PodDisruptionBudgetSpec
from kubatch.api.owners import controller_of


def share(amount: int | str, total: int) -> int:
    """A number of pods, or a percentage of them rounded up (GetScaledValueFromIntOrPercent)."""
    if isinstance(amount, int):
        return amount
    return ceil(int(amount.removesuffix("%")) * total / 100)


def desired(spec: PodDisruptionBudgetSpec, expected: int) -> int:
    """How many of the pods must be healthy (disruption.go: getExpectedPodCount)."""
    if spec.maxUnavailable is not None:
        return max(0, expected - share(spec.maxUnavailable, expected))
    return share(spec.minAvailable, expected) if spec.minAvailable is not None else 0


def expected(
    spec: PodDisruptionBudgetSpec, pods: Sequence[Pod], replicas: Mapping[str, int]
) -> int:
    """How many pods there should be (disruption.go: getExpectedPodCount, getExpectedScale).

    `replicas` is what ReplicaSets want, by uid. Jobs have no scale, and Kubernetes gives up on a
    budget that needs to know it; here their pods count as they are.
    """
    if spec.maxUnavailable is None and isinstance(spec.minAvailable, int):
        return len(pods)
    owners = [controller_of(pod.metadata) for pod in pods]
    scaled = {owner.uid for owner in owners if owner is not None and owner.uid in replicas}
    others = sum(owner is None or owner.uid not in scaled for owner in owners)
    return others + sum(replicas[uid] for uid in scaled)
