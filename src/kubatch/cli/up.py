"""`kubatch up`: serve until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubatch.cli import thresholds
from kubatch.cli.assemble import (
    audit_policy as read_audit_policy,
)
from kubatch.cli.assemble import (
    data_directory,
    default_data_dir,
    fail,
    make_pod_network,
    make_runtime,
    make_store,
    run_loop,
    set_up_logging,
)
from kubatch.cli.assemble import (
    image_map as read_image_map,
)
from kubatch.cli.main import EXIT_FAILED, EXIT_INTERRUPTED
from kubatch.settings import Settings

log = logging.getLogger(__name__)


def up(
    *,
    data_dir: str | None,
    address: str,
    port: int,
    kubeconfig: str | None,
    store: str,
    runtime: str,
    node_name: str,
    agent: bool,
    controllers: bool,
    scheduler: bool,
    proxy: bool,
    network: str = "host",
    max_pods: int = 110,
    eviction_hard: str | None = None,
    image_map: str | None,
    audit_log: str | None,
    audit_policy: str | None = None,
    verbose: int,
) -> int:
    """Serve; the exit code."""
    set_up_logging(verbose)
    directory = Path(data_dir).absolute() if data_dir else default_data_dir()
    settings = Settings(
        data_dir=directory,
        address=address,
        port=port,
        kubeconfig=Path(kubeconfig).absolute() if kubeconfig else None,
        store=store,
        runtime=runtime,
        node_name=node_name,
        agent=agent,
        controllers=controllers,
        scheduler=scheduler,
        proxy=proxy,
        network=network,
        max_pods=max_pods,
        image_map=read_image_map(image_map),
        audit_log=Path(audit_log).absolute() if audit_log else None,
        audit_policy=read_audit_policy(audit_policy, audit_log),
    )
    limits = thresholds.parse(eviction_hard)
    if limits is not None:
        settings = replace(settings, eviction_hard=limits)
    with data_directory(directory):
        return run_loop(_serve(settings))


async def _serve(settings: Settings) -> int:
    from kubatch.cluster import Cluster
    from kubatch.runtime.pod_network import NetworkFailed
    from kubatch.runtime.protocol import RuntimeUnavailable
    from kubatch.store.protocol import StoreError
    from kubatch.world import World

    stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _request_stop, stop, number)
    cluster = Cluster(
        settings, World(), make_store(settings), make_runtime(settings), make_pod_network(settings)
    )
    try:
        await cluster.start(serve=True)
    except OSError as error:
        fail(f"cannot serve on {settings.address}:{settings.port}: {error.strerror or error}")
        await cluster.stop(kill=False)
        return EXIT_FAILED
    except (StoreError, NetworkFailed) as error:
        fail(str(error))
        await cluster.stop(kill=False)
        return EXIT_FAILED
    path = settings.kubeconfig or settings.data_dir / "kubeconfig"
    print(f"kubatch is ready; use it with: export KUBECONFIG={path}", flush=True)
    broken = asyncio.create_task(cluster.failed())
    waited: list[asyncio.Future[Any]] = [stop, broken]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        ended_by = _innermost(broken.exception())
        fail(f"stopped: {ended_by}")
        if not isinstance(ended_by, OSError | StoreError | RuntimeUnavailable):
            log.error("this should not have happened", exc_info=ended_by)
        await cluster.stop(kill=False)
        return EXIT_FAILED
    broken.cancel()
    # Nobody can find the pods of a memory store again, so they end with it.
    interrupted = stop.result() == signal.SIGINT
    await cluster.stop(kill=interrupted or settings.store == "memory")
    return EXIT_INTERRUPTED if interrupted else 0


def _innermost(error: BaseException | None) -> BaseException | None:
    """What went wrong, without the groups of tasks it happened in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _request_stop(stop: asyncio.Future[int], number: int) -> None:
    if not stop.done():
        stop.set_result(number)
