"""Services and the pods behind them, as tests make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kubatch.api import models as m

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def service(name: str = "web", selector: dict[str, str] | None = None, **spec: Any) -> m.Service:
    """A Service in `default`; it selects app=web unless told otherwise."""
    fields: dict[str, Any] = {
        "selector": {"app": "web"} if selector is None else selector,
        "clusterIP": "127.96.1.1",
        "ports": [m.ServicePort(port=80, targetPort=8080, protocol="TCP")],
        **spec,
    }
    meta = m.ObjectMeta(
        name=name, namespace="default", uid=f"uid-{name}", labels={"of": name},
        creationTimestamp=NOW - timedelta(hours=1),
    )  # fmt: skip
    return m.Service(apiVersion="v1", kind="Service", metadata=meta, spec=m.ServiceSpec(**fields))


def pod(
    name: str,
    *,
    ip: str = "10.0.0.1",
    ready: bool = True,
    phase: str = "Running",
    going: bool = False,
    labels: dict[str, str] | None = None,
    port: int | None = None,
    **spec: Any,
) -> m.Pod:
    """A pod of app=web on node `n`; `port` is one that it calls `web`."""
    ports = [m.ContainerPort(containerPort=port, name="web", protocol="TCP")] if port else None
    container = m.Container(name="c", image="busybox", ports=ports)
    condition = m.PodCondition(
        type="Ready", status="True" if ready else "False", lastTransitionTime=NOW
    )
    return m.Pod(
        apiVersion="v1",
        kind="Pod",
        metadata=m.ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels={"app": "web"} if labels is None else labels,
            deletionTimestamp=NOW if going else None,
        ),
        spec=m.PodSpec(**{"containers": [container], "nodeName": "n", **spec}),
        status=m.PodStatus(
            phase=phase,
            conditions=[condition],
            podIP=ip or None,
            podIPs=[m.PodIP(ip=ip)] if ip else None,
        ),
    )


def node(name: str = "n", zone: str = "") -> m.Node:
    """A node, of a zone or none."""
    labels = {"topology.kubernetes.io/zone": zone} if zone else None
    return m.Node(apiVersion="v1", kind="Node", metadata=m.ObjectMeta(name=name, labels=labels))
