"""ServiceAccounts (pkg/registry/core/serviceaccount/strategy.go)."""

from __future__ import annotations

from datetime import datetime

from kubatch.api.models import ServiceAccount
from kubatch.api.resource import SERVICEACCOUNTS
from kubatch.registry.age import age
from kubatch.registry.strategy import Column, Row, Strategy


class ServiceAccountStrategy(Strategy[ServiceAccount]):
    resource = SERVICEACCOUNTS
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Age", description="Time since the service account was created."),
    )

    def prepare_create(self, obj: ServiceAccount) -> None:
        """The list of secrets is the server's business."""
        obj.secrets = None

    def row(self, obj: ServiceAccount, now: datetime) -> Row:
        assert obj.metadata is not None
        return Row((obj.metadata.name, age(obj.metadata.creationTimestamp, now)))
