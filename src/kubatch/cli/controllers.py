"""`kubatch controllers`: the controllers alone, against any API server."""

from __future__ import annotations

import asyncio
import signal
import socket
from dataclasses import dataclass
from typing import Any

from kubatch.api.errors import ApiError
from kubatch.cli import connect
from kubatch.cli.assemble import fail, parse_duration, run_loop, set_up_logging
from kubatch.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, Refused
from kubatch.client.kubeconfig import Endpoint
from kubatch.manager import Manager, UnknownController, choose
from kubatch.reconcile.controller import Controller
from kubatch.reconcile.lease import Candidate, LeadershipLost
from kubatch.world import World


@dataclass(frozen=True)
class LeaseOptions:
    """The --leader-elect options, as kube-controller-manager has them; durations as text."""

    name: str
    namespace: str
    lease_duration: str
    renew_deadline: str
    retry_period: str


def controllers(
    *,
    kubeconfig: str | None,
    context: str,
    everything: bool,
    only: str,
    lease: LeaseOptions | None,
    verbose: int,
) -> int:
    """Run until told to stop or until another leads; the exit code."""
    set_up_logging(verbose)
    where = connect.endpoint(kubeconfig, context)
    try:
        records = choose(
            everything=everything, only=[n.strip() for n in only.split(",") if n.strip()]
        )
    except UnknownController as error:
        raise Refused(f"--only: {error}") from None
    world = World()
    candidate = _candidate(lease, world) if lease is not None else None
    return run_loop(_run(where, records, candidate, world))


def _candidate(options: LeaseOptions, world: World) -> Candidate:
    prefix = "--leader-elect"
    candidate = Candidate(
        f"{socket.gethostname()}_{world.uid()}",
        options.name,
        options.namespace,
        parse_duration(options.lease_duration, f"{prefix}-lease-duration"),
        parse_duration(options.renew_deadline, f"{prefix}-renew-deadline"),
        parse_duration(options.retry_period, f"{prefix}-retry-period"),
    )
    problem = candidate.problem()
    if problem:
        raise Refused(f"{prefix}: {problem}")
    return candidate


async def _run(
    where: Endpoint,
    records: list[Controller[Any]],
    candidate: Candidate | None,
    world: World,
) -> int:
    stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _request_stop, stop, number)

    def leading() -> None:
        names = ", ".join(record.name for record in records)
        print(f"kubatch controls {where.server} with {names}", flush=True)

    async with connect.client(where, world, "controllers") as client:
        try:
            await client.get_raw("/version")
        except ApiError as error:
            fail(str(error))
            return EXIT_FAILED
        if candidate is not None:
            lease = f"{candidate.namespace}/{candidate.name}"
            print(f"kubatch wants the lease {lease} as {candidate.identity}", flush=True)
        manager = Manager(
            client,
            records,
            world,
            host=socket.gethostname(),
            candidate=candidate,
            leading=leading,
        )
        work = asyncio.create_task(manager.run(), name="manager")
        waited: list[asyncio.Future[Any]] = [stop, work]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            fail(f"stopped: {_why(work)}")
            return EXIT_FAILED
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return EXIT_INTERRUPTED if stop.result() == signal.SIGINT else 0


def _why(work: asyncio.Task[None]) -> str:
    error = work.exception()
    if isinstance(error, LeadershipLost):
        return f"{error}; start it again to wait for another turn"
    return str(error) or repr(error)


def _request_stop(stop: asyncio.Future[int], number: int) -> None:
    if not stop.done():
        stop.set_result(number)
