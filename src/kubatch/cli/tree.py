"""`kubatch tree KIND/NAME`: what an object owns, what those own, and how they all are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubatch.api.errors import ApiError
from kubatch.api.models import CronJob, Job, Pod, ReplicaSet
from kubatch.api.resource import EVENTS, RESOURCES, Resource
from kubatch.cli import connect
from kubatch.cli.assemble import fail, run_loop, set_up_logging
from kubatch.cli.main import EXIT_FAILED
from kubatch.cli.subject import Subject, find
from kubatch.client.http import HttpClient, Unreachable
from kubatch.client.kubeconfig import Endpoint
from kubatch.registry.age import age
from kubatch.registry.kinds.job.columns import job_row
from kubatch.registry.kinds.pod.columns import pod_row
from kubatch.world import World

HEADER = ("NAMESPACE", "NAME", "READY", "REASON", "STATUS", "AGE")
_LINES = ("├─", "└─", "│ ", "  ")
_PLAIN_LINES = ("|-", "`-", "| ", "  ")  # for an output that has no such characters
_STYLES = {
    "True": "green", "Complete": "green", "Completed": "green", "Running": "green",
    "Failed": "red", "Error": "red", "CrashLoopBackOff": "red",
}  # fmt: skip
# A kind that is not served there, or that one may not list, owns nothing that can be shown.
_NOT_SEEN = (403, 404, 405)


@dataclass(frozen=True)
class Found:
    """An object and its kind, which objects in lists do not name."""

    kind: str
    object: Any


def tree(
    what: str,
    *,
    namespace: str,
    kubeconfig: str | None,
    context: str,
    data_dir: str | None,
    verbose: int,
) -> int:
    """Print the tree; the exit code."""
    set_up_logging(verbose)
    subject, where = find(what, namespace, kubeconfig, context, data_dir)
    return run_loop(_tree(where, subject))


async def _tree(where: Endpoint, subject: Subject) -> int:
    world = World()
    async with connect.client(where, world, "tree") as client:
        try:
            obj = await client.get(subject.resource, subject.namespace, subject.name)
            others = await _objects(client, subject.namespace)
        except Unreachable as error:
            fail(f"{error}; is the server running?")
            return EXIT_FAILED
        except ApiError as error:
            fail(str(error))
            return EXIT_FAILED
    lines = _LINES if "utf" in (sys.stdout.encoding or "").lower() else _PLAIN_LINES
    root = Found(subject.resource.kind, obj)
    show(list(rows(root, by_owner(others), world.now(), lines)))
    return 0


async def _objects(client: HttpClient, namespace: str | None) -> list[Found]:
    """Everything that could be owned, of one namespace or, for what has none, of all."""
    kinds = [
        r for r in RESOURCES if r.kept and r is not EVENTS and (r.namespaced or namespace is None)
    ]
    found = await asyncio.gather(*(_list(client, kind, namespace) for kind in kinds))
    return [obj for objects in found for obj in objects]


async def _list(client: HttpClient, kind: Resource[Any], namespace: str | None) -> list[Found]:
    try:
        listing = await client.list(kind, namespace if kind.namespaced else None)
    except ApiError as error:
        if isinstance(error, Unreachable) or error.code not in _NOT_SEEN:
            raise
        return []
    return [Found(kind.kind, obj) for obj in listing.items]


# ----- the tree


def by_owner(objects: Sequence[Found]) -> Mapping[str, Sequence[Found]]:
    """Objects under the uid of each of their owners, by kind and name."""
    owned: dict[str, list[Found]] = {}
    for found in sorted(objects, key=lambda f: (f.kind, f.object.metadata.name)):
        for owner in found.object.metadata.ownerReferences or ():
            owned.setdefault(owner.uid, []).append(found)
    return owned


def rows(
    root: Found, owned: Mapping[str, Sequence[Found]], now: datetime, lines: Sequence[str] = _LINES
) -> Iterator[tuple[str, ...]]:
    """A row for each object of the tree, as HEADER names the cells."""
    branch, last_branch, on, off = lines
    seen: set[str] = set()
    # What is still to be shown, the next at the end; with what stands before its name and its
    # children's. A loop of owners ends where it began.
    todo = [(root, "", "")]
    while todo:
        found, before, below = todo.pop()
        yield _row(found, before, now)
        uid = found.object.metadata.uid
        if uid in seen:
            continue
        seen.add(uid)
        children = owned.get(uid, ())
        for i in reversed(range(len(children))):
            is_last = i == len(children) - 1
            todo.append((
                children[i],
                below + (last_branch if is_last else branch),
                below + (off if is_last else on),
            ))  # fmt: skip


def _row(found: Found, before: str, now: datetime) -> tuple[str, ...]:
    obj = found.object
    ready, reason = _readiness(obj)
    return (
        obj.metadata.namespace or "",
        f"{before}{found.kind}/{obj.metadata.name}",
        _printable(ready),
        _printable(reason),
        _printable(_status(obj, now)),
        age(obj.metadata.creationTimestamp, now),
    )


def _printable(text: str) -> str:
    """Whoever may write a status does not get to steer the terminal of whoever looks."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _readiness(obj: Any) -> tuple[str, str]:
    """The condition Ready, of what has one."""
    status = getattr(obj, "status", None)
    for condition in getattr(status, "conditions", None) or ():
        if condition.type == "Ready":
            return condition.status, condition.reason or ""
    return "-", ""


def _status(obj: Any, now: datetime) -> str:
    """In a word, and where there is one in the word of `kubectl get`."""
    if isinstance(obj, Job):
        return str(job_row(obj, now).cells[1])
    if isinstance(obj, Pod):
        return str(pod_row(obj, now).cells[2])
    if isinstance(obj, CronJob):
        if obj.spec is not None and obj.spec.suspend:
            return "Suspended"
        active = len(obj.status.active or ()) if obj.status is not None else 0
        return f"{active} active"
    if isinstance(obj, ReplicaSet):
        status = obj.status
        return f"{status.readyReplicas or 0}/{status.replicas} ready" if status is not None else ""
    return getattr(getattr(obj, "status", None), "phase", None) or ""


# ----- how it looks


def show(table: Sequence[tuple[str, ...]]) -> None:
    """Print rows under their header; with colours on a terminal."""
    every = [HEADER, *table]
    widths = [max(len(row[i]) for row in every) for i in range(len(HEADER))]
    if not sys.stdout.isatty():
        for row in every:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("   ".join(cells).rstrip())
        return
    from rich.console import Console  # slow to import; a pipe does not need it
    from rich.text import Text

    console = Console(highlight=False)
    for row in every:
        line = Text()
        for cell, width in zip(row, widths, strict=True):
            style = "bold" if row is HEADER else _STYLES.get(cell, "")
            line.append(f"{cell.ljust(width)}   ", style)
        console.print(line, soft_wrap=True)
