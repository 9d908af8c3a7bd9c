"""The authorizer against a slow twin, its memory, and what it costs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.models import PolicyRule
from kubatch.server.access import policy as policies
from kubatch.server.access import rbac
from kubatch.server.access.attributes import Attributes, User
from kubatch.server.access.policy import Policy
from tests.unit.server.access.roles import (
    RoleView,
    binding,
    cluster_binding,
    cluster_role,
    role,
    rule,
    user,
)

PODS = Attributes("get", "", "pods", "", "d", "p")

NAMES = ["a", "b"]
VERBS = ["get", "list", "*"]
RESOURCES = ["pods", "pods/log", "*", "*/log", "jobs"]
words = st.lists(st.sampled_from(["a", "b", "*"]), max_size=2)
rules = st.builds(
    PolicyRule,
    verbs=st.lists(st.sampled_from(VERBS), max_size=2),
    apiGroups=st.lists(st.sampled_from(["", "batch", "*"]), max_size=2),
    resources=st.lists(st.sampled_from(RESOURCES), max_size=2),
    resourceNames=st.one_of(st.none(), st.lists(st.sampled_from(NAMES), max_size=2)),
)
subjects = st.lists(
    st.sampled_from(["User:a", "User:b", "Group:g", "ServiceAccount:d/s", "ServiceAccount:s"]),
    max_size=3,
)
users = st.sampled_from(
    [user("a"), user("b", "g"), user("c"), user("system:serviceaccount:d:s"), user("s", "g")]
)
questions = st.builds(
    Attributes,
    verb=st.sampled_from(["get", "list", "watch"]),
    group=st.sampled_from(["", "batch"]),
    resource=st.sampled_from(["pods", "jobs"]),
    subresource=st.sampled_from(["", "log", "status"]),
    namespace=st.sampled_from(["", "d", "e"]),
    name=st.sampled_from(["", *NAMES]),
)


def twin(objects: list[Any], who: User, asked: Attributes) -> bool:
    """Every binding, every subject, every rule, one after the other."""
    for bound in (o for o in objects if hasattr(o, "roleRef")):
        space = bound.metadata.namespace or ""
        if space and space != asked.namespace:
            continue
        if not any(_is(s, space, who) for s in bound.subjects or ()):
            continue
        kind = "ClusterRole" if bound.roleRef.kind == "ClusterRole" else "Role"
        for found in objects:
            if type(found).__name__ != kind or found.metadata.name != bound.roleRef.name:
                continue
            if kind == "Role" and found.metadata.namespace != space:
                continue
            if any(_allows(r, asked) for r in found.rules):
                return True
    return False


def _is(subject: Any, space: str, who: User) -> bool:
    if subject.kind == "Group":
        return subject.name in who.groups
    if subject.kind == "User":
        return bool(subject.name == who.name)
    home = subject.namespace or space
    return bool(home) and who.name == f"system:serviceaccount:{home}:{subject.name}"


def _allows(given_rule: PolicyRule, asked: Attributes) -> bool:
    full = asked.resource + ("/" + asked.subresource if asked.subresource else "")
    resources = given_rule.resources or []
    wild = bool(asked.subresource) and "*/" + asked.subresource in resources
    return (
        ("*" in given_rule.verbs or asked.verb in given_rule.verbs)
        and ("*" in (given_rule.apiGroups or []) or asked.group in (given_rule.apiGroups or []))
        and ("*" in resources or full in resources or wild)
        and (not given_rule.resourceNames or asked.name in given_rule.resourceNames)
    )


@given(
    st.lists(rules, max_size=3),
    st.lists(rules, max_size=3),
    st.lists(st.tuples(st.sampled_from(["Role:r", "ClusterRole:c"]), subjects), max_size=3),
    st.lists(subjects, max_size=2),
    users,
    questions,
)
def test_as_its_twin_says(
    own: list[PolicyRule],
    everywhere: list[PolicyRule],
    bindings: list[tuple[str, list[str]]],
    cluster_bindings: list[list[str]],
    who: User,
    asked: Attributes,
) -> None:
    objects: list[Any] = [role("r", *own), cluster_role("c", *everywhere)]
    objects += [binding(f"b{i}", to, *s) for i, (to, s) in enumerate(bindings)]
    objects += [cluster_binding(f"c{i}", "c", *s) for i, s in enumerate(cluster_bindings)]
    said = Policy(RoleView(*objects)).verdict(who, asked)
    assert said.allowed == twin(objects, who, asked)


@given(st.lists(rules, max_size=3), st.lists(rules, max_size=3), questions)
def test_covered_rules_allow_no_more(
    own: list[PolicyRule], wanted: list[PolicyRule], asked: Attributes
) -> None:
    if rbac.uncovered(own, wanted) == [] and any(rbac.rule_allows(r, asked) for r in wanted):
        assert any(rbac.rule_allows(r, asked) for r in own)


@given(st.lists(rules, max_size=4))
def test_rules_cover_themselves(own: list[PolicyRule]) -> None:
    assert rbac.uncovered(own, own) == []


def test_a_change_counts_at_once() -> None:
    view = RoleView(role("r", rule("get", "core", "pods")))
    made = Policy(view)
    bob = user("bob")
    assert not made.verdict(bob, PODS).allowed
    view.objects.append(binding("b", "Role:r", "User:bob"))
    assert not made.verdict(bob, PODS).allowed  # remembered
    made.forget(None, view.objects[-1])
    assert made.verdict(bob, PODS).allowed


def test_a_question_asks_only_for_the_users_own_bindings() -> None:
    """The cost does not grow with other people's roles, nor with questions asked again."""
    looked: list[str] = []

    class Counting(RoleView):
        def indexed(self, index: Any, key: str) -> Any:
            looked.append(key)
            return super().indexed(index, key)

        def list(self, resource: Any) -> Any:
            return super().list(resource)

    made = Policy(Counting(role("r", rule("get", "core", "pods"))))
    for _ in range(100):
        made.verdict(user("bob", "dev"), PODS)
    keys = ["User:bob", "Group:dev", "Group:system:authenticated"]
    assert looked == [*keys, *(f"d/{k}" for k in keys)]


def test_strangers_do_not_fill_the_memory() -> None:
    made = Policy()
    for number in range(policies.USERS_MAX + 10):
        made.verdict(user(f"u{number}"), PODS)
    assert len(made._known) <= policies.USERS_MAX


def test_without_roles_only_the_administrator_gets_in() -> None:
    assert not Policy().verdict(user("bob"), PODS).allowed
    assert Policy().verdict(user("root", "system:masters"), PODS).allowed
