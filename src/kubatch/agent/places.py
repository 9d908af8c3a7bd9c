"""Where pods are in the network: each at an address of its own, or all at the machine's."""

from __future__ import annotations

from dataclasses import replace

from kubatch.agent.api_access import variables
from kubatch.agent.prepare import Host
from kubatch.agent.record import PodRecord, uid_of
from kubatch.agent.status import is_terminal
from kubatch.api import models as m
from kubatch.reconcile.events import Recorder
from kubatch.runtime.pod_network import NetworkFailed, PodNetwork
from kubatch.runtime.protocol import ContainerState, RuntimeUnavailable


class Places:
    """The network as one node's pods are put into it."""

    def __init__(self, network: PodNetwork | None, recorder: Recorder) -> None:
        """Without a network of pods all of them have the machine's."""
        self._network = network
        self._recorder = recorder

    def has_own(self, pod: m.Pod | None) -> bool:
        """Whether a pod is to have an address of its own."""
        spec = pod.spec if pod is not None else None
        return self._network is not None and spec is not None and not spec.hostNetwork

    def address_of(self, pod: m.Pod) -> str | None:
        """A pod's own address, "" while it has none yet; None where it has the machine's."""
        if self._network is None or not self.has_own(pod):
            return None
        found = self._network.find(uid_of(pod))
        if found is not None:
            return found.address
        known = pod.status is not None and pod.status.podIP
        return None if known else ""  # one that was begun without a network of its own

    async def enter(self, record: PodRecord, host: Host) -> Host:
        """The machine as a pod meets it, whose place is there from now on."""
        if self._network is None or not self.has_own(record.pod):
            return host
        known = self._network.find(record.uid)
        if known is None and record.attempts:
            return host  # begun without a network of its own, and its containers share one
        try:
            found = known or await self._network.attach(record.uid)
        except NetworkFailed as error:
            # pkg/kubelet/kuberuntime/kuberuntime_manager.go: SyncPod
            text = f"Failed to create pod sandbox: {error}"
            if record.pod is not None:
                self._recorder.record(record.pod, "Warning", "FailedCreatePodSandBox", text)
            raise RuntimeUnavailable(text) from error
        if known is None:
            self._tell_of_ports(record)
        record.address = found.address
        api = variables(*self._network.api) if self._network.api is not None else {}
        env = {k: v for k, v in host.env.items() if not k.startswith("KUBERNETES_")}
        return replace(host, env={**env, **api}, pod_address=found.address, network=found.namespace)

    def _tell_of_ports(self, record: PodRecord) -> None:
        """Say which ports of the machine a pod asks for and does not get."""
        spec = record.pod.spec if record.pod is not None else None
        for container in spec.containers if spec is not None else ():
            for port in container.ports or ():
                if port.hostPort and record.pod is not None:
                    text = (
                        f"hostPort {port.hostPort} is not served where pods have addresses of "
                        "their own: use a Service with a node port"
                    )
                    self._recorder.record(record.pod, "Warning", "HostPortNotServed", text)

    async def clear_up(self, record: PodRecord) -> None:
        """Give up the place of a pod that has ended."""
        if self._network is None or self._network.find(record.uid) is None:
            return
        status = record.pod.status if record.pod is not None else None
        over = record.gone or (status is not None and is_terminal(status.phase or ""))
        runs = any(a.state is ContainerState.RUNNING for a in record.attempts.values())
        if over and not runs:
            await self._network.release(record.uid)
