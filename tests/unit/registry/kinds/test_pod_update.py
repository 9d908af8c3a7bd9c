"""Changing, binding and deleting Pods."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.models import Pod
from kubatch.api.resource import PODS
from kubatch.registry.kinds.pod import bind
from tests.unit.registry.kinds.making import (
    CONTAINER,
    NOW,
    decode,
    merged,
    new_pod,
    rules,
    status_errors,
    update_errors,
)

REFUSED = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)\n"
)


def patched(old: Pod, patch: dict[str, Any]) -> Pod:
    return decode(PODS, merged(codec.to_dict(PODS, old), patch))


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old = new_pod(**before)
    return update_errors(PODS, patched(old, {"spec": after}), old)


TOLERATIONS = codec.to_dict(PODS, new_pod())["spec"]["tolerations"]
GATED = {"schedulingGates": [{"name": "a.b/c"}, {"name": "a.b/d"}]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"containers": [{**CONTAINER, "image": "other"}]}),
        ({}, {"activeDeadlineSeconds": 5}),
        ({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 4}),
        ({}, {"tolerations": [*TOLERATIONS, {"key": "a", "operator": "Exists"}]}),
        ({}, {"tolerations": [{**TOLERATIONS[0], "tolerationSeconds": 1}, TOLERATIONS[1]]}),
        ({"terminationGracePeriodSeconds": -1}, {"terminationGracePeriodSeconds": 1}),
        (GATED, {"schedulingGates": [{"name": "a.b/d"}]}),
        (GATED, {"nodeSelector": {"a": "b"}}),
        (
            GATED,
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
                            ]
                        }
                    }
                }
            },
        ),
    ],
)
def test_changes_allowed(before: dict[str, Any], after: dict[str, Any]) -> None:
    # Containers in a patch replace the list, so what defaults added is added again.
    assert changes(before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "errors"),
    [
        ({}, {"hostname": "x"}, [REFUSED + '+ spec.hostname: "x"']),
        (
            {"hostname": "x"},
            {"hostname": "y"},
            [REFUSED + '- spec.hostname: "x"\n+ spec.hostname: "y"'],
        ),
        ({}, {"nodeSelector": {"a": "b"}}, [REFUSED + '+ spec.nodeSelector: {"a":"b"}']),
        (
            {},
            {"containers": [CONTAINER, {**CONTAINER, "name": "d"}]},
            ["spec.containers: Forbidden: pod updates may not add or remove containers"],
        ),
        (
            {"activeDeadlineSeconds": 5},
            {"activeDeadlineSeconds": 6},
            [
                "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to "
                "previous value"
            ],
        ),
        (
            {"activeDeadlineSeconds": 5},
            {"activeDeadlineSeconds": None},
            [
                'spec.activeDeadlineSeconds: Invalid value: "null": must not update from a '
                "positive integer to nil value"
            ],
        ),
        (
            {},
            {"tolerations": []},
            [
                "spec.tolerations: Forbidden: existing toleration can not be modified except its "
                "tolerationSeconds"
            ],
        ),
        (
            {},
            {"schedulingGates": [{"name": "a.b/c"}]},
            [
                "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new "
                "scheduling gate 'a.b/c'"
            ],
        ),
        (
            {**GATED, "nodeSelector": {"a": "b"}},
            {"nodeSelector": {"a": "c"}},
            [
                'spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector '
                "are allowed (no mutations or deletions)"
            ],
        ),
    ],
)
def test_changes_refused(before: dict[str, Any], after: dict[str, Any], errors: list[str]) -> None:
    assert changes(before, after) == errors


# ----- binding


def test_binding() -> None:
    pod = new_pod()
    before = codec.encode(pod)
    bound = bind(pod, "n1", NOW + timedelta(milliseconds=700))
    assert codec.encode(pod) == before
    shown = codec.to_dict(PODS, bound)
    assert shown["spec"]["nodeName"] == "n1"
    assert shown["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-05-01T12:00:00Z"}
    ]


def test_binding_takes_the_place_of_a_failure_to_schedule() -> None:
    failed = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    other = {"type": "example.com/A", "status": "True"}
    pod = patched(new_pod(), {"status": {"conditions": [failed, other]}})
    shown = codec.to_dict(PODS, bind(pod, "n1", NOW))["status"]["conditions"]
    assert [c["type"] for c in shown] == ["PodScheduled", "example.com/A"]
    assert (shown[0]["status"], shown[0].get("reason")) == ("True", None)


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"spec": {"nodeName": "n0"}}, 'pod p is already assigned to node "n0"'),
        (
            {"metadata": {"deletionTimestamp": "2026-05-01T12:00:00Z"}},
            "pod p is being deleted, cannot be assigned to a host",
        ),
        (
            {"spec": {"schedulingGates": [{"name": "a.b/c"}]}},
            "pod p has non-empty .spec.schedulingGates",
        ),
    ],
)
def test_binding_refused(patch: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError) as caught:
        bind(patched(new_pod(), patch), "n1", NOW)
    assert caught.value.code == 409
    assert str(caught.value) == f'Operation cannot be fulfilled on pods/binding "p": {why}'


# ----- deletion


@pytest.mark.parametrize(
    ("spec", "phase", "requested", "period"),
    [
        ({}, "Running", None, 30),
        ({"terminationGracePeriodSeconds": 5}, "Running", None, 5),
        ({}, "Running", 2, 2),
        ({}, "Running", 0, 0),
        ({}, "Running", -5, 1),
        ({"terminationGracePeriodSeconds": -5}, "Running", None, 1),
        ({"nodeName": ""}, "Pending", 10, 0),
        ({}, "Succeeded", 10, 0),
        ({}, "Failed", None, 0),
    ],
)
def test_grace_period(spec: dict[str, Any], phase: str, requested: int | None, period: int) -> None:
    pod = patched(new_pod(), {"spec": {"nodeName": "n", **spec}, "status": {"phase": phase}})
    assert rules(PODS).grace_period(pod, requested) == period


# ----- status


def container_status(state: dict[str, Any], name: str = "c") -> dict[str, Any]:
    return {"name": name, "image": "", "imageID": "", "state": state}


RUNNING: dict[str, Any] = {"running": {}}
FAILED: dict[str, Any] = {"terminated": {"exitCode": 1}}
DONE: dict[str, Any] = {"terminated": {"exitCode": 0}}


@pytest.mark.parametrize(
    ("policy", "before", "allowed"),
    [
        ("Always", DONE, True),
        ("OnFailure", FAILED, True),
        ("OnFailure", DONE, False),
        ("Never", FAILED, False),
        ("Never", RUNNING, True),
    ],
)
def test_finished_containers_stay_so(policy: str, before: dict[str, Any], allowed: bool) -> None:
    old = patched(
        new_pod(restartPolicy=policy), {"status": {"containerStatuses": [container_status(before)]}}
    )
    new = patched(old, {"status": {"containerStatuses": [container_status(RUNNING)]}})
    refused = (
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated "
        "state"
    )
    assert status_errors(PODS, new, old) == ([] if allowed else [refused])
    gone = patched(old, {"status": {"containerStatuses": []}})
    assert status_errors(PODS, gone, old) == []


def test_finished_containers_may_start_with_a_pod_that_starts_anew() -> None:
    """Of a pod with such a rule, that is: podutil.AllContainersCouldRestart."""
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    other = {"name": "d", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    plain = new_pod(restartPolicy="Never")
    whole = patched(plain, {"spec": {"containers": [{"name": "c", "image": "i"}, other]}})
    old = patched(whole, {"status": {"containerStatuses": [container_status(DONE)]}})
    new = patched(old, {"status": {"containerStatuses": [container_status(RUNNING)]}})
    assert status_errors(PODS, new, old) == []


def test_status_texts() -> None:
    old = new_pod()
    wrong = {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}], "podIPs": [{"ip": "x"}]}
    assert status_errors(
        PODS, patched(old, {"status": {"qosClass": "Burstable", **wrong}}), old
    ) == [
        'status.qosClass: Invalid value: "Burstable": field is immutable',
        'status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or '
        "2001:db8::ffff)",
        'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`',
    ]


def test_status_updates_touch_nothing_else() -> None:
    old = new_pod()
    new = patched(old, {"spec": {"hostname": "x"}, "status": {"podIP": "10.0.0.1"}})
    assert new.status is not None
    new.status.qosClass = None
    rules(PODS).prepare_status_update(new, old)
    assert new.spec == old.spec
    shown = codec.to_dict(PODS, new)["status"]
    assert shown == {
        "phase": "Pending",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "qosClass": "BestEffort",
    }
