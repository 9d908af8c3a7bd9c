"""Who is asking, and whether they may.

Authentication in kube-apiserver's order: client certificate, bearer token, anonymous. Authorization
knows system:masters, who may do anything, and what anybody may read; roles come later.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from kubatch.api import errors
from kubatch.api.errors import ApiError, Details
from kubatch.server.certificates import write_private
from kubatch.server.request import RequestInfo
from kubatch.world import World

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
# What the role system:public-info-viewer opens to everybody.
_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller, or the anonymous one."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()


ANONYMOUS = User("system:anonymous", "", ("system:unauthenticated",))
# Tokens are kept as digests, so that looking one up tells nothing by the time it takes.
Tokens = Mapping[bytes, User]


@dataclass(frozen=True)
class Authenticator:
    """Turns a client certificate or an Authorization header into a user."""

    tokens: Tokens = field(default_factory=dict)

    def user(self, peer_certificate: Mapping[str, Any] | None, authorization: str) -> User:
        """The caller. Raises ApiError 401 for a bearer token nobody has."""
        if peer_certificate:
            user = certificate_user(peer_certificate)
            if user is not None:
                return user
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return ANONYMOUS
        found = self.tokens.get(_digest(token))
        if found is None:
            raise errors.unauthorized()
        return found


def certificate_user(peer: Mapping[str, Any]) -> User | None:
    """The user a verified certificate names, as ssl.getpeercert() shows it."""
    return _subject_user(peer.get("subject", ()))


@lru_cache(maxsize=1024)
def _subject_user(subject: Iterable[Iterable[tuple[str, str]]]) -> User | None:
    name, groups = "", []
    for attributes in subject:
        for kind, value in attributes:
            if kind == "commonName":
                name = value
            elif kind == "organizationName":
                groups.append(value)
    return User(name, "", (*groups, AUTHENTICATED)) if name else None


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
    return hashlib.sha256(token.encode()).digest()


# ----- authorization


def authorize(user: User, info: RequestInfo) -> None:
    """Raises ApiError 403 when the user may not do this."""
    if MASTERS in user.groups:
        return
    if not info.is_resource:
        if info.method in ("GET", "HEAD") and _is_public(info.path):
            return
        raise _forbidden_path(user, info)
    raise _forbidden_resource(user, info)


def _is_public(path: str) -> bool:
    return any(path == public or path.startswith(public + "/") for public in _PUBLIC_PATHS)


def _forbidden_path(user: User, info: RequestInfo) -> ApiError:
    why = f'User "{_clean(user.name)}" cannot {info.verb} path "{_clean(info.path)}"'
    return ApiError(403, "Forbidden", f"forbidden: {why}", Details())


def _forbidden_resource(user: User, info: RequestInfo) -> ApiError:
    """apiserver/pkg/endpoints/handlers/responsewriters/errors.go: forbiddenMessage."""
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    verb = info.verb or info.method.lower()
    what = f'resource "{resource}" in API group "{info.group}"'
    why = _clean(f'User "{user.name}" cannot {verb} {what} {where}')
    return errors.forbidden(info.group, info.resource, info.name, why)


def _clean(text: str) -> str:
    """Markup escaped, for answers that end up in a browser (errors.go: sanitizer)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
