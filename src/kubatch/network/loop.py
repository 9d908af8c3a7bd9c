"""Keeps listeners and routes the same: the one part of the room that waits."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kubatch.api import models as m
from kubatch.api.resource import ENDPOINTSLICES, SERVICES
from kubatch.network import tcp, udp
from kubatch.network.balance import Balance
from kubatch.network.listening import Taken, taken
from kubatch.network.routes import Listen, Route, routes, service_key
from kubatch.reconcile.loop import Caches

log = logging.getLogger(__name__)

_SLICES = "slices-of-service"
SOON = 0.1  # seconds until a port is looked at again that nobody has yet
LATER = 2.0  # and one that somebody has
_FIRST_ORDINARY_PORT = 1024


@dataclass
class _Listener:
    """A route and what listens for it; nothing, while it cannot or must not."""

    route: Route
    balance: Balance
    server: asyncio.Server | asyncio.DatagramTransport | None = None
    told: str = ""  # why it does not listen, as it was logged last


class Network:
    """The addresses of all Services, on one machine."""

    def __init__(
        self,
        caches: Caches,
        node_address: str = "127.0.0.1",
        more_addresses: Iterable[str] = (),
    ) -> None:
        """`more_addresses` are this machine's, and may be those of pods beside loopback ones."""
        self._caches = caches
        self._more_addresses = frozenset(more_addresses)
        self._node_address = node_address
        self._slices = caches.of(ENDPOINTSLICES)
        self._slices.add_index(_SLICES, _keys)
        self._slices.add_listener(self._slice_changed)
        caches.of(SERVICES).add_listener(self._service_changed)
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._listeners: dict[Listen, _Listener] = {}
        self._of_service: dict[str, list[Listen]] = {}
        self._closed: dict[Listen, None] = {}  # those of the listeners that do not listen yet
        self._connections = tcp.Connections()

    def _service_changed(self, before: m.Service | None, after: m.Service | None) -> None:
        one = after if after is not None else before
        if one is not None and one.metadata is not None:
            self._changed[f"{one.metadata.namespace}/{one.metadata.name}"] = None
            self._wake.set()

    def _slice_changed(self, before: m.EndpointSlice | None, after: m.EndpointSlice | None) -> None:
        for one in (before, after):
            if one is not None and (key := service_key(one)):
                self._changed[key] = None
                self._wake.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._caches.of(SERVICES).synced.wait()
        await self._slices.synced.wait()
        try:
            while True:
                self._wake.clear()
                changed, self._changed = self._changed, {}
                for key in changed:
                    try:
                        self._read(key)
                    except Exception:  # what one Service says must not end all others
                        log.exception("service %s could not be read", key)
                delay = await self._listen()
                try:
                    async with asyncio.timeout(delay):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for listener in self._listeners.values():
                _close(listener)
            self._connections.close()

    def _read(self, key: str) -> None:
        """Bring one Service's listeners up to date."""
        namespace, _, name = key.partition("/")
        service = self._caches.get(SERVICES, namespace, name)
        found: list[Route] = []
        if service is not None:
            slices = self._slices.indexed(_SLICES, key)
            found = routes(service, slices, self._node_address, self._more_addresses)
        wanted = {route.listen: route for route in found}
        for listen in self._of_service.pop(key, []):
            if listen not in wanted:
                _close(self._listeners.pop(listen))
        mine = []
        for listen, route in wanted.items():
            known = self._listeners.get(listen)
            if known is None:
                balance = Balance(route.backends, route.sticky_seconds)
                self._listeners[listen] = _Listener(route, balance)
                self._closed[listen] = None
            elif known.route.service == route.service:
                known.route = route
                known.balance.update(route.backends, route.sticky_seconds)
            else:
                continue  # two Services on one node port: the first one has it
            mine.append(listen)
        if mine:
            self._of_service[key] = mine

    async def _listen(self) -> float | None:
        """Open what is not open yet; the seconds after which to look again."""
        delay: float | None = None
        tables: dict[str, list[str]] = {}
        for listen in list(self._closed):
            listener = self._listeners.get(listen)
            if listener is None:
                self._closed.pop(listen, None)
                continue
            route, protocol = listener.route, listen.protocol
            if route.shared:
                if protocol not in tables:
                    tables[protocol] = await asyncio.to_thread(_tables, protocol)
                hosts = [host for host, _ in route.backends]
                seen = taken(tables[protocol], route.listen.port, hosts)
                if seen is not Taken.THERE:
                    wait = SOON if seen is Taken.NOT else LATER
                    delay = wait if delay is None else min(delay, wait)
                    continue
            if await self._open(listener):
                self._closed.pop(listen, None)
            else:
                delay = LATER if delay is None else min(delay, LATER)
        return delay

    async def _open(self, listener: _Listener) -> bool:
        listen, balance = listener.route.listen, listener.balance
        place = (listen.host, listen.port)
        loop = asyncio.get_running_loop()
        try:
            if listen.protocol == "TCP":
                listener.server = await tcp.listen(
                    place, lambda: tcp.Accepted(balance, self._connections)
                )
            else:
                listener.server, _ = await loop.create_datagram_endpoint(
                    lambda: udp.Accepted(balance), local_addr=place
                )
        except OSError as error:
            _tell(listener, error)
            return False
        return True


def _keys(one: m.EndpointSlice) -> Iterable[str]:
    key = service_key(one)
    return (key,) if key else ()


def _close(listener: _Listener) -> None:
    if listener.server is not None:
        listener.server.close()
        listener.server = None


def _tell(listener: _Listener, error: OSError) -> None:
    """Log why a Service is not served, once."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    listen = listener.route.listen
    if isinstance(error, PermissionError) and listen.port < _FIRST_ORDINARY_PORT:
        why += ": such a port needs root, or a lower net.ipv4.ip_unprivileged_port_start"
    if why != listener.told:
        listener.told = why
        # Several servers on one machine all have a Service `kubernetes`, which pods do not need.
        level = logging.INFO if listener.route.service == "default/kubernetes" else logging.WARNING
        place = f"{listen.host}:{listen.port}"
        log.log(level, "service %s: cannot listen on %s: %s", listener.route.service, place, why)


def _tables(protocol: str) -> list[str]:
    return [
        Path(path).read_text(encoding="ascii")
        for path in (f"/proc/net/{protocol.lower()}", f"/proc/net/{protocol.lower()}6")
        if os.path.exists(path)
    ]
