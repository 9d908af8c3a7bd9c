"""Who asks."""

from __future__ import annotations

import hashlib

import pytest

from kubatch.api.errors import ApiError
from kubatch.server import auth
from kubatch.server.account_tokens import AUDIENCES, InvalidToken
from kubatch.server.auth import ANONYMOUS, Authenticator, Peer, User

TOKENS = auth.parse_tokens(
    ["# token, user, uid, groups", "", "s3cret,bob,7", 'adm,root,1,"system:masters,dev"']
)
PEER = Peer(
    (
        (("organizationName", "dev"),),
        (("organizationName", "ops"),),
        (("commonName", "eve"),),
    ),
    b"certificate",
)


async def test_the_order_of_authentication() -> None:
    who = Authenticator(TOKENS)
    assert await who.user(None, "") == ANONYMOUS
    assert await who.user(None, "Basic abc") == ANONYMOUS
    assert await who.user(None, "Bearer s3cret") == User("bob", "7", ("system:authenticated",))
    eve = await who.user(PEER, "Bearer wrong")
    assert eve == User("eve", "", ("dev", "ops", "system:authenticated"))
    # A certificate without a name says nothing.
    assert (await who.user(Peer(()), "bearer adm")).groups[0] == "system:masters"


async def test_a_certificate_is_named_in_extra() -> None:
    eve = await Authenticator().user(PEER, "")
    digest = hashlib.sha256(b"certificate").hexdigest()
    credential = "authentication.kubernetes.io/credential-id"
    assert eve.extra == ((credential, (f"X509SHA256={digest}",)),)


@pytest.mark.parametrize("token", ["wrong", "a.b.c", "...", "\udce4", "s3cret.", "x" * 100_000])
async def test_a_wrong_token_is_worse_than_none(token: str) -> None:
    with pytest.raises(ApiError) as raised:
        await Authenticator(TOKENS).user(None, f"Bearer {token}")
    assert raised.value.to_status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


async def test_a_token_of_the_file_is_for_this_server_alone() -> None:
    who = Authenticator(TOKENS)
    assert (await who.bearer("s3cret", ["vault", *AUDIENCES]))[1] == AUDIENCES
    with pytest.raises(InvalidToken):
        await who.bearer("s3cret", ["vault"])


def test_a_broken_token_file() -> None:
    with pytest.raises(ValueError, match="line 2"):
        auth.parse_tokens(["a,b,c", "only-a-token"])
