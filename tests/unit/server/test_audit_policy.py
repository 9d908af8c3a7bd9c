"""What an audit policy makes the log tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubatch.cli.assemble import audit_policy
from kubatch.cli.main import Refused
from kubatch.server.access.attributes import User
from kubatch.server.audit_objects import BODY_BYTES_MAX, Body
from kubatch.server.audit_policy import AuditPolicyError, Telling, read, telling
from kubatch.server.auth import Peer, attempted
from kubatch.server.request import parse
from kubatch.settings import Settings
from tests.unit.server.secured import secured

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
BOB = User("bob", "7", ("dev", "ops"))
SPACE = "/api/v1/namespaces/default"


def told(rules: str, method: str, target: str, user: User | None = BOB) -> Telling:
    return telling(read(f"{HEAD}{rules}".encode()), user, parse(method, target))


@pytest.mark.parametrize(
    ("rule", "request_line", "matches"),
    [
        ("", "GET /api/v1/pods", True),
        ("users: [bob]", "GET /api/v1/pods", True),
        ("users: [ann]", "GET /api/v1/pods", False),
        ("userGroups: [ops, x]", "GET /version", True),
        ("userGroups: [x]", "GET /version", False),
        ("verbs: [list]", "GET /api/v1/pods", True),
        ("verbs: [list]", "GET /api/v1/pods?watch=1", False),
        ("verbs: [get]", "GET /version", True),
        ("namespaces: [d]", "GET /api/v1/namespaces/d/pods", True),
        ("namespaces: [d]", "GET /api/v1/pods", False),
        ('namespaces: [""]', "GET /api/v1/nodes/n", True),
        ('namespaces: [""]', "GET /version", False),
        ('resources: [{group: ""}]', "GET /api/v1/pods", True),
        ('resources: [{group: ""}]', "GET /apis/batch/v1/jobs", False),
        ("resources: [{resources: [pods]}]", "GET /api/v1/pods", True),
        ("resources: [{resources: [pods]}]", "GET /api/v1/namespaces/d/pods/p/log", False),
        ("resources: [{resources: [pods/log]}]", "GET /api/v1/namespaces/d/pods/p/log", True),
        ("resources: [{resources: ['*/log']}]", "GET /api/v1/namespaces/d/pods/p/log", True),
        ("resources: [{resources: ['*/log']}]", "GET /api/v1/namespaces/d/pods/p", False),
        ("resources: [{resources: ['pods/*']}]", "GET /api/v1/namespaces/d/pods/p/log", True),
        ("resources: [{resources: ['pods/*']}]", "GET /api/v1/namespaces/d/secrets/p", False),
        ("resources: [{resources: ['*']}]", "GET /api/v1/namespaces/d/pods/p/log", True),
        ("resources: [{resources: [pods], resourceNames: [p]}]", "GET /api/v1/pods", False),
        (
            "resources: [{group: batch, resources: [jobs], resourceNames: [p]}]",
            "GET /apis/batch/v1/namespaces/d/jobs/p",
            True,
        ),
        ("nonResourceURLs: [/version]", "GET /version", True),
        ("nonResourceURLs: ['/readyz*']", "GET /readyz/ping", True),
        ("nonResourceURLs: ['*']", "GET /anything", True),
        ("nonResourceURLs: [/readyz]", "GET /readyz/ping", False),
        ("nonResourceURLs: ['*']", "GET /api/v1/pods", False),
    ],
)
def test_a_rule_matches(rule: str, request_line: str, matches: bool) -> None:
    method, target = request_line.split()
    rules = f"rules:\n- level: Request\n  {rule}\n"
    assert told(rules, method, target).level == ("Request" if matches else "None")


def test_rules_about_people_do_not_match_strangers() -> None:
    for rule in ("users: [bob]", "userGroups: [dev]"):
        rules = f"rules:\n- level: Metadata\n  {rule}\n"
        assert told(rules, "GET", "/version", None).level == "None"


def test_the_first_rule_counts_and_takes_what_all_omit() -> None:
    rules = """\
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: ["system:kube-proxy"]}
- {level: RequestResponse, verbs: [create], omitStages: [ResponseStarted]}
- {level: Metadata, verbs: [create, get], omitManagedFields: false}
"""
    made = told(rules, "POST", f"{SPACE}/pods")
    assert made == Telling(
        "RequestResponse", frozenset(("RequestReceived", "ResponseStarted")), False
    )
    assert made.tells("ResponseComplete")
    assert not made.tells("ResponseStarted")
    assert made.reaches("Request")
    seen = told(rules, "GET", "/version")
    assert (seen.level, seen.managed_fields) == ("Metadata", True)
    assert not seen.reaches("Request")
    assert not told(rules, "GET", "/version", User("system:kube-proxy")).tells("Panic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kind: Policy\napiVersion: audit.k8s.io/v1beta1\n",
            "expected a Policy of audit.k8s.io/v1, not Policy of audit.k8s.io/v1beta1",
        ),
        ("{}", "expected a Policy of audit.k8s.io/v1, not no kind of no apiVersion"),
        (HEAD, "loaded illegal policy with 0 rules"),
        (HEAD + "rules: [{}]", "rules[0].level: Required value"),
        (
            HEAD + "rules: [{level: All}]",
            'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", '
            '"Request", "RequestResponse"',
        ),
        (
            HEAD + "rules: [{level: None, omitStages: [End]}]",
            'rules[0].omitStages[0]: Invalid value: "End": allowed stages are '
            "RequestReceived,ResponseStarted,ResponseComplete,Panic",
        ),
        (
            HEAD + "rules: [{level: None, nonResourceURLs: [version]}]",
            'rules[0].nonResourceURLs[0]: Invalid value: "version": non-resource URL rules must '
            "begin with a '/' character",
        ),
        (
            HEAD + "rules: [{level: None, nonResourceURLs: [/a*/b]}]",
            "rules[0].nonResourceURLs[0]: Invalid value: \"/a*/b\": non-resource URL wildcards '*' "
            "must be the final character of the rule",
        ),
        (
            HEAD + "rules: [{level: None, nonResourceURLs: [/a], namespaces: [d]}]",
            'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular '
            "resources and non-resource URLs",
        ),
        (
            HEAD + "rules: [{level: None, resources: [{resourceNames: [x]}]}]",
            'rules[0].resources.resourceNames: Invalid value: ["x"]: using resourceNames requires '
            "at least one resource",
        ),
        (
            HEAD + "rules: [{levle: None}]",
            "Object contains unknown field `levle` - at `$.rules[0]`",
        ),
        (HEAD + "rules: {}", "Expected `array`, got `object` - at `$.rules`"),
        (HEAD + "kind: Policy\nrules: [{level: None}]\n", 'line 3: key "kind" already set in map'),
    ],
)
def test_a_policy_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(AuditPolicyError) as caught:
        read(text.encode())
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "\x00", HEAD + "rules: [{level: Metadata: x"])
def test_what_is_no_policy_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(AuditPolicyError) as caught:
        read(text.encode())
    assert "\n" not in str(caught.value)


def test_a_group_is_a_name() -> None:
    text = f"{HEAD}rules: [{{level: None, resources: [{{group: rbac/v1}}]}}]"
    with pytest.raises(
        AuditPolicyError, match=r'^rules\[0\]\.resources\.group: .*"rbac/v1": a low'
    ):
        read(text.encode())


def test_the_options_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    assert audit_policy(None, None) is None
    with pytest.raises(Refused, match="it needs --audit-log"):
        audit_policy(str(path), None)
    with pytest.raises(Refused, match=r"cannot read .*: No such file or directory"):
        audit_policy(str(path), "log")
    path.write_text(HEAD)
    with pytest.raises(Refused, match="cannot be used: loaded illegal policy with 0 rules"):
        audit_policy(str(path), "log")
    path.write_text(f"{HEAD}metadata: null\nrules: [{{level: Metadata, users: null}}]")
    assert audit_policy(str(path), "log") == path


def test_bodies_that_cannot_be_shown() -> None:
    assert Body.of(b"x" * (BODY_BYTES_MAX + 1), "").too_large
    for media_type in ("application/json", "application/apply-patch+yaml", ""):
        assert Body.of(b"{a: [", media_type).value(managed_fields=True) is None
    broken = Body.of(b"k8s\0x", "application/vnd.kubernetes.protobuf")
    assert broken.value(managed_fields=True) is None
    apply = Body.of(b"data: {a: x}", "application/apply-patch+yaml")
    assert apply.value(managed_fields=False) == {"data": {"a": "x"}}
    patch = Body.of(b"[1]", "application/json-patch+json")
    assert patch.value(managed_fields=False) == [1]


POLICY = f"""{HEAD}
omitManagedFields: true
rules:
- level: None
  nonResourceURLs: [/readyz]
