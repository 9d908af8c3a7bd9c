"""podFailurePolicy, successPolicy, podReplacementPolicy.

Follows pkg/apis/batch/validation/validation.go: validatePodFailurePolicy, validateSuccessPolicy,
validatePodReplacementPolicy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import (
    JobSpec,
    PodFailurePolicy,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
    SuccessPolicy,
    SuccessPolicyRule,
)
from kubatch.registry.kinds.job.indexes import count_indexes
from kubatch.registry.kinds.rules import bare_invalid, non_negative
from kubatch.registry.metadata import byte_length, qualified_name_errors

FAILURE_RULES_MAX = 20
EXIT_CODES_MAX = 255
PATTERNS_MAX = 20
SUCCESS_RULES_MAX = 20
SUCCEEDED_INDEXES_BYTES_MAX = 64 * 1024
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")


def _choices(values: Sequence[str]) -> str:
    """A Go slice of strings printed with %q."""
    listed = " ".join(fields.show(value) for value in values)
    return f"valid values: [{listed}]"


# ----- how Go's internal types, which have no JSON names, show in messages


def shown_success_policy(policy: SuccessPolicy | None) -> Any:
    """A success policy inside a message."""
    if policy is None:
        return "null"
    rules = [
        fields.Members(SucceededIndexes=r.succeededIndexes, SucceededCount=r.succeededCount)
        for r in policy.rules
    ]
    return {"Rules": rules or None}


def shown_failure_policy(policy: PodFailurePolicy | None) -> Any:
    """A failure policy inside a message."""
    if policy is None:
        return "null"
    return {"Rules": [_shown_failure_rule(rule) for rule in policy.rules] or None}


def _shown_failure_rule(rule: PodFailurePolicyRule) -> dict[str, Any]:
    codes = rule.onExitCodes
    shown_codes = codes and fields.Members(
        ContainerName=codes.containerName, Operator=codes.operator, Values=codes.values
    )
    patterns = [fields.Members(Type=p.type, Status=p.status) for p in rule.onPodConditions or ()]
    return fields.Members(
        Action=rule.action, OnExitCodes=shown_codes, OnPodConditions=patterns or None
    )


# ----- failure policy


def failure_policy(spec: JobSpec, path: str, out: list[Cause]) -> None:
    """Everything wrong with podFailurePolicy."""
    policy = spec.podFailurePolicy
    assert policy is not None
    if len(policy.rules) > FAILURE_RULES_MAX:
        out.append(fields.too_many(f"{path}.rules", len(policy.rules), FAILURE_RULES_MAX))
    pod = spec.template.spec
    names: set[str] = set()
    if pod is not None:
        names = {c.name for c in (*pod.containers, *(pod.initContainers or ()))}
    for i, rule in enumerate(policy.rules):
        _failure_rule(spec, rule, f"{path}.rules[{i}]", names, out)


def _failure_rule(
    spec: JobSpec, rule: PodFailurePolicyRule, path: str, names: set[str], out: list[Cause]
) -> None:
    where = f"{path}.action"
    if not rule.action:
        out.append(fields.required(where, _choices(_ACTIONS)))
    elif rule.action == "FailIndex":
        if spec.backoffLimitPerIndex is None:
            why = "requires the backoffLimitPerIndex to be set"
            out.append(fields.invalid(where, rule.action, why))
    elif rule.action not in _ACTIONS:
        out.append(fields.not_supported(where, rule.action, _ACTIONS))
    if rule.onExitCodes is not None:
        _exit_codes(rule.onExitCodes, f"{path}.onExitCodes", names, out)
    if rule.onPodConditions:
        _patterns(rule.onPodConditions, f"{path}.onPodConditions", out)
    if rule.onExitCodes is not None and rule.onPodConditions:
        why = "specifying both OnExitCodes and OnPodConditions is not supported"
        out.append(bare_invalid(path, why))
    if rule.onExitCodes is None and not rule.onPodConditions:
        why = "specifying one of OnExitCodes and OnPodConditions is required"
        out.append(bare_invalid(path, why))


def _exit_codes(
    req: PodFailurePolicyOnExitCodesRequirement, path: str, names: set[str], out: list[Cause]
) -> None:
    where = f"{path}.operator"
    if not req.operator:
        out.append(fields.required(where, _choices(_OPERATORS)))
    elif req.operator not in _OPERATORS:
        out.append(fields.not_supported(where, req.operator, _OPERATORS))
    if req.containerName is not None and req.containerName not in names:
        why = "must be one of the container or initContainer names in the pod template"
        out.append(fields.invalid(f"{path}.containerName", req.containerName, why))
    where, values = f"{path}.values", req.values
    if not values:
        out.append(fields.invalid(where, [], "at least one value is required"))
    elif len(values) > EXIT_CODES_MAX:
        out.append(fields.too_many(where, len(values), EXIT_CODES_MAX))
    seen: set[int] = set()
    for j, value in enumerate(values):
        if req.operator == "In" and value == 0:
            out.append(fields.invalid(f"{where}[{j}]", 0, "must not be 0 for the In operator"))
        if value in seen:
            out.append(fields.duplicate(f"{where}[{j}]", value))
        seen.add(value)
    if sorted(values) != values:
        out.append(fields.invalid(where, values, "must be ordered"))


def _patterns(
    patterns: Sequence[PodFailurePolicyOnPodConditionsPattern], path: str, out: list[Cause]
) -> None:
    if len(patterns) > PATTERNS_MAX:
        out.append(fields.too_many(path, len(patterns), PATTERNS_MAX))
    for j, pattern in enumerate(patterns):
        errors = qualified_name_errors(pattern.type)
        out.extend(fields.invalid(f"{path}[{j}].type", pattern.type, why) for why in errors)
        where = f"{path}[{j}].status"
        if not pattern.status:
            out.append(fields.required(where, _choices(_STATUSES)))
        elif pattern.status not in _STATUSES:
            out.append(fields.not_supported(where, pattern.status, _STATUSES))


def replacement_policy(spec: JobSpec, path: str, out: list[Cause]) -> None:
    """podReplacementPolicy: with a failure policy, pods must be seen to fail."""
    value = spec.podReplacementPolicy
    if value is None:
        return
    supported = ["Failed"]
    if spec.podFailurePolicy is None:
        supported.append("TerminatingOrFailed")
    if value not in supported:
        out.append(fields.not_supported(path, value, supported))


# ----- success policy


def success_policy(spec: JobSpec, path: str, out: list[Cause]) -> None:
    """Everything wrong with successPolicy, of an Indexed Job."""
    policy = spec.successPolicy
    assert policy is not None
    where = f"{path}.rules"
    if not policy.rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        out.append(fields.required(where, why))
    if len(policy.rules) > SUCCESS_RULES_MAX:
        out.append(fields.too_many(where, len(policy.rules), SUCCESS_RULES_MAX))
    for i, rule in enumerate(policy.rules):
        _success_rule(rule, spec.completions or 0, f"{where}[{i}]", out)


def _success_rule(rule: SuccessPolicyRule, completions: int, path: str, out: list[Cause]) -> None:
    indexes, count = rule.succeededIndexes, rule.succeededCount
    if count is None and indexes is None:
        why = "at least one of succeededCount or succeededIndexes must be specified"
        out.append(fields.required(path, why))
    total = 0
    if indexes is not None:
        where = f"{path}.succeededIndexes"
        if byte_length(indexes) > SUCCEEDED_INDEXES_BYTES_MAX:
            out.append(fields.too_long(where, SUCCEEDED_INDEXES_BYTES_MAX))
        try:
            total = count_indexes(indexes, completions)
        except ValueError as error:
            why = f"error parsing succeededIndexes: {error}"
            out.append(fields.invalid(where, indexes, why))
    if count is None:
        return
    where = f"{path}.succeededCount"
    non_negative(count, where, out)
    if count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        out.append(fields.invalid(where, count, why))
    if indexes is not None and count > total:
        why = (
            f"must be less than or equal to {total} (the number of indexes in the specified "
            "succeededIndexes field)"
        )
        out.append(fields.invalid(where, count, why))
