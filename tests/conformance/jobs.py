"""Jobs: what a create, an update and a status update may say."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import JOBS, MERGE, Row, job, like, patch, post, row

AT_LEAST_0 = "Invalid value: -1: must be greater than or equal to 0"
INDEXED: dict[str, Any] = {"completionMode": "Indexed", "completions": 5}
RULES = "spec.podFailurePolicy.rules"
IGNORE = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}


def refused(name: str, spec: dict[str, Any], message: str) -> Row:
    """A Job whose spec is refused; `template` is its pod's spec."""
    rest = {k: v for k, v in spec.items() if k != "template"}
    text = (
        like(f'Job.batch "x" is invalid: {message[1:]}')
        if message[:1] == "~"
        else f'Job.batch "x" is invalid: {message}'
    )
    return row(
        f"create: {name}",
        post(JOBS, job("x", spec.get("template"), **rest), 422, message=text, reason="Invalid"),
    )


def exit_codes(**rule: Any) -> dict[str, Any]:
    return {
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1], **rule}}
            ]
        }
    }


def policy(**rule: Any) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": [{**IGNORE, **rule}]}}


def success(rule: Any) -> dict[str, Any]:
    return {**INDEXED, "successPolicy": {"rules": [rule]}}


def changed(name: str, before: dict[str, Any], change: Any, message: str = "") -> Row:
    """A merge patch of a Job's spec."""
    text = like(f'Job.batch "x" is invalid: {message}') if message else None
    expected: dict[str, Any] = {"status": 422, "message": text} if text else {"status": 200}
    return row(
        f"update: {name}",
        post(JOBS, job("x", **before)),
        patch(f"{JOBS}/x", {"spec": change}, send=MERGE, **expected),
    )


def reported(name: str, before: dict[str, Any], *statuses: Any, message: str = "") -> Row:
    """Merge patches of a Job's status; the last one is refused when there is a message."""
    steps = [patch(f"{JOBS}/x/status", {"status": s}, 200) for s in statuses]
    if message:
        text = like(f'Job.batch "x" is invalid: .*{message}.*')
        steps[-1] = patch(f"{JOBS}/x/status", {"status": statuses[-1]}, 422, message=text)
    return row(f"status: {name}", post(JOBS, job("x", **before)), *steps)


def condition(*types: str) -> list[dict[str, str]]:
    return [{"type": t, "status": "True"} for t in types]


START = "2026-01-01T00:00:00Z"
COMPLETE = {
    "startTime": START,
    "completionTime": START,
    "conditions": condition("SuccessCriteriaMet", "Complete"),
}

