"""pods/ephemeralcontainers and pods/resize: the parts of a pod's spec that change by themselves.

pkg/registry/core/pod/strategy.go: podEphemeralContainersStrategy, podResizeStrategy;
pkg/apis/core/validation/validation.go: ValidatePodEphemeralContainersUpdate, ValidatePodResize.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import Container, EphemeralContainer, Pod, PodSpec
from kubatch.registry.kinds.pod.validation import difference, validate_pod

EPHEMERAL, RESIZE = "ephemeralcontainers", "resize"


def only(part: str, new: PodSpec, old: PodSpec) -> PodSpec:
    """The old spec with this part of the new one."""
    if part == EPHEMERAL:
        return replace(old, ephemeralContainers=new.ephemeralContainers)
    return replace(
        old,
        resources=new.resources,
        containers=_resized(new.containers, old.containers),
        initContainers=_resized(new.initContainers, old.initContainers),
    )


def _resized(
    new: Sequence[Container] | None, old: Sequence[Container] | None
) -> list[Container] | None:
    if not old:
        return None if old is None else []
    wanted = {c.name: c for c in new or ()}
    return [
        replace(c, resources=wanted[c.name].resources, resizePolicy=wanted[c.name].resizePolicy)
        if c.name in wanted
        else c
        for c in old
    ]


def validate(part: str, new: Pod, old: Pod) -> list[Cause]:
    """Everything wrong with a change of a part."""
    if part == RESIZE:
        # No container here can be given more or less while it runs.
        why = "Pod running on node without support for resize"
        return [fields.forbidden("[]", why)] if new.spec != old.spec else []
    out = validate_pod(new)
    path = "spec.ephemeralContainers"
    there = {c.name: c for c in _ephemeral(new)}
    for was in _ephemeral(old):
        now = there.get(was.name)
        if now is None:
            why = f"existing ephemeral containers {fields.show(was.name)} may not be removed\n"
            out.append(fields.forbidden(path, why))
        elif now != was:
            changes = difference(was, now)
            why = f"existing ephemeral containers {fields.show(was.name)} may not be changed\n"
            out.append(fields.forbidden(path, why + changes))
    return out


def _ephemeral(pod: Pod) -> Sequence[EphemeralContainer]:
    return (pod.spec.ephemeralContainers if pod.spec is not None else None) or ()
