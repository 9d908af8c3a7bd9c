from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubatch.api.models import Namespace, NamespaceStatus, ObjectMeta, ServiceAccount
from kubatch.api.resource import NAMESPACES, SERVICEACCOUNTS
from kubatch.controllers.serviceaccount import controller, decide, read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import Create, stage
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key("", "q")


def space(phase: str | None = "Active", *, deleting: bool = False) -> Namespace:
    return Namespace(
        metadata=ObjectMeta(name="q", deletionTimestamp=NOW if deleting else None),
        status=NamespaceStatus(phase=phase),
    )


def account(name: str = "default", namespace: str = "q") -> ServiceAccount:
    return ServiceAccount(metadata=ObjectMeta(name=name, namespace=namespace))


@pytest.mark.parametrize(
    ("objects", "missing"),
    [
        ((space(),), True),
        ((space(), account("other")), True),
        ((space(), account("default", "r")), True),
        ((space(), account()), False),
        ((space("Terminating"),), False),
        ((space(None),), False),
        ((space(deleting=True),), False),
        ((Namespace(metadata=ObjectMeta(name="q")),), False),
        ((), False),
    ],
)
def test_which_namespace_lacks_its_account(objects: tuple[Any, ...], missing: bool) -> None:
    assert (read(StaticView(*objects), KEY) is not None) is missing


def test_the_account_is_created() -> None:
    facts = read(StaticView(space()), KEY)
    assert facts is not None
    create = Create(SERVICEACCOUNTS, account(), ignore_causes=("NamespaceTerminating",))
    assert decide(facts, NOW).stages == (stage(create),)


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        (None, space(), [KEY]),
        (space(), space(), [KEY]),
        (space(), None, []),
        (account(), None, [KEY]),
        (None, account(), []),
        (account(), account(), []),
        (account("other"), None, []),
    ],
)
def test_a_change_concerns_its_namespace(before: Any, after: Any, keys: list[Key]) -> None:
    resource = NAMESPACES if isinstance(before or after, Namespace) else SERVICEACCOUNTS
    assert list(controller().watches[resource](before, after)) == keys
