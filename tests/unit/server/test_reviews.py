"""Questions to the server: who am I, may I, whose token is this."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kubatch.api.resource import RESOURCES
from kubatch.server.reviews import ANSWERS
from tests.unit.server.secured import MASTER, Secured, secured

N = "/apis/authentication.k8s.io/v1"
Z = "/apis/authorization.k8s.io/v1"
SELF, SUBJECT = f"{Z}/selfsubjectaccessreviews", f"{Z}/subjectaccessreviews"
LOCAL, RULES = f"{Z}/namespaces/d/localsubjectaccessreviews", f"{Z}/selfsubjectrulesreviews"
PODS = {"verb": "list", "resource": "pods", "namespace": "d"}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured(tmp_path) as made:
        yield made


def test_every_question_has_an_answer() -> None:
    asked = {r for r in RESOURCES if r.group.startswith("auth") and r.verbs == ("create",)}
    assert asked == set(ANSWERS)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_who_am_i(on: Secured, version: str) -> None:
    path = f"/apis/authentication.k8s.io/{version}/selfsubjectreviews"
    body = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "SelfSubjectReview"}
    answer = await on.ask("bob-token", "POST", path, body)
    assert answer.status == 201
    assert answer.json == {
        "kind": "SelfSubjectReview",
        "apiVersion": f"authentication.k8s.io/{version}",
        "metadata": {},
        "status": {
            "userInfo": {
                "username": "bob",
                "uid": "7",
                "groups": ["dev", "system:authenticated"],
            }
        },
    }


@pytest.mark.parametrize(
    ("who", "spec", "allowed"),
    [
        ("root", PODS, True),
        ("bob", PODS, False),
        ("bob", {"verb": "create", "group": "authorization.k8s.io",
                 "resource": "selfsubjectaccessreviews"}, True),
        ("bob", {"path": "/apis", "verb": "get"}, True),
        ("bob", {"path": "/metrics", "verb": "get"}, False),
        ("root", {"path": "/metrics", "verb": "post"}, True),
    ],
)  # fmt: skip
async def test_may_i(on: Secured, who: str, spec: dict[str, str], allowed: bool) -> None:
    kind = "nonResourceAttributes" if "path" in spec else "resourceAttributes"
    body = {"spec": {kind: spec}}
    token = MASTER if who == "root" else "bob-token"
    answer = await on.ask(token, "POST", SELF, body)
    assert answer.status == 201
    assert answer.json["status"]["allowed"] is allowed
    assert answer.json["spec"] == body["spec"]
    if allowed and who == "bob":
        assert answer.json["status"]["reason"].startswith("RBAC: allowed by ClusterRoleBinding")
    if not allowed:
        assert answer.json["status"] == {"allowed": False}


async def test_may_somebody(on: Secured) -> None:
    body = {"spec": {"user": "x", "groups": ["system:masters"], "resourceAttributes": PODS}}
    assert (await on.root("POST", SUBJECT, body)).json["status"] == {"allowed": True}
    refused = await on.ask("bob-token", "POST", SUBJECT, body)
    assert refused.status == 403
    local = {"spec": {"user": "x", "resourceAttributes": PODS}}
    answer = await on.root("POST", LOCAL, local)
    assert (answer.status, answer.json["status"]) == (201, {"allowed": False})


SAR = 'SubjectAccessReview.authorization.k8s.io "" is invalid: '
NEITHER = (
    'spec.resourceAttributes: Invalid value: "null": exactly one of nonResourceAttributes or '
    "resourceAttributes must be specified"
)


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (SELF, {}, 422, f"Self{SAR}{NEITHER}"),
        (
            SELF,
            {"metadata": {"name": "x"}, "spec": {"resourceAttributes": PODS}},
            422,
            f'Self{SAR}metadata: Invalid value: {{"name":"x"}}: must be empty',
        ),
        (
            SELF,
            {"spec": {"resourceAttributes": {}, "nonResourceAttributes": {"path": "/"}}},
            422,
            f'Self{SAR}spec.nonResourceAttributes: Invalid value: {{"path":"/"}}: cannot be '
            "specified in combination with resourceAttributes",
        ),
        (
            SUBJECT,
            {"spec": {"resourceAttributes": PODS}},
            422,
            f'{SAR}spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
        (
            LOCAL,
            {"spec": {"user": "x", "resourceAttributes": {**PODS, "namespace": "e"}}},
            422,
            f'Local{SAR}spec.resourceAttributes.namespace: Invalid value: "e": must match '
            "metadata.namespace",
        ),
        (
            LOCAL,
            {"spec": {"user": "x", "nonResourceAttributes": {"path": "/x"}}},
            422,
            f'Local{SAR}spec.nonResourceAttributes: Invalid value: {{"path":"/x"}}: disallowed on '
            "this kind of request",
        ),
        (
            LOCAL,
            {"metadata": {"namespace": "e"}, "spec": {"user": "x", "resourceAttributes": PODS}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (RULES, {"spec": {}}, 400, "no namespace on request"),
        (
            f"{N}/tokenreviews",
            {"spec": {"token": ""}},
            400,
            "token is required for TokenReview in authentication",
        ),
    ],
)
async def test_questions_that_make_no_sense(
    on: Secured, path: str, body: dict[str, Any], code: int, message: str
) -> None:
    answer = await on.root("POST", path, body)
    assert (answer.status, answer.json["message"]) == (code, message)


async def test_what_may_i(on: Secured) -> None:
    answer = await on.ask("bob-token", "POST", RULES, {"spec": {"namespace": "d"}})
    status = answer.json["status"]
    assert answer.json["spec"] == {}
    assert status["incomplete"] is False
    assert {
        "verbs": ["create"],
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
    } in status["resourceRules"]
    urls = [u for r in status["nonResourceRules"] for u in r["nonResourceURLs"]]
    assert "/apis" in urls
    everything = await on.root("POST", RULES, {"spec": {"namespace": "d"}})
    first = everything.json["status"]["resourceRules"][0]
    assert (first["verbs"], first["apiGroups"], first["resources"]) == (["*"], ["*"], ["*"])


async def test_whose_token(on: Secured) -> None:
    path = f"{N}/tokenreviews"
    good = await on.root("POST", path, {"spec": {"token": "bob-token"}})
    assert good.status == 201
    assert good.json["status"] == {
        "authenticated": True,
        "user": {"username": "bob", "uid": "7", "groups": ["dev", "system:authenticated"]},
        "audiences": ["https://kubernetes.default.svc.cluster.local"],
    }
    bad = await on.root("POST", path, {"spec": {"token": "nobodys"}})
    assert bad.status == 201
    assert bad.json["status"] == {"user": {}, "error": "invalid bearer token"}


async def test_questions_are_only_asked(on: Secured) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert (await on.root(method, SELF)).status == 405
    assert (await on.root("GET", f"{SELF}/x")).status == 405
    assert (await on.root("POST", LOCAL.replace("/namespaces/d", ""), {})).status == 405
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    body = {"spec": {"resourceAttributes": PODS}}
    assert (await on.root("POST", SELF, body, Accept=table)).status == 406
    strict = await on.root("POST", f"{SELF}?fieldValidation=Strict", {"spec": {}, "nope": 1})
    assert strict.json["message"].endswith('strict decoding error: unknown field "nope"')
    text = await on.root("POST", SELF, b"x=1", **{"Content-Type": "text/plain"})
    assert text.status == 415
