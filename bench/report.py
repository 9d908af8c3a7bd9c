"""Where a run's figures go: JSON, the chart, and the marked block of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.budgets import BUDGETS
from bench.chart import draw
from bench.table import Curve, Row, budget_of, render, render_curves

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"  # of every run; not kept
DOCS = ROOT / "docs"  # of the last whole run
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def machine() -> dict[str, Any]:
    """What the figures depend on: the machine, and how busy it was at this moment."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def write(
    rows: Sequence[Row],
    curves: Sequence[Curve],
    before: dict[str, Any],
    failed: Sequence[str],
    *,
    publish: bool,
) -> Path:
    """The JSON's path. `publish`: also into docs/."""
    now = datetime.now(UTC)
    found = {
        "measured": f"{now:%Y-%m-%d %H:%M} UTC",
        "machine": before,
        "failed": list(failed),
        "rows": [as_json(row) for row in rows],
        "curves": [
            {"what": c.what, "unit": c.unit, "over": c.over, "points": list(c.points)}
            for c in curves
        ],
    }
    text = json.dumps(found, indent=1) + "\n"
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(text, encoding="utf-8")
    picture = draw(rows, curves, BUDGETS)
    path.with_suffix(".svg").write_text(picture, encoding="utf-8")
    if publish:
        (DOCS / "performance.json").write_text(text, encoding="utf-8")
        (DOCS / "performance.svg").write_text(picture, encoding="utf-8")
        page = DOCS / "performance.md"
        block = summary(found, rows, curves)
        page.write_text(replaced(page.read_text(encoding="utf-8"), block), encoding="utf-8")
    return path


def as_json(row: Row) -> dict[str, Any]:
    """A row, its peer and its budget."""
    found: dict[str, Any] = {"what": row.what, "value": row.ours, "unit": row.unit}
    if row.peer:
        found |= {"peer": row.peer, "peer_value": row.theirs, "ratio": row.ratio}
    budget = budget_of(row, BUDGETS)
    if budget is not None:
        found |= {"budget": budget.shown(row.unit), "met": budget.met(row)}
    return found


def summary(found: dict[str, Any], rows: Sequence[Row], curves: Sequence[Curve]) -> str:
    """What stands between the marks."""
    m = found["machine"]
    said = (
        f"Measured on {found['measured']}: {m['processor']}, {m['cores']} cores,"
        f" {m['memory_gib']} GiB, Linux {m['kernel']}, Python {m['python']}."
        f" Load average before it began: {m['load_average']}."
    )
    if m["load_average"] > 0.5:
        said += " **Something else ran at the same time.**"
    if found["failed"]:
        said += f" Not measured: {', '.join(found['failed'])}."
    return f"{said}\n\n{render(rows, BUDGETS)}\n\n{render_curves(curves)}".rstrip()


def replaced(page: str, block: str) -> str:
    """The page with another text between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marked block")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
