"""A pod's way to the API: the volume with its token that admission gave it, and where the API is.

Nobody asked for that volume, so a pod runs without it where there is nothing to mount it with, or
no server that issues tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubatch.api import models as m

# plugin/pkg/admission/serviceaccount/admission.go: DefaultAPITokenMountPath
VOLUME = "kube-api-access-"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def is_given(mount: m.VolumeMount) -> bool:
    """Whether a mount is what admission gives every container."""
    return mount.name.startswith(VOLUME) and mount.mountPath == MOUNT_PATH


def is_given_volume(volume: m.Volume) -> bool:
    """Whether a volume is the one that admission adds to a pod."""
    return volume.name.startswith(VOLUME) and volume.projected is not None


def variables(address: str, port: int) -> Mapping[str, str]:
    """Where the API is, as clients in pods look it up (pkg/kubelet/envvars: FromServices).

    The server's own address: it leads there also where nobody serves the Service `kubernetes`.
    """
    host = "127.0.0.1" if address in ("", "0.0.0.0", "::") else address
    url = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    return {
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": str(port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(port),
        "KUBERNETES_PORT": url,
        f"KUBERNETES_PORT_{port}_TCP": url,
        f"KUBERNETES_PORT_{port}_TCP_PROTO": "tcp",
        f"KUBERNETES_PORT_{port}_TCP_PORT": str(port),
        f"KUBERNETES_PORT_{port}_TCP_ADDR": host,
    }
