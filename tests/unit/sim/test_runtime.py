"""The scripted runtime keeps what every runtime promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubatch.runtime.protocol import Runtime
from kubatch.sim.runtime import Exit, ScriptedRuntime
from kubatch.world import World
from tests.suites.runtime_suite import RuntimeSuite


class TestScriptedRuntime(RuntimeSuite):
    exits_with_3 = ("exit", "3")
    prints_both = ("both",)

    @pytest.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[Runtime]:
        programs = {"both": Exit(output="hello\n", errors="oops\n")}
        runtime = ScriptedRuntime(World(), programs, logs=True)
        await runtime.open()
        yield runtime
        await runtime.close(kill=True)
