"""One server for all the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from kubatch.settings import Settings
from tests.conformance.runner import Runner
from tests.unit.server.secured import secured


def quick_bookmarks(settings: Settings) -> Settings:
    return replace(settings, bookmark_interval=0.05)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runner]:
    directory = tmp_path_factory.mktemp("conformance")
    async with secured(
        directory, change=quick_bookmarks, history_changes_max=100, accounts_required=True
    ) as server:
        yield Runner(server)
