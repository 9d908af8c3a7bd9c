"""One server that takes whatever comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from kubatch.settings import Settings
from tests.unit.server.secured import Secured, secured


def quick(settings: Settings) -> Settings:
    return replace(settings, watch_timeout=0.01, bookmark_interval=0.01)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    async with secured(tmp_path_factory.mktemp("fuzz"), change=quick) as server:
        yield server
