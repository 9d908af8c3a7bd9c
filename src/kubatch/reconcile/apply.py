"""Carries a Decision out, in order, through a Client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.resource import PODS, Resource
from kubatch.client.protocol import Client
from kubatch.reconcile.controller import View
from kubatch.reconcile.decision import (
    Absent,
    Bind,
    Create,
    Decision,
    Delete,
    Emit,
    Note,
    Patch,
    Present,
    PutStatus,
    RemoveFinalizer,
    Stage,
    Unchanged,
    Write,
)
from kubatch.reconcile.events import Recorder
from kubatch.reconcile.measures import Wrote

# Why a turn ends that counted on an absence.
STILL_THERE = "the object is still there, the cache is behind"
MOVED_ON = "the object has changed, the cache is behind"
NOT_CACHED = 1 << 62  # the revision of a resource nobody caches: all of it counts as seen
SERVER_ERROR = 500  # from here on an error does not say that nothing was written


@dataclass
class Applied:
    """What a turn wrote, and the first error that ended it."""

    # The newest revision written per resource: the cache must have seen it before the next turn.
    revisions: dict[Resource[Any], int] = field(default_factory=dict)
    # Pods bound (namespace, name, uid), whose binding the cache must have seen: a binding's answer
    # has no revision.
    bound: list[tuple[str, str, str]] = field(default_factory=list)
    # Objects gone (resource, namespace, name, uid) whose deletion's answer had no revision.
    gone: list[tuple[Resource[Any], str | None, str, str]] = field(default_factory=list)
    # Objects (resource, namespace, name) of which nobody knows what became: the API gave an error
    # that may have come after the write, or answered that others had done it before. A new object
    # whose name the server was to choose has the name "".
    doubts: list[tuple[Resource[Any], str | None, str]] = field(default_factory=list)
    error: ApiError | None = None
    # The stage that failed had an `otherwise`, and that was carried out: the decision's memory
    # holds although the turn has failed.
    covered: bool = False

    def seen_by(self, view: View, revision_of: Callable[[Resource[Any]], int]) -> bool:
        """Whether the caches have caught up with everything this turn wrote."""
        if any(revision_of(r) < revision for r, revision in self.revisions.items()):
            return False
        if any(_awaits_binding(view, *pod) for pod in self.bound):
            return False
        # Only a resource that somebody caches can lag behind.
        return not any(
            revision_of(obj[0]) < NOT_CACHED and _awaits_deletion(view, *obj) for obj in self.gone
        )

    def behind(self, revision_of: Callable[[Resource[Any]], int]) -> list[Resource[Any]]:
        """The resources whose caches have not seen everything this turn wrote."""
        late = [r for r, revision in self.revisions.items() if revision_of(r) < revision]
        waited = ([PODS] if self.bound else []) + [obj[0] for obj in self.gone]
        return list(dict.fromkeys([*late, *waited]))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to wait for."""
        return not (self.revisions or self.bound or self.gone or self.doubts)

    async def settle(
        self, client: Client, view: View, revision_of: Callable[[Resource[Any]], int]
    ) -> None:
        """Ask the API about every doubt, so that it is known what to wait for. Raises ApiError.

        Without this a turn could be decided from a cache that is behind a write which failed only
        in name: pods would be created, or their ends counted, twice.
        """
        while self.doubts:
            resource, namespace, name = self.doubts[-1]
            if revision_of(resource) == NOT_CACHED:
                pass
            elif name:
                await self._look(client, view, resource, namespace, name)
            else:
                for obj in (await client.list(resource, namespace)).items:
                    self.wrote(resource, obj)
            self.doubts.pop()

    async def _look(
        self, client: Client, view: View, resource: Resource[Any], namespace: str | None, name: str
    ) -> None:
        known: Any = view.get(resource, namespace, name)
        try:
            self.wrote(resource, await client.get(resource, namespace, name))
        except ApiError as error:
            if error.code != 404:
                raise
            if known is not None:
                self.gone.append((resource, namespace, name, known.metadata.uid))

    def wrote(self, resource: Resource[Any], obj: Any) -> None:
        version = obj.metadata.resourceVersion
        if version:
            self.revisions[resource] = max(self.revisions.get(resource, 0), int(version))


def _awaits_binding(view: View, namespace: str, name: str, uid: str) -> bool:
    """Whether the cache has this pod unbound. A namesake that came after it needs no waiting."""
    pod = view.get(PODS, namespace, name)
    if pod is None or pod.metadata is None or pod.metadata.uid != uid:
        return False
    return not (pod.spec and pod.spec.nodeName)


