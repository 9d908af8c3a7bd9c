"""Client libraries against `kubatch up`: each makes Jobs, watches them, reads what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.clients import tools
from tests.kubectl.tools import Server, running_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.mark.parametrize("client", ["kubernetes", "kubernetes_asyncio", "kr8s", "lightkube"])
def test_python(client: str, server: Server, tmp_path: Path) -> None:
    if find_spec(client) is None:
        pytest.skip(f"{client} is not installed")
    assert tools.python(f"with_{client}.py", server, tmp_path).splitlines()[-1] == "all is well"


def test_node(server: Server, tmp_path: Path) -> None:
    if reason := tools.why_no_node():
        pytest.skip(reason)
    assert tools.node("with_node.mjs", server, tmp_path).splitlines()[-1] == "all is well"
