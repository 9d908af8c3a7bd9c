"""Pods: what may be stored, and how they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace

from kubatch.api.errors import Cause
from kubatch.api.models import Pod, PodCondition, PodIP, PodStatus
from kubatch.api.resource import PODS
from kubatch.registry.kinds.pod import parts
from kubatch.registry.kinds.pod.admission import admit
from kubatch.registry.kinds.pod.binding import bind
from kubatch.registry.kinds.pod.columns import COLUMNS, pod_row
from kubatch.registry.kinds.pod.defaults import default_pod
from kubatch.registry.kinds.pod.qos import pod_qos
from kubatch.registry.kinds.pod.validation import (
    validate_new_pod,
    validate_pod_status,
    validate_pod_update,
)
from kubatch.registry.kinds.pod.warnings import name_warning, spec_warnings
from kubatch.registry.strategy import Column, Row, Strategy

__all__ = ["PodStrategy", "bind", "pod_qos"]

GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"
GRACE_SECONDS = 30


def _spec(name: str) -> Callable[[Pod], str]:
    return lambda pod: getattr(pod.spec, name, None) or ""


def _status(name: str) -> Callable[[Pod], str]:
    return lambda pod: getattr(pod.status, name, None) or ""


def _host_network(pod: Pod) -> str:
    return "true" if pod.spec is not None and pod.spec.hostNetwork else "false"


def _pod_ips(pod: Pod) -> str:
    ips = (pod.status.podIPs if pod.status is not None else None) or ()
    return ",".join(ip.ip or "" for ip in ips)


class PodStrategy(Strategy[Pod]):
    """pkg/registry/core/pod/strategy.go, and the admission that follows it on create."""

    resource = PODS
    tracks_generation: ClassVar[bool] = True
    columns: tuple[Column, ...] = COLUMNS
    fields: Mapping[str, Callable[[Pod], str]] = {
        "spec.nodeName": _spec("nodeName"),
        "spec.host": _spec("nodeName"),
        "spec.restartPolicy": _spec("restartPolicy"),
        "spec.schedulerName": _spec("schedulerName"),
        "spec.serviceAccountName": _spec("serviceAccountName"),
        "spec.hostNetwork": _host_network,
        "status.phase": _status("phase"),
        "status.podIP": _status("podIP"),
        "status.podIPs": _pod_ips,
        "status.nominatedNodeName": _status("nominatedNodeName"),
    }

    def default(self, obj: Pod) -> None:
        default_pod(obj)

    def prepare_create(self, obj: Pod) -> None:
        """A status of the server's own, then admission. Raises ApiError 403."""
        if obj.spec is None:
            obj.status = PodStatus(phase="Pending")
            return
        obj.status = PodStatus(phase="Pending", qosClass=pod_qos(obj.spec))
        if obj.spec.schedulingGates:
            obj.status.conditions = [
                PodCondition(
                    type="PodScheduled",
                    status="False",
                    reason="SchedulingGated",
                    message=GATED_MESSAGE,
                )
            ]
        admit(obj)

    def validate_create(self, obj: Pod) -> list[Cause]:
        return validate_new_pod(obj)

    def prepare_update(self, new: Pod, old: Pod) -> None:
        new.status = old.status

    def validate_update(self, new: Pod, old: Pod) -> list[Cause]:
        return validate_pod_update(new, old)

    def prepare_status_update(self, new: Pod, old: Pod) -> None:
        """Owners stay, the class of service stays, and podIP is the first of podIPs."""
        new.spec = old.spec
        if new.metadata is not None and old.metadata is not None:
            new.metadata = replace(new.metadata, ownerReferences=old.metadata.ownerReferences)
        status = new.status or PodStatus()
        was = old.status or PodStatus()
        ips = status.podIPs
        if status.podIP and not ips:
            ips = [PodIP(ip=status.podIP)]
        new.status = replace(status, podIPs=ips, qosClass=status.qosClass or was.qosClass)

    def validate_status_update(self, new: Pod, old: Pod) -> list[Cause]:
        return validate_pod_status(new, old)

    def prepare_part(self, part: str, new: Pod, old: Pod) -> None:
        """Ephemeral containers, and a resize: each leaves everything else as it was."""
        default_pod(new)
        new.status = old.status
        if new.spec is not None and old.spec is not None:
            new.spec = parts.only(part, new.spec, old.spec)

    def validate_part(self, part: str, new: Pod, old: Pod) -> list[Cause]:
        return parts.validate(part, new, old)

    def warnings_create(self, obj: Pod) -> list[str]:
        assert obj.metadata is not None
        out = name_warning(obj.metadata.name or "", "the Pod's hostname")
        return out + (spec_warnings(obj.spec, "spec") if obj.spec is not None else [])

    def warnings_update(self, new: Pod, old: Pod) -> list[str]:
        if new.spec is None or new.spec == old.spec:
            return []
        return spec_warnings(new.spec, "spec")

    def grace_period(self, obj: Pod, requested: int | None) -> int:
        """As long as asked for, or as the pod says; none for what does not run."""
        spec = obj.spec
        own = spec.terminationGracePeriodSeconds if spec is not None else None
        period = requested if requested is not None else (GRACE_SECONDS if own is None else own)
        phase = obj.status.phase if obj.status is not None else None
        if spec is None or not spec.nodeName or phase in ("Succeeded", "Failed"):
            return 0
        return 1 if period < 0 else period

    def row(self, obj: Pod, now: datetime) -> Row:
        return pod_row(obj, now)
