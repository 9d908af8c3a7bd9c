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
    PutStatus,
    RemoveFinalizer,
    Stage,
    Write,
)
from kubatch.reconcile.events import Recorder

# Why a turn ends that counted on an absence.
STILL_THERE = "the object is still there, the cache is behind"


@dataclass
class Applied:
    """What a turn wrote, and the first error that ended it."""

    # The newest revision written per resource: the cache must have seen it before the next turn.
    revisions: dict[Resource[Any], int] = field(default_factory=dict)
    # Pods bound (namespace, name, uid), whose binding the cache must have seen: a binding's answer
    # has no revision.
    bound: list[tuple[str, str, str]] = field(default_factory=list)
    error: ApiError | None = None
    # The stage that failed had an `otherwise`, and that was carried out: the decision's memory
    # holds although the turn has failed.
    covered: bool = False

    def seen_by(self, view: View, revision_of: Callable[[Resource[Any]], int]) -> bool:
        """Whether the caches have caught up with everything this turn wrote."""
        if any(revision_of(r) < revision for r, revision in self.revisions.items()):
            return False
        return not any(_awaits_binding(view, *pod) for pod in self.bound)

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


async def apply(decision: Decision, client: Client, recorder: Recorder) -> Applied:
    """Carry out the stages until one fails. Never raises ApiError: it is in the answer."""
    turn = _Turn(client, recorder, decision.subject)
    for stage in decision.stages:
        await turn.carry_out(stage)
        if turn.applied.error is not None:
            break
    return turn.applied


class _Turn:
    def __init__(self, client: Client, recorder: Recorder, subject: Any) -> None:
        self._client = client
        self._recorder = recorder
        self._subject = subject
        self._versions: dict[tuple[Resource[Any], str | None, str], str] = {}
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
        if failed and stage.otherwise is not None:
            first, self.applied.error = self.applied.error, None
            for instead in stage.otherwise(done):
                await self.carry_out(instead)
                if self.applied.error is not None:
                    break
            self.applied.covered = self.applied.error is None
            self.applied.error = first

    async def _attempt(self, write: Write) -> ApiError | None:
        try:
            await self._write(write)
        except ApiError as error:
            return error
        return None

    async def _write(self, write: Write) -> None:
        match write:
            case Create():
                await self._create(write)
            case Delete():
                await self._delete(write)
            case PutStatus():
                await self._put_status(write)
            case RemoveFinalizer():
                obj = await self._client.remove_finalizer(
                    write.resource, write.namespace, write.name, write.finalizer
                )
                if obj is not None:
                    self.applied.wrote(write.resource, obj)
            case Patch():
                await self._patch(write)
            case Bind():
                await self._bind(write)
            case Absent():
                await self._check_absent(write)
            case Emit():
                self._note(write.note, "", "")

    async def _create(self, write: Create) -> None:
        try:
            obj = await self._client.create(write.resource, write.obj)
        except ApiError as error:
            causes = error.details.causes if error.details else ()
            if any(c.reason in write.ignore_causes for c in causes):
                return
            self._note(write.failed, write.obj.metadata.name or "", error.message)
            raise
        self.applied.wrote(write.resource, obj)
        self._note(write.done, obj.metadata.name, "")

    async def _delete(self, write: Delete) -> None:
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
                return
            self._note(write.failed, write.name, error.message)
            raise
        self.applied.wrote(write.resource, obj)
        self._note(write.done, write.name, "")

    async def _put_status(self, write: PutStatus) -> None:
        obj = write.obj
        meta = obj.metadata
        key = (write.resource, meta.namespace, meta.name)
        if key in self._versions:
            obj = replace(obj, metadata=replace(meta, resourceVersion=self._versions[key]))
        stored = await self._client.update(write.resource, obj, "status")
        self._versions[key] = stored.metadata.resourceVersion
        self.applied.wrote(write.resource, stored)

    async def _patch(self, write: Patch) -> None:
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
                return
            raise
        self.applied.wrote(write.resource, obj)

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

    def _note(self, note: Note | None, name: str, error: str) -> None:
        if note is None:
            return
        message = note.message.replace("{name}", name).replace("{error}", error)
        about = note.about if note.about is not None else self._subject
        self._recorder.record(about, note.type, note.reason, message)


def _batches(stage: Stage) -> list[tuple[Write, ...]]:
    """The stage's writes in batches that may run at once; slow start doubles them from one."""
    if not stage.slow_start:
        return [stage.writes] if stage.writes else []
    batches, start, size = [], 0, 1
    while start < len(stage.writes):
        batches.append(stage.writes[start : start + size])
        start, size = start + size, size * 2
    return batches
