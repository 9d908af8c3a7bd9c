"""A thousand deletions of every sort leave nobody behind whose owner is gone."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from kubatch.api.errors import ApiError
from kubatch.api.models import ConfigMap, ObjectMeta, OwnerReference
from kubatch.api.resource import CONFIGMAPS
from kubatch.controllers import gc
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time

DELETIONS = 1000
MODES = ("Background", "Foreground", "Orphan")


async def grow(on: Engine, rng: random.Random, known: dict[str, str], number: int) -> None:
    """One more object, owned by up to two that are there."""
    owners = rng.sample(sorted(known), k=min(len(known), rng.randrange(3)))
    refs = [
        OwnerReference(
            apiVersion="v1",
            kind="ConfigMap",
            name=name,
            uid=known[name],
            blockOwnerDeletion=rng.random() < 0.5,
        )
        for name in owners
    ]
    meta = ObjectMeta(name=f"c{number}", namespace="default", ownerReferences=refs or None)
    made: Any = await on.client.create(CONFIGMAPS, ConfigMap(metadata=meta))
    known[made.metadata.name] = made.metadata.uid


@virtual_time
async def test_no_orphans() -> None:
    rng = random.Random(5)
    async with engine(gc.controller()) as on:
        known: dict[str, str] = {}
        deleted = number = 0
        while deleted < DELETIONS:
            for _ in range(8):
                await grow(on, rng, known, number)
                number += 1
            for name in rng.sample(sorted(known), k=min(len(known), 6)):
                known.pop(name)
                deleted += 1
                with contextlib.suppress(ApiError):  # its owner may have taken it along
                    await on.client.delete(
                        CONFIGMAPS, "default", name, propagation=rng.choice(MODES)
                    )
            if rng.random() < 0.2:
                await on.quiet(rng.random())
            there = set(await on.names(CONFIGMAPS, "default"))
            known = {name: uid for name, uid in known.items() if name in there}
        await on.quiet(600)
        left: list[Any] = list((await on.client.list(CONFIGMAPS, "default")).items)
        uids = {obj.metadata.uid for obj in left}
        assert left
        for obj in left:
            assert obj.metadata.deletionTimestamp is None
            owners = obj.metadata.ownerReferences or ()
            assert not owners or any(ref.uid in uids for ref in owners)
