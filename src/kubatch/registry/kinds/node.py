"""Nodes (pkg/registry/core/node/strategy.go; pkg/apis/core/validation: ValidateNode)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from kubatch.api import fields, quantity
from kubatch.api.errors import Cause
from kubatch.api.models import Node, NodeSpec, NodeStatus, Taint
from kubatch.api.resource import NODES
from kubatch.registry.age import age
from kubatch.registry.kinds.podspec.scheduling import EFFECTS
from kubatch.registry.kinds.rules import NEGATIVE
from kubatch.registry.metadata import label_value_errors, qualified_name_errors
from kubatch.registry.strategy import Column, Row, Strategy

NOT_READY = "node.kubernetes.io/not-ready"
_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _unschedulable(node: Node) -> str:
    return "true" if node.spec is not None and node.spec.unschedulable else "false"


class NodeStrategy(Strategy[Node]):
    resource = NODES
    fields: Mapping[str, Callable[[Node], str]] = {"spec.unschedulable": _unschedulable}
    columns: tuple[Column, ...] = (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Status", description="The status of the node"),
        Column("Roles", description="The roles of the node"),
        Column("Age", description="Time since the node was created."),
        Column("Version", description="Kubelet Version reported by the node."),
        Column("Internal-IP", priority=1, description="Internal IP reported by the node."),
        Column("External-IP", priority=1, description="External IP reported by the node."),
        Column("OS-Image", priority=1, description="OS Image reported by the node."),
        Column("Kernel-Version", priority=1, description="Kernel version reported by the node."),
        Column("Container-Runtime", priority=1, description="Runtime reported by the node."),
    )

    def default(self, obj: Node) -> None:
        """Allocatable is the capacity unless said otherwise (SetDefaults_NodeStatus)."""
        status = obj.status
        if status is not None and not status.allocatable and status.capacity:
            status.allocatable = dict(status.capacity)

    def prepare_create(self, obj: Node) -> None:
        """A new node is not ready until its agent says so (plugin TaintNodesByCondition)."""
        spec = obj.spec = obj.spec or NodeSpec()
        taints = spec.taints or []
        if not any(t.key == NOT_READY and t.effect == "NoSchedule" for t in taints):
            spec.taints = [*taints, Taint(key=NOT_READY, effect="NoSchedule")]

    def validate_create(self, obj: Node) -> list[Cause]:
        return _validate(obj)

    def prepare_update(self, new: Node, old: Node) -> None:
        new.status = old.status

    def validate_update(self, new: Node, old: Node) -> list[Cause]:
        out = _validate(new)
        spec, was = new.spec or NodeSpec(), old.spec or NodeSpec()
        provider = was.providerID
        if provider and provider != spec.providerID:
            why = 'node updates may not change providerID except from "" to valid'
            out.append(fields.forbidden("spec.providerID", why))
        if was.podCIDRs and spec.podCIDRs != was.podCIDRs:
            why = 'node updates may not change podCIDR except from "" to valid'
            out.append(fields.forbidden("spec.podCIDRs", why))
        return out

    def prepare_status_update(self, new: Node, old: Node) -> None:
        new.spec = old.spec

    def validate_status_update(self, new: Node, old: Node) -> list[Cause]:
        return _validate(new)

    def row(self, obj: Node, now: datetime) -> Row:
        assert obj.metadata is not None
        status = obj.status or NodeStatus()
        info = status.nodeInfo
        kernel = info.kernelVersion if info is not None else ""
        if info is not None and kernel and info.architecture:
            kernel = f"{kernel} ({info.architecture})"
        return Row(
            (
                obj.metadata.name,
                _state(obj, status),
                _roles(obj.metadata.labels or {}),
                age(obj.metadata.creationTimestamp, now),
                info.kubeletVersion if info is not None else "",
                _address(status, "InternalIP"),
                _address(status, "ExternalIP"),
                (info.osImage if info is not None else "") or "<unknown>",
                kernel or "<unknown>",
                (info.containerRuntimeVersion if info is not None else "") or "<unknown>",
            )
        )


def _validate(node: Node) -> list[Cause]:
    out: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate((node.spec.taints if node.spec is not None else None) or ()):
        path = f"spec.taints[{i}]"
        out += [
            fields.invalid(f"{path}.key", taint.key, w) for w in qualified_name_errors(taint.key)
        ]
        if errors := label_value_errors(taint.value or ""):
            out.append(fields.invalid(f"{path}.value", taint.value, ";".join(errors)))
        if not taint.effect:
            out.append(fields.required(f"{path}.effect"))
        elif taint.effect not in EFFECTS:
            out.append(fields.not_supported(f"{path}.effect", taint.effect, EFFECTS))
        if (taint.key, taint.effect) in seen:
            why = "taints must be unique by key and effect pair"
            shown = fields.duplicate(path, taint)
            out.append(Cause(shown.reason, f"{shown.message}: {why}", path))
        seen.add((taint.key, taint.effect))
    status = node.status or NodeStatus()
    for name, amounts in (("capacity", status.capacity), ("allocatable", status.allocatable)):
        for resource, text in (amounts or {}).items():
            if quantity.parse(text) < 0:
                out.append(fields.invalid(f"status.{name}[{resource}]", text, NEGATIVE))
    return out


def _state(node: Node, status: NodeStatus) -> str:
    ready = next((c for c in status.conditions or () if c.type == "Ready"), None)
    state = "Unknown"
    if ready is not None:
        state = "Ready" if ready.status == "True" else "NotReady"
    if node.spec is not None and node.spec.unschedulable:
        return f"{state},SchedulingDisabled"
    return state


def _roles(labels: Mapping[str, str]) -> str:
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    roles.add(labels.get(_ROLE_LABEL, ""))
    return ",".join(sorted(role for role in roles if role)) or "<none>"


def _address(status: NodeStatus, kind: str) -> str:
    found = (a.address for a in status.addresses or () if a.type == kind)
    return next(found, "<none>")
