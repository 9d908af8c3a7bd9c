from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import models as m
from kubatch.scheduler.requests import SCORING_DEFAULTS, pod_requests
from tests.unit.scheduler.cluster import container


def spec(*containers: m.Container, init: list[m.Container] | None = None, **more: Any) -> m.PodSpec:
    return m.PodSpec(containers=list(containers), initContainers=init, **more)


@pytest.mark.parametrize(
    ("pod", "cpu"),
    [
        (spec(container(cpu="100m"), container(cpu="0.2")), 300),
        (spec(container(cpu="100m"), init=[container(cpu="1"), container(cpu="2")]), 2000),
        (spec(container(cpu="1"), init=[container(cpu="300m", restart="Always")]), 1300),
        (
            spec(
                container(cpu="100m"),
                init=[
                    container(cpu="1"),
                    container(cpu="300m", restart="Always"),
                    container(cpu="2"),
                    container(cpu="400m", restart="Always"),
                ],
            ),
            2300,
        ),
        (spec(container(), overhead={"cpu": "50m"}), 50),
        (
            spec(container(cpu="1"), resources=m.ResourceRequirements(requests={"cpu": "2"})),
            2000,
        ),
    ],
    ids=["sum", "largest-init", "sidecar", "init-beside-sidecar", "overhead", "pod-level"],
)
def test_cpu(pod: m.PodSpec, cpu: int) -> None:
    assert pod_requests(pod)["cpu"] == cpu


def test_units() -> None:
    pod = spec(container(cpu="1", memory="1Ki", ephemeral_storage="1k", gpu="2"))
    assert pod_requests(pod) == {"cpu": 1000, "memory": 1024, "ephemeral-storage": 1000, "gpu": 2}


def test_containers_that_ask_for_nothing() -> None:
    bare = spec(m.Container(name="a"), container(cpu="1"))
    assert pod_requests(bare) == {"cpu": 1000}
    assert pod_requests(bare, SCORING_DEFAULTS) == {"cpu": 1100, "memory": 400 * 1024 * 1024}
