"""Who asks, and whether they may."""

from __future__ import annotations

import pytest

from kubatch.api.errors import ApiError
from kubatch.server import auth
from kubatch.server.auth import ANONYMOUS, Authenticator, User
from kubatch.server.request import parse

TOKENS = auth.parse_tokens(
    ["# token, user, uid, groups", "", "s3cret,bob,7", 'adm,root,1,"system:masters,dev"']
)
PEER = {
    "subject": (
        (("organizationName", "dev"),),
        (("organizationName", "ops"),),
        (("commonName", "eve"),),
    )
}


def test_the_order_of_authentication() -> None:
    who = Authenticator(TOKENS)
    assert who.user(None, "") == ANONYMOUS
    assert who.user(None, "Basic abc") == ANONYMOUS
    assert who.user(None, "Bearer s3cret") == User("bob", "7", ("system:authenticated",))
    assert who.user(PEER, "Bearer wrong") == User("eve", "", ("dev", "ops", "system:authenticated"))
    assert who.user({"subject": ()}, "bearer adm").groups[0] == "system:masters"


def test_a_wrong_token_is_worse_than_none() -> None:
    with pytest.raises(ApiError) as raised:
        Authenticator(TOKENS).user(None, "Bearer wrong")
    assert raised.value.to_status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


def test_a_broken_token_file() -> None:
    with pytest.raises(ValueError, match="line 2"):
        auth.parse_tokens(["a,b,c", "only-a-token"])


@pytest.mark.parametrize("path", ["/healthz", "/livez/ping", "/readyz?verbose", "/version/"])
def test_what_anybody_may_read(path: str) -> None:
    auth.authorize(ANONYMOUS, parse("GET", path))


@pytest.mark.parametrize(
    ("method", "target", "message"),
    [
        ("GET", "/api", 'forbidden: User "system:anonymous" cannot get path "/api"'),
        ("POST", "/version", 'forbidden: User "system:anonymous" cannot post path "/version"'),
        (
            "GET",
            "/api/v1/namespaces/d/pods",
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group '
            '"" in the namespace "d"',
        ),
        (
            "GET",
            "/apis/batch/v1/jobs",
            'jobs.batch is forbidden: User "system:anonymous" cannot list resource "jobs" in API '
            'group "batch" at the cluster scope',
        ),
        (
            "GET",
            "/api/v1/namespaces/d/pods/p/log",
            'pods "p" is forbidden: User "system:anonymous" cannot get resource "pods/log" in API '
            'group "" in the namespace "d"',
        ),
        (
            "GET",
            "/api/v1/nodes/<n>",
            'nodes "<n>" is forbidden: User "system:anonymous" cannot get resource "nodes" in API '
            'group "" at the cluster scope',
        ),
    ],
)
def test_who_is_refused(method: str, target: str, message: str) -> None:
    with pytest.raises(ApiError) as raised:
        auth.authorize(ANONYMOUS, parse(method, target))
    assert (raised.value.code, raised.value.message) == (403, message)
    assert raised.value.details is not None


def test_masters_may_do_anything() -> None:
    root = User("root", "", ("system:masters",))
    auth.authorize(root, parse("DELETE", "/api/v1/namespaces/d/pods"))
    auth.authorize(root, parse("GET", "/metrics"))
    with pytest.raises(ApiError):
        auth.authorize(User("bob", "", ("system:authenticated",)), parse("GET", "/apis"))
