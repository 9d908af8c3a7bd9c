"""Rules about objects, answered after they are stored. Pure, the whole folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubatch.controllers import (
    cronjob,
    disruption,
    endpoints,
    endpointslice,
    endpointslicemirroring,
    eviction,
    gc,
    job,
    namespace,
    nodes,
    podgc,
    replicaset,
    resourcequota,
    roles,
    serviceaccount,
    ttl,
    volumeprotection,
    volumes,
)
from kubatch.controllers.job import names, orphans
from kubatch.reconcile.controller import Controller


def all_controllers(
    jobs: frozenset[str] = names.BUILT_IN, local_zone: str | None = None
) -> Iterator[Controller[Any]]:
    """Every controller of this folder; adding one is a line here.

    `jobs` are the values of a Job's spec.managedBy that mean us. `local_zone` is that of CronJobs
    which name none; without it, UTC.
    """
    yield gc.controller()
    yield job.controller(jobs)
    yield orphans.controller(jobs)
    yield namespace.controller()
    yield nodes.controller()
    yield eviction.controller()
    yield podgc.controller()
    yield cronjob.controller(local_zone)
    yield ttl.controller()
    yield replicaset.controller()
    yield endpoints.controller()
    yield endpointslice.controller()
    yield endpointslicemirroring.controller()
    yield resourcequota.controller()
    yield serviceaccount.controller()
    yield roles.controller()
    yield disruption.controller()
    yield volumes.controller()
    yield volumeprotection.controller()
