"""Where an API server is and who we are there: kubeconfig files, and the files of a pod.

Reads what client-go's clientcmd reads: contexts, CA and client certificates as data or files,
tokens as data or files. What would start a program or open a browser (exec, auth-provider) is
refused, and so is a password. Client keys never touch a disk on their way into OpenSSL.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubatch.api.json_text import Malformed
from kubatch.api.yaml_text import parse_yaml

# Where Kubernetes puts a pod's own credentials (client-go/rest/config.go: InClusterConfig).
POD_CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
FILE_BYTES_MAX = 4 * 1024 * 1024


class BadKubeconfig(ValueError):
    """A kubeconfig that cannot be used; the text says what to mend."""


@dataclass(frozen=True)
class Endpoint:
    """One API server, and one user of it."""

    server: str  # https://host:port, perhaps with a path
    tls: ssl.SSLContext | None = None  # None: plain http, where no credentials are sent
    server_name: str | None = None  # whose certificate to expect; None: the host's
    token: str = ""
    token_file: Path | None = None  # read again from time to time: tokens are rotated
    namespace: str = "default"
    proxy: str | None = None


def read(path: Path, context: str = "") -> Endpoint:
    """The connection a kubeconfig file describes; its current context unless another is named.

    Raises BadKubeconfig.
    """
    document = _mapping(_parsed(path), "the file")
    name = context or _text(document, "current-context")
    if not name:
        raise BadKubeconfig(f"{path} has no current-context; name one with --context")
    chosen = _named(document, "contexts", "context", name, path)
    cluster = _named(document, "clusters", "cluster", _text(chosen, "cluster"), path)
    user = _text(chosen, "user")
    credentials = _named(document, "users", "user", user, path) if user else {}
    _refuse_unsupported(credentials, user, path)
    server = _text(cluster, "server").rstrip("/")
    token_file = _text(credentials, "tokenFile")
    return Endpoint(
        _checked_server(server, path),
        _tls(cluster, credentials, path) if server.startswith("https://") else None,
        _text(cluster, "tls-server-name") or None,
        _text(credentials, "token"),
        path.parent / token_file if token_file else None,
        _text(chosen, "namespace") or "default",
        _text(cluster, "proxy-url") or None,
    )


def find(explicit: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file to use: the one named, the first of $KUBECONFIG, kubectl's own; None: there is none.

    Raises BadKubeconfig when a named file is not there.
    """
    if explicit:
        path = Path(explicit)
        if not path.is_file():
            raise BadKubeconfig(f"{explicit}: no such file")
        return path
    listed = [part for part in environ.get("KUBECONFIG", "").split(":") if part]
    candidates = [Path(part) for part in listed] or [
        Path(environ.get("HOME") or "/") / ".kube" / "config"
    ]
    return next((path for path in candidates if path.is_file()), None)


def of_pod(environ: Mapping[str, str], credentials: Path = POD_CREDENTIALS) -> Endpoint | None:
    """The connection of a program that runs in a pod; None outside of one."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token, authority = credentials / "token", credentials / "ca.crt"
    if not host or not port or not token.is_file() or not authority.is_file():
        return None
    host = f"[{host}]" if ":" in host else host
    space = credentials / "namespace"
    return Endpoint(
        f"https://{host}:{port}",
        ssl.create_default_context(cafile=authority),
        token_file=token,
        namespace=(space.read_text().strip() if space.is_file() else "") or "default",
    )


# ----- the document


def _parsed(path: Path) -> Any:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadKubeconfig(f"{path} is too large for a kubeconfig")
        return parse_yaml(path.read_bytes()).value
    except OSError as error:
        raise BadKubeconfig(f"{path}: {error.strerror}") from None
    except Malformed as error:
        raise BadKubeconfig(f"{path} is no kubeconfig: {error}") from None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadKubeconfig(f"{what} should be a mapping, not {type(value).__name__}")
    return value


def _text(holder: Mapping[str, Any], field: str) -> str:
    value = holder.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadKubeconfig(f"{field} should be a text, not {type(value).__name__}")
    return value


def _named(
    document: Mapping[str, Any], section: str, member: str, name: str, path: Path
) -> Mapping[str, Any]:
    entries = document.get(section)
    found = entries if isinstance(entries, list) else []
    for entry in found:
        if isinstance(entry, dict) and entry.get("name") == name:
            return _mapping(entry.get(member), f"{member} {name}")
    raise BadKubeconfig(f'{path} has no {member} named "{name}"')


def _checked_server(server: str, path: Path) -> str:
    parts = urlsplit(server)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise BadKubeconfig(f'{path}: server "{server}" is not an https:// or http:// address')
    return server


def _refuse_unsupported(credentials: Mapping[str, Any], user: str, path: Path) -> None:
    refused = {
        "exec": "starts a program for its credentials",
        "auth-provider": "uses an auth-provider",
        "username": "has a password, which Kubernetes itself has given up",
        "as": "acts as somebody else",
    }
    for field, why in refused.items():
        if credentials.get(field):
            raise BadKubeconfig(
                f'{path}: user "{user}" {why} ({field}), which kubatch does not do; '
                "use a token or a client certificate, for example that of a service account"
            )


# ----- TLS


def _tls(cluster: Mapping[str, Any], credentials: Mapping[str, Any], path: Path) -> ssl.SSLContext:
    try:
        return _context(cluster, credentials, path)
    except (ssl.SSLError, OSError) as error:
        raise BadKubeconfig(f"{path}: its certificates or key cannot be used: {error}") from None


def _context(
    cluster: Mapping[str, Any], credentials: Mapping[str, Any], path: Path
) -> ssl.SSLContext:
    authority = _bytes_of(cluster, "certificate-authority", path)
    context = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify") is True:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority is not None:
        # Only this authority: the machine's own ones have no say about a cluster.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=authority.decode(errors="replace"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate = _bytes_of(credentials, "client-certificate", path)
    key = _bytes_of(credentials, "client-key", path)
    if (certificate is None) != (key is None):
        raise BadKubeconfig(
            f"{path}: a client certificate needs its key, and a key its certificate"
        )
    if certificate is not None and key is not None:
        with _in_memory(certificate + b"\n" + key) as name:
            context.load_cert_chain(name)
    return context


def _bytes_of(holder: Mapping[str, Any], field: str, path: Path) -> bytes | None:
    """`field-data`, or the file that `field` names, relative to the kubeconfig."""
    data = _text(holder, f"{field}-data")
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error:
            raise BadKubeconfig(f"{path}: {field}-data is not base64") from None
    name = _text(holder, field)
    return (path.parent / name).read_bytes() if name else None


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """A file that is nowhere: OpenSSL takes certificates and keys from files only."""
    handle = os.memfd_create("kubatch-credentials", os.MFD_CLOEXEC)
    try:
        os.write(handle, data)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
