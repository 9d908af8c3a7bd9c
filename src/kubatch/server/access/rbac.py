"""What rules allow: one rule against one request, and one set of rules against another.

Pure. plugin/pkg/auth/authorizer/rbac/rbac.go: RuleAllows; pkg/apis/rbac/v1/evaluation_helpers.go;
component-helpers/auth/rbac/validation/policy_comparator.go: Covers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from kubatch.api.models import PolicyRule, Subject
from kubatch.server.access.attributes import Attributes, User

ALL = "*"
ACCOUNT_PREFIX = "system:serviceaccount:"


def rule_allows(rule: PolicyRule, asked: Attributes) -> bool:
    """Whether a rule allows a request."""
    verbs = rule.verbs
    if asked.verb not in verbs and ALL not in verbs:
        return False
    if not asked.is_resource:
        return any(_path_matches(url, asked.path) for url in rule.nonResourceURLs or ())
    groups = rule.apiGroups or ()
    if asked.group not in groups and ALL not in groups:
        return False
    if not any(_resource_matches(r, asked) for r in rule.resources or ()):
        return False
    return not rule.resourceNames or asked.name in rule.resourceNames


def _resource_matches(pattern: str, asked: Attributes) -> bool:
    if pattern in (ALL, asked.combined):
        return True
    return bool(asked.subresource) and pattern == f"*/{asked.subresource}"


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in (ALL, path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


# ----- subjects


def account_of(user_name: str) -> tuple[str, str] | None:
    """Namespace and name of the service account a user name stands for (SplitUsername)."""
    if not user_name.startswith(ACCOUNT_PREFIX):
        return None
    namespace, separator, name = user_name[len(ACCOUNT_PREFIX) :].partition(":")
    return (namespace, name) if separator and namespace and name and ":" not in name else None


def account_name(namespace: str, name: str) -> str:
    """The user name of a service account (MakeUsername)."""
    return f"{ACCOUNT_PREFIX}{namespace}:{name}"


def account_groups(namespace: str) -> tuple[str, str]:
    """The groups every service account of a namespace is in (MakeGroupNames)."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def user_key(user_name: str) -> str:
    """Under which key of an index the bindings of a user stand."""
    return f"User:{user_name}"


def group_key(group: str) -> str:
    """Under which key of an index the bindings of a group stand."""
    return f"Group:{group}"


def subject_key(subject: Subject, namespace: str) -> str:
    """Under which key a binding stands because of one of its subjects; "" for nobody.

    A service account is the user it acts as. `namespace` is the binding's, "" when it has none.
    """
    match subject.kind:
        case "User":
            return user_key(subject.name)
        case "Group":
            return group_key(subject.name)
        case "ServiceAccount":
            space = subject.namespace or namespace
            return user_key(account_name(space, subject.name)) if space else ""
    return ""


def keys_of(user: User) -> list[str]:
    """The keys under which a user finds bindings."""
    return [user_key(user.name), *(group_key(g) for g in user.groups)]


def describe_subject(subject: Subject, namespace: str) -> str:
    """A subject as reasons name it (rbac.go: describeSubject)."""
    name = subject.name
    if subject.kind == "ServiceAccount":
        name = f"{name}/{subject.namespace or namespace}"
    return f'{subject.kind} "{name}"'


# ----- one set of rules against another


def uncovered(owned: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """What of `wanted` the owned rules do not allow, in the smallest pieces, sorted and once."""
    missing = [
        piece
        for rule in wanted
        for piece in pieces(rule)
        if not any(_covers(own, piece) for own in owned)
    ]
    unique: list[PolicyRule] = []
    for piece in missing:
        if piece not in unique:
            unique.append(piece)
    return unique


def pieces(rule: PolicyRule) -> list[PolicyRule]:
    """A rule as rules of one verb on one thing each (BreakdownRule)."""
    out: list[PolicyRule] = []
    for group, resource, verb in product(rule.apiGroups or (), rule.resources or (), rule.verbs):
        if rule.resourceNames:
            out += [
                PolicyRule(apiGroups=[group], resources=[resource], verbs=[verb], resourceNames=[n])
                for n in rule.resourceNames
            ]
        else:
            out.append(PolicyRule(apiGroups=[group], resources=[resource], verbs=[verb]))
    out += [
        PolicyRule(nonResourceURLs=[url], verbs=[verb])
        for url, verb in product(rule.nonResourceURLs or (), rule.verbs)
    ]
    return out


def _covers(own: PolicyRule, piece: PolicyRule) -> bool:
    """Whether a rule allows all that a piece does (policy_comparator.go: ruleCovers)."""
    if not _contains(own.verbs, piece.verbs[0]):
        return False
    if piece.nonResourceURLs:
        url = piece.nonResourceURLs[0]
        return any(_path_matches(u, url) for u in own.nonResourceURLs or ())
    assert piece.apiGroups, "a piece has a group or a path"
    assert piece.resources, "a piece has a resource or a path"
    if not _contains(own.apiGroups or (), piece.apiGroups[0]):
        return False
    if not _resource_covered(own.resources or (), piece.resources[0]):
        return False
    if not own.resourceNames:
        return True
    return bool(piece.resourceNames) and set(piece.resourceNames or ()) <= set(own.resourceNames)


def _contains(owned: Sequence[str], wanted: str) -> bool:
    return ALL in owned or wanted in owned


def _resource_covered(owned: Sequence[str], wanted: str) -> bool:
    if _contains(owned, wanted):
        return True
    _, separator, subresource = wanted.partition("/")
    return bool(separator) and f"*/{subresource}" in owned
