"""Files that every pod gets beside its volumes: /etc/hosts, and where termination messages go."""

from __future__ import annotations

import os
from pathlib import Path

from kubatch.api import models as m
from kubatch.runtime.protocol import ContainerId, Mount

# pkg/kubelet/container/runtime.go: MaxContainerTerminationMessageLength
MESSAGE_BYTES_MAX = 4096
MESSAGE_PATH = "/dev/termination-log"  # v1.TerminationMessagePathDefault
HOSTS_PATH = "/etc/hosts"
# pkg/kubelet/kubelet_pods.go: managedHostsFileContent
_LOCAL_NAMES = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


def hosts(pod: m.Pod, hostname: str, address: str, of_node: str) -> str:
    """A pod's /etc/hosts; `of_node` is the machine's own (kubelet_pods.go: ensureHostsFile)."""
    spec, meta = pod.spec, pod.metadata
    assert spec is not None
    assert meta is not None
    if spec.hostNetwork:
        text = f"# Kubernetes-managed hosts file (host network).\n{of_node}"
    else:
        names = hostname
        if spec.subdomain:
            domain = f"{spec.subdomain}.{meta.namespace}.svc.cluster.local"
            names = f"{hostname}.{domain}\t{hostname}"
        lines = ("# Kubernetes-managed hosts file.", *_LOCAL_NAMES, f"{address}\t{names}")
        text = "\n".join(lines) + "\n"
    if spec.hostAliases:
        text += "\n# Entries added by HostAliases.\n"
        for alias in spec.hostAliases:
            text += "\t".join((alias.ip, *(alias.hostnames or ()))) + "\n"
    return text


def lay_out(
    directory: Path, container: m.Container, id: ContainerId, hosts_text: str
) -> tuple[Mount, ...]:
    """Make the files for one attempt: what to mount."""
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
    return tuple(mounts)


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


def node_hosts(path: str = HOSTS_PATH) -> str:
    """The machine's own host names."""
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
