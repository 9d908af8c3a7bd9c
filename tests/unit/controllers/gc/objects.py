"""Owners and dependents in few words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from kubatch.api.models import ConfigMap, Job, Namespace, Node, ObjectMeta, OwnerReference, Pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def meta(
    name: str,
    *,
    namespace: str | None = "default",
    owners: Iterable[OwnerReference] = (),
    deleting: bool = False,
    finalizers: Iterable[str] = (),
    uid: str = "",
) -> ObjectMeta:
    return ObjectMeta(
        name=name,
        namespace=namespace,
        uid=uid or f"uid-{name}",
        ownerReferences=list(owners) or None,
        finalizers=list(finalizers) or None,
        deletionTimestamp=NOW if deleting else None,
    )


def job(name: str = "owner", **words: Any) -> Job:
    return Job(metadata=meta(name, **words))


def pod(name: str = "pod", *owners: OwnerReference, **words: Any) -> Pod:
    return Pod(metadata=meta(name, owners=owners, **words))


def config(name: str, *owners: OwnerReference, **words: Any) -> ConfigMap:
    return ConfigMap(metadata=meta(name, owners=owners, **words))


def space(name: str, *owners: OwnerReference, **words: Any) -> Namespace:
    return Namespace(metadata=meta(name, namespace=None, owners=owners, **words))


def node(name: str, **words: Any) -> Node:
    return Node(metadata=meta(name, namespace=None, **words))


def ref(owner: Any, blocks: bool | None = None) -> OwnerReference:
    """A reference to an object, which may exist or not."""
    return OwnerReference(
        apiVersion=owner.apiVersion,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        blockOwnerDeletion=blocks,
    )
