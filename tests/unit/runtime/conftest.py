"""Process runtimes on a directory of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubatch.runtime.process import ProcessRuntime
from tests.unit.runtime.tools import Opener


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    # Longer than a socket's address may be.
    return tmp_path / ("long-" * 30) / "runtime"


@pytest.fixture
async def opened(directory: Path) -> AsyncIterator[Opener]:
    """Opens runtimes on the directory, and leaves nothing behind."""
    runtimes: list[ProcessRuntime] = []

    async def open_one(**options: int) -> ProcessRuntime:
        runtime = ProcessRuntime(directory, **options)
        runtimes.append(runtime)
        await runtime.open()
        return runtime

    yield open_one
    for runtime in runtimes:
        await runtime.close(kill=False)
    last = ProcessRuntime(directory)
    await last.open()
    await last.close(kill=True)
