"""The file by which kubectl and client libraries find a server and prove who they are."""

from __future__ import annotations

import base64
from pathlib import Path

from kubatch.server.certificates import ADMIN_USER, Pki, write_private

CONTEXT = "kubatch"


def render(server: str, ca: bytes, certificate: bytes, key: bytes) -> str:
    """A kubeconfig with one cluster, one user and one context."""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {CONTEXT}
  cluster:
    server: {server}
    certificate-authority-data: {_base64(ca)}
users:
- name: {ADMIN_USER}
  user:
    client-certificate-data: {_base64(certificate)}
    client-key-data: {_base64(key)}
contexts:
- name: {CONTEXT}
  context:
    cluster: {CONTEXT}
    namespace: default
    user: {ADMIN_USER}
current-context: {CONTEXT}
preferences: {{}}
"""


def write(path: Path, server: str, pki: Pki) -> None:
    """Write the admin's kubeconfig, 0600 and atomically: it holds a private key."""
    text = render(server, pki.ca.certificate_pem, pki.admin.certificate_pem, pki.admin.key_pem)
    write_private(path, text.encode())


def server_url(address: str, port: int) -> str:
    """The URL under which this machine reaches a listener; a wildcard means loopback."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
