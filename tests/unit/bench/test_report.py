"""The benchmark's table, its chart and its page, from rows that nobody measured."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bench import chart, report
from bench.budgets import BUDGETS
from bench.table import Budget, Curve, Row, budget_of, render, render_curves, unmeasured

RATE = Row("runs of <true>", 300, "/s", "xargs", 1000)
TIME = Row("up", 400, "ms")
CURVE = Curve("gets", "/s", "objects", ((1000, 9000.0), (10_000, 8900.0)))
OWN = (Budget("runs of <true>", "least", 0.3, "xargs"), Budget("up", "most", 300))


@pytest.mark.parametrize(
    ("budget", "row", "met"),
    [
        (Budget("a", "most", 5), Row("a", 5, "ms"), True),
        (Budget("a", "most", 5), Row("a", 5.1, "ms"), False),
        (Budget("a", "least", 5), Row("a", 5, "/s"), True),
        (Budget("a", "least", 5), Row("a", 4.9, "/s"), False),
        (Budget("a", "least", 0.5, "b"), Row("a", 5, "/s", "b", 10), True),
        (Budget("a", "least", 0.5, "b"), Row("a", 5, "/s", "b", 11), False),
        (Budget("a", "least", 0.5, "b"), Row("a", 5, "/s", "b"), None),
    ],
)
def test_a_budget_is_kept(budget: Budget, row: Row, met: bool | None) -> None:
    assert budget_of(row, [budget]) is budget
    assert budget.met(row) is met


def test_a_ratio_is_held_against_its_own_peer_only() -> None:
    budgets = [Budget("a", "least", 1), Budget("a", "least", 2, "b")]
    assert budget_of(Row("a", 5, "/s", "b", 1), budgets) is budgets[1]
    assert budget_of(Row("a", 5, "/s", "c", 1), budgets) is budgets[0]
    assert budget_of(Row("z", 5, "/s"), budgets) is None
    assert budget_of(Row("a", 5, "/s", "b"), budgets) is budgets[1]
    assert budget_of(Row("a", 5, "/s", "c"), budgets) is None
    assert unmeasured([Row("a", 5, "/s", "c", 1)], budgets) == [budgets[1]]


def test_no_budget_stands_twice() -> None:
    assert len({(budget.what, budget.peer) for budget in BUDGETS}) == len(BUDGETS)


def test_the_table_names_what_is_missing_and_what_is_not_met() -> None:
    lines = render([RATE, TIME, Row("gets", 9, "/s", "etcd")], OWN).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[2:] == [
        ["runs of <true>", "300 /s", "xargs", "1,000 /s", "0.3", "at least 0.3 of it", "yes"],
        ["up", "400 ms", "", "", "", "at most 300 ms", "**no**"],
        ["gets", "9 /s", "etcd", "not installed", "", "", ""],
    ]
    assert len({len(line) for line in lines}) == 1


def test_curves_over_one_thing_share_a_table() -> None:
    table = render_curves([CURVE, Curve("lists", "/s", "objects", ((1000, 70.0),))])
    assert table.splitlines()[0] == "| what  | 1,000 objects | 10,000 objects |"
    assert table.splitlines()[3] == "| lists | 70 /s         |                |"


def test_the_chart_is_one_picture_whatever_was_measured() -> None:
    for rows, curves in [([RATE, TIME], [CURVE]), ([], []), ([RATE], []), ([], [CURVE])]:
        root = ET.fromstring(chart.draw(rows, curves, OWN))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        height = float(root.attrib["height"])
        boxes = [each for each in root if "y" in each.attrib]
        assert all(0 <= float(each.attrib["y"]) < height for each in boxes)


def test_the_chart_shows_bars_as_long_as_their_values() -> None:
    root = ET.fromstring(chart.draw([RATE], [], OWN))
    bars = [float(e.attrib["width"]) for e in root if e.attrib.get("fill") in chart.BARS]
    assert bars == [120, 400]
    assert "runs of <true>" in {each.text for each in root}


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = f"a\n{report.BEGIN}\nold\n{report.END}\nb\n"
    assert report.replaced(page, "new") == f"a\n{report.BEGIN}\nnew\n{report.END}\nb\n"
    assert report.replaced(report.replaced(page, "x"), "old") == page


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END, f"{report.END}{report.BEGIN}"])
def test_a_page_without_marks_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="no marked block"):
        report.replaced(page, "new")


def test_the_published_page_has_its_marks() -> None:
    page = (report.DOCS / "performance.md").read_text(encoding="utf-8")
    assert report.BEGIN in report.replaced(page, "x")


def test_rows_go_into_json_with_their_budget() -> None:
    budget = BUDGETS[0]
    row = Row(budget.what, 30, "/s", budget.peer, 100)
    assert report.as_json(row) == {
        "what": row.what,
        "value": 30,
        "unit": "/s",
        "peer": "xargs -P2",
        "peer_value": 100,
        "ratio": 0.3,
        "budget": "at least 0.3 of it",
        "met": True,
    }
    assert report.as_json(TIME) == {"what": "up", "value": 400, "unit": "ms"}


def test_a_busy_machine_is_named() -> None:
    machine = {**report.machine(), "load_average": 3.5}
    found = {"measured": "today", "machine": machine, "failed": ["jobs (failed)"]}
    said = report.summary(found, [RATE], [])
    assert "Something else ran" in said
    assert "Not measured: jobs (failed)" in said
    assert said.splitlines()[0].endswith("jobs (failed).")
