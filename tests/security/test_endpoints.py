"""No endpoint answers anybody who may not ask, and none that will come."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubatch.server import certificates
from kubatch.server.audit import Record
from kubatch.server.gate import Gate
from kubatch.server.replies import Call
from tests.security.survey import MARKER, Endpoint, endpoints, let_in, survey
from tests.suites.raw_https import exchange
from tests.unit.server.secured import Secured

# rbac/bootstrappolicy/policy.go: system:public-info-viewer.
PUBLIC = [r"(GET|HEAD) /(healthz|livez|readyz|version)(/.*)?"]
# system:discovery, system:basic-user and system:service-account-issuer-discovery: what everybody
# has who logged in, or every service account.
EVERYBODY = [
    *PUBLIC,
    r"GET /(api|apis|openapi)(/(?!.*(namespaces|secrets|watch|pods|nodes)).*)?",
    r"GET /(\.well-known/openid-configuration|openid/v1/jwks)",
    r"POST /apis/authorization\.k8s\.io/v1/selfsubject(access|rules)reviews",
    r"POST /apis/authentication\.k8s\.io/v1(alpha1|beta1)?/selfsubjectreviews",
]


async def test_there_are_enough_endpoints_to_mean_anything(guarded: Secured) -> None:
    found = await endpoints(guarded)
    assert len(found) > 500
    assert {"log", "exec", "token", "scale", "binding"} <= {
        e.resource.partition("/")[2] for e in found
    }
    shown = [e for e in found if e.method == "GET" and e.resource == "secrets"]
    answers = await survey(guarded, "masters-token", shown)
    assert any(MARKER in a.text for a in answers.values())


async def test_nobody_gets_in_without_credentials(guarded: Secured) -> None:
    before = guarded.running.registry.revision
    answers = await survey(guarded, "", await endpoints(guarded))
    assert "\n".join(let_in(answers, PUBLIC)) == ""
    assert guarded.running.registry.revision == before


async def test_an_account_without_roles_gets_what_everybody_gets(guarded: Secured) -> None:
    await guarded.account("nobody")
    token = await guarded.token("nobody")
    before = guarded.running.registry.revision
    answers = await survey(guarded, token, await endpoints(guarded))
    assert "\n".join(let_in(answers, EVERYBODY)) == ""
    assert guarded.running.registry.revision == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "no-such-token",
        lambda token: token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: "eyJhbGciOiJub25lIn0." + token.split(".")[1] + ".",
    ],
    ids=["unknown", "other signature", "no signature", "no algorithm"],
)
async def test_a_wrong_token_is_worse_than_none(
    guarded: Secured, spoil: Callable[[str], str]
) -> None:
    await guarded.account("nobody")
    token = spoil(await guarded.token("nobody"))
    asked = [e for e in await endpoints(guarded) if e.method == "GET"][::7]
    answers = await survey(guarded, token, asked)
    assert {a.status for a in answers.values()} == {401}
    assert not any(token in a.text for a in answers.values())


@pytest.mark.parametrize("headers", [
    {"Impersonate-User": "kubernetes-admin", "Impersonate-Group": "system:masters"},
    {"Impersonate-User": "system:serviceaccount:kube-system:x"},
    {"Impersonate-Group": "system:masters"},
    {"X-Remote-User": "kubernetes-admin", "X-Remote-Group": "system:masters"},
    {"X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"},
    {"X-HTTP-Method-Override": "GET", "Forwarded": "for=127.0.0.1"},
])  # fmt: skip
async def test_headers_open_nothing(guarded: Secured, headers: dict[str, str]) -> None:
    await guarded.account("nobody")
    token = await guarded.token("nobody")
    asked = [e for e in await endpoints(guarded) if e.resource][::5]
    answers = await survey(guarded, token, asked, headers)
    # An impersonation that says no name is a fault of the server's own making (500).
    faults = [r".*"] if headers == {"Impersonate-Group": "system:masters"} else EVERYBODY
    assert let_in(answers, faults) == []
    assert not any(a.status < 300 for e, a in answers.items() if "selfsubject" not in e.path)


class Hole(Gate):
    """A gate that somebody forgot at one path."""

    def admit(self, call: Call, record: Record | None) -> None:
        if call.info.subresource != "status" or call.info.resource != "pods":
            super().admit(call, record)


async def test_an_endpoint_without_the_check_is_found(guarded: Secured) -> None:
    server = guarded.running.server
    gate = server._gate
    server._gate = Hole(gate.authenticator, gate.policy)
    found = let_in(await survey(guarded, "", await endpoints(guarded)), PUBLIC)
    assert found
    assert all("/pods/planted/status" in text for text in found)


# ----- certificates


def _issue(directory: Path, ca: certificates.Pair, made_at: datetime) -> ssl.SSLContext:
    pair = certificates.make_client(ca, "kubernetes-admin", ["system:masters"], made_at)
    (directory / "x.crt").write_bytes(pair.certificate_pem)
    (directory / "x.key").write_bytes(pair.key_pem)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(directory / "x.crt", directory / "x.key")
    return context


SECRETS = b"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_certificates_count_only_in_their_time_and_of_our_authority(
    guarded: Secured, tmp_path: Path
) -> None:
    now, server = datetime.now(UTC), guarded.running.server
    ours = certificates.ensure(tmp_path / "pki", [], now).ca
    others = certificates.ensure(tmp_path / "other", [], now).ca
    assert MARKER.encode() in await exchange(server, SECRETS, _issue(tmp_path, ours, now))
    for ca, at in (
        (others, now),
        (ours, now - certificates.LEAF_LIFETIME - timedelta(days=1)),
        (ours, now + timedelta(days=2)),
    ):
        assert await _said(server, _issue(tmp_path, ca, at)) == b""


async def _said(server: object, tls: ssl.SSLContext) -> bytes:
    try:
        return await exchange(server, SECRETS, tls)  # type: ignore[arg-type]
    except (ssl.SSLError, ConnectionError):
        return b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_is_new_enough(guarded: Secured, version: ssl.TLSVersion) -> None:
    context = guarded.running.tls()
    context.minimum_version = context.maximum_version = version
    said = await exchange(guarded.running.server, SECRETS, context)
    assert said.startswith(b"HTTP/1.1 200")


async def test_old_tls_is_refused(guarded: Secured) -> None:
    context = guarded.running.tls()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await exchange(guarded.running.server, SECRETS, context)


def test_an_endpoint_reads_as_a_request() -> None:
    assert str(Endpoint("GET", "/version")) == "GET /version"
