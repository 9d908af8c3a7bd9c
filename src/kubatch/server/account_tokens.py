"""Tokens of service accounts: signed JSON Web Tokens that end with what they are bound to.

PyJWT signs and checks signatures; it brings nothing along. What a token says, how long it holds
and whether its account still exists is ours (pkg/serviceaccount: Claims, jwtTokenAuthenticator).
The key is EC P-256, made at the first start: a server that is started again goes on accepting
what it issued.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubatch.server.certificates import write_private

ISSUER = "https://kubernetes.default.svc.cluster.local"  # kubeadm's default
AUDIENCES = (ISSUER,)  # who the API server takes a token to be for
_ALGORITHM = "ES256"
_PRIVATE = "kubernetes.io"
# Signatures are checked once for each token; this many are remembered.
_CHECKED_MAX = 4096
_TOKEN_BYTES_MAX = 16 * 1024


class InvalidToken(ValueError):
    """Not a token of this server, or one that does not hold now."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object a token is bound to; it holds while that one, with that uid, exists."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says."""

    namespace: str
    account: Reference
    audiences: tuple[str, ...]
    issued: datetime
    expires: datetime
    id: str
    pod: Reference | None = None
    secret: Reference | None = None
    node: Reference | None = None
    node_is_bound: bool = False  # bound to the node itself, not to a pod that was on it


@dataclass
class TokenAuthority:
    """Issues tokens, and reads those it issued."""

    key: ec.EllipticCurvePrivateKey
    issuer: str = ISSUER
    _checked: dict[bytes, Claims] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._public = self.key.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        der = self._public.public_bytes(serialization.Encoding.DER, form)
        # pkg/serviceaccount/jwt.go: keyIDFromPublicKey
        self._key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()

    def issue(self, claims: Claims) -> str:
        """The token that says so."""
        private: dict[str, Any] = {"namespace": claims.namespace}
        for name in ("node", "pod", "secret"):
            bound: Reference | None = getattr(claims, name)
            if bound is not None:
                private[name] = {"name": bound.name, "uid": bound.uid}
        private["serviceaccount"] = {"name": claims.account.name, "uid": claims.account.uid}
        issued = int(claims.issued.timestamp())
        body = {
            "aud": list(claims.audiences),
            "exp": int(claims.expires.timestamp()),
            "iat": issued,
            "iss": self.issuer,
            "jti": claims.id,
            _PRIVATE: private,
            "nbf": issued,
            "sub": f"system:serviceaccount:{claims.namespace}:{claims.account.name}",
        }
        return jwt.encode(body, self.key, _ALGORITHM, {"kid": self._key_id})

    def read(self, token: str, now: datetime) -> Claims:
        """What a token says. Raises InvalidToken for another's, and outside its time."""
        claims = self._verified(token)
        if now >= claims.expires:
            raise InvalidToken("service account token has expired")
        if now < claims.issued:
            raise InvalidToken("service account token is not valid yet")
        return claims

    def _verified(self, token: str) -> Claims:
        """What a token says whose signature is ours. Its time is not looked at."""
        if len(token) > _TOKEN_BYTES_MAX:
            raise InvalidToken("too long")
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        known = self._checked.get(digest)
        if known is not None:
            return known
        # The clock is ours to read, not the library's; audiences are for the caller to compare.
        try:
            body = jwt.decode(
                token,
                self._public,
                [_ALGORITHM],
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
                issuer=self.issuer,
            )
            claims = _claims(body)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidToken(str(error)) from error
        if len(self._checked) >= _CHECKED_MAX:
            self._checked.clear()
        self._checked[digest] = claims
        return claims

    # ----- what others need to check tokens themselves (apiserver/pkg/server/routes/openidmetadata)

    def configuration(self, url: str) -> dict[str, Any]:
        """/.well-known/openid-configuration."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{url}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    def keys(self) -> dict[str, Any]:
        """/openid/v1/jwks."""
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._public))
        return {"keys": [{"use": "sig", "kid": self._key_id, "alg": _ALGORITHM, **key}]}


def _claims(body: dict[str, Any]) -> Claims:
    private = body[_PRIVATE]
    audiences = body["aud"]
    account, pod = _reference(private["serviceaccount"]), _optional(private, "pod")
    node = _optional(private, "node")
    return Claims(
        private["namespace"],
        account,
        (audiences,) if isinstance(audiences, str) else tuple(audiences),
        datetime.fromtimestamp(body["iat"], UTC),
        datetime.fromtimestamp(body["exp"], UTC),
        body["jti"],
        pod,
        _optional(private, "secret"),
        node,
        node is not None and pod is None,
    )


def _optional(private: dict[str, Any], name: str) -> Reference | None:
    return _reference(private[name]) if name in private else None


def _reference(value: dict[str, str]) -> Reference:
    return Reference(value["name"], value["uid"])


def intersection(asked: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    """The audiences in both, in the order of the first."""
    return tuple(a for a in asked if a in offered)


def ensure_key(directory: Path) -> ec.EllipticCurvePrivateKey:
    """The signing key in a directory, 0600; made when it is missing or damaged."""
    path = directory / "sa.key"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(path, pem)
    path.chmod(0o600)
    return key
