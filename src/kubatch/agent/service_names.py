"""How pods find Services: environment variables, and names in /etc/hosts. Pure.

Variables are those of pkg/kubelet/envvars/envvars.go and kubelet_pods.go: getServiceEnvVarMap. The
names are those that a cluster's name server would tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kubatch.api import models as m

SERVICE_NAME = "kubernetes.io/service-name"
API = ("default", "kubernetes")
DOMAIN = "cluster.local"
# An /etc/hosts is read from its start at each look-up; a pod's own namespace comes first.
LINES_MAX = 5000


def variables(
    services: Iterable[m.Service], namespace: str, *, links: bool, api: bool
) -> dict[str, str]:
    """What containers in a namespace are told of Services that have an address.

    `links` is enableServiceLinks; `api` adds the Service `kubernetes`, of whatever namespace.
    """
    result: dict[str, str] = {}
    for service in services:
        meta, spec = service.metadata, service.spec
        if meta is None or spec is None or spec.clusterIP in (None, "", "None"):
            continue
        is_api = (meta.namespace, meta.name) == API
        if (is_api and api) or (not is_api and meta.namespace == namespace and links):
            result.update(_of(_variable(meta.name or ""), spec))
    return result


def _of(name: str, spec: m.ServiceSpec) -> Iterator[tuple[str, str]]:
    host = spec.clusterIP or ""
    yield f"{name}_SERVICE_HOST", host
    for i, port in enumerate(spec.ports or ()):
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{f'[{host}]' if ':' in host else host}:{port.port}"
        if i == 0:
            yield f"{name}_SERVICE_PORT", str(port.port)
            yield f"{name}_PORT", url
        if port.name:
            yield f"{name}_SERVICE_PORT_{_variable(port.name)}", str(port.port)
        prefix = f"{name}_PORT_{port.port}_{protocol.upper()}"
        yield prefix, url
        yield f"{prefix}_PROTO", protocol.lower()
        yield f"{prefix}_PORT", str(port.port)
        yield f"{prefix}_ADDR", host


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def host_lines(
    services: Sequence[m.Service],
    slices: Mapping[str, Sequence[m.EndpointSlice]],
    namespace: str,
    external: Mapping[str, str],
) -> str:
    """Lines of /etc/hosts for all Services, those of the pod's own namespace first.

    `slices` are by `namespace/name` of their Service. `external` are the addresses of other names:
    a Service of type ExternalName has that of the name it stands for, when it is known.
    """
    own = [one for one in services if one.metadata and one.metadata.namespace == namespace]
    others = [one for one in services if one.metadata and one.metadata.namespace != namespace]
    lines: list[str] = []
    for service in (*own, *others):
        meta = service.metadata
        assert meta is not None
        found = slices.get(f"{meta.namespace}/{meta.name}", ())
        is_own = meta.namespace == namespace
        lines += _lines(service, found, external, is_own=is_own)
        if len(lines) >= LINES_MAX:
            break
    return "".join(f"{line}\n" for line in lines[:LINES_MAX])


def _lines(
    service: m.Service,
    slices: Sequence[m.EndpointSlice],
    external: Mapping[str, str],
    *,
    is_own: bool,
) -> Iterator[str]:
    meta, spec = service.metadata, service.spec
    if meta is None or spec is None:
        return
    domain = f"{meta.name}.{meta.namespace}.svc"
    names = "\t".join(_names(f"{meta.name}", meta.namespace or "", is_own=is_own))
    if spec.type == "ExternalName":
        address = external.get(spec.externalName or "")
        if address:
            yield f"{address}\t{names}"
    elif spec.clusterIP not in (None, "", "None"):
        yield f"{spec.clusterIP}\t{names}"
    else:
        seen: dict[str, None] = {}
        for address, hostname in _ready(slices):
            if address not in seen:
                seen[address] = None
                yield f"{address}\t{names}"
            if hostname:
                short = f"\t{hostname}.{meta.name}" if is_own else ""
                yield f"{address}\t{hostname}.{domain}.{DOMAIN}\t{hostname}.{domain}{short}"


def _names(name: str, namespace: str, *, is_own: bool) -> Iterator[str]:
    yield f"{name}.{namespace}.svc.{DOMAIN}"
    yield f"{name}.{namespace}.svc"
    yield f"{name}.{namespace}"
    if is_own:
        yield name


def _ready(slices: Sequence[m.EndpointSlice]) -> Iterator[tuple[str, str]]:
    for one in slices:
        for endpoint in one.endpoints or ():
            state = endpoint.conditions
            if one.addressType != "FQDN" and (state is None or state.ready is not False):
                yield endpoint.addresses[0], endpoint.hostname or ""


def asks_cluster(pod: m.Pod) -> bool:
    """Whether a pod looks names up in the cluster (pkg/kubelet/network/dns: getPodDNSType)."""
    spec = pod.spec
    if spec is None:
        return False
    policy = spec.dnsPolicy or "ClusterFirst"
    return policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not spec.hostNetwork
    )
