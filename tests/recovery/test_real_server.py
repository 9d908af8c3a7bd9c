"""The client's suite against `kubatch up` in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from kubatch.client import kubeconfig
from kubatch.client.http import HttpClient
from kubatch.client.protocol import Client
from kubatch.world import World
from tests.kubectl import tools
from tests.suites.client_suite import ClientSuite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    idle = ("--no-controllers", "--no-agent", "--no-scheduler")
    with tools.running_server(tmp_path_factory.mktemp("server"), *idle) as running:
        yield running


@pytest.mark.slow
class TestRealServer(ClientSuite):
    @pytest.fixture
    async def client(self, server: tools.Server) -> AsyncIterator[Client]:
        async with HttpClient(kubeconfig.read(server.kubeconfig), World()) as client:
            yield client
