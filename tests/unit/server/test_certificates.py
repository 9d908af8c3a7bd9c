"""The server's certificates: made, reused, renewed; and the kubeconfig and tokens beside them."""

from __future__ import annotations

import random
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from kubatch.server import auth, certificates, kubeconfig
from kubatch.world import World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILES = ["admin.crt", "admin.key", "ca.crt", "ca.key", "server.crt", "server.key"]


def contents(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(directory.iterdir())}


def test_everything_is_private(tmp_path: Path) -> None:
    certificates.ensure(tmp_path / "pki", ["example.org", "10.0.0.7"], NOW)
    assert sorted(contents(tmp_path / "pki")) == FILES
    for path in (tmp_path / "pki").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700


def test_what_they_say(tmp_path: Path) -> None:
    pki = certificates.ensure(tmp_path, ["example.org", "10.0.0.7"], NOW)
    server = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "kubernetes.default.svc", "example.org"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    addresses = {str(a) for a in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1", "127.96.0.1", "10.0.0.7"}
    subject = pki.admin.certificate.subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "kubernetes-admin"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"
    assert pki.ca.certificate.not_valid_after_utc == NOW + timedelta(days=3650)
    assert server.not_valid_after_utc == NOW + timedelta(days=365)
    pki.server_context()


def test_they_are_reused(tmp_path: Path) -> None:
    certificates.ensure(tmp_path, ["a"], NOW)
    before = contents(tmp_path)
    certificates.ensure(tmp_path, ["a"], NOW + timedelta(days=300))
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("days", "names", "renewed"),
    [
        (340, ["a"], {"admin", "server"}),
        (0, ["a", "b"], {"server"}),
        (3640, ["a"], {"admin", "ca", "server"}),
    ],
)
def test_they_are_renewed(tmp_path: Path, days: int, names: list[str], renewed: set[str]) -> None:
    certificates.ensure(tmp_path, ["a"], NOW)
    before = contents(tmp_path)
    certificates.ensure(tmp_path, names, NOW + timedelta(days=days))
    after = contents(tmp_path)
    assert {n.partition(".")[0] for n in after if before[n] != after[n]} == renewed


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    certificates.ensure(tmp_path, ["a"], NOW)
    (tmp_path / "server.key").write_bytes((tmp_path / "admin.key").read_bytes())
    (tmp_path / "admin.crt").write_bytes(b"nonsense")
    before = contents(tmp_path)
    certificates.ensure(tmp_path, ["a"], NOW)
    after = contents(tmp_path)
    assert {n.partition(".")[0] for n in after if before[n] != after[n]} == {"admin", "server"}


def test_a_kubeconfig(tmp_path: Path) -> None:
    pki = certificates.ensure(tmp_path / "pki", [], NOW)
    path = tmp_path / "deep" / "kubeconfig"
    kubeconfig.write(path, "https://127.0.0.1:6443", pki)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = yaml.safe_load(path.read_text())
    assert config["current-context"] == "kubatch"
    assert config["contexts"][0]["context"]["namespace"] == "default"
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "https://127.0.0.1:1"),
        ("0.0.0.0", "https://127.0.0.1:1"),
        ("::", "https://[::1]:1"),
        ("fe80::1", "https://[fe80::1]:1"),
        ("host.example", "https://host.example:1"),
    ],
)
def test_a_server_url(address: str, url: str) -> None:
    assert kubeconfig.server_url(address, 1) == url


async def test_tokens_are_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    world = World(rng=random.Random(1))
    tokens = auth.ensure_tokens(path, world)
    path.chmod(0o644)
    assert auth.ensure_tokens(path, world) == tokens
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().partition(",")[0]
    user = await auth.Authenticator(tokens).user(None, f"Bearer {token}")
    assert "system:masters" in user.groups
    assert user.name == "kubernetes-admin"
