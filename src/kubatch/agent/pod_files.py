"""Files that every pod gets beside its volumes: /etc/hosts and /etc/resolv.conf, and where its
termination messages go.
"""

from __future__ import annotations

import os
from pathlib import Path

from kubatch.agent.pod_names import Resolver, domain, hostname, parse, resolver
from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId, Mount

# pkg/kubelet/container/runtime.go: MaxContainerTerminationMessageLength
MESSAGE_BYTES_MAX = 4096
MESSAGE_PATH = "/dev/termination-log"  # v1.TerminationMessagePathDefault
HOSTS_PATH = "/etc/hosts"
RESOLVER_PATH = "/etc/resolv.conf"
UPSTREAM_PATH = "/run/systemd/resolve/resolv.conf"  # systemd-resolved.service(8)
# pkg/kubelet/kubelet_pods.go: managedHostsFileContent
_LOCAL_NAMES = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


def texts(
    pod: m.Pod, address: str, of_services: str = "", *, own_network: bool = False
) -> tuple[str, str | None]:
    """A pod's /etc/hosts and /etc/resolv.conf; None where the latter is the node's as it stands.

    A pod with a network of its own cannot ask a name server on the machine's loopback.
    """
    asked, of_node = None, node_file(RESOLVER_PATH)
    unreachable = own_network and _all_loopback(parse(of_node))
    if unreachable:
        of_node = node_file(UPSTREAM_PATH) or of_node
        asked = parse(of_node)
    if pod.spec is not None and (pod.spec.dnsConfig is not None or pod.spec.dnsPolicy == "None"):
        asked = resolver(pod, parse(of_node))
    text = hosts(pod, hostname(pod), address, node_file(HOSTS_PATH), of_services)
    return text, None if asked is None else asked.text()


def _all_loopback(of_node: Resolver) -> bool:
    servers = of_node.servers
    return bool(servers) and all(s.startswith("127.") or s == "::1" for s in servers)


def hosts(pod: m.Pod, name: str, address: str, of_node: str, of_services: str = "") -> str:
    """A pod's /etc/hosts (kubelet_pods.go: ensureHostsFile).

    `of_node` is the machine's own. `of_services` are whole lines for names that a cluster's name
    server would tell: Services, and the pods behind headless ones.
    """
    spec = pod.spec
    assert spec is not None
    if spec.hostNetwork:
        text = f"# Kubernetes-managed hosts file (host network).\n{of_node}"
    else:
        names = name
        if of := domain(pod):
            names = f"{name}.{of}\t{name}"
        lines = ("# Kubernetes-managed hosts file.", *_LOCAL_NAMES, f"{address}\t{names}")
        text = "\n".join(lines) + "\n"
    if spec.hostAliases:
        text += "\n# Entries added by HostAliases.\n"
        for alias in spec.hostAliases:
            text += "\t".join((alias.ip, *(alias.hostnames or ()))) + "\n"
    if of_services:
        text += f"\n# Entries added for Services.\n{of_services}"
    return text


def lay_out(
    directory: Path,
    container: m.Container,
    id: ContainerId,
    hosts_text: str,
    resolver_text: str | None = None,
) -> tuple[Mount, ...]:
    """Make the files for one attempt: what to mount. Without a resolver's it has the node's."""
    mounts = []
    message = message_file(directory, id)
    message.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(message, "", 0o666)  # whoever the container runs as may write it
    mounts.append(Mount(container.terminationMessagePath or MESSAGE_PATH, message))
    # A volume over /etc/hosts switches ours off.
    if not any(mount.mountPath == HOSTS_PATH for mount in container.volumeMounts or ()):
        file = directory / "etc-hosts"
        _write(file, hosts_text, 0o644)
        mounts.append(Mount(HOSTS_PATH, file))
    if resolver_text is not None:
        file = directory / "resolv.conf"
        _write(file, resolver_text, 0o644)
        mounts.append(Mount(RESOLVER_PATH, file))
    return tuple(mounts)


def rewrite_hosts(directory: Path, text: str) -> None:
    """Change the names of a pod that has been laid out; it never sees a file without any."""
    try:
        fd = os.open(directory / "etc-hosts", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # nothing has been started yet
    with open(fd, "r+b") as file:
        data = text.encode()
        if file.read() != data:
            file.seek(0)
            file.write(data)
            file.truncate()


def message_file(directory: Path, id: ContainerId) -> Path:
    """Where an attempt leaves its termination message."""
    return directory / "containers" / id.container / str(id.attempt)


def message(directory: Path, id: ContainerId) -> str:
    """An attempt's termination message; "" when there is none."""
    try:
        fd = os.open(message_file(directory, id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        size = os.fstat(fd).st_size
        data = os.pread(fd, MESSAGE_BYTES_MAX, max(0, size - MESSAGE_BYTES_MAX))
    finally:
        os.close(fd)
    return data.decode(errors="replace")


def node_file(path: str) -> str:
    """A file of the machine's own names; "" when there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _write(path: Path, text: str, mode: int) -> None:
    """Into the same file, where there is one: it may be mounted."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(fd, mode)
