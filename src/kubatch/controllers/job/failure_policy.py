"""podFailurePolicy: what a failed pod means (pkg/controller/job/pod_failure_policy.go)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubatch.api import models as m

IGNORE, COUNT, FAIL_INDEX, FAIL_JOB = "Ignore", "Count", "FailIndex", "FailJob"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first rule that matches a failed pod."""

    action: str  # "" when no rule matched
    message: str = ""  # of a FailJob rule

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards backoffLimit."""
        return self.action != IGNORE


COUNTED = Verdict("")
_ACTIONS = (IGNORE, COUNT, FAIL_INDEX, FAIL_JOB)


def judge(rules: Sequence[m.PodFailurePolicyRule], pod: m.Pod) -> Verdict:
    """What the rules say about a failed pod: the first match wins, without one it counts.

    Rules with an action that is not known are passed over (matchPodFailurePolicy).
    """
    for at, rule in enumerate(rules):
        if rule.action not in _ACTIONS:
            continue
        why = _match(rule, pod)
        if why:
            message = f"{why} matching FailJob rule at index {at}"
            return Verdict(rule.action, message if rule.action == FAIL_JOB else "")
    return COUNTED


def _match(rule: m.PodFailurePolicyRule, pod: m.Pod) -> str:
    """The beginning of the message when the rule matches, "" when it does not."""
    status = pod.status or m.PodStatus()
    metadata = pod.metadata or m.ObjectMeta()
    subject = f"{metadata.namespace}/{metadata.name}"
    if rule.onExitCodes is not None:
        ended = _match_exit_codes(rule.onExitCodes, status)
        if ended is None:
            return ""
        name, code = ended
        return f"Container {name} for pod {subject} failed with exit code {code}"
    for condition in status.conditions or ():
        if _match_condition(rule.onPodConditions or (), condition):
            return f"Pod {subject} has condition {condition.type}"
    return ""


def _match_exit_codes(
    wanted: m.PodFailurePolicyOnExitCodesRequirement, status: m.PodStatus
) -> tuple[str, int] | None:
    """The first container whose exit code matches. Exit code 0 is never looked at."""
    for container in (*(status.containerStatuses or ()), *(status.initContainerStatuses or ())):
        if wanted.containerName is not None and wanted.containerName != container.name:
            continue
        ended = container.state.terminated if container.state else None
        if ended is None or ended.exitCode == 0:
            continue
        listed = ended.exitCode in wanted.values
        if (wanted.operator == "In" and listed) or (wanted.operator == "NotIn" and not listed):
            return container.name, ended.exitCode
    return None


def _match_condition(
    patterns: Iterable[m.PodFailurePolicyOnPodConditionsPattern], condition: m.PodCondition
) -> bool:
    return any(
        pattern.type == condition.type and (pattern.status or "True") == condition.status
        for pattern in patterns
    )
