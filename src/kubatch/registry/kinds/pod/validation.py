"""What makes a pod, or a change of one, unacceptable.

Follows pkg/apis/core/validation/validation.go: ValidatePodCreate, ValidatePodUpdate,
ValidatePodStatusUpdate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Container, ContainerStatus, NodeAffinity, Pod, PodSpec, PodStatus
from kubatch.registry.kinds.podspec.containers import RESTART_ALL
from kubatch.registry.kinds.podspec.scheduling import validate_tolerations
from kubatch.registry.kinds.podspec.validation import pod_annotations, valid_ip, validate_spec
from kubatch.registry.kinds.rules import INT32_MAX, between, immutable
from kubatch.registry.metadata import dns_subdomain_errors, qualified_name_errors

_CHANGEABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
_PADDED = "must not have leading or trailing whitespace"
DIFFERENCES_SHOWN_MAX = 20


def validate_pod(pod: Pod) -> list[Cause]:
    """What is wrong with a pod, new or changed (validatePodMetadataAndSpec)."""
    out: list[Cause] = []
    assert pod.metadata is not None
    spec = pod.spec
    if pod.metadata.annotations:
        pod_annotations(pod.metadata.annotations, spec, "metadata.annotations", out)
    if spec is None:
        out.append(fields.required("spec.containers"))
        return out
    validate_spec(spec, pod.metadata.name or "", "spec", out)
    for kind, containers in (
        ("containers", spec.containers),
        ("initContainers", spec.initContainers),
    ):
        for i, c in enumerate(containers or ()):
            if c.image and c.image != c.image.strip():
                out.append(fields.invalid(f"spec.{kind}[{i}].image", c.image, _PADDED))
    return out


def validate_new_pod(pod: Pod) -> list[Cause]:
    """What is wrong with a pod that is to be created."""
    out = validate_pod(pod)
    spec = pod.spec
    if spec is not None and spec.ephemeralContainers:
        out.append(fields.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec is not None and spec.nodeName and spec.schedulingGates:
        why = "cannot be set until all schedulingGates have been cleared"
        out.append(fields.forbidden("spec.nodeName", why))
    return out


# ----- changes of the spec


def validate_pod_update(new: Pod, old: Pod) -> list[Cause]:
    """Nearly all of a pod's spec is fixed."""
    out = validate_pod(new)
    if new.spec is None or old.spec is None:
        return out
    spec, was = new.spec, old.spec
    if spec == was:
        return out
    for name in ("containers", "initContainers"):
        if _containers_changed(getattr(spec, name), getattr(was, name), f"spec.{name}", out):
            return out
    if _deadline(spec, was, out):
        return out
    _tolerations_kept(spec, was, out)
    _gates_only_removed(spec, was, out)
    rest = _without_changeable(spec, was)
    if was.schedulingGates:
        rest = _without_directives(rest, was, out)
    if rest != was:
        listed = ",".join(_CHANGEABLE)
        why = f"pod updates may not change fields other than {listed}\n{difference(was, rest)}"
        out.append(fields.forbidden("spec", why))
    return out


def _containers_changed(
    new: Sequence[Container] | None, old: Sequence[Container] | None, path: str, out: list[Cause]
) -> bool:
    if len(new or ()) != len(old or ()):
        out.append(fields.forbidden(path, "pod updates may not add or remove containers"))
        return True
    return False


def _deadline(spec: PodSpec, was: PodSpec, out: list[Cause]) -> bool:
    """activeDeadlineSeconds may be set, and lowered; True when nothing else is looked at."""
    path = "spec.activeDeadlineSeconds"
    now, before = spec.activeDeadlineSeconds, was.activeDeadlineSeconds
    if now is not None:
        if not 0 <= now <= INT32_MAX:
            out.append(fields.invalid(path, now, between(0, INT32_MAX)))
            return True
        if before is not None and before < now:
            why = "must be less than or equal to previous value"
            out.append(fields.invalid(path, now, why))
            return True
    elif before is not None:
        why = "must not update from a positive integer to nil value"
        out.append(fields.invalid(path, "null", why))
    return False


def _tolerations_kept(spec: PodSpec, was: PodSpec, out: list[Cause]) -> None:
    news = spec.tolerations or []
    for old in was.tolerations or ():
        if not any(replace(old, tolerationSeconds=t.tolerationSeconds) == t for t in news):
            why = "existing toleration can not be modified except its tolerationSeconds"
            out.append(fields.forbidden("spec.tolerations", why))
            return
    validate_tolerations(news, "spec.tolerations", out)


def _gates_only_removed(spec: PodSpec, was: PodSpec, out: list[Cause]) -> None:
    had = {gate.name for gate in was.schedulingGates or ()}
    for i, gate in enumerate(spec.schedulingGates or ()):
        if gate.name not in had:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            out.append(fields.forbidden(f"spec.schedulingGates[{i}].name", why))


def _same_images(
    new: Sequence[Container] | None, old: Sequence[Container] | None
) -> list[Container] | None:
    if new is None or old is None:
        return None if new is None else list(new)
    return [replace(c, image=o.image) for c, o in zip(new, old, strict=True)]


def _without_changeable(spec: PodSpec, was: PodSpec) -> PodSpec:
    """The new spec with what may change taken back; what is left must equal the old one."""
    grace = spec.terminationGracePeriodSeconds
    if grace == 1 and (was.terminationGracePeriodSeconds or 0) < 0:
        grace = was.terminationGracePeriodSeconds
    return replace(
        spec,
        containers=_same_images(spec.containers, was.containers),
        initContainers=_same_images(spec.initContainers, was.initContainers),
        activeDeadlineSeconds=was.activeDeadlineSeconds,
        tolerations=was.tolerations,
        schedulingGates=was.schedulingGates,
        terminationGracePeriodSeconds=grace,
    )


