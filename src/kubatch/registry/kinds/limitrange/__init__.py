"""LimitRanges (pkg/registry/core/limitrange/strategy.go; ValidateLimitRange).

What they do to pods is in bounds.py, and who asks for it is registry/admission/limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.api.models import LimitRange, LimitRangeItem
from kubatch.api.resource import LIMITRANGES
from kubatch.registry.kinds.amounts import name_errors
from kubatch.registry.kinds.podspec.resources import container_name_errors, overcommits
from kubatch.registry.metadata import qualified_name_errors
from kubatch.registry.strategy import Strategy

__all__ = ["LimitRangeStrategy"]

_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_MAPS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


class LimitRangeStrategy(Strategy[LimitRange]):
    resource = LIMITRANGES
    allows_create_on_update: ClassVar[bool] = True

    def default(self, obj: LimitRange) -> None:
        """A bound is also what a container gets that says nothing (SetDefaults_LimitRangeItem)."""
        for item in obj.spec.limits if obj.spec is not None else ():
            if item.type == "Container":
                item.default = {**(item.max or {}), **(item.default or {})} or None
                least = {**(item.min or {}), **(item.default or {}), **(item.defaultRequest or {})}
                item.defaultRequest = least or None

    def validate_create(self, obj: LimitRange) -> list[Cause]:
        out: list[Cause] = []
        seen: set[str] = set()
        for i, item in enumerate(obj.spec.limits if obj.spec is not None else ()):
            path = f"spec.limits[{i}]"
            _type(item.type, f"{path}.type", out)
            if item.type in seen:
                out.append(fields.duplicate(f"{path}.type", item.type))
            seen.add(item.type)
            _names(item, path, out)
            names = {k for m in _MAPS for k in getattr(item, m) or {}}
            for name in sorted(names):
                _bounds(item, name, path, out)
        return out

    def validate_update(self, new: LimitRange, old: LimitRange) -> list[Cause]:
        return self.validate_create(new)


def _type(kind: str, path: str, out: list[Cause]) -> None:
    errors = list(qualified_name_errors(kind))
    if not errors and "/" not in kind and kind not in _TYPES:
        errors = ["must be a standard limit type or fully qualified"]
    out += [fields.invalid(path, kind, why) for why in errors]


def _names(item: LimitRangeItem, path: str, out: list[Cause]) -> None:
    of_containers = item.type in ("Pod", "Container")
    for member in _MAPS:
        found: Mapping[str, str] = getattr(item, member) or {}
        if item.type == "Pod" and member in ("default", "defaultRequest"):
            if found:
                why = "may not be specified when `type` is 'Pod'"
                out.append(fields.forbidden(f"{path}.{member}", why))
            continue
        if item.type == "PersistentVolumeClaim" and member == "maxLimitRequestRatio":
            _claim_bounds(item, path, out)
        for name in found:
            errors = container_name_errors(name) if of_containers else name_errors(name)
            out += [fields.invalid(f"{path}.{member}[{name}]", name, why) for why in errors]


def _claim_bounds(item: LimitRangeItem, path: str, out: list[Cause]) -> None:
    if "storage" not in (item.min or {}) and "storage" not in (item.max or {}):
        why = "either minimum or maximum storage value is required, but neither was provided"
        out.append(fields.required(f"{path}.limits", why))


def _bounds(item: LimitRangeItem, name: str, path: str, out: list[Cause]) -> None:
    """How the numbers for one resource must compare."""
    least, most = (item.min or {}).get(name), (item.max or {}).get(name)
    usual, asked, ratio = None, None, (item.maxLimitRequestRatio or {}).get(name)
    if item.type != "Pod":
        usual, asked = (item.default or {}).get(name), (item.defaultRequest or {}).get(name)
    for low, high, member, shown, text in (
        (least, most, "min", least, f"min value {least} is greater than max value {most}"),
        (
            least, asked, "defaultRequest", asked,
            f"min value {least} is greater than default request value {asked}",
        ),
        (
            asked, most, "defaultRequest", asked,
            f"default request value {asked} is greater than max value {most}",
        ),
        (
            asked, usual, "defaultRequest", asked,
            f"default request value {asked} is greater than default limit value {usual}",
        ),
        (
            least, usual, "default", least,
            f"min value {least} is greater than default value {usual}",
        ),
        (usual, most, "default", most, f"default value {usual} is greater than max value {most}"),
    ):  # fmt: skip
        if low is not None and high is not None and quantity.parse(low) > quantity.parse(high):
            out.append(fields.invalid(f"{path}.{member}[{name}]", shown, text))
    if ratio is not None:
        _ratio(ratio, least, most, f"{path}.maxLimitRequestRatio[{name}]", out)
    if usual is None or asked is None or overcommits(name):
        return
    if quantity.parse(usual) != quantity.parse(asked):
        why = f"default value {usual} must equal to defaultRequest value {asked} in {name}"
        out.append(fields.invalid(f"{path}.defaultRequest[{name}]", asked, why))


def _ratio(ratio: str, least: str | None, most: str | None, path: str, out: list[Cause]) -> None:
    value = quantity.parse(ratio)
    if value < 1:
        out.append(fields.invalid(path, ratio, f"ratio {ratio} is less than 1"))
    if least is not None and most is not None and quantity.parse(least):
        spread = quantity.parse(most) / quantity.parse(least)
        if value > spread:
            why = f"ratio {ratio} is greater than max/min = {spread:.6f}"
            out.append(fields.invalid(path, ratio, why))
