"""Questions over HTTP: reviews, tokens on request, and by what others can check those tokens."""

from __future__ import annotations

from typing import Any

from kubatch.api import codec
from kubatch.api.resource import TOKENREQUESTS, Resource
from kubatch.server import bodies, negotiate, request
from kubatch.server.gate import Gate
from kubatch.server.replies import Call, Reply, json_reply, page_not_found
from kubatch.server.reviews import ANSWERS
from kubatch.server.reviews.asker import Asker

JWKS = "application/jwk-set+json"


async def answer(call: Call, resource: Resource[Any], gate: Gate) -> Reply:
    """The answer to a review. Raises ApiError 400, 406, 415, 422."""
    asked = await _question(call, resource)
    asker = Asker(call.user, call.info.namespace or "", gate.authenticator, gate.policy)
    return Reply(codec.to_wire(resource, await ANSWERS[resource](asked, asker)), 201)


async def token(call: Call, gate: Gate) -> Reply:
    """serviceaccounts/token: a new token. Raises ApiError 400, 404, 406, 409, 415, 422."""
    asked = await _question(call, TOKENREQUESTS)
    accounts, info = gate.authenticator.accounts, call.info
    assert accounts is not None, "a started server issues tokens"
    bound = asked.spec.boundObjectRef if asked.spec is not None else None
    gate.guard_token(call.user, info.namespace or "", info.name, bound)
    made = await accounts.create(info.namespace or "", info.name, asked, call.warnings)
    return Reply(codec.to_wire(TOKENREQUESTS, made), 201)


async def _question(call: Call, resource: Resource[Any]) -> Any:
    if negotiate.form(call.header("Accept")).transform:
        raise negotiate.not_acceptable()  # there are no tables of answers
    options = request.write_options(call.info.query, "CreateOptions")
    media = negotiate.body_media(call.header("Content-Type"))
    data = await call.body()
    return bodies.decode_object(resource, data, media, options.field_validation, call.warnings)


def issuer(path: str, address: str, gate: Gate) -> Reply:
    """OpenID Connect discovery (apiserver/pkg/server/routes/openidmetadata.go)."""
    accounts = gate.authenticator.accounts
    if accounts is not None and path == "/.well-known/openid-configuration":
        return json_reply(accounts.authority.configuration(f"https://{address}"))
    if accounts is not None and path == "/openid/v1/jwks":
        return Reply(negotiate.encode(accounts.authority.keys()), 200, JWKS)
    return page_not_found()
