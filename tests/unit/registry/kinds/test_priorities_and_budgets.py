"""PriorityClasses and PodDisruptionBudgets."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import PODDISRUPTIONBUDGETS as BUDGETS
from kubatch.api.resource import PRIORITYCLASSES
from kubatch.registry.strategy import Strategy
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    rules,
    status_errors,
    update_errors,
)

RESERVED = (
    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system "
    "use only. error: "
)


def priority(name: str = "high", **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": 1000, **rest}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (priority(), []),
        (priority(value=1_000_000_000), []),
        (
            priority(value=1_000_000_001),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        ),
        (priority("system-x"), [f"{RESERVED}system-x is not a known system priority class"]),
        (
            priority("system-node-critical"),
            [f"{RESERVED}value of system-node-critical PriorityClass must be 2000001000"],
        ),
        (
            priority("system-node-critical", value=2_000_001_000, globalDefault=True),
            [f"{RESERVED}globalDefault of system-node-critical PriorityClass must be false"],
        ),
        (priority("system-cluster-critical", value=2_000_000_000), []),
        (
            priority(preemptionPolicy="Maybe"),
            [
                'preemptionPolicy: Unsupported value: "Maybe": supported values: "Never", '
                '"PreemptLowerPriority"'
            ],
        ),
    ],
)
def test_priority_classes_refused(body: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(PRIORITYCLASSES, body) == errors


def test_priority_classes() -> None:
    made = created(PRIORITYCLASSES, priority(description="x"))
    assert made.preemptionPolicy == "PreemptLowerPriority"
    assert list(rules(PRIORITYCLASSES).row(made, NOW).cells) == [
        "high", 1000, False, "0s", "PreemptLowerPriority",
    ]  # fmt: skip
    other = decode(PRIORITYCLASSES, priority(value=5, preemptionPolicy="Never"))
    other.metadata = made.metadata
    assert update_errors(PRIORITYCLASSES, other, made) == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]


# ----- disruption budgets


def budget(**spec: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": "x"}}, **spec}
    return {"metadata": {"name": "b"}, "spec": spec}


PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ({"minAvailable": 1}, []),
        ({"maxUnavailable": "50%"}, []),
        (
            {"minAvailable": 1, "maxUnavailable": 1, "selector": None},
            [
                'spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: minAvailable and '
                "maxUnavailable cannot be both set"
            ],
        ),
        (
            {"minAvailable": -1},
            ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            {"maxUnavailable": "some"},
            [f'spec.maxUnavailable: Invalid value: "some": {PERCENT}'],
        ),
        (
            {"maxUnavailable": "101%"},
            ['spec.maxUnavailable: Invalid value: "101%": must not exceed 100%'],
        ),
        (
            {"unhealthyPodEvictionPolicy": "Never"},
            [
                'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: '
                '"AlwaysAllow", "IfHealthyBudget"'
            ],
        ),
        (
            {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            [
                "spec.selector.matchExpressions[0].values: Required value: must be specified when "
                "`operator` is 'In' or 'NotIn'"
            ],
        ),
    ],
)
def test_budgets_refused(spec: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(BUDGETS, budget(**spec)) == errors


def test_budgets() -> None:
    strategy: Strategy[Any] = rules(BUDGETS)
    assert not strategy.allows_unconditional_update
    made = created(BUDGETS, {**budget(minAvailable="50%"), "status": {"expectedPods": 9}})
    shown = codec.to_dict(BUDGETS, made)
    assert shown["status"] == {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    }
    assert list(strategy.row(made, NOW).cells) == ["b", "50%", "N/A", 0, "0s"]
    new = decode(BUDGETS, merged(shown, {"status": {"currentHealthy": -1}}))
    assert status_errors(BUDGETS, new, made) == [
        "status.currentHealthy: Invalid value: -1: must be greater than or equal to 0"
    ]
