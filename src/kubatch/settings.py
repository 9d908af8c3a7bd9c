"""Every knob of a kubatch server: its unit, its default, and why that default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True)
class Settings:
    """One server's configuration. Times are in seconds, sizes in bytes."""

    data_dir: Path
    address: str = "127.0.0.1"  # loopback: nobody else may connect unless asked for
    port: int = 6443  # kube-apiserver's own; 0 picks a free one
    kubeconfig: Path | None = None  # None: data_dir / "kubeconfig"
    store: str = "sqlite"  # sqlite or memory
    runtime: str = "auto"  # auto, process or sandbox
    node_name: str = ""  # "": the host's name
    agent: bool = True
    controllers: bool = True
    scheduler: bool = True
    proxy: bool = True  # the addresses of Services answer
    network: str = "host"  # host, or pod: each pod has an address of its own
    pod_cidr: str = "10.244.0.0/24"  # kubeadm's habit; the next free one where it is in use

    body_bytes_max: int = 3_145_728  # kube-apiserver's limit for a request body
    # How much at once. Watches, logs and sessions count as connections only; who has to wait for a
    # turn waits in a queue of the user's own (kube-apiserver's --max-requests-inflight and
    # --max-mutating-requests-inflight; flowcontrol's queueLengthLimit).
    connections_max: int = 8192  # less when the machine allows fewer open files
    reads_inflight_max: int = 400
    writes_inflight_max: int = 200
    user_share: float = 0.5  # of either, for one user; administrators are not held to it
    user_queue_max: int = 250
    answer_bytes_max: int = 256 * 1024 * 1024  # of long answers that clients have not yet taken
    tls_handshake_timeout: float = 10.0
    idle_timeout: float = 90.0  # kube-apiserver's; also how long a request's headers may take
    request_timeout: float = 60.0  # kube-apiserver's --request-timeout; for the body to arrive
    stall_timeout: float = 60.0  # a client that takes nothing of its answer for so long is left
    watch_buffer_events_max: int = 10_000  # a watcher further behind is ended, never buffered more
    history_changes_max: int = 20_000  # how far back a watch may start; older is 410 Expired
    log_file_bytes_max: int = 10 * 1024 * 1024  # kubelet's containerLogMaxSize
    log_files_max: int = 5  # kubelet's containerLogMaxFiles
    max_pods: int = 110  # kubelet's maxPods
    # Below these a pod is ended to save the others. The memory is kubelet's default. Its tenth of
    # the disk is for disks that a node has to itself; here it would refuse every pod on a laptop
    # that is merely well filled.
    eviction_hard: Mapping[str, str] = field(
        default_factory=lambda: {
            "memory.available": "100Mi",
            "nodefs.available": "100Mi",
            "nodefs.inodesFree": "1%",
        }
    )
    image_map: Path | None = None  # what images mean, asked before the map that is shipped
    audit_log: Path | None = None  # None: none is written
    audit_policy: Path | None = None  # what it tells; None: of every request who, what and when
    audit_log_bytes_max: int = 100 * 1024 * 1024  # then it is rotated
    audit_log_files_max: int = 5  # the one being written and those rotated away
    event_ttl: float = 3600.0  # kube-apiserver's --event-ttl
    bookmark_interval: float = 60.0
    watch_timeout: float = 1800.0  # a watch without timeoutSeconds ends after this
    # How long exec, attach and port-forward wait for a client's streams, and how long one may be
    # silent (kubelet's streamCreationTimeout and streamingConnectionIdleTimeout).
    stream_creation_timeout: float = 30.0
    stream_idle_timeout: float = 4 * 3600.0
    shutdown_grace: float = 5.0


def local_zone() -> str:
    """This process's time zone as the database calls it; UTC where that cannot be told.

    As Go finds it: $TZ, or else what /etc/localtime leads to.
    """
    name = os.environ.get("TZ")
    if name is None:
        _, found, name = os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")
        name = name if found else ""
    name = name.removeprefix(":")
    try:
        return ZoneInfo(name).key if name else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
