"""Every endpoint there is, asked by somebody who has no business there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.unit.server.conftest import Answer
from tests.unit.server.secured import Secured

PLANTED = "planted"  # the name of an object of each kind that matters here
MARKER = "bWFya2VyLW9mLWEtc2VjcmV0"  # what must never be in an answer
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_OF_COLLECTIONS = {"list", "watch", "create", "deletecollection"}
# Methods that no verb has must not be a way round.
_ODD = ("HEAD", "OPTIONS", "TRACE", "PROPFIND")
_OTHER_PATHS = (
    "/",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/livez/ping",
    "/readyz",
    "/version",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/apis/batch/v1",
    "/swagger-2.0.0.pb-v1",
    "/.well-known/openid-configuration",
    "/openid/v1/jwks",
    f"/kubatch.dev/v1/explain/core/secrets/default/{PLANTED}",
    f"/kubatch.dev/v1/explain/batch/jobs/default/{PLANTED}",
    "/kubatch.dev/v1/",
    "/logs",
    "/debug/pprof/",
    "/configz",
    "/flagz",
    "/statusz",
    "/no/such/path",
    "/api/v1/watch/secrets",
    f"/api/v1/watch/namespaces/default/secrets/{PLANTED}",
    f"/api/v1/namespaces/default/secrets/../secrets/{PLANTED}",
    f"/api/v1//namespaces//default//secrets//{PLANTED}",
    f"/api/v1/namespaces/default/%73ecrets/{PLANTED}",
    f"/healthz/../api/v1/namespaces/default/secrets/{PLANTED}",
    f"/version/..%2fapi/v1/namespaces/default/secrets/{PLANTED}",
    "/API/v1/secrets",
    "/api/v1/proxy/namespaces/default/pods/planted",
    "/api/v1/nodes/n1/proxy/logs",
)


@dataclass(frozen=True)
class Endpoint:
    """A method, a path, and what discovery calls it."""

    method: str
    path: str
    verb: str = ""
    group: str = ""
    resource: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


async def endpoints(server: Secured) -> list[Endpoint]:
    """All that discovery tells the administrator, and all paths that are no resources."""
    documents = ["/api/v1"]
    for group in (await server.root("GET", "/apis")).json["groups"]:
        documents += [f"/apis/{v['groupVersion']}" for v in group["versions"]]
    found: list[Endpoint] = []
    for document in documents:
        answer = await server.root("GET", document)
        found.append(Endpoint("GET", document))
        for entry in answer.json["resources"]:
            found += _of_entry(document, entry)
    for path in _OTHER_PATHS:
        found += [Endpoint(method, path) for method in ("GET", "POST", *_ODD)]
    return found


def _of_entry(document: str, entry: Mapping[str, Any]) -> Iterator[Endpoint]:
    plural, _, sub = entry["name"].partition("/")
    group = document.split("/")[2] if document.startswith("/apis/") else ""
    place = "/namespaces/default" if entry["namespaced"] else ""
    collection = f"{document}{place}/{plural}"
    named = f"{collection}/{PLANTED}" + (f"/{sub}" if sub else "")
    for verb in entry["verbs"]:
        of_all = verb in _OF_COLLECTIONS and not sub
        paths = [collection if of_all else named]
        if of_all and place and verb in ("list", "watch"):
            paths.append(f"{document}/{plural}")
        for path in paths:
            query = "?watch=1&timeoutSeconds=1" if verb == "watch" else ""
            yield Endpoint(_METHODS[verb], path + query, verb, group, entry["name"])
    for method in _ODD:
        yield Endpoint(method, named, "", group, entry["name"])


async def survey(
    server: Secured, token: str, asked: Sequence[Endpoint], headers: Mapping[str, str] | None = None
) -> dict[Endpoint, Answer]:
    """What each endpoint answers to whoever has the token."""
    crowd = asyncio.Semaphore(20)

    async def ask(endpoint: Endpoint) -> Answer:
        async with crowd, asyncio.timeout(30):
            body: dict[str, Any] | None = (
                {} if endpoint.method in ("POST", "PUT", "PATCH") else None
            )
            return await server.ask(token, endpoint.method, endpoint.path, body, headers)

    answers = await asyncio.gather(*map(ask, asked))
    return dict(zip(asked, answers, strict=True))


def let_in(answers: Mapping[Endpoint, Answer], allowed: Sequence[str]) -> list[str]:
    """Endpoints that answered something else than "you may not", but for those allowed.

    `allowed` are patterns of `METHOD path`.
    """
    known = re.compile("|".join(allowed)) if allowed else None
    return [
        f"{endpoint}: {answer.status}"
        for endpoint, answer in answers.items()
        if (answer.status not in (401, 403) and not (known and known.fullmatch(str(endpoint))))
        or MARKER.encode() in answer.body
    ]
