"""What a container may use, in the kernel's units."""

from __future__ import annotations

import pytest

from kubatch.agent.limits import cpu_quota, cpu_shares, named, of_container, of_pod
from kubatch.api import models as m
from kubatch.runtime.protocol import Limits
from tests.unit.agent.pods import container, pod


@pytest.mark.parametrize(
    ("milli", "shares", "quota"),
    [(0, 2, 1000), (1, 2, 1000), (100, 102, 10_000), (1000, 1024, 100_000),
     (2500, 2560, 250_000), (1_000_000, 262_144, 100_000_000)],
)  # fmt: skip
def test_cpus(milli: int, shares: int, quota: int) -> None:
    assert (cpu_shares(milli), cpu_quota(milli)) == (shares, quota)


def asks(requests: dict[str, str] | None, limits: dict[str, str] | None) -> m.Container:
    return container(resources=m.ResourceRequirements(requests=requests, limits=limits))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (container(), None),
        (asks(None, None), None),
        (asks({"memory": "1Gi"}, None), None),
        (asks({"cpu": "0"}, {"cpu": "0"}), None),
        (asks({"cpu": "500m"}, None), Limits(cpu_shares=512)),
        (asks({"cpu": "500m"}, {"cpu": "1"}), Limits(cpu_quota_us=100_000, cpu_shares=512)),
        (asks(None, {"cpu": "1"}), Limits(cpu_quota_us=100_000, cpu_shares=1024)),
        (asks(None, {"memory": "64Mi"}), Limits(memory_bytes=64 << 20)),
        (asks(None, {"ephemeral-storage": "1Gi"}), None),
    ],
)
def test_a_container(spec: m.Container, expected: Limits | None) -> None:
    assert of_container(spec) == expected


def test_a_pod() -> None:
    def limits(built: m.Pod) -> Limits | None:
        assert built.spec is not None
        return of_pod(built.spec)

    assert limits(pod()) is None
    assert limits(pod(asks({"cpu": "1"}, None), asks({"cpu": "1"}, None))) == Limits(
        cpu_shares=2048
    )
    own = m.ResourceRequirements(requests={"cpu": "2"}, limits={"cpu": "3", "memory": "1Gi"})
    assert limits(pod(resources=own)) == Limits(1 << 30, 300_000, 2048)


def test_which_limits_there_are() -> None:
    built = pod(asks({"cpu": "1"}, {"memory": "1Gi", "ephemeral-storage": "1Gi"}))
    assert built.spec is not None
    assert named(built.spec) == ["memory"]
