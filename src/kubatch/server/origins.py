"""Pages of other sites, which a browser lets send what they may not read.

A browser sends a client certificate along with anybody's request, where it was given one; a token
it does not know. Answers stay unreadable to other sites, since no CORS header allows them, and a
name that an attacker points at this machine is in no certificate of ours. So what is left to refuse
are changes, and WebSockets. (Go's net/http/csrf.go: CrossOriginProtection, and its words.)
"""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.api.errors import ApiError

_ELSEWHERE = frozenset(("cross-site", "same-site"))
_READING = frozenset(("GET", "HEAD", "OPTIONS"))


def check(method: str, headers: Mapping[str, str]) -> None:
    """Raises ApiError 403 for what another site's page sends without credentials of its own."""
    site = headers.get("Sec-Fetch-Site")
    if site not in _ELSEWHERE or "Authorization" in headers:
        return
    if method not in _READING or "Upgrade" in headers:
        why = "cross-origin request detected from Sec-Fetch-Site header"
        raise ApiError(403, "Forbidden", why)
