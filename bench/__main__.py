"""`python -m bench [NAME ...]`: all parts, or those named. Only a whole run writes into docs/."""

from __future__ import annotations

import importlib
import signal
import sys
import time
import traceback

from bench import report
from bench.budgets import BUDGETS
from bench.table import Curve, Row, budget_of, render, render_curves, unmeasured

# The longest last.
PARTS = (
    *("rules", "store", "startup", "http", "starts", "jobs"),
    *("idle", "growth", "scaling", "many", "cron"),
)
SECONDS_MAX = 420.0  # no part begins later: ten minutes are enough for everything


def main(names: list[str]) -> int:
    """Measure, print, write. A part that fails leaves the others their rows."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"bench: no part named {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    # Asked to go, it ends the servers it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before, begun = report.machine(), time.monotonic()
    rows: list[Row] = []
    curves: list[Curve] = []
    failed: list[str] = []
    for name in names or PARTS:
        spent = time.monotonic() - begun
        print(f"measuring after {spent:.0f} s: {name}", file=sys.stderr, flush=True)
        if spent > SECONDS_MAX and not names:
            failed.append(f"{name} (no time was left)")
            continue
        try:
            found = list(importlib.import_module(f"bench.{name}").rows())
        except Exception:  # whatever it is, it ends this part alone
            traceback.print_exc()
            failed.append(f"{name} (failed)")
            continue
        rows += [each for each in found if isinstance(each, Row)]
        curves += [each for each in found if isinstance(each, Curve)]
    path = report.write(rows, curves, before, failed, publish=not names)
    print(render(rows, BUDGETS), render_curves(curves), sep="\n\n")
    _say(rows, failed, whole=not names)
    print(f"written: {path.relative_to(report.ROOT)}", "" if names else "and docs/performance.*")
    return 1 if failed else 0


def _say(rows: list[Row], failed: list[str], *, whole: bool) -> None:
    held = [(row, budget) for row in rows if (budget := budget_of(row, BUDGETS)) is not None]
    met = sum(budget.met(row) is True for row, budget in held)
    print(f"\n{met} of {len(held)} rows with a budget keep it")
    for what in failed:
        print(f"not measured: {what}")
    for budget in unmeasured(rows, BUDGETS) if whole else ():
        print(f"no figure for the budget: {budget.what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
