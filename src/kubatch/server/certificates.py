"""The server's own certificate authority and what it signs.

Everything lies under one directory, readable by its owner only, is made once and reused, and is
renewed when it is near its end or does not fit any more (another address, another authority).
Keys are EC P-256: made in well under a millisecond.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubatch.registry.kinds.service.allocation import KUBERNETES_ADDRESS

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
# A certificate closer to its end than this is made anew at the next start.
RENEW_BEFORE = timedelta(days=30)
# Clocks of clients may be behind; kubeadm grants the same (cmd/kubeadm/app/util/pkiutil).
BACKDATE = timedelta(minutes=5)

ADMIN_USER = "kubernetes-admin"
ADMIN_GROUP = "system:masters"
# Names and the address by which pods know the API server (kubeadm's defaults).
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    KUBERNETES_ADDRESS,
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, decoded."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as files and kubeconfigs hold it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, not encrypted: whoever may read the file may use it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@dataclass(frozen=True)
class Pki:
    """Where everything lies, and what a kubeconfig needs of it."""

    directory: Path
    ca: Pair
    admin: Pair

    def server_context(self) -> ssl.SSLContext:
        """TLS for the listener; client certificates of this authority are welcome, none needed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.directory / "server.crt", self.directory / "server.key")
        context.load_verify_locations(self.directory / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context


def ensure(directory: Path, names: Sequence[str], now: datetime) -> Pki:
    """The directory's certificates, made or renewed as far as needed.

    `names` are the server's names and addresses beside the ones every server has.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca = _load(directory, "ca")
    if ca is None or not _is_fresh(ca.certificate, now):
        ca = _make_ca(now)
        _store(directory, "ca", ca)
    wanted = list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *SERVICE_NAMES, *names]))
    server = _load(directory, "server")
    if server is None or not _fits(server, ca, now) or not _covers(server.certificate, wanted):
        server = _make_server(ca, wanted, now)
        _store(directory, "server", server)
    admin = _load(directory, "admin")
    if admin is None or not _fits(admin, ca, now):
        admin = make_client(ca, ADMIN_USER, [ADMIN_GROUP], now)
        _store(directory, "admin", admin)
    return Pki(directory, ca, admin)


def make_client(ca: Pair, user: str, groups: Sequence[str], now: datetime) -> Pair:
    """A client certificate: the common name is the user, the organizations are its groups."""
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, g) for g in groups]
    subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    return _sign_leaf(ca, subject, ExtendedKeyUsageOID.CLIENT_AUTH, (), now)


# ----- making


def _make_ca(now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubatch-ca")])
    usage = _key_usage(signs_certificates=True)
    certificate = (
        _builder(name, name, key.public_key(), now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _make_server(ca: Pair, names: Sequence[str], now: datetime) -> Pair:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubatch-apiserver")])
    return _sign_leaf(ca, subject, ExtendedKeyUsageOID.SERVER_AUTH, names, now)


def _sign_leaf(
    ca: Pair,
    subject: x509.Name,
    purpose: x509.ObjectIdentifier,
    names: Sequence[str],
    now: datetime,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A leaf never outlives its authority: clients refuse a chain with an ended link.
    lifetime = min(LEAF_LIFETIME, ca.certificate.not_valid_after_utc - now)
    builder = _builder(subject, ca.certificate.subject, key.public_key(), now, lifetime)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False
        )
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_general_name(n) for n in names])
        builder = builder.add_extension(alternatives, critical=False)
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetime)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


# ----- checking


def _is_fresh(certificate: x509.Certificate, now: datetime) -> bool:
    return (
        certificate.not_valid_before_utc <= now
        and now + RENEW_BEFORE < certificate.not_valid_after_utc
    )


def _fits(leaf: Pair, ca: Pair, now: datetime) -> bool:
    if not _is_fresh(leaf.certificate, now):
        return False
    try:
        leaf.certificate.verify_directly_issued_by(ca.certificate)
    except Exception:  # whatever is wrong with it, a new one is made
        return False
    return True


def _covers(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    present = set(found)
    return all(_general_name(name) in present for name in names)


# ----- files


def _load(directory: Path, name: str) -> Pair | None:
    """A pair from its files; None when one is missing, damaged or belongs to another key."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if key.public_key() != certificate.public_key():
        return None
    return Pair(certificate, key)


def _store(directory: Path, name: str, pair: Pair) -> None:
    write_private(directory / f"{name}.key", pair.key_pem)
    write_private(directory / f"{name}.crt", pair.certificate_pem)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # a leftover of a crash may have had another mode
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
