"""Acting as somebody else: the Impersonate headers (kubectl --as).

Pure, given a Policy. apiserver/pkg/endpoints/filters/impersonation: every user, group, uid and
extra value named must be allowed to the caller with the verb `impersonate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from kubatch.api import errors
from kubatch.server.access import rbac
from kubatch.server.access.attributes import Attributes, User
from kubatch.server.access.policy import Policy

ANONYMOUS_NAME = "system:anonymous"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
_AUTHENTICATION = "authentication.k8s.io"
_PREFIX, _EXTRA = "impersonate-", "impersonate-extra-"


@dataclass
class _Wanted:
    """Whom the headers ask to be."""

    user: str = ""
    uid: str = ""
    groups: list[str] = field(default_factory=list)
    extra: dict[str, list[str]] = field(default_factory=dict)

    def checks(self) -> list[Attributes]:
        """What the caller must be allowed, in the order in which it is asked."""
        account = rbac.account_of(self.user)
        verb = "impersonate"
        if account is not None:
            out = [Attributes(verb, "", "serviceaccounts", "", *account)]
        else:
            out = [Attributes(verb, "", "users", name=self.user)] if self.user else []
        out += [Attributes(verb, "", "groups", name=g) for g in self.groups]
        out += [
            Attributes(verb, _AUTHENTICATION, "userextras", key, name=value)
            for key, values in self.extra.items()
            for value in values
        ]
        if self.uid:
            out.append(Attributes(verb, _AUTHENTICATION, "uids", name=self.uid))
        return out

    def as_user(self) -> User:
        """The user to go on as; groups nobody named are added as for a real login."""
        groups = list(self.groups)
        account = rbac.account_of(self.user)
        if account is not None and not groups:
            groups += rbac.account_groups(account[0])
        if self.user == ANONYMOUS_NAME:
            if UNAUTHENTICATED not in groups:
                groups.append(UNAUTHENTICATED)
        elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
            groups.append(AUTHENTICATED)
        extra = tuple((k, tuple(v)) for k, v in self.extra.items())
        return User(self.user, self.uid, tuple(groups), extra)


def impersonated(headers: Iterable[tuple[str, str]], caller: User, policy: Policy) -> User | None:
    """The user the headers name; None when they name nobody.

    Raises ApiError 403, and 500 for a group, uid or extra without a user.
    """
    wanted: _Wanted | None = None
    for name, value in headers:
        low = name.lower()
        if low.startswith(_PREFIX):
            wanted = wanted or _Wanted()
            _take(wanted, low, value)
    if wanted is None:
        return None
    checks = wanted.checks()
    if not wanted.user:
        if not checks:
            return None
        listed = " ".join(f"{c.resource}/{c.name}" for c in checks)
        raise errors.internal(f"requested [{listed}] without impersonating a user")
    for asked in checks:
        policy.require(caller, asked)
    return wanted.as_user()


def _take(wanted: _Wanted, header: str, value: str) -> None:
    # Bytes that are no UTF-8 came as surrogates, which no answer could name.
    value = value.encode(errors="surrogateescape").decode(errors="replace")
    if header == "impersonate-user":
        wanted.user = value
    elif header == "impersonate-group":
        wanted.groups.append(value)
    elif header == "impersonate-uid":
        wanted.uid = value
    elif header.startswith(_EXTRA):
        wanted.extra.setdefault(unquote(header[len(_EXTRA) :]).lower(), []).append(value)
