"""Conditions are found and replaced without changing the list they are in."""

from __future__ import annotations

from kubatch.api.conditions import find, is_true, replaced
from kubatch.api.models import JobCondition

SUSPENDED = JobCondition(type="Suspended", status="False")
COMPLETE = JobCondition(type="Complete", status="True")


def test_find() -> None:
    assert find([SUSPENDED, COMPLETE], "Complete") is COMPLETE
    assert find([SUSPENDED], "Complete") is None
    assert find(None, "Complete") is None


def test_is_true() -> None:
    assert is_true([SUSPENDED, COMPLETE], "Complete")
    assert not is_true([SUSPENDED, COMPLETE], "Suspended")
    assert not is_true(None, "Complete")


def test_replaced_keeps_the_place() -> None:
    before = [SUSPENDED, COMPLETE]
    resumed = JobCondition(type="Suspended", status="True")
    assert replaced(before, resumed) == [resumed, COMPLETE]
    assert before == [SUSPENDED, COMPLETE]


def test_replaced_appends_what_is_new() -> None:
    assert replaced(None, COMPLETE) == [COMPLETE]
    assert replaced([SUSPENDED], COMPLETE) == [SUSPENDED, COMPLETE]


def test_replaced_leaves_one_of_a_type() -> None:
    assert replaced([SUSPENDED, COMPLETE, SUSPENDED], SUSPENDED) == [SUSPENDED, COMPLETE]
