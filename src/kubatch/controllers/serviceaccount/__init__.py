"""The ServiceAccount `default` of every namespace.

The rules are pkg/controller/serviceaccount/serviceaccounts_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubatch.api.models import Namespace, ObjectMeta, ServiceAccount
from kubatch.api.resource import NAMESPACES, SERVICEACCOUNTS
from kubatch.reconcile.controller import Controller, Key, View
from kubatch.reconcile.decision import Create, Decision, stage

DEFAULT = "default"
ACTIVE = "Active"  # core/v1: NamespaceActive


@dataclass(frozen=True, slots=True)
class MissingAccount:
    """An active namespace without its account."""

    namespace: str


def controller() -> Controller[MissingAccount]:
    """The record for the engine; a key is a namespace."""
    return Controller(
        name="serviceaccount-controller",
        watches={NAMESPACES: _namespace_keys, SERVICEACCOUNTS: _account_keys},
        read=read,
        decide=decide,
        workers=1,
    )


def _namespace_keys(_before: Namespace | None, after: Namespace | None) -> Iterable[Key]:
    if after is not None and after.metadata is not None:
        yield Key("", after.metadata.name or "")


def _account_keys(before: ServiceAccount | None, after: ServiceAccount | None) -> Iterable[Key]:
    gone = before if after is None else None
    if gone is not None and gone.metadata is not None and gone.metadata.name == DEFAULT:
        yield Key("", gone.metadata.namespace or "")


def read(view: View, key: Key, _remembered: object = None) -> MissingAccount | None:
    """What is missing; None when the namespace is going or has its account."""
    space = view.get(NAMESPACES, None, key.name)
    if space is None or space.metadata is None or space.metadata.deletionTimestamp is not None:
        return None
    if space.status is None or space.status.phase != ACTIVE:
        return None
    if view.get(SERVICEACCOUNTS, key.name, DEFAULT) is not None:
        return None
    return MissingAccount(key.name)


def decide(facts: MissingAccount, _now: datetime) -> Decision:
    """Create the account. One that somebody else created meanwhile is as good."""
    account = ServiceAccount(metadata=ObjectMeta(name=DEFAULT, namespace=facts.namespace))
    create = Create(SERVICEACCOUNTS, account, ignore_causes=("NamespaceTerminating",))
    return Decision(f"has no service account {DEFAULT}: creates it", (stage(create),))
