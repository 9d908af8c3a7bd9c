"""Containers that are to see the processes of another one: `kubectl debug --target`."""

from __future__ import annotations

from kubatch.agent.facts import Capabilities, PodFacts
from kubatch.agent.refuse import shares_processes


class NoTarget(Exception):
    """The container to look into cannot be found; the text is what the kubelet says."""


def target_of(facts: PodFacts, name: str) -> str:
    """The container whose processes a container of the pod is to see; "" where it need not be said.

    kuberuntime_container.go: getTargetID. Raises NoTarget.
    """
    spec = facts.pod.spec
    assert spec is not None
    added = (c for c in spec.ephemeralContainers or () if c.name == name)
    target = next((c.targetContainerName or "" for c in added), "")
    if target and not any(c.name == target and c.latest is not None for c in facts.containers):
        raise NoTarget(f"unable to find target container {target}")
    # Where all see all, that one too is seen.
    return "" if spec.hostPID or shares_processes(spec) else target


def not_followed(facts: PodFacts, name: str, capabilities: Capabilities) -> str:
    """Why a container that runs does not see the processes it was made to see, "" when it does."""
    if not capabilities.mounts or capabilities.privileged:
        return ""  # one without walls sees every process of the machine
    target = target_of(facts, name)
    if not target:
        return ""
    return f"the processes of container {target} can be shared only on a node that runs as root"
