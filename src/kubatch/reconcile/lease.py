"""One leader among several: whoever holds a Lease, by the rules of client-go.

The clocks of others are never believed: a lease counts as given up when its record has not changed
for its own duration by the clock of whoever looks. A leader that cannot renew in time ends before
that, so there are never two. (client-go/tools/leaderelection/leaderelection.go.)
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.models import Lease, LeaseSpec, ObjectMeta
from kubatch.api.resource import LEASES
from kubatch.client.protocol import Client
from kubatch.reconcile.events import Recorder
from kubatch.world import World

log = logging.getLogger(__name__)

JITTER = 1.2  # leaderelection.go: JitterFactor, of the wait between attempts to become leader


@dataclass(frozen=True)
class Candidate:
    """Who wants to lead what; times in seconds, kube-controller-manager's defaults."""

    identity: str
    name: str
    namespace: str = "kube-system"
    lease_duration: float = 15.0  # others wait this long after the last renewal they saw
    renew_deadline: float = 10.0  # a leader that could not renew for so long gives up
    retry_period: float = 2.0  # between attempts

    def problem(self) -> str:
        """What is wrong with the times, "" when nothing is (NewLeaderElector)."""
        if self.lease_duration < 1:
            return "the lease duration must be at least one second"
        if self.lease_duration <= self.renew_deadline:
            return "the lease duration must be greater than the renew deadline"
        if self.renew_deadline <= JITTER * self.retry_period:
            return f"the renew deadline must be greater than {JITTER:g} times the retry period"
        return "" if self.retry_period > 0 else "the retry period must be greater than zero"


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease as it is, and since when it has been so by our own clock."""

    lease: Lease | None  # None: there is none
    since: float


# ----- rules


def look(before: Seen | None, lease: Lease | None, clock: float) -> Seen:
    """What is seen now: the time starts anew when anything about the lease has changed."""
    known = before.lease if before is not None else None
    unchanged = known is not None and lease is not None and known.spec == lease.spec
    return Seen(lease, before.since if unchanged and before is not None else clock)


def is_held_by(lease: Lease | None, identity: str) -> bool:
    """Whether this one leads."""
    return lease is not None and lease.spec is not None and lease.spec.holderIdentity == identity


def claim(me: Candidate, seen: Seen, clock: float, now: datetime) -> Lease | None:
    """The lease to write in order to lead or to go on leading; None: somebody else leads.

    (tryAcquireOrRenew.)
    """
    mine = LeaseSpec(
        holderIdentity=me.identity,
        leaseDurationSeconds=max(1, round(me.lease_duration)),
        acquireTime=now,
        renewTime=now,
        leaseTransitions=0,
    )
    if seen.lease is None:
        return Lease(metadata=ObjectMeta(name=me.name, namespace=me.namespace), spec=mine)
    known = seen.lease.spec or LeaseSpec()
    transitions = known.leaseTransitions or 0
    if is_held_by(seen.lease, me.identity):
        mine = replace(mine, acquireTime=known.acquireTime or now, leaseTransitions=transitions)
    elif known.holderIdentity and clock < seen.since + (known.leaseDurationSeconds or 0):
        return None
    else:
        mine = replace(mine, leaseTransitions=transitions + 1)
    return replace(seen.lease, spec=mine)


def given_up(lease: Lease, now: datetime) -> Lease:
    """The lease as a leader leaves it that stops by itself (release)."""
    known = lease.spec or LeaseSpec()
    spec = LeaseSpec(
        holderIdentity="",
        leaseDurationSeconds=1,
        acquireTime=now,
        renewTime=now,
        leaseTransitions=known.leaseTransitions,
    )
    return replace(lease, spec=spec)


# ----- the shell


class LeadershipLost(Exception):
    """The lease could not be renewed in time, or somebody else has it."""


class Elector:
    """Acquires a lease, keeps it, gives it back."""

    def __init__(
        self, candidate: Candidate, client: Client, world: World, recorder: Recorder
    ) -> None:
        self.candidate = candidate
        self._client = client
        self._world = world
        self._recorder = recorder
        self._seen: Seen | None = None

    @property
    def leads(self) -> bool:
        """Whether the lease was ours when last seen."""
        return self._seen is not None and is_held_by(self._seen.lease, self.candidate.identity)

    async def acquire(self) -> None:
        """Wait until we lead."""
        me = self.candidate
        while not await self._attempt():  # noqa: ASYNC110 - the lease is on another machine
            await asyncio.sleep(me.retry_period * (1 + JITTER * self._world.rng.random()))
        self._tell("became leader")

    async def hold(self) -> None:
        """Renew for ever. Raises LeadershipLost.

        The deadline counts from the last success, where client-go's begins one retry period
        later: so the lease outlasts it whatever the retry period is.
        """
        me = self.candidate
        assert self._seen is not None, "acquire() comes first"
        renewed = self._seen.since
        while True:
            await asyncio.sleep(me.retry_period)
            attempted = self._clock()
            try:
                # An answer that comes too late is as bad as none.
                async with asyncio.timeout_at(renewed + me.renew_deadline):
                    if await self._attempt():
                        renewed = attempted
            except TimeoutError:
                pass
            if self._clock() >= renewed + me.renew_deadline or not self.leads:
                self._tell("stopped leading")
                raise LeadershipLost(
                    f"the lease {me.namespace}/{me.name} could not be renewed in time"
                    if self.leads
                    else f"the lease {me.namespace}/{me.name} was taken by somebody else"
                )

    async def release(self) -> None:
        """Give the lease back, so that another need not wait for its end."""
        if not self.leads or self._seen is None or self._seen.lease is None:
            return
        try:
            async with asyncio.timeout(self.candidate.renew_deadline):
                free = given_up(self._seen.lease, self._world.now())
                stored: Lease = await self._client.update(LEASES, free)
                self._seen = Seen(stored, self._clock())
        except (ApiError, TimeoutError) as error:
            log.warning("the lease could not be given back: %s", error)
            return
        self._tell("stopped leading")

    async def _attempt(self) -> bool:
        """Try once to acquire or renew; whether we lead now."""
        try:
            if self.leads and await self._renew():
                return True
            return await self._claim()
        except ApiError as error:
            log.info("the lease cannot be had: %s", error)
            return False

    async def _renew(self) -> bool:
        """The quick way: write again what we know to be ours, without asking first."""
        assert self._seen is not None
        clock = self._clock()
        lease = claim(self.candidate, self._seen, clock, self._world.now())
        assert lease is not None, "what is ours can be claimed"
        try:
            stored: Lease = await self._client.update(LEASES, lease)
        except ApiError as error:
            log.debug("the lease has changed: %s", error)
            return False
        self._seen = Seen(stored, clock)
        return True

    async def _claim(self) -> bool:
        me, clock = self.candidate, self._clock()
        try:
            found = await self._client.get(LEASES, me.namespace, me.name)
        except ApiError as error:
            if error.code != 404:
                raise
            found = None
        self._seen = look(self._seen, found, clock)
        lease = claim(me, self._seen, clock, self._world.now())
        if lease is None:
            return False
        write = self._client.create if found is None else self._client.update
        stored: Lease = await write(LEASES, lease)
        self._seen = Seen(stored, clock)
        return True

    def _tell(self, what: str) -> None:
        if self._seen is not None and self._seen.lease is not None:
            message = f"{self.candidate.identity} {what}"
            log.info("%s", message)
            self._recorder.record(self._seen.lease, "Normal", "LeaderElection", message)

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()
