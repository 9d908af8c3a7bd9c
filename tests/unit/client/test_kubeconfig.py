"""Kubeconfig files as people have them."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubatch.client import kubeconfig
from kubatch.client.kubeconfig import BadKubeconfig
from kubatch.server import certificates
from kubatch.server.certificates import Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return certificates.ensure(tmp_path_factory.mktemp("pki"), ["127.0.0.1"], now)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def document(cluster: Any = None, user: Any = None, **context: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://h:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
    }


def written(directory: Path, value: Any) -> Path:
    path = directory / "config"
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


def refusal(directory: Path, value: Any, context: str = "") -> str:
    with pytest.raises(BadKubeconfig) as caught:
        kubeconfig.read(written(directory, value), context)
    return str(caught.value)


def test_what_the_server_writes_can_be_read(tmp_path: Path, pki: Pki) -> None:
    from kubatch.server import kubeconfig as writer

    path = tmp_path / "kubeconfig"
    writer.write(path, "https://127.0.0.1:6443", pki)
    found = kubeconfig.read(path)
    assert (found.server, found.namespace) == ("https://127.0.0.1:6443", "default")
    assert found.tls is not None
    assert found.tls.verify_mode == ssl.CERT_REQUIRED
    assert found.tls.check_hostname
    # The cluster's authority and no other.
    assert len(found.tls.get_ca_certs()) == 1


def test_files_lie_beside_the_kubeconfig(tmp_path: Path, pki: Pki) -> None:
    (tmp_path / "ca.pem").write_bytes(pki.ca.certificate_pem)
    (tmp_path / "me.pem").write_bytes(pki.admin.certificate_pem)
    (tmp_path / "me.key").write_bytes(pki.admin.key_pem)
    (tmp_path / "token").write_text("t")
    user = {"client-certificate": "me.pem", "client-key": "me.key", "tokenFile": "token"}
    found = kubeconfig.read(written(tmp_path, document({"certificate-authority": "ca.pem"}, user)))
    assert found.tls is not None
    assert found.token_file == tmp_path / "token"


def test_what_else_a_file_says(tmp_path: Path) -> None:
    cluster = {
        "server": "https://h:1/sub/",
        "tls-server-name": "other",
        "proxy-url": "http://proxy:3128",
        "insecure-skip-tls-verify": True,
    }
    found = kubeconfig.read(written(tmp_path, document(cluster, {"token": "t"}, namespace="mine")))
    assert found.server == "https://h:1/sub"
    assert (found.server_name, found.proxy) == ("other", "http://proxy:3128")
    assert (found.token, found.namespace) == ("t", "mine")
    assert found.tls is not None
    assert found.tls.verify_mode == ssl.CERT_NONE


def test_another_context_can_be_named(tmp_path: Path) -> None:
    value = document()
    value["contexts"].append({"name": "there", "context": {"cluster": "d"}})
    value["clusters"].append({"name": "d", "cluster": {"server": "http://d:1"}})
    found = kubeconfig.read(written(tmp_path, value), "there")
    assert (found.server, found.tls) == ("http://d:1", None)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{}", "no current-context; name one with --context"),
        ("", "is no kubeconfig"),
        ("[1]", "is no kubeconfig"),
        ("{a: b: c}", "is no kubeconfig"),
        ({**document(), "current-context": "x"}, 'has no context named "x"'),
        ({**document(), "clusters": None}, 'has no cluster named "c"'),
        ({**document(), "users": [1]}, 'has no user named "u"'),
        ({**document(), "current-context": 1}, "current-context should be a text, not int"),
        (document({"server": ""}), "is not an https:// or http:// address"),
        (document({"server": "ftp://h"}), "is not an https:// or http:// address"),
        (document({"certificate-authority-data": "%"}), "is not base64"),
        (document({"certificate-authority-data": b64(b"no")}), "cannot be used"),
        (document({"certificate-authority": "none.pem"}), "cannot be used"),
        (document(user={"client-key-data": b64(b"k")}), "needs its key"),
        (
            document(user={"client-key-data": b64(b"k"), "client-certificate-data": b64(b"c")}),
            "cannot be used",
        ),
        (document(user={"exec": {"command": "aws"}}), "starts a program for its credentials"),
        (document(user={"auth-provider": {"name": "gcp"}}), "auth-provider"),
        (document(user={"username": "a", "password": "b"}), "has a password"),
        (document(user={"as": "somebody"}), "acts as somebody else"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, value: Any, says: str) -> None:
    assert says in refusal(tmp_path, value)


def test_a_program_is_never_started(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    refusal(tmp_path, document(user={"exec": {"command": "touch", "args": [str(mark)]}}))
    assert not mark.exists()


def test_no_secret_is_told(tmp_path: Path) -> None:
    user = {"token": "s3cret", "username": "a", "password": "s3cret"}
    assert "s3cret" not in refusal(tmp_path, document(user=user))


def test_which_file_counts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    usual = home / ".kube" / "config"
    usual.touch()
    other = tmp_path / "other"
    other.touch()
    environ = {"HOME": str(home)}
    assert kubeconfig.find(None, environ) == usual
    assert kubeconfig.find(None, {**environ, "KUBECONFIG": f"/none:{other}"}) == other
    assert kubeconfig.find(str(other), environ) == other
    assert kubeconfig.find(None, {"HOME": str(tmp_path)}) is None
    with pytest.raises(BadKubeconfig, match="no such file"):
        kubeconfig.find("/none", environ)


def test_a_pod_has_credentials_of_its_own(tmp_path: Path, pki: Pki) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert kubeconfig.of_pod(environ, tmp_path) is None
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_bytes(pki.ca.certificate_pem)
    found = kubeconfig.of_pod(environ, tmp_path)
    assert found is not None
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "default")
    assert found.token_file == tmp_path / "token"
    (tmp_path / "namespace").write_text("mine\n")
    found = kubeconfig.of_pod(environ, tmp_path)
    assert found is not None
    assert found.namespace == "mine"
    assert kubeconfig.of_pod({}, tmp_path) is None
