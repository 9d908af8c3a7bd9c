"""Acting as somebody else."""

from __future__ import annotations

import pytest

from kubatch.api.errors import ApiError
from kubatch.server.access.attributes import User
from kubatch.server.access.impersonation import impersonated
from tests.unit.server.access.roles import cluster_binding, cluster_role, policy, rule, user

A = "authentication.k8s.io"
POLICY = policy(
    cluster_role(
        "actor",
        rule("impersonate", "core", "users", "jim"),
        rule("impersonate", "core", "groups", "dev"),
        rule("impersonate", "core", "serviceaccounts"),
        rule("impersonate", A, "uids", "7"),
        rule("impersonate", A, "userextras/scopes", "view"),
    ),
    cluster_binding("actor", "actor", "User:bob"),
)
BOB, ROOT = user("bob"), user("root", "system:masters")
EVERYBODY = "system:authenticated"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([("Accept", "x"), ("Impersonation", "y")], None),
        ([("Impersonate-User", "")], None),
        ([("impersonate-user", "jim")], User("jim", "", (EVERYBODY,))),
        (
            [("Impersonate-User", "jim"), ("Impersonate-Group", "dev")],
            User("jim", "", ("dev", EVERYBODY)),
        ),
        ([("Impersonate-User", "jim"), ("Impersonate-Uid", "7")], User("jim", "7", (EVERYBODY,))),
        (
            [("Impersonate-User", "system:serviceaccount:d:robot")],
            User(
                "system:serviceaccount:d:robot",
                "",
                ("system:serviceaccounts", "system:serviceaccounts:d", EVERYBODY),
            ),
        ),
    ],
)
def test_who_one_becomes(headers: list[tuple[str, str]], expected: User | None) -> None:
    assert impersonated(headers, BOB, POLICY) == expected


def test_extras() -> None:
    headers = [("Impersonate-User", "jim"), ("Impersonate-Extra-Scopes", "view")]
    found = impersonated(headers, BOB, POLICY)
    assert found is not None
    assert found.extra == (("scopes", ("view",)),)
    escaped = [("Impersonate-User", "j"), ("Impersonate-Extra-example.com%2fkey", "v")]
    found = impersonated(escaped, ROOT, POLICY)
    assert found is not None
    assert found.extra == (("example.com/key", ("v",)),)


def test_the_anonymous_user_is_not_authenticated() -> None:
    found = impersonated([("Impersonate-User", "system:anonymous")], ROOT, POLICY)
    assert found == User("system:anonymous", "", ("system:unauthenticated",))


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (
            [("Impersonate-User", "root")],
            'users "root" is forbidden: User "bob" cannot impersonate resource "users" in API '
            'group "" at the cluster scope',
        ),
        (
            [("Impersonate-User", "jim"), ("Impersonate-Group", "system:masters")],
            'groups "system:masters" is forbidden: User "bob" cannot impersonate resource '
            '"groups" in API group "" at the cluster scope',
        ),
        (
            [("Impersonate-User", "jim"), ("Impersonate-Uid", "8")],
            f'uids.{A} "8" is forbidden: User "bob" cannot impersonate resource "uids" in API '
            f'group "{A}" at the cluster scope',
        ),
        (
            [("Impersonate-User", "jim"), ("Impersonate-Extra-scopes", "all")],
            f'userextras.{A} "all" is forbidden: User "bob" cannot impersonate resource '
            f'"userextras/scopes" in API group "{A}" at the cluster scope',
        ),
    ],
)
def test_who_one_may_not_become(headers: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ApiError) as raised:
        impersonated(headers, BOB, POLICY)
    assert (raised.value.code, raised.value.message) == (403, message)


def test_an_account_is_asked_for_in_its_namespace() -> None:
    with pytest.raises(ApiError) as raised:
        impersonated([("Impersonate-User", "system:serviceaccount:d:r")], user("x"), POLICY)
    assert raised.value.message == (
        'serviceaccounts "r" is forbidden: User "x" cannot impersonate resource "serviceaccounts" '
        'in API group "" in the namespace "d"'
    )


@pytest.mark.parametrize("header", ["Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-a"])
def test_a_group_without_a_user(header: str) -> None:
    with pytest.raises(ApiError) as raised:
        impersonated([(header, "x")], ROOT, POLICY)
    assert raised.value.code == 500
    assert raised.value.message.endswith("without impersonating a user")


def test_a_name_that_is_no_text_can_still_be_refused() -> None:
    with pytest.raises(ApiError) as raised:
        impersonated([("Impersonate-User", "\udcff")], BOB, POLICY)
    assert raised.value.message.encode().startswith('users "\ufffd" is forbidden'.encode())
