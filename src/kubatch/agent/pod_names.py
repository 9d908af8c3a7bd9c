"""What a pod is called inside, and whom it asks for other names. Pure.

pkg/kubelet/kubelet_pods.go: GeneratePodHostNameAndDomain; pkg/kubelet/network/dns/dns.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kubatch.api import models as m

HOSTNAME_CHARS_MAX = 63
FQDN_CHARS_MAX = 64  # of the kernel's own name (pkg/kubelet/util/util.go: GetNodenameForKernel)
CLUSTER_DOMAIN = "cluster.local"
# dns.go, through k8s.io/kubernetes/pkg/apis/core/validation
NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
SEARCH_CHARS_MAX = 2048


class NameTooLong(ValueError):
    """A pod's full name is longer than the kernel takes."""


def hostname(pod: m.Pod) -> str:
    """The pod's host name."""
    assert pod.metadata is not None
    assert pod.spec is not None
    name = pod.spec.hostnameOverride or pod.spec.hostname or pod.metadata.name or ""
    return name[:HOSTNAME_CHARS_MAX].rstrip("-.")


def domain(pod: m.Pod) -> str:
    """The domain that a pod with a subdomain is in; else ""."""
    assert pod.metadata is not None
    assert pod.spec is not None
    if pod.spec.hostnameOverride or not pod.spec.subdomain:
        return ""
    namespace = pod.metadata.namespace or "default"
    return f"{pod.spec.subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}"


def kernel_name(pod: m.Pod, node: str) -> str:
    """What `hostname` says in a container. Raises NameTooLong."""
    assert pod.spec is not None
    if pod.spec.hostNetwork and not pod.spec.hostnameOverride:
        return node
    name, of = hostname(pod), domain(pod)
    if not pod.spec.setHostnameAsFQDN or not of:
        return name
    full = f"{name}.{of}"
    if len(full) > FQDN_CHARS_MAX:
        raise NameTooLong(
            "Failed to construct FQDN from Pod hostname and cluster domain, FQDN "
            f"{full} is too long ({FQDN_CHARS_MAX} characters is the max, "
            f"{len(full)} characters requested)"
        )
    return full


# ----- /etc/resolv.conf


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def text(self) -> str:
        """As the file has it (containerd: pkg/cri/server, parseDNSOptions)."""
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {server}" for server in self.servers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> Resolver:
    """A node's own file (dns.go: parseResolvConf). The last search line counts."""
    found = Resolver()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver" and len(words) > 1:
            found = replace(found, servers=(*found.servers, words[1]))
        elif words[0] == "search":
            searches = tuple("." if word == "." else word.removesuffix(".") for word in words[1:])
            found = replace(found, searches=searches)
        elif words[0] == "options":
            found = replace(found, options=_merged(found.options, words[1:]))
    return found


def resolver(pod: m.Pod, of_node: Resolver, cluster_servers: Sequence[str] = ()) -> Resolver | None:
    """Whom a pod asks for names; None where it is the node's file as it stands.

    Without a name server of the cluster a pod that wants it gets the node's (dns.go: GetPodDNS).
    """
    spec = pod.spec
    assert spec is not None
    policy, config = spec.dnsPolicy or "ClusterFirst", spec.dnsConfig
    asks_cluster = policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not spec.hostNetwork
    )
    if policy == "None":
        found = Resolver()
    elif asks_cluster and cluster_servers:
        found = _of_cluster(pod, of_node, cluster_servers)
    elif config is None:
        return None
    else:
        found = of_node
    if config is not None:
        options = [f"{o.name}:{o.value}" if o.value else o.name or "" for o in config.options or ()]
        found = Resolver(
            _unique((*found.servers, *(config.nameservers or ()))),
            _unique((*found.searches, *(config.searches or ()))),
            _merged(found.options, options),
        )
    return replace(
        found, servers=found.servers[:NAMESERVERS_MAX], searches=_fitting(found.searches)
    )


def _of_cluster(pod: m.Pod, of_node: Resolver, servers: Sequence[str]) -> Resolver:
    assert pod.metadata is not None
    service = f"svc.{CLUSTER_DOMAIN}"
    searches = (f"{pod.metadata.namespace or 'default'}.{service}", service, CLUSTER_DOMAIN)
    return Resolver(tuple(servers), _unique((*searches, *of_node.searches)), ("ndots:5",))


def _merged(options: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Options by name; a later one takes an earlier one's place (dns.go: mergeDNSOptions)."""
    merged: dict[str, str] = {}
    for option in (*options, *more):
        merged[option.partition(":")[0]] = option
    return tuple(merged.values())


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _fitting(searches: tuple[str, ...]) -> tuple[str, ...]:
    """As many as may be (dns.go: formDNSSearchFitsLimits)."""
    kept = searches[:SEARCHES_MAX]
    while len(" ".join(kept)) > SEARCH_CHARS_MAX:
        kept = kept[:-1]
    return kept
