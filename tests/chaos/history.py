"""Every version of every Job that a watch tells, across servers that come and go."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import JOBS
from kubatch.client.http import HttpClient, Unreachable
from tests.chaos.checks import Seen


class History:
    """What was seen so far, by the Job's name; and who wants to know when there is more."""

    def __init__(self, client: HttpClient) -> None:
        self.jobs: dict[str, Seen] = {}
        self.scheduled: dict[str, tuple[str, datetime]] = {}
        """Jobs of CronJobs by uid: name, and when they were created."""
        self._client = client
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """List and watch for ever."""
        while True:
            try:
                listing = await self._client.list(JOBS)
                now = time.time()
                for job in listing.items:
                    self._take(job, now)
                found = {job.metadata.name for job in listing.items if job.metadata}
                for name, seen in self.jobs.items():
                    seen.deleted = seen.deleted or name not in found
                self._changed.set()
                async for events in self._client.watch(JOBS, after=listing.revision):
                    now = time.time()
                    for event in events:
                        self._take(event.object, now, deleted=event.type == "DELETED")
                    self._changed.set()
            except Unreachable:
                await asyncio.sleep(0.05)
            except ApiError as error:
                if error.code != 410:
                    raise

    async def change(self) -> None:
        """Return when something was seen since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def _take(self, job: m.Job, now: float, *, deleted: bool = False) -> None:
        meta, status = job.metadata, job.status or m.JobStatus()
        assert meta is not None
        assert meta.name is not None
        assert meta.uid is not None
        if any(owner.kind == "CronJob" for owner in meta.ownerReferences or ()):
            assert meta.creationTimestamp is not None
            self.scheduled[meta.uid] = (meta.name, meta.creationTimestamp)
            return
        seen = self.jobs.setdefault(meta.name, Seen(meta.uid))
        assert seen.uid == meta.uid, f"{meta.name} was created twice"
        if not seen.versions or seen.last != status:
            seen.versions.append((now, status))
        seen.deleted = seen.deleted or deleted
