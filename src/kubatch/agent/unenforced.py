"""What pods ask of the kernel's security modules, which is accepted and not enforced here.

No pod could be told otherwise than by refusing it, and most manifests name the default profile. So
whoever runs the node is told, once for each kind.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from kubatch.api import models as m

log = logging.getLogger(__name__)

_PROFILES = ("seccompProfile", "appArmorProfile")
_OPTIONS = ("seLinuxOptions",)


class Unenforced:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def look(self, pod: m.Pod) -> None:
        """Say what of a pod is not enforced, unless it was said before."""
        for asked in sorted({*unenforced(pod)} - self._said):
            self._said.add(asked)
            name = pod.metadata.name if pod.metadata is not None else ""
            log.warning(
                "securityContext.%s is accepted and not enforced on this node (pod %s, and any "
                "other from now on)", asked, name,
            )  # fmt: skip


def unenforced(pod: m.Pod) -> Iterator[str]:
    """The fields of a pod that ask for more than this node does."""
    assert pod.spec is not None
    containers = (*(pod.spec.initContainers or ()), *pod.spec.containers)
    for context in (pod.spec.securityContext, *(c.securityContext for c in containers)):
        if context is None:
            continue
        for name in _PROFILES:
            profile = getattr(context, name)
            if profile is not None and profile.type != "Unconfined":
                yield name
        for name in _OPTIONS:
            if getattr(context, name) is not None:
                yield name
