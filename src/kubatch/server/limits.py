"""How much is answered at once: so that neither memory nor one user's zeal stops the others.

apiserver/pkg/server/filters/maxinflight.go has the numbers and the refusal; that who cannot be
served now waits a little, users taking turns, is of its successor, priority and fairness
(apiserver/pkg/util/flowcontrol).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from kubatch.server.access.attributes import User
from kubatch.server.access.policy import MASTERS
from kubatch.server.replies import Reply, text_reply
from kubatch.server.request import RequestInfo
from kubatch.settings import Settings

# maxinflight.go: tooManyRequests
TOO_MANY = "Too many requests, please try again later.\n"
_RETRY_AFTER_S = "1"

# Kubernetes' own parts ask much because the cluster is large, not because they are greedy
# (flowcontrol/bootstrap/default.go: their levels are theirs alone).
_PARTS = frozenset(("system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"))
_NODES = "system:nodes"
# pkg/controlplane/apiserver: BasicLongRunningRequestCheck
_LONG_RUNNING = frozenset(("attach", "exec", "proxy", "log", "portforward"))
_WRITING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
# Each has a queue; only who may impersonate has so many names.
_WAITING_USERS_MAX = 1000
# Whoever asks whether the server lives is told so also by a busy one (default.go: "probes").
_PROBES = frozenset(("healthz", "livez", "readyz"))


def too_many() -> Reply:
    """429, as text: clients look at the code and at Retry-After."""
    reply = text_reply(TOO_MANY, 429)
    return Reply(
        reply.body, 429, reply.content_type, {**reply.headers, "Retry-After": _RETRY_AFTER_S}
    )


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request goes on for as long as its client likes."""
    return info.verb == "watch" or (info.is_resource and info.subresource in _LONG_RUNNING)


class Lane:
    """Requests of one sort: so many at once, of one user no more than a share of them.

    Who is over the limit waits, in a queue of each user's own; users take turns.
    """

    def __init__(self, most: int, share: float, queue: int, patience: float) -> None:
        self._most = most
        self._users_most = max(1, int(most * share))
        self._queue = queue
        self._patience = patience
        self._inside = 0
        self._of: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def inside(self) -> int:
        """How many are being answered."""
        return self._inside

    def enter(self, user: User) -> bool:
        """Whether the request may go on at once; if so, leave() has to follow."""
        # Administrators must always get an answer (maxinflight.go: WithMaxInFlightLimit).
        if MASTERS not in user.groups:
            if self._inside >= self._most or user.name in self._waiting:
                return False
            if not self._has_share(user.name) and not _is_part(user):
                return False
        self._begin(user.name)
        return True

    async def wait(self, user: User) -> bool:
        """Wait for a turn; False when there are too many or it takes too long."""
        queue = self._waiting.setdefault(user.name, deque())
        if len(queue) >= self._queue or len(self._waiting) > _WAITING_USERS_MAX:
            self._forget(user.name)
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as ended:
            if turn.done() and not turn.cancelled():
                self.leave(user)  # it came at the same moment
            elif turn in queue:
                queue.remove(turn)
            self._forget(user.name)
            if isinstance(ended, TimeoutError):
                return False
            raise
        return True

    def leave(self, user: User) -> None:
        """The request has been answered."""
        self._inside -= 1
        if left := self._of[user.name] - 1:
            self._of[user.name] = left
        else:
            del self._of[user.name]
        if self._waiting:
            self._call_next()

    def _call_next(self) -> None:
        while self._inside < self._most:
            name = next((n for n in self._waiting if self._has_share(n)), None)
            if name is None:
                return
            queue = self._waiting.pop(name)
            turn = queue.popleft()  # never empty, see _forget
            if queue:
                self._waiting[name] = queue  # at the end: the others' turn comes first
            if not turn.done():
                self._begin(name)
                turn.set_result(None)

    def _has_share(self, name: str) -> bool:
        return self._of.get(name, 0) < self._users_most

    def _begin(self, name: str) -> None:
        self._inside += 1
        self._of[name] = self._of.get(name, 0) + 1

    def _forget(self, name: str) -> None:
        if not self._waiting.get(name, True):
            del self._waiting[name]


def _is_part(user: User) -> bool:
    return user.name in _PARTS or _NODES in user.groups


class Limits:
    """What one server takes on at the same time."""

    def __init__(self, settings: Settings) -> None:
        share, queue = settings.user_share, settings.user_queue_max
        patience = settings.request_timeout / 4  # flowcontrol: what waiting may take of the time
        self._reads = Lane(settings.reads_inflight_max, share, queue, patience)
        self._writes = Lane(settings.writes_inflight_max, share, queue, patience)
        self.answers = Budget(settings.answer_bytes_max)

    def lane(self, info: RequestInfo) -> Lane | None:
        """Where a request counts; None where it does not."""
        if is_long_running(info) or (not info.is_resource and _is_probe(info.path)):
            return None
        return self._writes if info.method in _WRITING else self._reads


def _is_probe(path: str) -> bool:
    return path.split("/", 2)[1] in _PROBES


@dataclass(slots=True)
class Budget:
    """Bytes of answers that wait for their clients to take them."""

    most: int
    used: int = 0

    def take(self, size: int) -> bool:
        """Whether there is room; if so, give() has to follow. One alone always has."""
        if self.used and self.used + size > self.most:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """They have been sent."""
        self.used -= size
