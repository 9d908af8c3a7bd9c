"""Defaults that a Pod has and a template has not (apis/core/v1/defaults.go: SetDefaults_Pod)."""

from __future__ import annotations

from collections.abc import Iterable

from kubatch.api.models import Container, Pod
from kubatch.registry.kinds.podspec.defaults import default_pod_spec


def default_pod(pod: Pod) -> None:
    """Fill in a pod's defaults; limits stand in for requests that are missing."""
    spec = pod.spec
    if spec is None:
        return
    default_pod_spec(spec)
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True
    _requests_from_limits(spec.containers)
    if spec.initContainers:
        _requests_from_limits(spec.initContainers)
    if spec.hostNetwork:
        for c in (*spec.containers, *(spec.initContainers or ())):
            for port in c.ports or ():
                port.hostPort = port.hostPort or port.containerPort


def _requests_from_limits(containers: Iterable[Container]) -> None:
    for c in containers:
        res = c.resources
        if res is not None and res.limits:
            res.requests = {**(res.requests or {}), **_missing(res.limits, res.requests or {})}


def _missing(limits: dict[str, str], requests: dict[str, str]) -> dict[str, str]:
    return {name: amount for name, amount in limits.items() if name not in requests}
