"""The Services of the cluster as this node's pods are told of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping

from kubatch.agent.service_names import SERVICE_NAME, asks_cluster, host_lines, variables
from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTSLICES, SERVICES
from kubatch.client.cache import Cache
from kubatch.client.protocol import Client

_BY_SERVICE = "slices-by-service"
# How often the names that Services of type ExternalName stand for are looked up again.
LOOK_UP_AGAIN = 60.0
# Changes come in bursts; pods' files are written once for each.
GATHER = 0.05


class Services:
    """What containers get to know of Services, made when it is first asked for after a change."""

    def __init__(self, client: Client, *, api_variables: bool = False) -> None:
        """`api_variables`: also tell of the Service `kubernetes`, which else others tell of."""
        self._services: Cache[m.Service] = Cache(client, SERVICES)
        self._slices: Cache[m.EndpointSlice] = Cache(client, ENDPOINTSLICES)
        self._slices.add_index(_BY_SERVICE, _service_of)
        self._services.add_listener(self._changed)
        self._slices.add_listener(self._slice_changed)
        self._api_variables = api_variables
        self._variables: dict[tuple[str, bool], Mapping[str, str]] = {}
        self._lines: dict[str, str] = {}
        self._external: dict[str, str] = {}
        self._news = asyncio.Event()

    def _changed(self, before: m.Service | None, after: m.Service | None) -> None:
        self._variables.clear()
        self._lines.clear()
        self._news.set()

    def _slice_changed(self, before: m.EndpointSlice | None, after: m.EndpointSlice | None) -> None:
        """Only headless Services are known by their endpoints."""
        for key in dict.fromkeys(
            k for o in (before, after) if o is not None for k in _service_of(o)
        ):
            service = self._services.get(*key.split("/", 1))
            spec = service.spec if service is not None else None
            if spec is None or spec.clusterIP in (None, "", "None"):
                self._lines.clear()
                self._news.set()

    def variables_for(self, pod: m.Pod) -> Mapping[str, str]:
        """The environment variables about Services."""
        namespace = (pod.metadata.namespace if pod.metadata is not None else None) or "default"
        links = pod.spec is None or pod.spec.enableServiceLinks is not False
        known = self._variables.get((namespace, links))
        if known is None:
            known = variables(
                self._services.list(), namespace, links=links, api=self._api_variables
            )
            self._variables[namespace, links] = known
        return known

    def lines_for(self, pod: m.Pod) -> str:
        """The lines for /etc/hosts."""
        if not asks_cluster(pod):
            return ""
        namespace = (pod.metadata.namespace if pod.metadata is not None else None) or "default"
        known = self._lines.get(namespace)
        if known is None:
            services = self._services.list()
            keys = [f"{s.metadata.namespace}/{s.metadata.name}" for s in services if s.metadata]
            slices = {key: self._slices.indexed(_BY_SERVICE, key) for key in keys}
            known = host_lines(services, slices, namespace, self._external)
            self._lines[namespace] = known
        return known

    async def synced(self) -> None:
        """Wait until all Services are known."""
        await self._services.synced.wait()
        await self._slices.synced.wait()

    async def run(self, changed: Callable[[], None]) -> None:
        """Keep current until cancelled; `changed` is called when names may lead elsewhere."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._services.run())
            group.create_task(self._slices.run())
            group.create_task(self._tell(changed))

    async def _tell(self, changed: Callable[[], None]) -> None:
        await self.synced()
        while True:
            self._news.clear()
            if await self._look_up():
                self._lines.clear()
            changed()
            try:
                async with asyncio.timeout(LOOK_UP_AGAIN if self._external else None):
                    await self._news.wait()
                await asyncio.sleep(GATHER)
            except TimeoutError:
                pass

    async def _look_up(self) -> bool:
        """Find the addresses that names of others have now; whether one has changed."""
        wanted = {
            one.spec.externalName or ""
            for one in self._services.list()
            if one.spec is not None and one.spec.type == "ExternalName"
        }
        found = {}
        for name in sorted(wanted):
            address = self._inside(name) or await _address_of(name)
            found[name] = address
        if found == self._external:
            return False
        self._external = found
        return True

    def _inside(self, name: str) -> str:
        """The address of a name that stands for another Service."""
        parts = name.removesuffix(".").removesuffix(".cluster.local").split(".")
        if len(parts) != 3 or parts[2] != "svc":
            return ""
        service = self._services.get(parts[1], parts[0])
        ip = service.spec.clusterIP if service is not None and service.spec is not None else None
        return ip if ip and ip != "None" else ""


def _service_of(one: m.EndpointSlice) -> Iterable[str]:
    meta = one.metadata or m.ObjectMeta()
    name = (meta.labels or {}).get(SERVICE_NAME)
    return (f"{meta.namespace}/{name}",) if name else ()


async def _address_of(name: str) -> str:
    """The first address of a name, IPv4 first; "" when it has none or nobody tells."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    addresses = [str(sockaddr[0]) for family, *_, sockaddr in found if family == socket.AF_INET]
    addresses += [str(sockaddr[0]) for _, *_, sockaddr in found]
    return addresses[0] if addresses else ""
