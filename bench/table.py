"""What was measured, as values: rows with their peers and budgets, curves; and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """A measurement, and the same of a peer in the same run where there is one."""

    what: str
    ours: float
    unit: str
    peer: str = ""
    theirs: float | None = None  # None with a peer's name: it is not installed here

    @property
    def ratio(self) -> float | None:
        """Ours divided by the peer's."""
        return self.ours / self.theirs if self.theirs else None


@dataclass(frozen=True)
class Curve:
    """How one measurement changes while there is more and more of something."""

    what: str
    unit: str
    over: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Budget:
    """What a row is to keep: its value, or its ratio to a peer."""

    what: str
    at: Literal["least", "most"]
    limit: float
    peer: str = ""  # with a peer's name: the ratio to that peer

    def of(self, row: Row) -> bool:
        """Whether this is a budget of that row; a peer that is missing is a row for its name."""
        mine = row.peer if self.peer or (row.peer and row.theirs is None) else ""
        return row.what == self.what and self.peer == mine

    def used(self, row: Row) -> float | None:
        """The number that is held against the limit."""
        return row.ratio if self.peer else row.ours

    def met(self, row: Row) -> bool | None:
        """Whether the row keeps it; None where there was nothing to compare with."""
        used = self.used(row)
        if used is None:
            return None
        return used >= self.limit if self.at == "least" else used <= self.limit

    def shown(self, unit: str) -> str:
        """The budget in words."""
        what = f"{self.limit:g} of it" if self.peer else number(self.limit, unit)
        return f"at {self.at} {what}"


def budget_of(row: Row, budgets: Sequence[Budget]) -> Budget | None:
    """The row's budget: that of its peer where there is one, else that of its value."""
    found = sorted((b for b in budgets if b.of(row)), key=lambda b: b.peer == "")
    return found[0] if found else None


def unmeasured(rows: Sequence[Row], budgets: Sequence[Budget]) -> list[Budget]:
    """Budgets that no row of this run belongs to."""
    return [budget for budget in budgets if not any(budget.of(row) for row in rows)]


def render(rows: Sequence[Row], budgets: Sequence[Budget] = ()) -> str:
    """The rows as a table in Markdown, its columns aligned."""
    head = ("what", "kubatch", "peer", "the peer's", "ratio", "budget", "met")
    return _table([head, *(_cells(row, budget_of(row, budgets)) for row in rows)])


def render_curves(curves: Sequence[Curve]) -> str:
    """One table for all curves over the same thing, a column for each amount of it."""
    tables = []
    for over in dict.fromkeys(curve.over for curve in curves):
        group = [curve for curve in curves if curve.over == over]
        amounts = sorted({at for curve in group for at, _ in curve.points})
        lines = [("what", *(f"{amount:,} {over}" for amount in amounts))]
        for curve in group:
            values = dict(curve.points)
            cells = (number(values[a], curve.unit) if a in values else "" for a in amounts)
            lines.append((curve.what, *cells))
        tables.append(_table(lines))
    return "\n\n".join(tables)


def number(value: float, unit: str) -> str:
    """A value and its unit with as many digits as one reads."""
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}"


def _cells(row: Row, budget: Budget | None) -> tuple[str, ...]:
    ratio = row.ratio
    theirs = number(row.theirs, row.unit) if row.theirs else ("not installed" if row.peer else "")
    shown = "" if ratio is None else f"{ratio:.3g}"
    ours = (row.what, number(row.ours, row.unit), row.peer, theirs, shown)
    if budget is None:
        return (*ours, "", "")
    met = {True: "yes", False: "**no**", None: ""}[budget.met(row)]
    return (*ours, budget.shown(row.unit), met)


def _table(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
    return "\n".join(
        f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines
    )
