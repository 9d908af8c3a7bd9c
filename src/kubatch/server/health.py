"""/healthz, /livez and /readyz (apiserver/pkg/server/healthz/healthz.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubatch.server.replies import Reply, page_not_found, text_reply
from kubatch.server.request import RequestInfo, flag

Checks = Mapping[str, Callable[[], bool]]


def answer(info: RequestInfo, checks: Checks) -> Reply:
    """The answer of a health path: `ok`, or what failed; with ?verbose each check."""
    _, endpoint, *single = info.path.split("/")
    if single:
        chosen = {n: c for n, c in checks.items() if n == "/".join(single)}
        if not chosen:
            return page_not_found()
        checks = chosen
    excluded = set(info.query.get("exclude", ()))
    lines = []
    failed = False
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif check():
            lines.append(f"[+]{name} ok")
        else:
            failed = True
            lines.append(f"[-]{name} failed: reason withheld")
    unknown = sorted(excluded - set(checks))
    if unknown:
        listed = ", ".join(f'"{n}"' for n in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    if failed:
        return text_reply("\n".join([*lines, f"{endpoint} check failed", ""]), 500)
    if flag(info.query, "verbose"):
        return text_reply("\n".join([*lines, f"{endpoint} check passed", ""]))
    return text_reply("ok")