def _awaits_deletion(
    view: View, resource: Resource[Any], namespace: str | None, name: str, uid: str
) -> bool:
    """Whether the cache still has this object, and not a namesake or nothing."""
    obj = view.get(resource, namespace, name)
    return obj is not None and obj.metadata.uid == uid


def _ignore(_wrote: Wrote) -> None:
    """Nobody counts."""


async def apply(
    decision: Decision,
    client: Client,
    recorder: Recorder,
    count: Callable[[Wrote], None] = _ignore,
) -> Applied:
    """Carry out the stages until one fails. Never raises ApiError: it is in the answer.

    `count` is told how each write went.
    """
    turn = _Turn(client, recorder, decision.subject, count)
    for stage in decision.stages:
        await turn.carry_out(stage)
        if turn.applied.error is not None:
            break
    return turn.applied


class _Turn:
    def __init__(
        self, client: Client, recorder: Recorder, subject: Any, count: Callable[[Wrote], None]
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._subject = subject
        self._count = count
        # Objects whose status this turn has written, as they were stored.
        self._stored: dict[tuple[Resource[Any], str | None, str], Any] = {}
        self.applied = Applied()

    async def carry_out(self, stage: Stage) -> None:
        done, failed = 0, False
        for batch in _batches(stage):
            if len(batch) == 1:
                results = [await self._attempt(batch[0])]
            else:
                results = await asyncio.gather(*map(self._attempt, batch))
            done += sum(error is None for error in results)
            refusals = [e for e in results if e is not None]
            if refusals:
                self.applied.error = self.applied.error or refusals[0]
                failed = True
                break
        if failed and (stage.otherwise is not None or stage.after_error is not None):
            first, self.applied.error = self.applied.error, None
            for instead in _instead(stage, done, first):
                await self.carry_out(instead)
                if self.applied.error is not None:
                    break
            self.applied.covered = self.applied.error is None
            self.applied.error = first

    async def _attempt(self, write: Write) -> ApiError | None:
        before = None
        if isinstance(write, PutStatus):
            before = self._stored.get(_key(write), self._subject)
        try:
            after = await self._write(write)
        except ApiError as error:
            if error.code >= SERVER_ERROR and (subject := _object_of(write)) is not None:
                self.applied.doubts.append(subject)
            self._count(Wrote(write, before, error=error))
            return error
        self._count(Wrote(write, before, after))
        return None

    async def _write(self, write: Write) -> Any:
        """Do it; the object as the API has it then, if there is one."""
        match write:
            case Create():
                return await self._create(write)
            case Delete():
                return await self._delete(write)
            case PutStatus():
                return await self._put_status(write)
            case RemoveFinalizer():
                obj = await self._client.remove_finalizer(
                    write.resource, write.namespace, write.name, write.finalizer
                )
                if obj is not None:
                    self.applied.wrote(write.resource, obj)
                else:  # the cache showed the finalizer, so it is behind
                    self.applied.doubts.append((write.resource, write.namespace, write.name))
                return obj
            case Patch():
                return await self._patch(write)
            case Bind():
                await self._bind(write)
            case Absent():
                await self._check_absent(write)
            case Unchanged():
                await self._check_unchanged(write)
            case Present():
                await self._check_present(write)
            case Emit():
                self._note(write.note, "", "")
        return None

    async def _create(self, write: Create) -> Any:
        try:
            obj = await self._client.create(write.resource, write.obj)
        except ApiError as error:
            causes = error.details.causes if error.details else ()
            reasons = {error.reason, *(cause.reason for cause in causes)}
            if not reasons.isdisjoint(write.ignore_causes):
                return None
            self._note(write.failed, write.obj.metadata.name or "", error.message)
            raise
        self.applied.wrote(write.resource, obj)
        self._note(write.done, obj.metadata.name, "")
        return obj

    async def _delete(self, write: Delete) -> Any:
        try:
            obj = await self._client.delete(
                write.resource,
                write.namespace,
                write.name,
                grace_period_seconds=write.grace_period_seconds,
                propagation=write.propagation,
                uid=write.uid,
            )
        except ApiError as error:
            # Gone, or replaced by a namesake: either way this one needs no deleting.
            if error.code == 404 or (error.code == 409 and "UID in the precondition" in str(error)):
                self.applied.gone.append((write.resource, write.namespace, write.name, write.uid))
                return None
            self._note(write.failed, write.name, error.message)
            raise
        if obj is not None:
            self.applied.wrote(write.resource, obj)
        else:
            self.applied.gone.append((write.resource, write.namespace, write.name, write.uid))
        self._note(write.done, write.name, "")
        return obj

    async def _put_status(self, write: PutStatus) -> Any:
        obj, known = write.obj, self._stored.get(_key(write))
        if known is not None:
            version = known.metadata.resourceVersion
            obj = replace(obj, metadata=replace(obj.metadata, resourceVersion=version))
        stored = await self._client.update(write.resource, obj, "status")
        self._stored[_key(write)] = stored
        self.applied.wrote(write.resource, stored)
        return stored

    async def _patch(self, write: Patch) -> Any:
        try:
            obj = await self._client.patch(
                write.resource,
                write.namespace,
                write.name,
                write.patch,
                type=write.type,  # type: ignore[arg-type]
                subresource=write.subresource,
            )
        except ApiError as error:
            if error.code == 404:
                self.applied.doubts.append((write.resource, write.namespace, write.name))
                if not write.required:
                    return None
            raise
        self.applied.wrote(write.resource, obj)
        return obj

    async def _bind(self, write: Bind) -> None:
        try:
            await self._client.bind(write.namespace, write.name, write.uid, write.node)
        except ApiError as error:
            # Gone, bound already or being deleted: the next look at the cache settles it.
            if error.code in (404, 409):
                return
            raise
        self.applied.bound.append((write.namespace, write.name, write.uid))
        self._note(write.done, write.name, "")

    async def _check_absent(self, write: Absent) -> None:
        resource = write.resource
        if not write.name:
            listing = await self._client.list(resource, write.namespace)
            if listing.items:
                name = listing.items[0].metadata.name
                raise errors.conflict(resource.group, resource.plural, name, STILL_THERE)
            return
        try:
            obj = await self._client.get(resource, write.namespace, write.name)
        except ApiError as error:
            if error.code == 404:
                return
            raise
        if write.uid in ("", obj.metadata.uid):
            raise errors.conflict(resource.group, resource.plural, write.name, STILL_THERE)

    async def _check_unchanged(self, write: Unchanged) -> None:
        resource = write.resource
        try:
            obj = await self._client.get(resource, write.namespace, write.name)
        except ApiError as error:
            if error.code == 404:
                return
            raise
        if obj.metadata.resourceVersion != write.resource_version:
            raise errors.conflict(resource.group, resource.plural, write.name, MOVED_ON)

    async def _check_present(self, write: Present) -> None:
        resource = write.resource
        obj: Any = await self._client.get(resource, write.namespace, write.name)
        if obj.metadata.uid != write.uid or obj.metadata.deletionTimestamp is not None:
            raise errors.conflict(resource.group, resource.plural, write.name, MOVED_ON)

    def _note(self, note: Note | None, name: str, error: str) -> None:
        if note is None:
            return
        message = note.message.replace("{name}", name).replace("{error}", error)
        about = note.about if note.about is not None else self._subject
        self._recorder.record(about, note.type, note.reason, message)


def _instead(stage: Stage, done: int, error: ApiError | None) -> tuple[Stage, ...]:
    """What to carry out after a stage that failed."""
    if stage.otherwise is not None:
        return stage.otherwise(done)
    assert stage.after_error is not None
    assert error is not None
    return stage.after_error(error.message)


def _object_of(write: Write) -> tuple[Resource[Any], str | None, str] | None:
    """What a write is about; None when it writes no object."""
    match write:
        case Create():
            meta = write.obj.metadata
            return write.resource, meta.namespace, meta.name or ""
        case PutStatus():
            return _key(write)
        case Delete() | Patch() | RemoveFinalizer():
            return write.resource, write.namespace, write.name
        case Bind():
            return PODS, write.namespace, write.name
    return None


def _key(write: PutStatus) -> tuple[Resource[Any], str | None, str]:
    meta = write.obj.metadata
    return (write.resource, meta.namespace, meta.name)


def _batches(stage: Stage) -> list[tuple[Write, ...]]:
    """The stage's writes in batches that may run at once; slow start doubles them from one."""
    if not stage.slow_start:
        return [stage.writes] if stage.writes else []
    batches, start, size = [], 0, 1
    while start < len(stage.writes):
        batches.append(stage.writes[start : start + size])
        start, size = start + size, size * 2
    return batches
