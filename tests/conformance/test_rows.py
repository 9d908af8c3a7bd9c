"""Every row of every table, against a real server over TLS."""

from __future__ import annotations

import pytest

from tests.conformance import (
    auth,
    content,
    create,
    deletion,
    discovery,
    errors,
    jobs,
    lists,
    patches,
    selectors,
    subresources,
    tables,
    updates,
    watches,
)
from tests.conformance.rows import Row
from tests.conformance.runner import Runner

SUBJECTS = (
    discovery, content, errors, create, jobs, updates, patches, deletion, lists, selectors,
    watches, tables, auth, subresources,
)  # fmt: skip
CASES = [
    pytest.param(row, id=f"{subject.__name__.rpartition('.')[2]}: {row.name}")
    for subject in SUBJECTS
    for row in subject.ROWS
]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("row", CASES)
async def test_row(runner: Runner, row: Row) -> None:
    await runner.run(row)


def test_no_two_rows_of_a_subject_have_one_name() -> None:
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))
