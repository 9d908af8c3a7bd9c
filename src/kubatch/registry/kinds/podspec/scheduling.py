"""Where a pod may run: tolerations, affinity, spreading, gates.

Follows pkg/apis/core/validation/validation.go: ValidateTolerations, validateAffinity,
validateTopologySpreadConstraints, validateSchedulingGates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import (
    Affinity,
    LabelSelector,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Toleration,
    core_v1,
)
from kubatch.registry.kinds.rules import selector_causes
from kubatch.registry.metadata import (
    dns_label_errors,
    dns_subdomain_errors,
    label_value_errors,
    qualified_name_errors,
)

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_BOTH_KEYS = "exists in both matchLabelKeys and labelSelector"


def validate_tolerations(tolerations: Sequence[Toleration], path: str, out: list[Cause]) -> None:
    """Everything wrong with tolerations."""
    for i, t in enumerate(tolerations):
        if t.operator == "Exists" and t.key and not t.value and t.effect == "NoExecute":
            # What admission gives every pod: only the key is left to look at.
            if errors := qualified_name_errors(t.key):
                out.extend(fields.invalid(f"{path}[{i}].key", t.key, why) for why in errors)
            continue
        _toleration(t, f"{path}[{i}]", out)


def _toleration(t: Toleration, path: str, out: list[Cause]) -> None:
    if t.key:
        out.extend(fields.invalid(f"{path}.key", t.key, w) for w in qualified_name_errors(t.key))
    elif t.operator != "Exists":
        why = (
            'operator must be Exists when `key` is empty, which means "match all values and all '
            'keys"'
        )
        out.append(fields.invalid(f"{path}.operator", t.operator or "", why))
    if t.tolerationSeconds is not None and t.effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        out.append(fields.invalid(f"{path}.effect", t.effect or "", why))
    if t.operator in (None, "", "Equal"):
        if errors := label_value_errors(t.value or ""):
            out.append(fields.invalid(f"{path}.operator", t.value, ";".join(errors)))
    elif t.operator == "Exists":
        if t.value:
            why = "value must be empty when `operator` is 'Exists'"
            out.append(fields.invalid(f"{path}.operator", t.value, why))
    else:
        choices = ["Equal", "Exists"]
        out.append(fields.not_supported(f"{path}.operator", t.operator, choices))
    if t.effect and t.effect not in EFFECTS:
        out.append(fields.not_supported(f"{path}.effect", t.effect, EFFECTS))


def validate_gates(gates: Sequence[core_v1.PodSchedulingGate], path: str, out: list[Cause]) -> None:
    """Scheduling gates: qualified names, each once."""
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        where = f"{path}[{i}]"
        errors = qualified_name_errors(gate.name)
        out.extend(fields.invalid(where, gate.name, why) for why in errors)
        if gate.name in seen:
            out.append(fields.duplicate(where, gate.name))
        seen.add(gate.name)


# ----- affinity


def validate_affinity(affinity: Affinity, path: str, out: list[Cause]) -> None:
    """Everything wrong with node, pod and anti affinity."""
    node = affinity.nodeAffinity
    if node is not None:
        where = f"{path}.nodeAffinity"
        required = node.requiredDuringSchedulingIgnoredDuringExecution
        if required is not None:
            validate_node_selector(required, f"{where}.{_REQUIRED}", out)
        preferred = node.preferredDuringSchedulingIgnoredDuringExecution
        for i, term in enumerate(preferred or ()):
            here = f"{where}.{_PREFERRED}[{i}]"
            _weight(term.weight, here, out)
            _node_term(term.preference, f"{here}.preference", out, check_values=False)
    for name, pods in (
        ("podAffinity", affinity.podAffinity),
        ("podAntiAffinity", affinity.podAntiAffinity),
    ):
        if pods is not None:
            _pod_affinity(pods, f"{path}.{name}", out)


def _weight(weight: int, path: str, out: list[Cause]) -> None:
    if not 1 <= weight <= 100:
        out.append(fields.invalid(f"{path}.weight", weight, "must be in the range 1-100"))


def validate_node_selector(selector: NodeSelector, path: str, out: list[Cause]) -> None:
    """Terms of which one must hold for a node (ValidateNodeSelector)."""
    where = f"{path}.nodeSelectorTerms"
    if not selector.nodeSelectorTerms:
        out.append(fields.required(where, "must have at least one node selector term"))
    for i, term in enumerate(selector.nodeSelectorTerms or ()):
        _node_term(term, f"{where}[{i}]", out, check_values=True)


def _node_term(term: NodeSelectorTerm, path: str, out: list[Cause], *, check_values: bool) -> None:
    for j, req in enumerate(term.matchExpressions or ()):
        _node_requirement(req, f"{path}.matchExpressions[{j}]", out, check_values)
    for j, req in enumerate(term.matchFields or ()):
        _node_field(req, f"{path}.matchFields[{j}]", out)


def _node_requirement(
    req: NodeSelectorRequirement, path: str, out: list[Cause], check_values: bool
) -> None:
    values = req.values or []
    if req.operator in ("In", "NotIn"):
        if not values:
            why = "must be specified when `operator` is 'In' or 'NotIn'"
            out.append(fields.required(f"{path}.values", why))
    elif req.operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            out.append(fields.forbidden(f"{path}.values", why))
    elif req.operator in ("Gt", "Lt"):
        if len(values) != 1:
            why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            out.append(fields.required(f"{path}.values", why))
    else:
        why = "not a valid selector operator"
        out.append(fields.invalid(f"{path}.operator", req.operator, why))
    out.extend(fields.invalid(f"{path}.key", req.key, w) for w in qualified_name_errors(req.key))
    if check_values:
        for i, value in enumerate(values):
            errors = label_value_errors(value)
            out.extend(fields.invalid(f"{path}.values[{i}]", value, why) for why in errors)


def _node_field(req: NodeSelectorRequirement, path: str, out: list[Cause]) -> None:
    if req.operator in ("In", "NotIn"):
        if len(req.values or ()) != 1:
            why = (
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
            out.append(fields.required(f"{path}.values", why))
    else:
        why = "not a valid selector operator"
        out.append(fields.invalid(f"{path}.operator", req.operator, why))
    if req.key != "metadata.name":
        out.append(fields.invalid(f"{path}.key", req.key, "not a valid field selector key"))
        return
    for i, value in enumerate(req.values or ()):
        errors = dns_subdomain_errors(value)
        out.extend(fields.invalid(f"{path}.values[{i}]", value, why) for why in errors)


def _pod_affinity(pods: Any, path: str, out: list[Cause]) -> None:
    for i, term in enumerate(pods.requiredDuringSchedulingIgnoredDuringExecution or ()):
        _pod_term(term, f"{path}.{_REQUIRED}[{i}]", out)
    for i, weighted in enumerate(pods.preferredDuringSchedulingIgnoredDuringExecution or ()):
        here = f"{path}.{_PREFERRED}[{i}]"
        _weight(weighted.weight, here, out)
        _pod_term(weighted.podAffinityTerm, f"{here}.podAffinityTerm", out)


def _pod_term(term: core_v1.PodAffinityTerm, path: str, out: list[Cause]) -> None:
    if term.labelSelector is not None:
        out.extend(selector_causes(term.labelSelector, f"{path}.labelSelector"))
    if term.namespaceSelector is not None:
        out.extend(selector_causes(term.namespaceSelector, f"{path}.namespaceSelector"))
    for name in term.namespaces or ():
        errors = dns_label_errors(name)
        out.extend(fields.invalid(f"{path}.namespace", name, why) for why in errors)
    for member in ("matchLabelKeys", "mismatchLabelKeys"):
        _label_keys(getattr(term, member), term.labelSelector, f"{path}.{member}", out)
    mismatched = set(term.mismatchLabelKeys or ())
    for i, key in enumerate(term.matchLabelKeys or ()):
        if key in mismatched:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            out.append(fields.invalid(f"{path}.matchLabelKeys[{i}]", key, why))
    where = f"{path}.topologyKey"
    if not term.topologyKey:
        out.append(fields.required(where, "can not be empty"))
    key_errors = qualified_name_errors(term.topologyKey)
    out.extend(fields.invalid(where, term.topologyKey, why) for why in key_errors)


def _label_keys(
    keys: Sequence[str] | None, selector: LabelSelector | None, path: str, out: list[Cause]
) -> None:
    if not keys:
        return
    if selector is None:
        why = "must not be specified when labelSelector is not set"
        out.append(fields.forbidden(path, why))
        return
    for i, key in enumerate(keys):
        errors = qualified_name_errors(key)
        out.extend(fields.invalid(f"{path}[{i}]", key, why) for why in errors)


# ----- topology spread


def validate_spread(
    constraints: Sequence[core_v1.TopologySpreadConstraint], path: str, out: list[Cause]
) -> None:
    """Everything wrong with topologySpreadConstraints."""
    for i, c in enumerate(constraints):
        where = f"{path}[{i}]"
        if c.maxSkew <= 0:
            out.append(fields.invalid(f"{where}.maxSkew", c.maxSkew, "must be greater than zero"))
        if not c.topologyKey:
            out.append(fields.required(f"{where}.topologyKey", "can not be empty"))
        action = c.whenUnsatisfiable
        choices = ["DoNotSchedule", "ScheduleAnyway"]
        if action not in choices:
            out.append(fields.not_supported(f"{where}.whenUnsatisfiable", action, choices))
        pair = (c.topologyKey, action)
        if any((o.topologyKey, o.whenUnsatisfiable) == pair for o in constraints[i + 1 :]):
            shown = f"{{{c.topologyKey}, {action}}}"
            out.append(fields.duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", shown))
        _spread_options(c, where, out)


def _spread_options(c: core_v1.TopologySpreadConstraint, path: str, out: list[Cause]) -> None:
    if c.minDomains is not None:
        where = f"{path}.minDomains"
        if c.minDomains <= 0:
            out.append(fields.invalid(where, c.minDomains, "must be greater than zero"))
        if c.whenUnsatisfiable != "DoNotSchedule":
            why = (
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
                f"{c.whenUnsatisfiable}"
            )
            out.append(fields.invalid(where, c.minDomains, why))
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = getattr(c, name)
        if policy not in (None, "Honor", "Ignore"):
            out.append(fields.not_supported(f"{path}.{name}", policy, ["Honor", "Ignore"]))
    selector = c.labelSelector
    if c.matchLabelKeys:
        where = f"{path}.matchLabelKeys"
        used: set[str] = set()
        if selector is None:
            why = "must not be specified when labelSelector is not set"
            out.append(fields.forbidden(where, why))
        else:
            used = {
                *(selector.matchLabels or ()),
                *(r.key for r in selector.matchExpressions or ()),
            }
        for i, key in enumerate(c.matchLabelKeys):
            errors = qualified_name_errors(key)
            out.extend(fields.invalid(f"{where}[{i}]", key, why) for why in errors)
            if key in used:
                out.append(fields.invalid(f"{where}[{i}]", key, _BOTH_KEYS))
    if selector is not None:
        out.extend(selector_causes(selector, f"{path}.labelSelector"))