- level: Metadata
  resources: [{{resources: [secrets]}}]
  omitStages: [RequestReceived]
- level: Request
  verbs: [patch, get]
- level: RequestResponse
  omitStages: [RequestReceived]
"""


async def events_of(tmp_path: Path, *requests: tuple[Any, ...], who: str = "") -> list[Any]:
    """What a log under POLICY tells of requests."""
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(POLICY)

    def change(settings: Settings) -> Settings:
        return replace(settings, audit_log=log, audit_policy=policy)

    async with secured(tmp_path, change=change) as on:
        for method, path, *body in requests:
            await (on.ask(who, method, path, *body) if who else on.root(method, path, *body))
    return [json.loads(line) for line in log.read_text().splitlines()]


async def test_levels_and_stages(tmp_path: Path) -> None:
    config = {"metadata": {"name": "c"}, "data": {"a": "1"}}
    secret = {"metadata": {"name": "s"}, "stringData": {"password": "hush"}}
    told = await events_of(
        tmp_path,
        ("GET", "/readyz"),
        ("POST", f"{SPACE}/secrets", secret),
        ("POST", f"{SPACE}/configmaps", config),
        ("GET", f"{SPACE}/configmaps/c"),
        ("GET", f"{SPACE}/configmaps"),
        ("PUT", f"{SPACE}/configmaps/none", config),
    )
    assert "hush" not in json.dumps(told)
    assert [(e["level"], e["stage"], e["verb"]) for e in told] == [
        ("Metadata", "ResponseComplete", "create"),
        ("RequestResponse", "ResponseComplete", "create"),
        ("Request", "RequestReceived", "get"),
        ("Request", "ResponseComplete", "get"),
        ("RequestResponse", "ResponseComplete", "list"),
        ("RequestResponse", "ResponseComplete", "update"),
    ]
    _, made, received, got, listed, refused = told
    assert made["requestObject"] == config
    assert made["responseObject"]["data"] == {"a": "1"}
    assert "managedFields" not in made["responseObject"]["metadata"]
    assert not {"responseStatus", "annotations", "requestObject"} & received.keys()
    assert received["stageTimestamp"] == received["requestReceivedTimestamp"]
    assert "responseObject" not in got
    [item] = [i for i in listed["responseObject"]["items"] if i["metadata"]["name"] == "c"]
    assert "managedFields" not in item["metadata"]
    assert refused["responseObject"]["kind"] == "Status"
    assert refused["responseStatus"]["code"] == refused["responseObject"]["code"] == 400


async def test_what_is_too_large_loses_its_objects(tmp_path: Path) -> None:
    long = "x" * (BODY_BYTES_MAX * 2 // 3)  # once is not too much, but asked and answered are
    told = await events_of(
        tmp_path,
        ("POST", f"{SPACE}/configmaps", {"metadata": {"name": "a"}, "data": {"a": long}}),
        ("POST", f"{SPACE}/configmaps", {"metadata": {"name": "b"}, "data": {"a": long + long}}),
        ("GET", f"{SPACE}/configmaps"),  # sent in pieces
    )
    assert told[2]["annotations"]["audit.k8s.io/truncated"] == "true"
    assert len(told) == 2 + 1
    for event in told[:2]:
        assert event["annotations"]["audit.k8s.io/truncated"] == "true"
        assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
        assert not {"requestObject", "responseObject"} & event.keys()
        assert event["responseStatus"]["code"] == 201


def test_how_somebody_tried_to_get_in() -> None:
    assert attempted(None, "") == "Authentication failed, no credentials provided"
    assert attempted(None, "Basic eA==") == "Authentication failed, attempted: basic"
    assert attempted(Peer(()), "Bearer x") == "Authentication failed, attempted: bearer, x509"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Bearer nobodys", "Authentication failed, attempted: bearer"),
        ("bearer  also nobodys", "Authentication failed, attempted: bearer"),
    ],
)
async def test_who_is_not_known_is_told_of_once(tmp_path: Path, header: str, message: str) -> None:
    log = tmp_path / "audit.log"
    async with secured(tmp_path, change=lambda s: replace(s, audit_log=log)) as on:
        answer = await on.ask("", "GET", f"{SPACE}/pods", headers={"Authorization": header})
    assert answer.status == 401
    [event] = [json.loads(line) for line in log.read_text().splitlines()]
    assert (event["stage"], event["user"]) == ("ResponseStarted", {})
    assert event["responseStatus"] == {"metadata": {}, "message": message, "code": 401}
