"""What pages of other sites can make a browser send."""

from __future__ import annotations

import pytest

from tests.unit.server.conftest import Client
from tests.unit.server.secured import Secured

MAPS = "/api/v1/namespaces/default/configmaps"
ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://example.com"}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
EXEC = "/api/v1/namespaces/default/pods/planted/exec?command=id&stdout=true"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", MAPS, {}),
        ("DELETE", MAPS, {}),
        ("POST", MAPS, {"Sec-Fetch-Site": "same-site"}),
        ("GET", EXEC, WEBSOCKET),
    ],
)
async def test_another_sites_page_changes_nothing(
    guarded: Secured, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await guarded.ask("", method, path, None, {**ELSEWHERE, **headers})
    assert answer.status == 403
    assert answer.json["message"] == "cross-origin request detected from Sec-Fetch-Site header"


async def test_a_page_that_knows_a_token_is_no_other_sites(guarded: Secured) -> None:
    body = {"metadata": {"name": "made"}}
    assert (await guarded.root("POST", MAPS, body, **ELSEWHERE)).status == 201


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_may(guarded: Secured, site: str) -> None:
    """Of a proxy on this machine, for one, which adds the certificate."""
    answer = await guarded.ask("", "POST", MAPS, {}, {"Sec-Fetch-Site": site})
    assert "cross-origin" not in answer.text


async def test_nothing_lets_other_sites_read(guarded: Secured) -> None:
    client = Client(guarded.session, guarded.running.server.url)
    for method in ("GET", "OPTIONS"):
        asked = {**ELSEWHERE, "Access-Control-Request-Method": "GET"}
        answer = await client(method, "/version", None, asked)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
