"""What the audit log tells of a request: audit.k8s.io/v1 Policy, read and applied. Pure.

The rules are apiserver/pkg/audit/policy/checker.go, what a policy may say is
apiserver/pkg/apis/audit/validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from kubatch.api import fields, names
from kubatch.api.errors import Cause
from kubatch.api.yaml_text import parse_yaml
from kubatch.server.access.attributes import User
from kubatch.server.request import RequestInfo

Level = Literal["None", "Metadata", "Request", "RequestResponse"]
LEVELS: tuple[Level, ...] = ("None", "Metadata", "Request", "RequestResponse")
RECEIVED, STARTED, COMPLETE, PANIC = STAGES = (
    "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic",
)  # fmt: skip
GROUP_VERSION = "audit.k8s.io/v1"


class AuditPolicyError(ValueError):
    """A policy that cannot be used, in one line."""


class GroupResources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Resources of one API group."""

    group: str = ""
    resources: Sequence[str] = ()
    resourceNames: Sequence[str] = ()


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told of the requests that match; an empty list matches all."""

    level: str = ""
    users: Sequence[str] = ()
    userGroups: Sequence[str] = ()
    verbs: Sequence[str] = ()
    resources: Sequence[GroupResources] = ()
    namespaces: Sequence[str] = ()  # "" stands for what is in none
    nonResourceURLs: Sequence[str] = ()
    omitStages: Sequence[str] = ()
    omitManagedFields: bool | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules, of which the first that matches counts."""

    apiVersion: str = ""
    kind: str = ""
    metadata: dict[str, Any] | None = None
    rules: Sequence[Rule] = ()
    omitStages: Sequence[str] = ()
    omitManagedFields: bool = False


class Telling(msgspec.Struct, frozen=True):
    """How one request is told of."""

    level: Level
    omitted: frozenset[str] = frozenset()
    managed_fields: bool = True  # are told, too

    def tells(self, stage: str) -> bool:
        """Whether this stage is a line of the log."""
        return self.level != "None" and stage not in self.omitted

    def reaches(self, level: Level) -> bool:
        """Whether as much is told as this level does."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


# Without a policy of the user's: who did what, and of each request its end.
EVERYTHING = Policy(rules=(Rule(level="Metadata"),), omitStages=(RECEIVED,))


def read(data: bytes) -> Policy:
    """A policy as a YAML or JSON document. Raises AuditPolicyError."""
    try:
        found = parse_yaml(data)
        version, kind = found.value.get("apiVersion"), found.value.get("kind")
        if (version, kind) != (GROUP_VERSION, "Policy"):
            why = f"expected a Policy of {GROUP_VERSION}, not {kind or 'no kind'} of "
            raise AuditPolicyError(why + (str(version) if version else "no apiVersion"))
        policy = msgspec.convert(_without_nulls(found.value), Policy)
    except AuditPolicyError:
        raise
    except (ValueError, AttributeError) as error:  # msgspec's and YAML's are ValueErrors
        raise AuditPolicyError(str(error).partition("\n")[0]) from None
    if found.strict_errors:
        raise AuditPolicyError(found.strict_errors[0])
    for cause in _causes(policy):
        raise AuditPolicyError(f"{cause.field}: {cause.message}")
    if not policy.rules:
        raise AuditPolicyError("loaded illegal policy with 0 rules")  # policy/reader.go
    return policy


def _without_nulls(value: Any) -> Any:
    """As Go reads it: a null is nothing at all."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _causes(policy: Policy) -> Iterator[Cause]:
    """validation.go: ValidatePolicy."""
    yield from _stage_causes("omitStages", policy.omitStages)
    for number, rule in enumerate(policy.rules):
        path = f"rules[{number}]"
        if not rule.level:
            yield fields.required(f"{path}.level")
        elif rule.level not in LEVELS:
            yield fields.not_supported(f"{path}.level", rule.level, list(LEVELS))
        yield from _url_causes(f"{path}.nonResourceURLs", rule.nonResourceURLs)
        yield from _resource_causes(f"{path}.resources", rule.resources)
        yield from _stage_causes(f"{path}.omitStages", rule.omitStages)
        if rule.nonResourceURLs and (rule.resources or rule.namespaces):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            urls = list(rule.nonResourceURLs)
            yield fields.invalid(f"{path}.nonResourceURLs", urls, why)


def _stage_causes(path: str, stages: Sequence[str]) -> Iterator[Cause]:
    for number, stage in enumerate(stages):
        if stage not in STAGES:
            why = f"allowed stages are {','.join(STAGES)}"
            yield fields.invalid(f"{path}[{number}]", stage, why)


def _url_causes(path: str, urls: Sequence[str]) -> Iterator[Cause]:
    for number, url in enumerate(urls):
        if url == "*":
            continue
        if not url.startswith("/"):
            why = "non-resource URL rules must begin with a '/' character"
            yield fields.invalid(f"{path}[{number}]", url, why)
        if "*" in url[:-1]:
            why = "non-resource URL wildcards '*' must be the final character of the rule"
            yield fields.invalid(f"{path}[{number}]", url, why)


def _resource_causes(path: str, resources: Sequence[GroupResources]) -> Iterator[Cause]:
    for of_group in resources:
        if of_group.group and (wrong := names.subdomain_errors(of_group.group)):
            yield fields.invalid(f"{path}.group", of_group.group, ",".join(wrong))
        if of_group.resourceNames and not of_group.resources:
            why = "using resourceNames requires at least one resource"
            yield fields.invalid(f"{path}.resourceNames", list(of_group.resourceNames), why)


def telling(policy: Policy, user: User | None, info: RequestInfo) -> Telling:
    """How a request is told of (checker.go: EvaluatePolicyRule); user None: nobody knows who."""
    for rule in policy.rules:
        if _matches(rule, user, info):
            omit = rule.omitManagedFields
            omit = policy.omitManagedFields if omit is None else omit
            level = next(known for known in LEVELS if known == rule.level)
            return Telling(level, frozenset((*policy.omitStages, *rule.omitStages)), not omit)
    return Telling("None")


def _matches(rule: Rule, user: User | None, info: RequestInfo) -> bool:
    if rule.users and (user is None or user.name not in rule.users):
        return False
    if rule.userGroups and (user is None or not set(user.groups) & set(rule.userGroups)):
        return False
    if rule.verbs and info.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return info.is_resource and _matches_resource(rule, info)
    if rule.nonResourceURLs:
        return not info.is_resource and any(_covers(u, info.path) for u in rule.nonResourceURLs)
    return True


def _covers(url: str, path: str) -> bool:
    prefix = url.removesuffix("*")
    return url == path or (prefix != url and path.startswith(prefix))


def _matches_resource(rule: Rule, info: RequestInfo) -> bool:
    if rule.namespaces and (info.namespace or "") not in rule.namespaces:
        return False
    of_group = [known for known in rule.resources if known.group == info.group]
    return not rule.resources or any(_holds(known, info) for known in of_group)


def _holds(known: GroupResources, info: RequestInfo) -> bool:
    if not known.resources:
        return True
    if known.resourceNames and info.name not in known.resourceNames:
        return False
    whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    # The wildcards: everything, one subresource of everything, all of one resource.
    wanted = {whole, "*", f"{info.resource}/*"}
    if info.subresource:
        wanted.add(f"*/{info.subresource}")
    return not wanted.isdisjoint(known.resources)
