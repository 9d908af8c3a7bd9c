"""Namespaces, nodes, config maps, secrets, service accounts, leases and events."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import (
    CONFIGMAPS,
    EVENTS,
    EVENTS_V1,
    LEASES,
    NAMESPACES,
    NODES,
    SECRETS,
    SERVICEACCOUNTS,
)
from kubatch.registry.kinds.event import from_core, to_core
from kubatch.registry.strategy import Strategy
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    prepared,
    rules,
    status_errors,
    texts,
    update_errors,
)

FIXED = "field is immutable when `immutable` is set"


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def named(name: str = "x", **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **rest}


# ----- namespaces


def test_namespaces() -> None:
    space = created(NAMESPACES, named("a"))
    shown = codec.to_dict(NAMESPACES, space)
    assert shown["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert shown["spec"] == {"finalizers": ["kubernetes"]}
    assert shown["status"] == {"phase": "Active"}
    assert list(rules(NAMESPACES).row(space, NOW).cells) == ["a", "Active", "0s"]
    assert rules(NAMESPACES).fields["status.phase"](space) == "Active"
    assert "must not contain dots" in create_errors(NAMESPACES, named("a.b"))[0]


def test_phase_follows_deletion() -> None:
    old = created(NAMESPACES, named("a"))
    new = decode(NAMESPACES, {**codec.to_dict(NAMESPACES, old), "status": {"phase": "Terminating"}})
    assert status_errors(NAMESPACES, new, old) == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if "
        "`deletionTimestamp` is empty"
    ]


# ----- nodes


def test_new_nodes_are_tainted() -> None:
    node = created(NODES, named("n", status={"capacity": {"cpu": "4"}}))
    shown = codec.to_dict(NODES, node)
    assert shown["spec"]["taints"] == [
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    ]
    assert shown["status"]["allocatable"] == {"cpu": "4"}
    assert rules(NODES).fields["spec.unschedulable"](node) == "false"


def test_node_rows() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {
            "kernelVersion": "6.1",
            "architecture": "amd64",
            "kubeletVersion": "v1.36.2",
            "osImage": "Debian",
        },
    }
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}
    body = named("n", spec={"unschedulable": True}, status=status)
    node = created(NODES, merged(body, {"metadata": {"labels": labels}}))
    assert list(rules(NODES).row(node, NOW).cells) == [
        "n",
        "Ready,SchedulingDisabled",
        "control-plane,worker",
        "0s",
        "v1.36.2",
        "10.0.0.1",
        "<none>",
        "Debian",
        "6.1 (amd64)",
        "<unknown>",
    ]
    assert list(rules(NODES).row(created(NODES, named("m")), NOW).cells)[1:3] == [
        "Unknown",
        "<none>",
    ]


def test_taints() -> None:
    twice = {"key": "a", "effect": "NoExecute"}
    spec = {"taints": [twice, twice, {"key": "a", "effect": "X"}]}
    assert create_errors(NODES, named(spec=spec)) == [
        'spec.taints[1]: Duplicate value: {"effect":"NoExecute","key":"a"}: taints must be unique '
        "by key and effect pair",
        'spec.taints[2].effect: Unsupported value: "X": supported values: "NoSchedule", '
        '"PreferNoSchedule", "NoExecute"',
    ]


# ----- config maps and secrets


def test_config_maps() -> None:
    body = named(data={"a": "1", "..": "2"}, binaryData={"a": b64("x")})
    assert create_errors(CONFIGMAPS, body) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData',
        "data[..]: Invalid value: \"..\": must not be '..'",
    ]
    assert create_errors(CONFIGMAPS, named(data={"a": "x" * (1024 * 1024 + 1)})) == [
        "[]: Too long: may not be more than 1048576 bytes"
    ]
    made = created(CONFIGMAPS, named(data={"a": "1"}, binaryData={"b": b64("x")}))
    assert list(rules(CONFIGMAPS).row(made, NOW).cells) == ["x", 2, "0s"]
    assert rules(CONFIGMAPS).unknown_field_message("data.a") == (
        '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


def test_secrets() -> None:
    made = created(SECRETS, named(data={"a": b64("old")}, stringData={"a": "new", "b": "x"}))
    shown = codec.to_dict(SECRETS, made)
    assert shown["data"] == {"a": b64("new"), "b": b64("x")}
    assert "stringData" not in shown
    assert shown["type"] == "Opaque"
    assert list(rules(SECRETS).row(made, NOW).cells) == ["x", "Opaque", 2, "0s"]
    assert rules(SECRETS).fields["type"](made) == "Opaque"


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"type": "kubernetes.io/tls"}, ["data[tls.crt]: Required value"]),
        ({"type": "kubernetes.io/ssh-auth"}, ["data[ssh-privatekey]: Required value"]),
        ({"type": "kubernetes.io/basic-auth"}, ["data[username]: Required value"]),
        ({"type": "kubernetes.io/dockerconfigjson"}, ["data[.dockerconfigjson]: Required value"]),
        (
            {"type": "kubernetes.io/dockercfg", "data": {".dockercfg": b64("{")}},
            ['data[.dockercfg]: Invalid value: "<secret contents redacted>": '],
        ),
        (
            {"type": "kubernetes.io/service-account-token"},
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        ({"data": {"a": b64("x" * (1024 * 1024 + 1))}}, ["data: Too long: "]),
    ],
)
def test_secrets_refused(body: dict[str, Any], errors: list[str]) -> None:
    found = create_errors(SECRETS, named(**body))
    assert found[0].startswith(errors[0])


@pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS])
def test_immutable_data(resource: Any) -> None:
    old = created(resource, named(immutable=True, data={"a": b64("x")}))
    body = codec.to_dict(resource, old)
    other = decode(resource, merged(body, {"immutable": None, "data": {"a": b64("y")}}))
    assert update_errors(resource, other, old) == [
        f"immutable: Forbidden: {FIXED}",
        f"data: Forbidden: {FIXED}",
    ]
    labelled = decode(resource, merged(body, {"metadata": {"labels": {"a": "b"}}}))
    assert update_errors(resource, labelled, old) == []


def test_the_type_of_a_secret_is_fixed() -> None:
    old = created(SECRETS, named(type="example.com/a"))
    other = decode(SECRETS, {**codec.to_dict(SECRETS, old), "type": "example.com/b"})
    assert update_errors(SECRETS, other, old) == [
        'type: Invalid value: "example.com/b": field is immutable'
    ]


def test_service_accounts() -> None:
    made = created(SERVICEACCOUNTS, named(secrets=[{"name": "s"}]))
    assert "secrets" not in codec.to_dict(SERVICEACCOUNTS, made)
    assert list(rules(SERVICEACCOUNTS).row(made, NOW).cells) == ["x", "0s"]


# ----- leases


def test_leases() -> None:
    strategy: Strategy[Any] = rules(LEASES)
    assert strategy.allows_create_on_update
    assert not strategy.allows_unconditional_update
    spec = {"leaseDurationSeconds": 0, "leaseTransitions": -1}
    assert create_errors(LEASES, named(spec=spec)) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ]
    made = created(LEASES, named(spec={"holderIdentity": "me"}))
    assert list(strategy.row(made, NOW).cells) == ["x", "me", "0s"]


# ----- events

ABOUT = {"kind": "Pod", "namespace": "default", "name": "p", "uid": "u", "fieldPath": "spec"}
CORE: dict[str, Any] = {
    "metadata": {"name": "e.1", "namespace": "default"},
    "involvedObject": ABOUT,
    "reason": "Started",
    "message": " hello ",
    "source": {"component": "kubelet", "host": "n"},
    "firstTimestamp": "2026-05-01T11:58:00Z",
    "lastTimestamp": "2026-05-01T11:59:50Z",
    "count": 4,
    "type": "Normal",
}
NEW: dict[str, Any] = {
    "metadata": {"name": "e.1", "namespace": "default"},
    "regarding": ABOUT,
    "reason": "Scheduled",
    "note": "hello",
    "action": "Binding",
    "reportingController": "default-scheduler",
    "reportingInstance": "me",
    "eventTime": "2026-05-01T11:58:00.123456Z",
    "type": "Normal",
}


@pytest.mark.parametrize("series", [None, {"count": 3, "lastObservedTime": NEW["eventTime"]}])
def test_events_go_to_and_fro(series: dict[str, Any] | None) -> None:
    event = decode(EVENTS_V1, merged(NEW, {"series": series}))
    assert codec.to_dict(EVENTS_V1, from_core(to_core(event))) == {
        **codec.to_dict(EVENTS_V1, event),
    }
    core = decode(EVENTS, CORE)
    assert to_core(from_core(core)) == core


def test_how_core_events_show_in_the_new_group() -> None:
    shown = codec.to_dict(EVENTS_V1, from_core(decode(EVENTS, CORE)))
    assert shown["regarding"] == ABOUT
    assert shown["note"] == " hello "
    assert shown["deprecatedSource"] == {"component": "kubelet", "host": "n"}
    assert shown["deprecatedFirstTimestamp"] == CORE["firstTimestamp"]
    assert shown["deprecatedLastTimestamp"] == CORE["lastTimestamp"]
    assert shown["deprecatedCount"] == 4


@pytest.mark.parametrize(
    ("patch", "errors"),
    [
        ({}, []),
        (
            {"involvedObject": {"namespace": "other"}},
            ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
        ),
        (
            {"eventTime": NEW["eventTime"], "reason": None},
            [
                "reportingController: Required value",
                "reportingInstance: Required value",
                "action: Required value",
                "reason: Required value",
            ],
        ),
        ({"metadata": {"name": "Any Name"}}, []),
        (
            {"metadata": {"name": "a/b"}},
            ["metadata.name: Invalid value: \"a/b\": may not contain '/'"],
        ),
    ],
)
def test_core_events(patch: dict[str, Any], errors: list[str]) -> None:
    found = create_errors(EVENTS, merged(CORE, patch))
    assert [e for e in found if "name part" not in e] == errors


@pytest.mark.parametrize(
    ("patch", "errors"),
    [
        ({}, []),
        ({"type": "X"}, ['type: Invalid value: "": has invalid value: X']),
        ({"eventTime": None}, ["eventTime: Required value"]),
        ({"deprecatedCount": 1}, ['count: Invalid value: "": needs to be unset']),
        (
            {"series": {"count": 1, "lastObservedTime": NEW["eventTime"]}},
            ['series.count: Invalid value: "": should be at least 2'],
        ),
        ({"note": "x" * 1025}, ['message: Invalid value: "": can have at most 1024 characters']),
    ],
)
def test_new_events(patch: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(EVENTS_V1, merged(NEW, patch)) == errors


def test_only_the_series_of_a_new_event_may_change() -> None:
    old = created(EVENTS_V1, NEW)
    body = codec.to_dict(EVENTS_V1, old)
    series = {"count": 2, "lastObservedTime": NEW["eventTime"]}
    assert update_errors(EVENTS_V1, decode(EVENTS_V1, {**body, "series": series}), old) == []
    other = decode(EVENTS_V1, {**body, "reason": "Other"})
    assert update_errors(EVENTS_V1, other, old) == [
        'reason: Invalid value: "Other": field is immutable'
    ]


def test_event_rows() -> None:
    core = prepared(EVENTS, CORE)
    assert list(rules(EVENTS).row(core, NOW).cells) == [
        "10s", "Normal", "Started", "pod/p", "spec", "kubelet, n", "hello", "2m", 4, "e.1",
    ]  # fmt: skip
    new = prepared(EVENTS_V1, NEW)
    cells = list(rules(EVENTS_V1).row(new, NOW).cells)
    assert (cells[0], cells[5], cells[8]) == ("119s", "default-scheduler, me", 1)


def test_event_fields() -> None:
    core, fields = prepared(EVENTS, CORE), rules(EVENTS).fields
    assert fields["involvedObject.uid"](core) == "u"
    assert fields["source"](core) == "kubelet"
    assert fields["reportingComponent"](core) == ""
    new, fields_v1 = prepared(EVENTS_V1, NEW), rules(EVENTS_V1).fields
    assert fields_v1["regarding.fieldPath"](new) == "spec"
    assert fields_v1["reportingController"](new) == "default-scheduler"
    assert texts(rules(EVENTS).validate_update(core, core)) == []
