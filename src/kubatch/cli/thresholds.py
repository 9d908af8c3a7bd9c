"""--eviction-hard, as the kubelet reads it: `memory.available<100Mi,nodefs.available<10%`."""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.cli.main import Refused


def parse(text: str | None) -> Mapping[str, str] | None:
    """The thresholds by signal; None when nothing was said. Raises Refused."""
    from kubatch.agent.eviction import SIGNALS, parse_threshold

    if text is None:
        return None
    found: dict[str, str] = {}
    for part in text.split(",") if text != "none" else ():
        signal, sign, limit = part.strip().partition("<")
        if not sign or signal not in SIGNALS:
            raise Refused(f"--eviction-hard: {part.strip()!r} is not SIGNAL<QUANTITY; see --help")
        try:
            if parse_threshold(limit, 100) < 0:
                raise ValueError(f"{limit} is less than nothing")
        except ValueError as error:
            raise Refused(f"--eviction-hard: {signal}: {error}") from error
        found[signal] = limit
    return found
