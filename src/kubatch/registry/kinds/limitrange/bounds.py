"""What a LimitRange gives a pod, and what it finds wrong with one; pure.

The sentences are plugin/pkg/admission/limitranger/admission.go's, blanks included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kubatch.api import quantity
from kubatch.api.models import (
    Container,
    LimitRange,
    LimitRangeItem,
    PersistentVolumeClaim,
    Pod,
    ResourceRequirements,
)

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, str]


def _items(limits: LimitRange, kind: str) -> list[LimitRangeItem]:
    found = limits.spec.limits if limits.spec is not None else []
    return [item for item in found if item.type == kind]


# ----- defaults


def fill(pod: Pod, limits: LimitRange) -> None:
    """Give containers their defaults, and say so in an annotation; changes the pod."""
    requests: dict[str, str] = {}
    most: dict[str, str] = {}
    for item in _items(limits, "Container"):
        requests |= item.defaultRequest or {}
        most |= item.default or {}
    if pod.spec is None or pod.metadata is None or not (requests or most):
        return
    notes: list[str] = []
    for c in pod.spec.containers:
        notes += _fill_one(c, "container", requests, most)
    for c in pod.spec.initContainers or ():
        notes += _fill_one(c, "init container", requests, most)
    if notes:
        text = "LimitRanger plugin set: " + "; ".join(notes)
        pod.metadata.annotations = {**(pod.metadata.annotations or {}), ANNOTATION: text}


def _fill_one(c: Container, called: str, requests: Amounts, most: Amounts) -> list[str]:
    res = c.resources = c.resources or ResourceRequirements()
    notes = []
    for name, granted in (("requests", requests), ("limits", most)):
        had: Amounts = getattr(res, name) or {}
        added = {k: v for k, v in granted.items() if k not in had}
        if added:
            setattr(res, name, {**had, **added})
            listed = ", ".join(sorted(added))
            notes.append(f"{listed} {name[:-1]} for {called} {c.name}")
    return notes


# ----- bounds


def pod_errors(pod: Pod, limits: LimitRange) -> list[str]:
    """Everything about a pod that a LimitRange does not allow."""
    out: list[str] = []
    spec = pod.spec
    if spec is None:
        return out
    for item in _items(limits, "Container"):
        for c in (*spec.containers, *(spec.initContainers or ())):
            res = c.resources or ResourceRequirements()
            _check(item, "Container", res.requests or {}, res.limits or {}, out)
    for item in _items(limits, "Pod"):
        first = spec.initContainers or ()
        requests = _whole(_of(spec.containers, "requests"), _of(first, "requests"))
        most = _whole(_of(spec.containers, "limits"), _of(first, "limits"))
        _check(item, "Pod", requests, most, out)
    return list(dict.fromkeys(out))


def _of(containers: Iterable[Container], name: str) -> list[Amounts]:
    return [(getattr(c.resources, name, None) or {}) for c in containers]


def _whole(regular: list[Amounts], first: list[Amounts]) -> dict[str, str]:
    """The pod's amounts: the sum of its containers', or the most one init container takes.

    A resource counts only when every regular container names it (sum in admission.go).
    """
    names = {name for amounts in (*regular, *first) for name in amounts}
    out = {}
    for name in sorted(names):
        texts = [amounts[name] for amounts in regular if name in amounts]
        if len(texts) < len(regular):
            continue
        total = sum((quantity.parse(t) for t in texts), Decimal(0))
        top = max((quantity.parse(a[name]) for a in first if name in a), default=Decimal(0))
        out[name] = quantity.canonical(format(max(total, top), "f"))
    return out


def _check(
    item: LimitRangeItem, kind: str, requests: Amounts, limits: Amounts, out: list[str]
) -> None:
    for name, bound in sorted((item.min or {}).items()):
        said = f"minimum {name} usage per {kind} is {bound}"
        asked, most = requests.get(name), limits.get(name)
        if asked is None:
            # Two blanks, as Kubernetes has it.
            out.append(f"{said}.  No request is specified")
        elif quantity.parse(asked) < quantity.parse(bound):
            out.append(f"{said}, but request is {asked}")
        if most is not None and quantity.parse(most) < quantity.parse(bound):
            out.append(f"{said}, but limit is {most}")
    for name, bound in sorted((item.max or {}).items()):
        said = f"maximum {name} usage per {kind} is {bound}"
        asked, most = requests.get(name), limits.get(name)
        if most is None:
            out.append(f"{said}.  No limit is specified")
        elif quantity.parse(most) > quantity.parse(bound):
            out.append(f"{said}, but limit is {most}")
        if asked is not None and quantity.parse(asked) > quantity.parse(bound):
            out.append(f"{said}, but request is {asked}")
    for name, bound in sorted((item.maxLimitRequestRatio or {}).items()):
        said = f"{name} max limit to request ratio per {kind} is {bound}, but"
        asked_amount = quantity.parse(requests.get(name, "0"))
        most_amount = quantity.parse(limits.get(name, "0"))
        if not asked_amount:
            out.append(f"{said} no request is specified or request is 0")
        elif not most_amount:
            out.append(f"{said} no limit is specified or limit is 0")
        elif most_amount / asked_amount > quantity.parse(bound):
            out.append(f"{said} provided ratio is {most_amount / asked_amount:.6f}")


def claim_errors(claim: PersistentVolumeClaim, limits: LimitRange) -> list[str]:
    """Everything about a claim's size that a LimitRange does not allow."""
    out: list[str] = []
    kind = "PersistentVolumeClaim"
    asked = claim.spec.resources if claim.spec is not None else None
    requests: Amounts = (asked.requests if asked is not None else None) or {}
    for item in _items(limits, kind):
        for word, bounds, wrong in (
            ("minimum", item.min, Decimal.__lt__),
            ("maximum", item.max, Decimal.__gt__),
        ):
            for name, bound in sorted((bounds or {}).items()):
                said = f"{word} {name} usage per {kind} is {bound}"
                amount = requests.get(name)
                if amount is None:
                    out.append(f"{said}.  No request is specified")
                elif wrong(quantity.parse(amount), quantity.parse(bound)):
                    out.append(f"{said}, but request is {amount}")
    return out