def _without_directives(rest: PodSpec, was: PodSpec, out: list[Cause]) -> PodSpec:
    """A gated pod's node selector and node affinity may get narrower."""
    selector, had = rest.nodeSelector or {}, was.nodeSelector or {}
    if any(selector.get(key) != value for key, value in had.items()):
        why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        out.append(fields.invalid("spec.nodeSelector", selector, why))
    affinity = rest.affinity
    new_node = affinity.nodeAffinity if affinity is not None else None
    old_node = was.affinity.nodeAffinity if was.affinity is not None else None
    if new_node != old_node:
        _affinity_narrowed(new_node, old_node, out)
        if affinity is None:
            affinity = replace(was.affinity) if was.affinity is not None else None
        else:
            affinity = replace(affinity, nodeAffinity=old_node)
            if was.affinity is None and not (affinity.podAffinity or affinity.podAntiAffinity):
                affinity = None
    return replace(rest, nodeSelector=was.nodeSelector, affinity=affinity)


def _affinity_narrowed(
    new: NodeAffinity | None, old: NodeAffinity | None, out: list[Cause]
) -> None:
    required = old.requiredDuringSchedulingIgnoredDuringExecution if old is not None else None
    if required is None or not required.nodeSelectorTerms:
        return
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    now = new.requiredDuringSchedulingIgnoredDuringExecution if new is not None else None
    terms = now.nodeSelectorTerms if now is not None else []
    if len(terms) != len(required.nodeSelectorTerms):
        why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        out.append(fields.invalid(f"{path}.nodeSelectorTerms", terms, why))
        return
    for i, (term, had) in enumerate(zip(terms, required.nodeSelectorTerms, strict=True)):
        for name in ("matchExpressions", "matchFields"):
            before, after = getattr(had, name) or [], getattr(term, name) or []
            if after[: len(before)] != before:
                where = f"{path}.nodeSelectorTerms[{i}].{name}"
                why = "only additions are allowed (no mutations or deletions)"
                out.append(fields.invalid(where, after, why))


# ----- changes of the status


def validate_pod_status(new: Pod, old: Pod) -> list[Cause]:
    """A status may say anything but that a finished container runs again."""
    out: list[Cause] = []
    status, was, spec = new.status or PodStatus(), old.status or PodStatus(), old.spec
    assert spec is not None
    for i, condition in enumerate(status.conditions or ()):
        out.extend(
            fields.invalid(f"metadata.conditions[{i}].Type", condition.type, why)
            for why in qualified_name_errors(condition.type)
        )
    nominated = status.nominatedNodeName
    if nominated and nominated != was.nominatedNodeName:
        out.extend(
            fields.invalid("status.nominatedNodeName", nominated, why)
            for why in dns_subdomain_errors(nominated)
        )
    immutable(status.qosClass or "", was.qosClass or "", "status.qosClass", out)
    sidecars = {c.name for c in spec.initContainers or () if c.restartPolicy == "Always"}
    every = (*spec.containers, *(spec.initContainers or ()))
    # podutil.AllContainersCouldRestart: one container's rule may start all of them again.
    whole = any(r.action == RESTART_ALL for c in every for r in c.restartPolicyRules or ())
    restarting = {
        c.name for c in every if whole or c.restartPolicy is not None or c.restartPolicyRules
    }
    for name, exempt, policy in (
        ("containerStatuses", restarting, spec.restartPolicy),
        ("initContainerStatuses", sidecars | restarting, spec.restartPolicy),
        ("ephemeralContainerStatuses", set[str](), "Never"),
    ):
        _transitions(getattr(status, name), getattr(was, name), name, exempt, policy, out)
    _addresses(status, out)
    return out


def _transitions(
    new: Sequence[ContainerStatus] | None,
    old: Sequence[ContainerStatus] | None,
    name: str,
    exempt: set[str],
    policy: str | None,
    out: list[Cause],
) -> None:
    if policy == "Always" or not old:
        return
    ended = {s.name: s.state is not None and s.state.terminated is not None for s in new or ()}
    for i, before in enumerate(old):
        end = before.state.terminated if before.state is not None else None
        if end is None or before.name in exempt:
            continue
        if end.exitCode != 0 and policy == "OnFailure":
            continue
        if ended.get(before.name) is False:
            why = "may not be transitioned to non-terminated state"
            out.append(fields.forbidden(f"status.{name}[{i}].state", why))


def _addresses(status: PodStatus, out: list[Cause]) -> None:
    for i, pod_ip in enumerate(status.podIPs or ()):
        valid_ip(pod_ip.ip, f"status.podIPs[{i}]", out)
    if status.hostIPs:
        first = status.hostIPs[0].ip
        if status.hostIP != first:
            out.append(fields.invalid("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
        for i, host_ip in enumerate(status.hostIPs):
            valid_ip(host_ip.ip, f"status.hostIPs[{i}]", out)


# ----- differences


def difference(old: Any, new: Any) -> str:
    """What differs between two objects, a removed and an added line for each value."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    lines = list(islice(_lines(before, after, "spec"), DIFFERENCES_SHOWN_MAX))
    return "\n".join(lines)


def _lines(old: Any, new: Any, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _lines(old.get(key), new.get(key), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _lines(a, b, f"{path}[{i}]")
    else:
        if old is not None:
            yield f"- {path}: {fields.show(old)}"
        if new is not None:
            yield f"+ {path}: {fields.show(new)}"
