"""`python -m bench [NAME ...]`: all parts, or those named."""

from __future__ import annotations

import importlib
import sys

from bench.table import Row, render

PARTS = ("rules", "store", "startup", "http", "starts", "jobs", "scaling")


def main(names: list[str]) -> int:
    """Measure and print."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"bench: no part named {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or PARTS:
        print(f"measuring: {name}", file=sys.stderr)
        rows += importlib.import_module(f"bench.{name}").rows()
    print(render(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
