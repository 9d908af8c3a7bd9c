"""One row of the table, and the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measurement, and the same of a peer in the same run where there is one."""

    what: str
    ours: float
    unit: str
    peer: str = ""
    theirs: float | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as text: what, ours, peer, the peer's, ours divided by the peer's."""
        if self.theirs is None:
            return self.what, _number(self.ours, self.unit), "", "", ""
        ratio = f"{self.ours / self.theirs:.3g}"
        theirs = _number(self.theirs, self.unit)
        return self.what, _number(self.ours, self.unit), self.peer, theirs, ratio


def render(rows: Sequence[Row]) -> str:
    """The table in Markdown, its columns aligned."""
    lines = [("what", "kubatch", "peer", "the peer's", "ratio"), *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    rule = tuple("-" * width for width in widths)
    lines.insert(1, rule)
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _number(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}"
