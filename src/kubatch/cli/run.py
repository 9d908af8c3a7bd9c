"""`kubatch run`: a control plane for as long as some Jobs take."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kubatch.api import codec
from kubatch.api.errors import ApiError
from kubatch.api.resource import JOBS
from kubatch.cli import assemble
from kubatch.cli.follow import Follower
from kubatch.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TIMEOUT, Refused
from kubatch.cli.manifests import Manifest, load
from kubatch.cli.progress import Progress
from kubatch.cluster import Cluster
from kubatch.registry.strategy import RequestContext
from kubatch.runtime.pod_network import NetworkFailed
from kubatch.settings import Settings
from kubatch.world import World


def run(
    filenames: tuple[str, ...],
    *,
    timeout: str | None,
    runtime: str,
    data_dir: str | None,
    output: str | None,
    namespace: str,
    image_map: str | None,
    network: str = "host",
    verbose: int,
) -> int:
    """Run the manifests' Jobs to their end; the exit code."""
    assemble.set_up_logging(verbose)
    seconds = assemble.parse_duration(timeout) if timeout else None
    manifests = load(filenames)
    if not any(m.resource is JOBS for m in manifests):
        raise Refused("no Job in the manifests given: nothing to wait for")
    with ExitStack() as cleanup:
        if data_dir is None:
            directory = Path(tempfile.mkdtemp(prefix="kubatch-"))
            cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        else:
            directory = Path(data_dir).absolute()
        settings = Settings(
            data_dir=directory,
            store="sqlite" if data_dir else "memory",
            runtime=runtime,
            image_map=assemble.image_map(image_map),
            network=network,
        )
        cleanup.enter_context(assemble.data_directory(directory))
        # With -o json the standard output is the answer and nothing else.
        progress = Progress(logs=sys.stderr if output else sys.stdout)
        return assemble.run_loop(
            _run(settings, manifests, namespace, seconds, progress, as_json=output == "json")
        )


async def _run(
    settings: Settings,
    manifests: list[Manifest],
    namespace: str,
    timeout_seconds: float | None,
    progress: Progress,
    *,
    as_json: bool,
) -> int:
    world = World()
    cluster = Cluster(
        settings, world, assemble.make_store(settings), assemble.make_runtime(settings),
        assemble.make_pod_network(settings),
    )  # fmt: skip
    interrupted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _interrupt, interrupted, number)
    try:
        try:
            await cluster.start(serve=False)
        except NetworkFailed as error:
            raise Refused(str(error)) from None
        jobs = await _apply(cluster, manifests, namespace, progress)
        follower = Follower(cluster, jobs, progress, world)
        code = await _wait(cluster, follower, interrupted, timeout_seconds, progress)
        if as_json:
            await _print_json(cluster, jobs)
        return code
    finally:
        progress.close()
        await cluster.stop(kill=True)


def _interrupt(interrupted: asyncio.Future[int], number: int) -> None:
    if not interrupted.done():
        interrupted.set_result(number)


async def _apply(
    cluster: Cluster, manifests: list[Manifest], namespace: str, progress: Progress
) -> list[tuple[str, str]]:
    """Create or update every object; the Jobs' namespaces and names. Raises Refused."""
    jobs: list[tuple[str, str]] = []
    for manifest in manifests:
        resource, obj = manifest.resource, manifest.obj
        target = obj.metadata.namespace or namespace if resource.namespaced else None
        context = RequestContext("kubatch-run", ("system:masters",))
        try:
            try:
                entry = await cluster.registry.create(resource, target, obj, context, owned=False)
                verb = "created"
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                entry, _ = await cluster.registry.update(
                    resource, target, obj.metadata.name, obj, context, owned=False
                )
                verb = "configured"
        except ApiError as error:
            raise Refused(f"{manifest.source}: {error}") from None
        meta: Any = entry.obj.metadata
        for warning in context.warnings:
            progress.say(f"Warning: {warning}")
        kind = resource.singular + (f".{resource.group}" if resource.group else "")
        progress.say(f"{kind}/{meta.name} {verb}")
        if resource is JOBS:
            jobs.append((meta.namespace, meta.name))
    return jobs


async def _wait(
    cluster: Cluster,
    follower: Follower,
    interrupted: asyncio.Future[int],
    timeout_seconds: float | None,
    progress: Progress,
) -> int:
    finished = asyncio.create_task(follower.run())
    broken = asyncio.create_task(cluster.failed())
    waited: list[asyncio.Future[Any]] = [finished, broken, interrupted]
    try:
        await asyncio.wait(
            waited,
            timeout=timeout_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if interrupted.done():
            progress.say("interrupted: stopping everything")
            return EXIT_INTERRUPTED
        if finished.done():
            return 0 if finished.result() else EXIT_FAILED
        if broken.done():
            broken.result()
        progress.say(f"timeout: not finished within {timeout_seconds:g}s; stopping everything")
        return EXIT_TIMEOUT
    finally:
        for task in (finished, broken):
            task.cancel()
        await asyncio.gather(finished, broken, return_exceptions=True)


async def _print_json(cluster: Cluster, jobs: list[tuple[str, str]]) -> None:
    found = [await cluster.client.get(JOBS, namespace, name) for namespace, name in jobs]
    items = [codec.to_dict(JOBS, job) for job in found]
    listing = {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}
    sys.stdout.buffer.write(codec.encode_json(listing) + b"\n")
    sys.stdout.flush()