ROWS = [
    *(refused(f"negative {name}", {name: -1}, f"spec.{name}: {AT_LEAST_0}") for name in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")),
    refused("negative backoffLimitPerIndex", {**INDEXED, "backoffLimitPerIndex": -1}, f"spec.backoffLimitPerIndex: {AT_LEAST_0}"),
    refused("maxFailedIndexes alone", {**INDEXED, "maxFailedIndexes": 1}, "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
    refused("backoffLimitPerIndex without indexes", {"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
    refused("an unknown mode", {"completionMode": "Foo"}, 'spec.completionMode: Unsupported value: "Foo": supported values: "NonIndexed", "Indexed"'),
    refused("indexed without completions", {"completionMode": "Indexed", "parallelism": 1}, "spec.completions: Required value: when completion mode is Indexed"),
    refused("too parallel", {"completionMode": "Indexed", "completions": 1, "parallelism": 100001}, "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"),
    refused("maxFailedIndexes above completions", {**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 6}, "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"),
    refused("managed by nobody", {"managedBy": ""}, "spec.managedBy: Required value"),
    refused("managed by a word", {"managedBy": "foo"}, 'spec.managedBy: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")'),
    refused("managed by too much", {"managedBy": "a.io/" + "x" * 60}, "spec.managedBy: Too long: may not be more than 63 bytes"),
    refused("always restarted", {"template": {"restartPolicy": "Always"}}, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
    refused("a bad restart policy", {"template": {"restartPolicy": "X"}}, '[spec.template.spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never", spec.template.spec.restartPolicy: Unsupported value: "X": supported values: "OnFailure", "Never"]'),
    refused("a failure policy needs Never", {**policy(), "template": {"restartPolicy": "OnFailure"}}, 'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified'),
    refused("a bad replacement policy", {"podReplacementPolicy": "X"}, 'spec.podReplacementPolicy: Unsupported value: "X": supported values: "Failed", "TerminatingOrFailed"'),
    refused("a replacement policy with a failure policy", {**policy(), "podReplacementPolicy": "TerminatingOrFailed"}, 'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'),
    refused("a success policy without indexes", {"successPolicy": {"rules": [{"succeededCount": 1}]}}, "~spec.successPolicy: Invalid value: .*: requires indexed completion mode"),
    refused("a success policy without rules", {**INDEXED, "successPolicy": {"rules": []}}, "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified"),
    refused("too many success rules", {**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}] * 21}}, "spec.successPolicy.rules: Too many: 21: must have at most 20 items"),
    refused("an empty success rule", success({}), "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"),
    *(
        refused(f"succeeded indexes {indexes}", success({"succeededIndexes": indexes}), f'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "{indexes}": error parsing succeededIndexes: {why}')
        for indexes, why in (("5", 'too large index: "5"'), ("a", 'cannot convert string to integer for index: "a"'), ("1,0", "non-increasing order, previous: 1, current: 0"), ("1-2-3", "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'"))
    ),
    refused("a succeeded count above completions", success({"succeededCount": 6}), "spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)"),
    refused("a succeeded count above its indexes", success({"succeededCount": 3, "succeededIndexes": "0-1"}), "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"),
    refused("no action", policy(action=""), f'{RULES}[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'),
    refused("an unknown action", policy(action="X"), f'{RULES}[0].action: Unsupported value: "X": supported values: "Count", "FailIndex", "FailJob", "Ignore"'),
    refused("FailIndex without a limit", policy(action="FailIndex"), f'{RULES}[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'),
    refused("a rule without requirements", {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}, f"{RULES}[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
    refused("a rule with both requirements", policy(onPodConditions=[{"type": "A", "status": "True"}]), f"{RULES}[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"),
    refused("no operator", exit_codes(operator=""), f'{RULES}[0].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]'),
    refused("no exit codes", exit_codes(values=[]), f"{RULES}[0].onExitCodes.values: Invalid value: []: at least one value is required"),
    refused("exit code 0", exit_codes(values=[0]), f"{RULES}[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"),
    refused("one exit code twice", exit_codes(values=[1, 1]), f"{RULES}[0].onExitCodes.values[1]: Duplicate value: 1"),
    refused("exit codes in disorder", exit_codes(values=[2, 1]), f"{RULES}[0].onExitCodes.values: Invalid value: [2,1]: must be ordered"),
    refused("an unknown container", exit_codes(containerName="zz"), f'{RULES}[0].onExitCodes.containerName: Invalid value: "zz": must be one of the container or initContainer names in the pod template'),
    refused("a selector of one's own", {"selector": {"matchLabels": {"a": "b"}}}, r"~.*spec.selector: Invalid value: .*: `selector` not auto-generated.*"),
    row("create: a manual selector", post(JOBS, job("x", manualSelector=True), 422, message=like(r'Job.batch "x" is invalid: \[spec.selector: Required value, .*'))),
    row("create: an index must fit a label", post(JOBS, job("x" * 63, **INDEXED), 422, message=like(r".*metadata.name: Invalid value: .*: will not able to create pod with invalid DNS label: x+-4.*"))),
    row("create: zero deadline", post(JOBS, job("x", activeDeadlineSeconds=0), 201)),
    row("create: backoffLimitPerIndex with OnFailure", post(JOBS, job("x", {"restartPolicy": "OnFailure"}, **INDEXED, backoffLimitPerIndex=1), 201)),
    *(changed(f"{name} may change", {}, {name: value}) for name, value in {"parallelism": 2, "backoffLimit": 1, "activeDeadlineSeconds": 9, "ttlSecondsAfterFinished": 5, "suspend": True, "podReplacementPolicy": "Failed"}.items()),
    changed("completions may not", {}, {"completions": 5}, "spec.completions: Invalid value: 5: field is immutable"),
    changed("completions alone of an indexed Job", INDEXED, {"completions": 4}, "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"),
    changed("completions with parallelism", INDEXED, {"completions": 4, "parallelism": 4}),
    changed("the mode", {}, {"completionMode": "Indexed"}, 'spec.completionMode: Invalid value: "Indexed": field is immutable'),
    changed("the template", {}, {"template": {"metadata": {"labels": {"new": "x"}}}}, "spec.template: Invalid value: .*: field is immutable"),
    changed("the template of a suspended Job", {"suspend": True}, {"template": {"metadata": {"labels": {"new": "x"}}}}),
    changed("the image of a suspended Job", {"suspend": True}, {"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}, "spec.template.spec: Invalid value: .*: field is immutable"),
    changed("managedBy", {}, {"managedBy": "a.io/b"}, 'spec.managedBy: Invalid value: "a.io/b": field is immutable'),
    reported("is kept", {}, {"active": 1, "ready": 1}),
    reported("more ready than active", {}, {"active": 1, "ready": 2}, message="status.ready: Invalid value: 2: cannot set more ready pods than active"),
    reported("negative", {}, {"active": -1}, message=r"status.active: Invalid value: -1: must be greater than or equal to 0"),
    reported("failed without a target", {}, {"startTime": START, "conditions": condition("Failed")}, message="cannot set Failed=True condition without the FailureTarget=true condition"),
    reported("complete without the criteria", {}, {"startTime": START, "completionTime": START, "conditions": condition("Complete")}, message="cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
    reported("complete without its time", {}, {"startTime": START, "conditions": condition("SuccessCriteriaMet", "Complete")}, message="status.completionTime: Required value: completionTime is required for Complete jobs"),
    reported("complete", {}, COMPLETE),
    reported("complete for good", {}, COMPLETE, {"conditions": condition("SuccessCriteriaMet")}, message="cannot disable the terminal Complete=True condition"),
    reported("active when finished", {}, {**COMPLETE, "active": 1}, message="active>0 is invalid for finished job"),
    reported("fewer failures", {}, {"failed": 2}, {"failed": 1}, message="cannot decrease the failed counter"),
    reported("indexes without indexes", {}, {"completedIndexes": "0"}, message="cannot set non-empty completedIndexes when non-indexed completion mode"),
    reported("a condition nobody knows", {}, {"conditions": condition("MyOwn")}),
    reported("one uid twice", {}, {"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a"]}}, message='status.uncountedTerminatedPods.*Duplicate value: "a"'),
]  # fmt: skip
