"""pods/eviction: when a disruption budget says no."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api.budgets import share
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODDISRUPTIONBUDGETS, PODS
from kubatch.registry.api import Registry
from kubatch.registry.eviction import evict
from kubatch.registry.values import DeleteRequest
from tests.unit.registry.conftest import context, decoded, obj_of

GONE = DeleteRequest(grace_period_seconds=5)


async def running(registry: Registry, name: str, *, ready: bool = True, phase: str = "") -> None:
    """A pod on a node, as its agent reports it."""
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
    }
    await registry.create(PODS, "default", decoded(PODS, body), context())
    state = "True" if ready else "False"
    status = {
        "phase": phase or "Running",
        "conditions": [{"type": "Ready", "status": state}],
    }
    await registry.patch(
        PODS, "default", name, "merge", {"status": status}, context(), subresource="status"
    )


async def budget(registry: Registry, name: str = "b", **spec: Any) -> None:
    spec = {"selector": {"matchLabels": {"app": "x"}}, **spec}
    body = {"metadata": {"name": name}, "spec": spec}
    made = decoded(PODDISRUPTIONBUDGETS, body)
    await registry.create(PODDISRUPTIONBUDGETS, "default", made, context())


async def evicted(registry: Registry, name: str = "a") -> str:
    """Why the pod may not go; "" when it goes."""
    refused: ApiError | None = None
    try:
        await evict(registry, "default", name, GONE, context())
    except ApiError as error:
        refused = error
    if refused is None:
        return ""
    assert (refused.code, refused.reason) == (429, "TooManyRequests")
    assert refused.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert refused.details is not None
    assert refused.details.retry_after_seconds == 0
    (cause,) = refused.details.causes
    assert cause.reason == "DisruptionBudget"
    return cause.message


async def test_an_evicted_pod_says_why_it_goes(registry: Registry) -> None:
    await running(registry, "a")
    assert await evicted(registry) == ""
    pod = obj_of(await registry.get(PODS, "default", "a"))
    assert pod.metadata.deletionGracePeriodSeconds == 5
    target = pod.status.conditions[-1]
    assert (target.type, target.status, target.reason, target.message) == (
        "DisruptionTarget",
        "True",
        "EvictionByEvictionAPI",
        "Eviction API: evicting",
    )


@pytest.mark.parametrize(
    ("spec", "ready", "why"),
    [
        ({"minAvailable": 1}, [True], "needs 1 healthy pods and has 1 currently"),
        ({"minAvailable": 1}, [True, True], ""),
        ({"minAvailable": "50%"}, [True, True, True], ""),
        ({"minAvailable": "60%"}, [True, True, True], ""),
        ({"minAvailable": "70%"}, [True, True, True], "needs 3 healthy pods and has 3 currently"),
        ({"maxUnavailable": 0}, [True, True], "needs 2 healthy pods and has 2 currently"),
        ({"maxUnavailable": 1}, [True, False], "needs 1 healthy pods and has 1 currently"),
        ({"maxUnavailable": 5}, [True], ""),
        ({"minAvailable": 1}, [False, True], ""),
        ({"minAvailable": 2}, [False, True], "needs 2 healthy pods and has 1 currently"),
        (
            {"minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
            [False, True],
            "",
        ),
        ({"minAvailable": 5, "selector": {}}, [True], ""),
        ({"minAvailable": 5, "selector": {"matchLabels": {"app": "y"}}}, [True], ""),
    ],
)
async def test_budgets(
    registry: Registry, spec: dict[str, Any], ready: list[bool], why: str
) -> None:
    for name, is_ready in zip("abcdef", ready, strict=False):
        await running(registry, name, ready=is_ready)
    await budget(registry, **spec)
    assert await evicted(registry) == (f"The disruption budget b {why}" if why else "")


async def test_a_pod_on_its_way_out_counts_no_more(registry: Registry) -> None:
    await running(registry, "a")
    await running(registry, "b")
    await budget(registry, minAvailable=1)
    assert await evicted(registry, "a") == ""
    assert await evicted(registry, "b") == (
        "The disruption budget b needs 1 healthy pods and has 1 currently"
    )
    assert await evicted(registry, "a") == ""


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
async def test_a_pod_that_does_not_run_disrupts_nothing(registry: Registry, phase: str) -> None:
    await running(registry, "a", ready=False, phase=phase)
    await budget(registry, minAvailable=1)
    assert await evicted(registry) == ""


async def test_several_budgets_are_too_many(registry: Registry) -> None:
    await running(registry, "a")
    await budget(registry, "b", minAvailable=0)
    await budget(registry, "c", minAvailable=0)
    with pytest.raises(ApiError) as caught:
        await evict(registry, "default", "a", GONE, context())
    assert (caught.value.code, str(caught.value)) == (
        500,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
        "support.",
    )


async def test_a_dry_run_leaves_the_pod_as_it_is(registry: Registry) -> None:
    await running(registry, "a")
    before = await registry.get(PODS, "default", "a")
    await evict(registry, "default", "a", DeleteRequest(dry_run=True), context())
    assert (await registry.get(PODS, "default", "a")).revision == before.revision


async def test_no_such_pod(registry: Registry) -> None:
    with pytest.raises(ApiError, match='pods "a" not found'):
        await evict(registry, "default", "a", GONE, context())


def test_shares_are_rounded_up() -> None:
    assert [share("50%", 3), share("0%", 3), share("100%", 3), share(7, 3)] == [2, 0, 3, 7]
