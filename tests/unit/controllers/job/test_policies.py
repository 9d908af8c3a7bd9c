from __future__ import annotations

import pytest

from kubatch.api import models as m
from kubatch.controllers.job import failure_policy, indexes, success_policy
from tests.unit.controllers.job.twin import make_pod

Rule = m.PodFailurePolicyRule
Codes = m.PodFailurePolicyOnExitCodesRequirement
Pattern = m.PodFailurePolicyOnPodConditionsPattern


def on_codes(action: str, operator: str, *values: int, container: str | None = None) -> Rule:
    return Rule(action=action, onExitCodes=Codes(operator, list(values), container))


def on_condition(action: str, type: str, status: str | None = None) -> Rule:
    return Rule(action=action, onPodConditions=[Pattern(type, status)])


DISRUPTED = m.PodCondition(type="DisruptionTarget", status="True")


@pytest.mark.parametrize(
    ("rules", "code", "action"),
    [
        ([on_codes("Ignore", "In", 1, 2)], 2, "Ignore"),
        ([on_codes("Ignore", "In", 1, 2)], 3, ""),
        ([on_codes("Ignore", "NotIn", 0)], 3, "Ignore"),
        ([on_codes("Ignore", "NotIn", 5)], 0, ""),
        ([on_codes("FailIndex", "In", -1)], -1, "FailIndex"),
        ([on_codes("Count", "In", 1), on_codes("FailJob", "In", 1)], 1, "Count"),
        ([on_codes("Count", "In", 1, container="other")], 1, ""),
        ([on_codes("Count", "In", 1, container="main")], 1, "Count"),
        ([on_codes("Unheard", "In", 1), on_codes("Count", "In", 1)], 1, "Count"),
        ([on_codes("Count", "Near", 1)], 1, ""),
    ],
)
def test_exit_codes(rules: list[Rule], code: int, action: str) -> None:
    pod = make_pod("p", "Failed", exit_code=code)
    assert failure_policy.judge(rules, pod).action == action


def test_only_ignored_failures_do_not_count() -> None:
    pod = make_pod("p", "Failed", exit_code=1)
    for action in ("Count", "FailIndex", "FailJob"):
        assert failure_policy.judge([on_codes(action, "In", 1)], pod).counts
    assert not failure_policy.judge([on_codes("Ignore", "In", 1)], pod).counts
    assert failure_policy.judge([], pod).counts


@pytest.mark.parametrize(
    ("pattern", "actual", "matches"),
    [
        (None, "True", True),
        ("True", "True", True),
        ("False", "False", True),
        ("Unknown", "Unknown", True),
        ("False", "True", False),
    ],
)
def test_condition_status_is_literal(pattern: str | None, actual: str, matches: bool) -> None:
    condition = m.PodCondition(type="DisruptionTarget", status=actual)
    pod = make_pod("p", "Failed", conditions=[condition])
    verdict = failure_policy.judge([on_condition("Ignore", "DisruptionTarget", pattern)], pod)
    assert (verdict.action == "Ignore") == matches


def test_messages_name_the_rule() -> None:
    pod = make_pod("p", "Failed", exit_code=42, conditions=[DISRUPTED])
    rules = [on_codes("Ignore", "In", 1), on_codes("FailJob", "In", 42)]
    assert failure_policy.judge(rules, pod).message == (
        "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 1"
    )
    assert failure_policy.judge([on_condition("FailJob", "DisruptionTarget")], pod).message == (
        "Pod ns/p has condition DisruptionTarget matching FailJob rule at index 0"
    )


@pytest.mark.parametrize(
    ("wanted", "count", "succeeded", "met"),
    [
        ("0-2", None, "0-2", True),
        ("0-2", None, "0,1", False),
        ("0-2", 2, "0,1", True),
        ("0-2", 2, "0,5-9", False),
        (None, 2, "0,5", True),
        (None, 3, "0,5", False),
        (None, 0, "", False),
        ("", 1, "0-5", False),
        ("x", 1, "0-5", False),
        (None, 0, "4", True),
    ],
)
def test_success_rules(wanted: str | None, count: int | None, succeeded: str, met: bool) -> None:
    rules = [m.SuccessPolicyRule(succeededCount=count, succeededIndexes=wanted)]
    done = indexes.parse(succeeded, 10)
    assert success_policy.matched_rule(rules, 10, done) == (0 if met else None)


def test_first_met_rule_is_named() -> None:
    rules = [m.SuccessPolicyRule(succeededCount=9), m.SuccessPolicyRule(succeededIndexes="1")]
    assert success_policy.matched_rule(rules, 10, indexes.parse("1", 10)) == 1
