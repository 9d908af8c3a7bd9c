"""Who is asking.

In kube-apiserver's order: client certificate, bearer token (of the static file, then of a service
account), anonymous. What a caller may do is asked in server/access.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from kubatch.api import errors
from kubatch.server.access.attributes import User
from kubatch.server.access.impersonation import ANONYMOUS_NAME, AUTHENTICATED, UNAUTHENTICATED
from kubatch.server.access.policy import MASTERS
from kubatch.server.account_tokens import AUDIENCES, InvalidToken, intersection
from kubatch.server.accounts import CREDENTIAL_ID, Accounts
from kubatch.server.certificates import write_private
from kubatch.world import World

__all__ = ["ANONYMOUS", "AUTHENTICATED", "MASTERS", "Authenticator", "User"]

ANONYMOUS = User(ANONYMOUS_NAME, "", (UNAUTHENTICATED,))
# Tokens are kept as digests, so that looking one up tells nothing by the time it takes.
Tokens = Mapping[bytes, User]


@dataclass(frozen=True, slots=True)
class Peer:
    """A client certificate that TLS has verified."""

    subject: tuple[tuple[tuple[str, str], ...], ...]  # as ssl.getpeercert() shows it
    der: bytes = b""


@dataclass(frozen=True)
class Authenticator:
    """Turns a client certificate or an Authorization header into a user."""

    tokens: Tokens = field(default_factory=dict)
    accounts: Accounts | None = None

    async def user(self, peer: Peer | None, authorization: str) -> User:
        """The caller. Raises ApiError 401 for a bearer token nobody has."""
        if peer is not None:
            user = certificate_user(peer)
            if user is not None:
                return user
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return ANONYMOUS
        try:
            return (await self.bearer(token))[0]
        except InvalidToken:
            raise errors.unauthorized() from None

    async def bearer(
        self, token: str, audiences: Sequence[str] = AUDIENCES
    ) -> tuple[User, tuple[str, ...]]:
        """Whose token it is, and which of the audiences it is for. Raises InvalidToken."""
        found = self.tokens.get(_digest(token))
        if found is not None:
            # A token of the file is for this server and nobody else.
            matching = intersection(audiences, AUDIENCES)
            if matching:
                return found, matching
        elif self.accounts is not None and token.count(".") == 2:
            return await self.accounts.user(token, audiences)
        raise InvalidToken("unknown token")


def attempted(peer: Peer | None, authorization: str) -> str:
    """How somebody tried to get in whom nobody knows (filters/authn_audit.go: getAuthMethods)."""
    words = authorization.strip().split(" ")
    scheme = words[0].lower() if len(words) > 1 else ""
    methods = [scheme] if scheme in ("basic", "bearer") else []
    methods += ["x509"] if peer is not None else []
    if not methods:
        return "Authentication failed, no credentials provided"
    return f"Authentication failed, attempted: {', '.join(methods)}"


@lru_cache(maxsize=1024)
def certificate_user(peer: Peer) -> User | None:
    """The user a verified certificate names: the common name; organizations are groups."""
    name, groups = "", []
    for attributes in peer.subject:
        for kind, value in attributes:
            if kind == "commonName":
                name = value
            elif kind == "organizationName":
                groups.append(value)
    if not name:
        return None
    credential = f"X509SHA256={hashlib.sha256(peer.der).hexdigest()}"
    extra = ((CREDENTIAL_ID, (credential,)),) if peer.der else ()
    return User(name, "", (*groups, AUTHENTICATED), extra)


def peer_of(transport: Any) -> Peer | None:
    """The certificate at the other end of a connection; None without one."""
    if transport is None:
        return None
    shown = transport.get_extra_info("peercert")
    if not shown:
        return None
    connection = transport.get_extra_info("ssl_object")
    der = connection.getpeercert(binary_form=True) if connection is not None else b""
    return Peer(shown.get("subject", ()), der or b"")


def parse_tokens(lines: Iterable[str]) -> dict[bytes, User]:
    """A static token file: `token,user,uid,"group1,group2"` a line, as --token-auth-file has it.

    Raises ValueError for a line with fewer than three columns.
    """
    tokens: dict[bytes, User] = {}
    for number, row in enumerate(csv.reader(lines), 1):
        columns = [c.strip() for c in row]
        if not columns or columns[0].startswith("#"):
            continue
        if len(columns) < 3 or not columns[0] or not columns[1]:
            raise ValueError(f"line {number}: expected token, user name and uid")
        groups = columns[3].split(",") if len(columns) > 3 and columns[3] else []
        tokens[_digest(columns[0])] = User(columns[1], columns[2], (*groups, AUTHENTICATED))
    return tokens


def ensure_tokens(path: Path, world: World) -> dict[bytes, User]:
    """The token file's users; a missing file is made, with a token for the administrator."""
    if not path.exists():
        line = f'{world.token()},kubernetes-admin,{world.uid()},"{MASTERS}"\n'
        write_private(path, line.encode())
    path.chmod(0o600)
    with path.open(encoding="utf-8", newline="") as file:
        return parse_tokens(file)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
