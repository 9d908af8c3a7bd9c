"""The figures as a picture: an SVG made of values, without a library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.table import Budget, Curve, Row, budget_of, number

WIDTH = 880
LEFT = 320  # where bars begin
BAR = 400  # the longest bar
BARS = OURS, PEER, OVER = "#2563eb", "#b6bfcc", "#d97706"
INK, FAINT, RULE = "#1f2937", "#6b7280", "#d8dde4"
LINES = ("#2563eb", "#0d9488", "#d97706", "#9333ea", "#dc2626", "#4b5563")
FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"


class _Sheet:
    """Elements from top to bottom."""

    def __init__(self) -> None:
        self.y = 20.0
        self.parts: list[str] = []

    def text(self, x: float, y: float, said: str, *, size: int = 12, more: str = "") -> None:
        """Some words; `more` are attributes."""
        fill = "" if "fill=" in more else f' fill="{INK}"'
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}"'
        self.parts.append(f"<text {place}{fill} {more}>{escape(said)}</text>")

    def bar(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """A filled box, visible however small its value."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 2):.1f}" height="{height:.1f}"'
        self.parts.append(f'<rect {place} rx="2" fill="{fill}"/>')

    def line(self, points: Sequence[tuple[float, float]], stroke: str, more: str = "") -> None:
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{stroke}" {more}/>')

    def title(self, said: str, note: str) -> None:
        """The head of a panel."""
        self.y += 24
        self.text(24, self.y, said, size=16, more='font-weight="600"')
        self.text(24, self.y + 18, note, more=f'fill="{FAINT}"')
        self.y += 34


def draw(rows: Sequence[Row], curves: Sequence[Curve], budgets: Sequence[Budget]) -> str:
    """Rates beside those of peers, times beside their budgets, and what growth costs."""
    sheet = _Sheet()
    rates = [row for row in rows if row.unit == "/s" and row.theirs]
    if rates:
        _rates(sheet, rates)
    times = [(row, budget_of(row, budgets)) for row in rows if row.unit in ("ms", "s")]
    held = [(row, b) for row, b in times if b is not None and not b.peer]
    if held:
        _times(sheet, held)
    if curves:
        _growth(sheet, curves)
    height = sheet.y + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
        f' width="{WIDTH}" height="{height:.0f}" font-family="{FONT}" role="img">'
        "<title>kubatch: rates, times and growth</title>"
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
    )
    return "\n".join([head, *sheet.parts, "</svg>"]) + "\n"


def _rates(sheet: _Sheet, rows: Sequence[Row]) -> None:
    sheet.title("Rates, longer is better", "kubatch in blue; each group has its own scale")
    for what in dict.fromkeys(row.what for row in rows):
        group = [row for row in rows if row.what == what]
        bars = [("kubatch", group[0].ours, OURS)]
        bars += [(row.peer, row.theirs or 0, PEER) for row in group]
        longest = max(value for _, value, _ in bars)
        top = sheet.y
        for name, value, fill in bars:
            width = value / longest * BAR
            sheet.bar(LEFT, sheet.y, width, 13, fill)
            said = f"{name}  {number(value, '/s')}"
            sheet.text(LEFT + width + 8, sheet.y + 11, said, size=11)
            sheet.y += 17
        _label(sheet, top + 11, what)
        sheet.y += 9


def _times(sheet: _Sheet, rows: Sequence[tuple[Row, Budget]]) -> None:
    note = "each bar is the share of its budget that is used; the line is the budget"
    sheet.title("Times, shorter is better", note)
    top, full = sheet.y, BAR * 0.75
    for row, budget in rows:
        share = row.ours / budget.limit
        sheet.bar(LEFT, sheet.y, min(share * full, BAR), 13, OURS if share <= 1 else OVER)
        said = f"{number(row.ours, row.unit)} of {number(budget.limit, row.unit)}"
        sheet.text(LEFT + BAR + 8, sheet.y + 11, said, size=11)
        _label(sheet, sheet.y + 11, row.what)
        sheet.y += 20
    edge = LEFT + full
    sheet.line([(edge, top - 4), (edge, sheet.y - 2)], INK, 'stroke-dasharray="4 3"')


def _label(sheet: _Sheet, y: float, what: str) -> None:
    sheet.text(LEFT - 10, y, what, size=11, more='text-anchor="end"')


def _growth(sheet: _Sheet, curves: Sequence[Curve]) -> None:
    note = "each value as a share of its first: a flat line costs the same however much there is"
    sheet.title("Growth", note)
    overs = list(dict.fromkeys(curve.over for curve in curves))
    width = (WIDTH - 48 - 40 * (len(overs) - 1)) / len(overs)
    top, lowest = sheet.y, sheet.y
    for number_, over in enumerate(overs):
        sheet.y = top
        group = [curve for curve in curves if curve.over == over]
        _plot(sheet, 24 + number_ * (width + 40), width, over, group)
        lowest = max(lowest, sheet.y)
    sheet.y = lowest


def _plot(sheet: _Sheet, left: float, width: float, over: str, curves: Sequence[Curve]) -> None:
    height, top = 170.0, sheet.y + 4
    amounts = sorted({amount for curve in curves for amount, _ in curve.points})
    shares = [value / curve.points[0][1] for curve in curves for _, value in curve.points]
    low = min(-1, math.floor(math.log10(min(shares))))
    high = max(1, math.ceil(math.log10(max(shares))))
    plot = width - 36

    def at(amount: int, share: float) -> tuple[float, float]:
        along = amounts.index(amount) / max(len(amounts) - 1, 1)
        up = (math.log10(share) - low) / (high - low)
        return left + 36 + along * plot, top + height - up * height

    for power in range(low, high + 1):
        y = at(amounts[0], 10.0**power)[1]
        sheet.line([(left + 36, y), (left + width, y)], RULE)
        more = f'text-anchor="end" fill="{FAINT}"'
        sheet.text(left + 30, y + 4, f"{10.0**power:g}x", size=10, more=more)
    for amount, anchor in zip(amounts, _anchors(len(amounts)), strict=True):
        more = f'text-anchor="{anchor}" fill="{FAINT}"'
        sheet.text(at(amount, 1)[0], top + height + 16, f"{amount:,}", size=10, more=more)
    sheet.y = top + height + 32
    sheet.text(left + 36, sheet.y, over, size=11, more='font-weight="600"')
    for curve, colour in zip(curves, LINES, strict=False):
        first = curve.points[0][1]
        points = [at(amount, value / first) for amount, value in curve.points]
        sheet.line(points, colour, 'stroke-width="2.5" stroke-linejoin="round"')
        sheet.y += 16
        sheet.bar(left + 36, sheet.y - 8, 10, 8, colour)
        last = number(curve.points[-1][1], curve.unit)
        said = f"{curve.what}: {number(first, curve.unit)} to {last}"
        sheet.text(left + 52, sheet.y, said, size=11)


def _anchors(count: int) -> Iterator[str]:
    for place in range(count):
        yield "start" if place == 0 else "end" if place == count - 1 else "middle"
