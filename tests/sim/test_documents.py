"""The page about the simulation tells every check, in its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubatch.sim import checks, ends

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
ALL: tuple[Callable[..., Any], ...] = (
    *checks.POD_CHECKS,
    *checks.JOB_CHECKS,
    *checks.NEW_JOB_CHECKS,
    *checks.START_CHECKS,
    *ends.END_CHECKS,
)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
def test_the_page_tells_the_rule_of(check: Callable[..., Any]) -> None:
    assert check.__doc__ is not None
    rule = check.__doc__.partition("\n")[0]
    assert f"| `{check.__name__}` | {rule} |" in PAGE.read_text(encoding="utf-8")


def test_the_page_tells_no_other() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert len(rows) == len(ALL)
