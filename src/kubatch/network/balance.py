"""Whose turn it is: one backend after the other, or the same one for the same client. Pure."""

from __future__ import annotations

from kubatch.network.routes import Address

# So many clients are remembered; the one that came longest ago is forgotten first.
CLIENTS_MAX = 10_000


class Balance:
    """Chooses a backend for each connection."""

    def __init__(self, backends: tuple[Address, ...], sticky_seconds: int | None = None) -> None:
        self._backends = backends
        self._sticky_seconds = sticky_seconds
        self._turn = 0
        self._clients: dict[str, tuple[Address, float]] = {}  # the latest last

    def update(self, backends: tuple[Address, ...], sticky_seconds: int | None) -> None:
        """From now on choose among these; clients stay where they can."""
        self._backends, self._sticky_seconds = backends, sticky_seconds

    def order(self, client: str, now: float) -> list[Address]:
        """The backends to try, the chosen one first."""
        chosen = self._known(client, now)
        if chosen is None:
            chosen = self._backends[self._turn % len(self._backends)]
            self._turn += 1
        self._remember(client, chosen, now)
        start = self._backends.index(chosen)
        return [*self._backends[start:], *self._backends[:start]]

    def _known(self, client: str, now: float) -> Address | None:
        if self._sticky_seconds is None:
            return None
        backend, last = self._clients.get(client, (None, 0.0))
        if backend not in self._backends or now - last > self._sticky_seconds:
            return None
        return backend

    def _remember(self, client: str, chosen: Address, now: float) -> None:
        if self._sticky_seconds is None:
            self._clients.clear()
            return
        self._clients.pop(client, None)
        self._clients[client] = (chosen, now)
        if len(self._clients) > CLIENTS_MAX:
            del self._clients[next(iter(self._clients))]
