"""The one door to the shim's own log, which lies on the disk that may be full."""

from __future__ import annotations

import sys


def complain(text: str) -> None:
    """Say what went wrong, where that is possible: it must not go wrong on top of it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass
