"""From a container of a pod to what a runtime can start, or the problem that prevents it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from kubatch.agent import limits
from kubatch.agent.env import EnvError, PodContext, Sources, build, expand
from kubatch.agent.env_files import read_files
from kubatch.agent.facts import Capabilities, PodFacts, Problem
from kubatch.agent.mounting import MountError, mounts
from kubatch.agent.pod_names import NameTooLong, kernel_name
from kubatch.agent.refuse import has_company, refusal, shares_processes
from kubatch.agent.targets import NoTarget, target_of
from kubatch.agent.volumes import Mounted
from kubatch.api import models as m
from kubatch.runtime.images import ImageMap, argv
from kubatch.runtime.protocol import ContainerId, ContainerSpec, Isolation, Mount


@dataclass(frozen=True, slots=True)
class Host:
    """The machine as containers meet it."""

    node_name: str
    address: str
    runtime_name: str
    logs: Path  # under it a directory per pod
    images: ImageMap
    capabilities: Capabilities
    env: Mapping[str, str]  # what every container gets unless it says otherwise: PATH, HOME
    allocatable: Mapping[str, str] = field(default_factory=dict)
    home_of: Callable[[int], str] = lambda uid: "/"
    # Where a pod has a network of its own: its address there, and the namespace.
    pod_address: str = ""
    network: Path | None = None


def prepare(
    facts: PodFacts,
    container: m.Container,
    attempt: int,
    sources: Sources,
    host: Host,
    now: datetime,
    volumes: Mapping[str, Mounted] | None = None,
    more_mounts: tuple[Mount, ...] = (),
) -> ContainerSpec | Problem:
    """Everything needed to run a container, in the order in which the kubelet looks at it.

    `volumes` are those of the pod that are set up; `more_mounts` come before the container's own.
    """
    why = refusal(container, facts.pod, host.capabilities, host.runtime_name)
    if why is not None:
        return Problem("CreateContainerConfigError", why, now, permanent=True)
    context = PodContext(host.node_name, host.address, host.allocatable, host.pod_address)
    try:
        name = kernel_name(facts.pod, host.node_name)
        target = target_of(facts, container.name)
        if files := read_files(facts.pod, container, volumes or {}):
            sources = replace(sources, files=files)
        asked = build(facts.pod, container, sources, context)
        mounted = more_mounts
        if host.capabilities.mounts:
            mounted += mounts(container, volumes or {}, asked)
    except (EnvError, MountError, NameTooLong, NoTarget) as error:
        return Problem("CreateContainerConfigError", str(error), now)
    image = container.image or ""
    entry = host.images.resolve(image)
    words = argv(
        entry,
        [expand(word, asked) for word in container.command or ()],
        [expand(word, asked) for word in container.args or ()],
    )
    if not words:
        return _no_command(image, now)
    isolation = _isolation(facts.pod, container, host, name, target)
    env = {**host.env, "HOSTNAME": name, **(entry.env if entry else {}), **asked}
    if isolation is not None and isolation.user not in (None, host.capabilities.uid):
        # cri: the home of the user as /etc/passwd has it
        env["HOME"] = asked.get("HOME", host.home_of(isolation.user or 0))
    if container.tty:
        env.setdefault("TERM", "xterm")
    return ContainerSpec(
        id=ContainerId(facts.uid, container.name, attempt),
        argv=words,
        env=env,
        working_dir=container.workingDir or (entry.working_dir if entry else None),
        log_path=log_path(host.logs, facts, container.name, attempt),
        labels=_labels(facts, container),
        tty=bool(container.tty),
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdinOnce),
        mounts=mounted,
        isolation=isolation,
        limits=limits.of_container(container),
        pod_limits=limits.of_pod(facts.pod.spec) if facts.pod.spec is not None else None,
        network=host.network,
    )


def _no_command(image: str, now: datetime) -> Problem:
    return Problem(
        "CreateContainerError",
        f'no command specified: image "{image}" is not in the image map; '
        "give the container a command, or map the image with --image-map",
        now,
        permanent=True,
    )


def _labels(facts: PodFacts, container: m.Container) -> dict[str, str]:
    return {
        "io.kubernetes.pod.namespace": facts.namespace,
        "io.kubernetes.pod.name": facts.name,
        "io.kubernetes.pod.uid": facts.uid,
        "io.kubernetes.container.name": container.name,
    }


def _isolation(
    pod: m.Pod, container: m.Container, host: Host, name: str, target: str
) -> Isolation | None:
    """Who the container runs as, and what it may do; a container's own word counts first."""
    if not host.capabilities.mounts:
        return None
    assert pod.spec is not None
    own = container.securityContext or m.SecurityContext()
    of_pod = pod.spec.securityContext or m.PodSecurityContext()
    groups = list(of_pod.supplementalGroups or ())
    # Without root's rights all files are the one user's, who needs no group to reach them.
    if of_pod.fsGroup is not None and host.capabilities.groups:
        groups.append(of_pod.fsGroup)
    capabilities = own.capabilities or m.core_v1.Capabilities()
    return Isolation(
        hostname=name,
        user=of_pod.runAsUser if own.runAsUser is None else own.runAsUser,
        group=of_pod.runAsGroup if own.runAsGroup is None else own.runAsGroup,
        groups=tuple(dict.fromkeys(groups)),
        read_only_root=bool(own.readOnlyRootFilesystem),
        capabilities_add=_names(capabilities.add),
        capabilities_drop=_names(capabilities.drop),
        privileged=bool(own.privileged),
        host_processes=bool(pod.spec.hostPID),
        host_ipc=bool(pod.spec.hostIPC),
        pod_processes=shares_processes(pod.spec),
        processes_of=target if host.capabilities.privileged else "",
        pod_ipc=host.capabilities.privileged and not pod.spec.hostIPC and has_company(pod.spec),
    )


def _names(capabilities: list[str] | None) -> frozenset[str]:
    return frozenset(name.upper().removeprefix("CAP_") for name in capabilities or ())


def logs_directory(data_dir: Path) -> Path:
    """Where the logs of all pods are."""
    return data_dir.absolute() / "logs" / "pods"


def pod_log_directory(logs: Path, namespace: str, name: str, uid: str) -> Path:
    """Where a pod's logs are (pkg/kubelet/kuberuntime/helpers.go: BuildPodLogsDirectory)."""
    return logs / f"{namespace}_{name}_{uid}"


def log_path(logs: Path, facts: PodFacts, container: str, attempt: int) -> Path:
    """One attempt's log file."""
    directory = pod_log_directory(logs, facts.namespace, facts.name, facts.uid)
    return directory / container / f"{attempt}.log"
