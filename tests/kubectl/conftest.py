"""One server for the whole session; one namespace for each kubectl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubectl import tools

# Without any kubectl the modules that want one skip themselves, whole.
FULL = tools.full_matrix()
OTHER: list[str | None] = [*tools.smoke_matrix()] or [None]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    with tools.running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session", params=FULL)
def kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    """Each kubectl of the full matrix, in a namespace made with it."""
    return at_home(request.param, server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session", params=OTHER)
def other_kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    """Each of the other kubectls."""
    return at_home(request.param, server, tmp_path_factory.mktemp("home"))


def at_home(version: str | None, server: tools.Server, home: Path) -> tools.Kubectl:
    if version is None:
        pytest.skip("no kubectl here but those that run everything")
    binary = tools.find_kubectls()[version]
    # Of its own each time: pytest may come back to a kubectl after it had others.
    namespace = f"with-{version.lower().replace('.', '-')}-{home.name}"
    tools.Kubectl(binary, version, server.kubeconfig, home)("create", "namespace", namespace)
    return tools.Kubectl(binary, version, server.kubeconfig, home, namespace)
