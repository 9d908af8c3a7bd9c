"""Leases (pkg/registry/coordination/lease; pkg/apis/coordination/validation)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Lease, LeaseSpec
from kubatch.api.resource import LEASES
from kubatch.registry.age import age
from kubatch.registry.kinds.rules import NEGATIVE
from kubatch.registry.strategy import Column, Row, Strategy


class LeaseStrategy(Strategy[Lease]):
    resource = LEASES
    allows_create_on_update: ClassVar[bool] = True
    # A lease is taken over by whoever wrote it last: that must be seen.
    allows_unconditional_update: ClassVar[bool] = False
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Holder", description="Identity of the holder of the lease."),
        Column("Age", description="Time since the lease was created."),
    )

    def validate_create(self, obj: Lease) -> list[Cause]:
        out: list[Cause] = []
        spec = obj.spec or LeaseSpec()
        seconds, transitions = spec.leaseDurationSeconds, spec.leaseTransitions
        if seconds is not None and seconds <= 0:
            why = "must be greater than 0"
            out.append(fields.invalid("spec.leaseDurationSeconds", seconds, why))
        if transitions is not None and transitions < 0:
            out.append(fields.invalid("spec.leaseTransitions", transitions, NEGATIVE))
        if spec.preferredHolder and not spec.strategy:
            why = "may only be specified if `strategy` is defined"
            out.append(fields.forbidden("spec.preferredHolder", why))
        return out

    def validate_update(self, new: Lease, old: Lease) -> list[Cause]:
        return self.validate_create(new)

    def row(self, obj: Lease, now: datetime) -> Row:
        assert obj.metadata is not None
        holder = (obj.spec.holderIdentity if obj.spec is not None else None) or ""
        return Row((obj.metadata.name, holder, age(obj.metadata.creationTimestamp, now)))
