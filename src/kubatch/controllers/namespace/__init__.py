"""Namespaces that are deleted: facts.py reads, decide.py decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubatch.api.models import Namespace, Pod
from kubatch.api.resource import NAMESPACES, PODS
from kubatch.controllers.namespace.decide import decide, is_over
from kubatch.controllers.namespace.facts import BY_NAMESPACE, NamespaceFacts, read
from kubatch.reconcile.controller import Controller, Key


def controller() -> Controller[NamespaceFacts]:
    """The record for the engine."""
    return Controller(
        name="namespace-controller",
        watches={
            NAMESPACES: _namespace_keys,
            **dict.fromkeys(BY_NAMESPACE, _content_keys),
            PODS: _pod_keys,
        },
        read=read,
        decide=decide,
        indexes=tuple(BY_NAMESPACE.values()),
        about=NAMESPACES,
        queue="namespace",
        workers=10,  # kube-controller-manager's --concurrent-namespace-syncs
    )


def _namespace_keys(_before: Namespace | None, after: Namespace | None) -> Iterable[Key]:
    meta = after.metadata if after is not None else None
    if meta is not None and meta.deletionTimestamp is not None:
        yield Key("", meta.name or "")


def _pod_keys(before: Pod | None, after: Pod | None) -> Iterable[Key]:
    """As other content; and a pod that is not waited for any more."""
    if before is not None and after is not None and is_over(after) and not is_over(before):
        assert after.metadata is not None
        yield Key("", after.metadata.namespace or "")
    else:
        yield from _content_keys(before, after)


def _content_keys(before: Any, after: Any) -> Iterable[Key]:
    """The namespace an object came to or went from; other changes cannot end a wait."""
    if before is None or after is None:
        obj = after if before is None else before
        yield Key("", obj.metadata.namespace)
