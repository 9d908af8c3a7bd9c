"""Who gets in over the wire, and what anybody may see."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any

import pytest

from kubatch.registry.values import Entry
from kubatch.server import certificates
from kubatch.world import World
from tests.unit.server.conftest import Client, Running


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/livez/ping"])
async def test_health(stranger: Client, path: str) -> None:
    answer = await stranger("GET", path)
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_verbose_health(stranger: Client) -> None:
    answer = await stranger("GET", "/readyz?verbose&exclude=ping")
    assert answer.text.startswith("[+]ping excluded: ok\n[+]poststarthook")
    assert answer.text.endswith("readyz check passed\n")
    assert (await stranger("GET", "/readyz/nonsense")).status == 404


async def test_not_ready(running: Running, stranger: Client) -> None:
    running.ready[0] = False
    answer = await stranger("GET", "/readyz")
    assert answer.status == 500
    assert answer.text == (
        "[+]ping ok\n[-]poststarthook/kubatch failed: reason withheld\nreadyz check failed\n"
    )
    assert (await stranger("GET", "/healthz")).status == 200


@pytest.mark.parametrize("path", ["/version", "/version/"])
async def test_the_version_is_public(stranger: Client, path: str) -> None:
    assert (await stranger("GET", path)).json["gitVersion"] == "v1.36.2+kubatch"


async def test_strangers(stranger: Client) -> None:
    answer = await stranger("GET", "/api/v1/namespaces/default/pods/p")
    assert answer.status == 403
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "p" is forbidden: User "system:anonymous" cannot get resource "pods" in '
        'API group "" in the namespace "default"',
        "reason": "Forbidden",
        "details": {"name": "p", "kind": "pods"},
        "code": 403,
    }
    path = await stranger("GET", "/apis")
    assert path.json["details"] == {}
    assert path.json["message"] == 'forbidden: User "system:anonymous" cannot get path "/apis"'


async def test_tokens(running: Running, stranger: Client) -> None:
    token = (running.data_dir / "tokens").read_text().partition(",")[0]
    good = await stranger("GET", "/apis", headers={"Authorization": f"Bearer {token}"})
    assert good.status == 200
    wrong = await stranger("GET", "/version", headers={"Authorization": "Bearer wrong"})
    assert (wrong.status, wrong.json["message"]) == (401, "Unauthorized")
    assert "details" not in wrong.json


async def test_a_certificate_of_another_authority(running: Running) -> None:
    other = running.data_dir / "other"
    certificates.ensure(other, [], World().now())
    context = running.tls(None)
    context.load_cert_chain(other / "admin.crt", other / "admin.key")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", running.server.port, ssl=context, server_hostname="localhost"
    )
    writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        answer = await reader.read()
    assert answer == b""
    writer.transport.abort()


async def test_a_certificate_without_rights(running: Running, stranger: Client) -> None:
    pki = certificates.ensure(running.data_dir / "pki", [], World().now())
    bob = certificates.make_client(pki.ca, "bob", ["dev"], World().now())
    (running.data_dir / "pki" / "bob.crt").write_bytes(bob.certificate_pem)
    (running.data_dir / "pki" / "bob.key").write_bytes(bob.key_pem)
    async with stranger.session.get(
        stranger.url + "/apis/batch/v1/jobs", ssl=running.tls("bob")
    ) as response:
        assert response.status == 403
        assert (await response.json())["message"] == (
            'jobs.batch is forbidden: User "bob" cannot list resource "jobs" in API group "batch" '
            "at the cluster scope"
        )


async def test_every_answer_is_marked(admin: Client) -> None:
    answer = await admin("GET", "/api/v1/namespaces")
    assert len(answer.headers["Audit-Id"]) == 36
    assert answer.headers["Cache-Control"] == "no-cache, private"


async def test_a_failure_of_ours_is_told_and_survived(
    running: Running,
    admin: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: Any) -> Entry[Any]:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(running.registry, "get", fail)
        answer = await admin("GET", "/api/v1/namespaces/default")
    assert answer.status == 500
    assert answer.json["reason"] == "InternalError"
    assert "a bug" in caplog.text
    assert (await admin("GET", "/api/v1/namespaces/default")).status == 200
