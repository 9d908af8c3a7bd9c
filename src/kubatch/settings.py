"""Every knob of a kubatch server: its unit, its default, and why that default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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

    body_bytes_max: int = 3_145_728  # kube-apiserver's limit for a request body
    watch_buffer_events_max: int = 10_000  # a watcher further behind is ended, never buffered more
    history_changes_max: int = 20_000  # how far back a watch may start; older is 410 Expired
    log_file_bytes_max: int = 10 * 1024 * 1024  # kubelet's containerLogMaxSize
    log_files_max: int = 5  # kubelet's containerLogMaxFiles
    max_pods: int = 110  # kubelet's maxPods
    audit_log: Path | None = None  # None: none is written
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
