"""`kubatch explain job/NAME`: why it is where it is, what it waits for, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from kubatch.api.errors import ApiError
from kubatch.api.models import Pod
from kubatch.api.resource import JOBS, PODS
from kubatch.cli import connect
from kubatch.cli.assemble import fail, run_loop, set_up_logging
from kubatch.cli.main import EXIT_FAILED
from kubatch.cli.subject import Subject, find
from kubatch.client.http import HttpClient, Unreachable
from kubatch.client.kubeconfig import Endpoint
from kubatch.controllers.job.names import JOB_NAME_LABEL
from kubatch.world import World

PODS_SHOWN_MAX = 5
_ENDED = ("Succeeded", "Failed")


def explain(
    what: str,
    *,
    namespace: str,
    kubeconfig: str | None,
    context: str,
    data_dir: str | None,
    verbose: int,
) -> int:
    """Print the explanation; the exit code."""
    set_up_logging(verbose)
    subject, where = find(what, namespace, kubeconfig, context, data_dir)
    return run_loop(_explain(where, subject, data_dir))


async def _explain(where: Endpoint, subject: Subject, data_dir: str | None) -> int:
    world = World()
    async with connect.client(where, world, "explain") as client:
        try:
            obj = await client.get(subject.resource, subject.namespace, subject.name)
            decisions = await _decisions(client, subject)
            pods = await _pods(client, subject)
        except Unreachable as error:
            if data_dir is not None:
                fail(
                    f"no server runs on {data_dir}, and decisions are remembered by a server "
                    f"only; start it with kubatch up --data-dir {data_dir}"
                )
            else:
                fail(f"{error}; is the server running?")
            return EXIT_FAILED
        except ApiError as error:
            fail(str(error))
            return EXIT_FAILED
    print(subject)
    for line in (*_told(subject, obj, decisions, world.now()), *_waiting(obj, pods)):
        print(f"  {line}")
    return 0


async def _decisions(client: HttpClient, subject: Subject) -> list[Mapping[str, Any]] | None:
    """What the server's parts decided; None when this server does not tell."""
    parts = [subject.resource.group or "core", subject.resource.plural]
    parts += [subject.namespace, subject.name] if subject.namespace else [subject.name]
    path = "/".join(quote(part, safe="") for part in parts)
    try:
        data = await client.get_raw(f"/kubatch.dev/v1/explain/{path}")
    except ApiError as error:
        if isinstance(error, Unreachable) or error.code not in (403, 404):
            raise
        return None
    found: list[Mapping[str, Any]] = msgspec.json.decode(data).get("decisions", [])
    return found


async def _pods(client: HttpClient, subject: Subject) -> Sequence[Pod]:
    if subject.resource is not JOBS:
        return ()
    selector = f"{JOB_NAME_LABEL}={subject.name}"
    return (await client.list(PODS, subject.namespace, label_selector=selector)).items


# ----- words


def _told(
    subject: Subject, obj: Any, decisions: Sequence[Mapping[str, Any]] | None, now: datetime
) -> Iterator[str]:
    if decisions is None:
        yield "this server does not tell what was decided; its status says:"
        yield from _conditions(obj)
    elif not decisions:
        yield (
            "nothing in the server has decided about it since the server started; controllers "
            "that run elsewhere keep their reasons to themselves"
        )
        yield from _conditions(obj)
    for decision in decisions or ():
        yield f"{decision['by']}: {decision['because']}"
        yield f"  decided {_ago(decision['at'], now)}"
        if decision.get("error"):
            again = f"; again {_in(decision['retryAt'], now)}" if decision.get("retryAt") else ""
            yield f"  but it failed: {decision['error']}{again}"
        if decision.get("wakeAt"):
            yield f"  looks again {_in(decision['wakeAt'], now)}, or when something changes"
        numbers = {k: v for k, v in decision.get("facts", {}).items() if isinstance(v, int)}
        if numbers:
            yield "  " + ", ".join(f"{value} {name}" for name, value in numbers.items())
        for earlier in decision.get("earlier", ()):
            yield f"  before, {_ago(earlier['at'], now)}: {earlier['because']}"


def _conditions(obj: Any) -> Iterator[str]:
    for condition in getattr(getattr(obj, "status", None), "conditions", None) or ():
        reason = ": ".join(t for t in (condition.reason, condition.message) if t)
        yield f"  {condition.type} is {condition.status}" + (f": {reason}" if reason else "")


def _waiting(obj: Any, pods: Sequence[Pod]) -> Iterator[str]:
    """What pods wait for that do not run."""
    if isinstance(obj, Pod):
        reason = waiting_for(obj)
        if reason:
            yield f"waits: {reason}"
        return
    stuck = [(pod, reason) for pod in pods if (reason := waiting_for(pod))]
    for pod, reason in stuck[:PODS_SHOWN_MAX]:
        assert pod.metadata is not None, "a stored pod has a name"
        yield f"pod {pod.metadata.name} waits: {reason}"
    if len(stuck) > PODS_SHOWN_MAX:
        yield f"and {len(stuck) - PODS_SHOWN_MAX} more pods wait"


def waiting_for(pod: Pod) -> str:
    """Why a pod does not run, "" when it does or is over."""
    status = pod.status
    if status is None or status.phase in _ENDED:
        return ""
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"{condition.reason}: {condition.message}"
    for container in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ())):
        waiting = container.state.waiting if container.state else None
        if waiting is not None and waiting.reason != "PodInitializing":
            told = f": {waiting.message}" if waiting.message else ""
            return f"container {container.name}: {waiting.reason}{told}"
    if pod.metadata is not None and pod.metadata.deletionTimestamp is not None:
        return "it is being deleted"
    return "a node to start it" if status.phase == "Pending" else ""


def _moment(text: str) -> datetime:
    return msgspec.convert(text, datetime)


def _ago(text: str, now: datetime) -> str:
    seconds = (now - _moment(text)).total_seconds()
    return f"{_span(seconds)} ago" if seconds >= 1 else "just now"


def _in(text: str, now: datetime) -> str:
    moment = _moment(text)
    seconds = (moment - now).total_seconds()
    return f"at {moment:%H:%M:%S} UTC (in {_span(seconds)})" if seconds > 0 else "at once"


def _span(seconds: float) -> str:
    """`7s`, `3m20s`, `5h3m`, `2d4h`: two units at most."""
    left = max(0, round(seconds))
    for unit, size, smaller, smaller_size in (
        ("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1),
    ):  # fmt: skip
        if left >= size:
            rest = left % size // smaller_size
            return f"{left // size}{unit}" + (f"{rest}{smaller}" if rest else "")
    return f"{left}s"
