"""The ConfigMap `kube-root-ca.crt` of every namespace: by what pods know the API server.

The rules are pkg/controller/certificates/rootcacertpublisher/publisher.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubatch.api.models import ConfigMap, Namespace, ObjectMeta
from kubatch.api.resource import CONFIGMAPS, NAMESPACES
from kubatch.reconcile.controller import Controller, Key, View
from kubatch.reconcile.decision import Create, Decision, Patch, stage

NAME = "kube-root-ca.crt"
KEY = "ca.crt"
ANNOTATION = "kubernetes.io/description"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


@dataclass(frozen=True, slots=True)
class RootCaFacts:
    """An active namespace, and what its ConfigMap holds; None when it has none."""

    namespace: str
    certificate: str
    data: tuple[tuple[str, str], ...] | None
    described: bool = False


def controller(certificate: str) -> Controller[RootCaFacts]:
    """The record for the engine; a key is a namespace. `certificate` is PEM."""

    def read_facts(view: View, key: Key, _remembered: object = None) -> RootCaFacts | None:
        return read(view, key, certificate)

    return Controller(
        name="root-ca-certificate-publisher-controller",
        watches={NAMESPACES: _namespace_keys, CONFIGMAPS: _map_keys},
        read=read_facts,
        decide=decide,
        workers=1,
    )


def _namespace_keys(_before: Namespace | None, after: Namespace | None) -> Iterable[Key]:
    if after is not None and after.metadata is not None:
        yield Key("", after.metadata.name or "")


def _map_keys(before: ConfigMap | None, after: ConfigMap | None) -> Iterable[Key]:
    known = after or before
    if known is not None and known.metadata is not None and known.metadata.name == NAME:
        yield Key("", known.metadata.namespace or "")


def read(view: View, key: Key, certificate: str) -> RootCaFacts | None:
    """The facts about a namespace; None when it is going."""
    space = view.get(NAMESPACES, None, key.name)
    if space is None or space.metadata is None or space.metadata.deletionTimestamp is not None:
        return None
    if space.status is None or space.status.phase != "Active":
        return None
    found = view.get(CONFIGMAPS, key.name, NAME)
    if found is None:
        return RootCaFacts(key.name, certificate, None)
    annotations = (found.metadata.annotations if found.metadata is not None else None) or {}
    data = tuple(sorted((found.data or {}).items()))
    return RootCaFacts(key.name, certificate, data, bool(annotations.get(ANNOTATION)))


def decide(facts: RootCaFacts, _now: datetime) -> Decision:
    """Create what is missing, put right what somebody changed."""
    wanted = {KEY: facts.certificate}
    annotations = {ANNOTATION: DESCRIPTION}
    if facts.data is None:
        meta = ObjectMeta(name=NAME, namespace=facts.namespace, annotations=annotations)
        made = Create(
            CONFIGMAPS,
            ConfigMap(metadata=meta, data=wanted),
            ignore_causes=("NamespaceTerminating",),
        )
        return Decision(f"has no {NAME}: creates it", (stage(made),))
    if dict(facts.data) == wanted and facts.described:
        return Decision(f"has its {NAME}")
    others = {key: None for key, _ in facts.data if key != KEY}
    patch = {"metadata": {"annotations": annotations}, "data": {**others, **wanted}}
    write = Patch(CONFIGMAPS, facts.namespace, NAME, patch)
    return Decision(f"{NAME} was changed: restores it", (stage(write),))
