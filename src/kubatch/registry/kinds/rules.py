"""Small checks and texts that several kinds share.

apimachinery/pkg/util/validation/field/errors.go says how values are shown; pkg/apis/core/validation
says the sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubatch.api import fields, selectors
from kubatch.api.errors import Cause
from kubatch.api.models import LabelSelector, LabelSelectorRequirement
from kubatch.registry.metadata import IMMUTABLE, label_value_errors, qualified_name_errors

NEGATIVE = "must be greater than or equal to 0"
ID_MAX = 0xFFFFFFFF
INT32_MAX = 2**31 - 1


def between(low: int, high: int) -> str:
    """The sentence of validation.InclusiveRangeError."""
    return f"must be between {low} and {high}, inclusive"


def bare_invalid(path: str, why: str) -> Cause:
    """An Invalid that shows no value (field.OmitValueType)."""
    return Cause("FieldValueInvalid", f"Invalid value: {why}", path)


def pointer(value: Any) -> Any:
    """How a Go pointer shows in messages: nil is the quoted word (field.Error.ErrorBody)."""
    return "null" if value is None else value


def non_negative(value: int | None, path: str, out: list[Cause]) -> None:
    """Zero or more, when it is set at all (ValidateNonnegativeField)."""
    if value is not None and value < 0:
        out.append(fields.invalid(path, value, NEGATIVE))


def immutable(new: Any, old: Any, path: str, out: list[Cause], shown: Any = ...) -> None:
    """One Invalid when the two differ; `shown` is for what Go's internal types show otherwise."""
    if new != old:
        value = pointer(new) if shown is ... else shown
        out.append(fields.invalid(path, value, IMMUTABLE))


def shown_selector(selector: LabelSelector | None) -> Any:
    """A LabelSelector as messages show it: Go's field order, keys sorted."""
    if selector is None:
        return "null"
    shown = fields.Members()
    if selector.matchLabels:
        shown["matchLabels"] = selector.matchLabels
    if selector.matchExpressions:
        shown["matchExpressions"] = [
            fields.Members(
                {"key": r.key, "operator": r.operator, **({"values": r.values} if r.values else {})}
            )
            for r in selector.matchExpressions
        ]
    return shown


def _requirement_causes(req: LabelSelectorRequirement, path: str) -> list[Cause]:
    out: list[Cause] = []
    if req.operator in ("In", "NotIn"):
        if not req.values:
            why = "must be specified when `operator` is 'In' or 'NotIn'"
            out.append(fields.required(f"{path}.values", why))
    elif req.operator in ("Exists", "DoesNotExist"):
        if req.values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            out.append(fields.forbidden(f"{path}.values", why))
    else:
        why = "not a valid selector operator"
        out.append(fields.invalid(f"{path}.operator", req.operator, why))
    out += [fields.invalid(f"{path}.key", req.key, w) for w in qualified_name_errors(req.key)]
    for i, value in enumerate(req.values or ()):
        why_not = label_value_errors(value)
        out += [fields.invalid(f"{path}.values[{i}]", value, w) for w in why_not]
    return out


def selector_causes(selector: LabelSelector, path: str) -> list[Cause]:
    """Everything wrong with a label selector (apis/meta/v1/validation: ValidateLabelSelector)."""
    out: list[Cause] = []
    for key, value in (selector.matchLabels or {}).items():
        where = f"{path}.matchLabels"
        out += [fields.invalid(where, key, w) for w in qualified_name_errors(key)]
        out += [fields.invalid(where, value, w) for w in label_value_errors(value)]
    for i, req in enumerate(selector.matchExpressions or ()):
        out += _requirement_causes(req, f"{path}.matchExpressions[{i}]")
    return out


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector matches; None never does. A broken one is reported elsewhere."""
    if selector is None:
        return False
    wanted = selector.matchLabels or {}
    if not selector.matchExpressions and all(labels.get(k) == v for k, v in wanted.items()):
        return True  # valid or not
    try:
        return selectors.from_selector(selector).matches(labels)
    except ValueError:
        return True


def format_labels(labels: Mapping[str, str] | None) -> str:
    """Labels as a table shows them (labels.FormatLabels)."""
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or "<none>"


def format_selector(selector: LabelSelector | None) -> str:
    """A selector as a table shows it (metav1.FormatLabelSelector)."""
    try:
        return str(selectors.from_selector(selector)) or "<none>"
    except ValueError:
        return "<error>"
