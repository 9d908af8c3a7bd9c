"""Requests and limits.

Follows pkg/apis/core/validation/validation.go: validateResourceRequirements, and
pkg/apis/core/helper/helpers.go for the names of resources.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.api.models import ResourceRequirements
from kubatch.registry.kinds.rules import NEGATIVE
from kubatch.registry.metadata import qualified_name_errors

_STANDARD = {"cpu", "memory", "ephemeral-storage"}
_NATIVE_DOMAIN = "kubernetes.io/"


def is_huge_page(name: str) -> bool:
    """Memory in pages of a given size, as in hugepages-2Mi."""
    return name.startswith("hugepages-")


def is_extended(name: str) -> bool:
    """A vendor's resource, counted in whole units and never overcommitted."""
    if "/" not in name or _NATIVE_DOMAIN in name or name.startswith("requests."):
        return False
    return not qualified_name_errors(f"requests.{name}")


def overcommits(name: str) -> bool:
    """Whether requests may be below limits (IsOvercommitAllowed)."""
    return ("/" not in name or _NATIVE_DOMAIN in name) and not is_huge_page(name)


@lru_cache(maxsize=1024)
def container_name_errors(name: str) -> tuple[str, ...]:
    """Why a container cannot ask for something called so (validateContainerResourceName)."""
    errors = tuple(qualified_name_errors(name))
    if errors:
        return errors
    if "/" not in name:
        if name in _STANDARD or is_huge_page(name):
            return ()
        return (
            "must be a standard resource type or fully qualified",
            "must be a standard resource for containers",
        )
    if _NATIVE_DOMAIN not in name and not is_extended(name):
        return ("doesn't follow extended resource name standard",)
    return ()


def _amount(name: str, text: str, path: str, out: list[Cause]) -> None:
    value = quantity.parse(text)
    if value < 0:
        out.append(fields.invalid(path, text, NEGATIVE))
    if is_extended(name) and value % 1:
        out.append(fields.invalid(path, text, "must be an integer"))
    if is_huge_page(name):
        page = quantity.parse(name.removeprefix("hugepages-"))
        if page > 0 and value % page:
            why = f"{text} is not positive integer multiple of {name.removeprefix('hugepages-')}"
            out.append(fields.invalid(path, text, why))


def validate_resources(
    res: ResourceRequirements, claims: Collection[str], path: str, out: list[Cause]
) -> None:
    """Everything wrong with one container's requests and limits."""
    limits, requests = res.limits or {}, res.requests or {}
    for name, text in limits.items():
        where = f"{path}.limits[{name}]"
        out.extend(fields.invalid(where, name, why) for why in container_name_errors(name))
        _amount(name, text, where, out)
    for name, text in requests.items():
        where = f"{path}.requests[{name}]"
        out.extend(fields.invalid(where, name, why) for why in container_name_errors(name))
        _amount(name, text, where, out)
        _against_limit(name, text, limits.get(name), path, out)
    names = {*limits, *requests}
    if names and not names & {"cpu", "memory"} and any(map(is_huge_page, names)):
        out.append(fields.forbidden(path, "HugePages require cpu or memory"))
    seen: set[str] = set()
    for i, claim in enumerate(res.claims or ()):
        where = f"{path}.claims[{i}]"
        if not claim.name:
            out.append(fields.required(f"{where}.name"))
            continue
        if claim.name in seen:
            out.append(fields.duplicate(where, claim.name))
        elif claim.name not in claims:
            out.append(fields.not_found(where, claim.name))
        seen.add(claim.name)


def _against_limit(name: str, text: str, limit: str | None, path: str, out: list[Cause]) -> None:
    if limit is None:
        if not overcommits(name):
            why = "Limit must be set for non overcommitable resources"
            out.append(fields.required(f"{path}.limits", why))
        return
    if text == limit:
        return
    asked, most = quantity.parse(text), quantity.parse(limit)
    if asked != most and not overcommits(name):
        why = f"must be equal to {name} limit of {limit}"
        out.append(fields.invalid(f"{path}.requests", text, why))
    elif asked > most:
        why = f"must be less than or equal to {name} limit of {limit}"
        out.append(fields.invalid(f"{path}.requests", text, why))
