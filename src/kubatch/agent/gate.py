"""Looking at each new pod once, before anything is done for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kubatch.agent import limits
from kubatch.agent.admission import Ledger, is_over, node_refuses, was_here
from kubatch.agent.record import PodRecord, uid_of
from kubatch.agent.verdict import Verdict
from kubatch.api import models as m
from kubatch.api.errors import ApiError
from kubatch.api.resource import NODES
from kubatch.client.protocol import Client
from kubatch.reconcile.events import Recorder
from kubatch.runtime.protocol import Runtime
from kubatch.world import World


class Gate:
    """Takes pods in, or refuses them; and says once what it cannot hold them to."""

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        world: World,
        recorder: Recorder,
        node_name: str,
        allocatable: Mapping[str, str],
        *,
        node: Callable[[], m.Node | None],
        pressure: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._client = client
        self._runtime = runtime
        self._recorder = recorder
        self._world = world
        self._node_name = node_name
        self._ledger = Ledger(allocatable)
        self._node = node  # as last seen, which may be some seconds ago
        self._pressure = pressure

    def follow(self, before: m.Pod | None, after: m.Pod | None) -> None:
        """Keep account of pods that were here before, and of those that have ended."""
        if before is not None and (after is None or uid_of(after) != uid_of(before)):
            self._ledger.release(uid_of(before))
        if after is not None:
            if is_over(after):
                self._ledger.release(uid_of(after))
            elif was_here(after):
                self._ledger.take(after)

    async def admit(self, record: PodRecord) -> None:
        """Look at a pod that is new here; what speaks against it becomes its verdict."""
        pod = record.pod
        if pod is None or record.gone or record.attempts or is_over(pod) or was_here(pod):
            record.admitted = True
            return
        assert pod.spec is not None
        # Waited for before the ledger is asked, so that nothing comes between that and taking.
        of_node = await self._node_refuses(pod)
        record.admitted = True
        if record.gone:
            return
        verdict = (
            self._ledger.refuses(pod, self._pressure())
            or of_node
            or self._ledger.port_taken(pod.spec)
        )
        if verdict is not None:
            record.memory = replace(record.memory, verdict=verdict)
            self._recorder.record(pod, "Warning", verdict.reason, verdict.message)
            return
        record.seen_at = self._world.now()
        self._ledger.take(pod)
        self._tell_limits(pod, pod.spec)

    async def _node_refuses(self, pod: m.Pod) -> Verdict | None:
        known = self._node()
        if known is None or node_refuses(pod, known) is None:
            return None
        try:
            # A label may have come since we looked last, and the pod because of it.
            return node_refuses(pod, await self._client.get(NODES, None, self._node_name))
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def _tell_limits(self, pod: m.Pod, spec: m.PodSpec) -> None:
        missing = [name for name in limits.named(spec) if name not in self._runtime.features.limits]
        if missing:
            self._recorder.record(
                pod, "Warning", "LimitsNotEnforced",
                f"The {self._runtime.name} runtime cannot make control groups on this machine, so "
                f"these limits are not enforced: {', '.join(missing)}",
            )  # fmt: skip
