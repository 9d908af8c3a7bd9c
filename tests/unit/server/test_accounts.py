"""Tokens of service accounts: made on request, good while what they are bound to exists."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kubatch.api import codec
from kubatch.api.resource import PODS, SECRETS, SERVICEACCOUNTS
from kubatch.server import account_tokens
from kubatch.server.account_tokens import (
    AUDIENCES,
    ISSUER,
    Claims,
    InvalidToken,
    Reference,
    TokenAuthority,
)
from kubatch.world import World
from tests.unit.server.secured import Secured, secured

TOKEN = "/api/v1/namespaces/default/serviceaccounts/{}/token"
ME = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass
class SetClock:
    """Time as a test says it is."""

    at: datetime = datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


# The certificates of TLS must hold today, whatever the tokens' clock says.
@pytest.fixture
def clock() -> SetClock:
    return SetClock(World().now())


@pytest.fixture
async def on(tmp_path: Path, clock: SetClock) -> AsyncIterator[Secured]:
    async with secured(tmp_path, World(clock)) as made:
        await made.account("robot")
        yield made


def body_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def whoami(on: Secured, token: str) -> Any:
    answer = await on.ask(token, "POST", ME, {})
    return answer.json["status"]["userInfo"] if answer.status == 201 else answer.status


async def test_what_a_token_says(on: Secured, clock: SetClock) -> None:
    answer = await on.root("POST", TOKEN.format("robot"), {"spec": {"expirationSeconds": 900}})
    status = answer.json["status"]
    body = body_of(status["token"])
    account = await on.client.get(SERVICEACCOUNTS, "default", "robot")
    assert account.metadata is not None
    issued = int(clock.at.timestamp())
    assert body == {
        "aud": [ISSUER],
        "exp": issued + 900,
        "iat": issued,
        "nbf": issued,
        "iss": ISSUER,
        "jti": body["jti"],
        "kubernetes.io": {
            "namespace": "default",
            "serviceaccount": {"name": "robot", "uid": account.metadata.uid},
        },
        "sub": "system:serviceaccount:default:robot",
    }
    until = datetime.fromtimestamp(issued + 900, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert status["expirationTimestamp"] == until
    assert answer.json["spec"]["audiences"] == [ISSUER]
    assert await whoami(on, status["token"]) == {
        "username": "system:serviceaccount:default:robot",
        "uid": account.metadata.uid,
        "groups": [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated",
        ],
        "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={body['jti']}"]},
    }


async def test_a_token_ends(on: Secured, clock: SetClock) -> None:
    token = await on.token("robot", expirationSeconds=600)
    clock.at += timedelta(seconds=598)
    assert (await whoami(on, token))["username"].endswith(":robot")
    clock.at += timedelta(seconds=2)
    assert await whoami(on, token) == 401
    clock.at -= timedelta(seconds=602)
    assert await whoami(on, token) == 401


async def test_a_token_goes_with_its_account(on: Secured) -> None:
    token = await on.token("robot")
    assert await whoami(on, token) != 401
    await on.client.delete(SERVICEACCOUNTS, "default", "robot")
    assert await whoami(on, token) == 401
    await on.account("robot")
    assert await whoami(on, token) == 401


async def test_a_token_goes_with_its_pod(on: Secured) -> None:
    pod = codec.from_dict(
        PODS,
        {
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {
                "serviceAccountName": "robot",
                "nodeName": "n1",
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "c", "image": "i"}],
            },
        },
    )[0]
    made = await on.client.create(PODS, pod)
    assert made.metadata is not None
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p"}
    token = await on.token("robot", boundObjectRef=bound)
    assert body_of(token)["kubernetes.io"]["pod"] == {"name": "p", "uid": made.metadata.uid}
    extra = (await whoami(on, token))["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [made.metadata.uid]
    assert extra["authentication.kubernetes.io/node-name"] == ["n1"]
    await on.client.delete(PODS, "default", "p", grace_period_seconds=0)
    assert await whoami(on, token) == 401


async def test_a_token_goes_with_its_secret(on: Secured) -> None:
    secret = codec.from_dict(SECRETS, {"metadata": {"name": "s", "namespace": "default"}})[0]
    await on.client.create(SECRETS, secret)
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "s"}
    token = await on.token("robot", boundObjectRef=bound)
    assert await whoami(on, token) != 401
    await on.client.delete(SECRETS, "default", "s")
    assert await whoami(on, token) == 401


async def test_a_token_for_somebody_else(on: Secured) -> None:
    token = await on.token("robot", audiences=["vault"])
    assert await whoami(on, token) == 401
    review = "/apis/authentication.k8s.io/v1/tokenreviews"
    found = await on.root("POST", review, {"spec": {"token": token, "audiences": ["vault", "x"]}})
    assert found.json["status"]["authenticated"] is True
    assert found.json["status"]["audiences"] == ["vault"]


@pytest.mark.parametrize(
    ("name", "body", "code", "message"),
    [
        ("nope", {}, 404, 'serviceaccounts "nope" not found'),
        (
            "robot",
            {"spec": {"expirationSeconds": 599}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid '
            "value: 599: may not specify a duration less than 10 minutes",
        ),
        (
            "robot",
            {"spec": {"expirationSeconds": (1 << 32) + 1}},
            422,
            'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid '
            "value: 4294967297: may not specify a duration larger than 2^32 seconds",
        ),
        (
            "robot",
            {"metadata": {"name": "other"}},
            422,
            'TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: '
            '"other": must match the service account name if specified',
        ),
        (
            "robot",
            {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}}},
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (
            "robot",
            {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "x"}}},
            404,
            'pods "x" not found',
        ),
    ],
)
async def test_requests_refused(
    on: Secured, name: str, body: dict[str, Any], code: int, message: str
) -> None:
    answer = await on.root("POST", TOKEN.format(name), body)
    assert (answer.status, answer.json["message"]) == (code, message)


async def test_nobody_gets_a_token_for_centuries(on: Secured) -> None:
    seconds = 100 * 365 * 24 * 3600
    answer = await on.root("POST", TOKEN.format("robot"), {"spec": {"expirationSeconds": seconds}})
    assert answer.json["spec"]["expirationSeconds"] == 31_536_000
    assert "shortened to 31536000 seconds" in answer.warnings[0]


async def test_others_can_check_tokens(on: Secured) -> None:
    token = await on.token("robot")
    found = await on.ask(token, "GET", "/.well-known/openid-configuration")
    assert found.json["issuer"] == ISSUER
    assert found.json["jwks_uri"].endswith("/openid/v1/jwks")
    keys = await on.ask(token, "GET", "/openid/v1/jwks")
    assert keys.headers["Content-Type"] == "application/jwk-set+json"
    assert keys.json["keys"][0]["kty"] == "EC"
    assert "d" not in keys.json["keys"][0]  # the private part
    assert (await on.ask("", "GET", "/openid/v1/jwks")).status == 403


# ----- the tokens themselves

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def claims(**more: Any) -> Claims:
    account = Reference("robot", "u1")
    return Claims("d", account, AUDIENCES, NOW, NOW + timedelta(hours=1), "id", **more)


def authority() -> TokenAuthority:
    return TokenAuthority(ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize(
    "said",
    [
        claims(),
        claims(pod=Reference("p", "u2"), node=Reference("n", "u3")),
        claims(secret=Reference("s", "u2")),
        claims(node=Reference("n", "u3"), node_is_bound=True),
    ],
)
def test_a_token_reads_as_it_was_written(said: Claims) -> None:
    made = authority()
    assert made.read(made.issue(said), NOW) == said
    assert made.read(made.issue(said), NOW) == said  # from memory


def forged(token: str, **header: Any) -> str:
    """The same body under another header, without a signature."""
    raw = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{raw}.{token.split('.')[1]}."


def test_forgeries() -> None:
    made = authority()
    good = made.issue(claims())
    head, body, signature = good.split(".")
    richer = base64.urlsafe_b64encode(
        json.dumps({**body_of(good), "sub": "system:serviceaccount:kube-system:admin"}).encode()
    )
    for bad in (
        authority().issue(claims()),
        TokenAuthority(made.key, issuer="https://elsewhere").issue(claims()),
        forged(good, alg="none"),
        forged(good, alg="HS256"),
        f"{head}.{richer.rstrip(b'=').decode()}.{signature}",
        f"{head}.{body}.",
        good[:-2],
    ):
        with pytest.raises(InvalidToken):
            made.read(bad, NOW)
    assert made.read(good, NOW) == claims()


def test_the_key_is_kept_and_private(tmp_path: Path) -> None:
    first = account_tokens.ensure_key(tmp_path)
    path = tmp_path / "sa.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    again = account_tokens.ensure_key(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert again.private_numbers() == first.private_numbers()
    path.write_text("damaged")
    assert account_tokens.ensure_key(tmp_path).private_numbers() != first.private_numbers()


def test_the_memory_of_signatures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_tokens, "_CHECKED_MAX", 2)
    made = authority()
    for number in range(5):
        made.read(made.issue(claims(pod=Reference("p", str(number)))), NOW)
    assert len(made._checked) <= 2
