"""What scoring assumes of pods, beside what they ask for (api/requests)."""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.api.requests import Resources, amount, amounts, pod_requests, summed

__all__ = ("SCORING_DEFAULTS", "Resources", "amount", "amounts", "pod_requests", "summed")

# Scoring assumes this much where a container asks for nothing; fitting does not
# (pkg/scheduler/util/pod_resources.go).
SCORING_DEFAULTS: Mapping[str, int] = {"cpu": 100, "memory": 200 * 1024 * 1024}
