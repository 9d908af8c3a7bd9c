"""Which pods get an address of their own, when, and when they lose it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from kubatch.agent.facts import Capabilities
from kubatch.agent.places import Places
from kubatch.agent.prepare import Host
from kubatch.agent.record import PodRecord
from kubatch.api import models as m
from kubatch.runtime.images import ImageMap
from kubatch.runtime.pod_network import Attachment, NetworkFailed
from kubatch.runtime.protocol import Container, ContainerId, ContainerState, RuntimeUnavailable

ENV = {"PATH": "/bin", "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_PORT": "x"}
HOST = Host("n", "10.244.0.1", "process", Path("/logs"), ImageMap(()), Capabilities(), ENV)
PLACE = Attachment("10.244.0.2", Path("/run/netns/kb-1"))
STARTED = ContainerId("u", "c", 0)


class Network:
    """A network of pods in which every pod has one and the same place, or none can have any."""

    gateway = "10.244.0.1"
    api: tuple[str, int] | None = ("127.96.0.1", 443)

    def __init__(self, error: str = "") -> None:
        self.places: dict[str, Attachment] = {}
        self.error = error

    async def attach(self, uid: str) -> Attachment:
        if self.error:
            raise NetworkFailed(self.error)
        return self.places.setdefault(uid, PLACE)

    def find(self, uid: str) -> Attachment | None:
        return self.places.get(uid)

    async def release(self, uid: str) -> None:
        self.places.pop(uid, None)

    async def sweep(self, kept: Iterable[str]) -> None:
        for uid in self.places.keys() - set(kept):
            del self.places[uid]


class Events:
    """What was told about pods."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def record(
        self, about: object, type: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        self.told.append((reason, message))


def pod(
    phase: str = "", ip: str | None = None, host_port: int | None = None, **spec: bool
) -> m.Pod:
    ports = [m.ContainerPort(containerPort=80, hostPort=host_port)]
    container = m.Container(name="c", ports=ports)
    return m.Pod(
        metadata=m.ObjectMeta(name="p", namespace="ns", uid="u"),
        spec=m.PodSpec(containers=[container], **spec),  # type: ignore[arg-type]
        status=m.PodStatus(phase=phase or None, podIP=ip),
    )


def running(state: ContainerState = ContainerState.RUNNING) -> dict[ContainerId, Container]:
    return {STARTED: Container(STARTED, state, None, None)}


@pytest.mark.parametrize(
    ("one", "attached", "address"),
    [
        (pod(), False, ""),
        (pod(), True, "10.244.0.2"),
        (pod(hostNetwork=True), False, None),
        # One that an earlier server began without a network of pods keeps the machine's.
        (pod(ip="127.0.0.1"), False, None),
    ],
)
def test_the_address_of_a_pod(one: m.Pod, attached: bool, address: str | None) -> None:
    network = Network()
    if attached:
        network.places["u"] = PLACE
    assert Places(network, Events()).address_of(one) == address
    assert Places(None, Events()).address_of(one) is None


async def test_whoever_enters_meets_another_machine() -> None:
    record = PodRecord("u", pod())
    host = await Places(Network(), Events()).enter(record, HOST)
    assert (host.pod_address, host.network) == (PLACE.address, PLACE.namespace)
    assert record.address == PLACE.address
    assert host.env["PATH"] == "/bin"
    assert host.env["KUBERNETES_SERVICE_HOST"] == "127.96.0.1"
    assert host.env["KUBERNETES_PORT"] == "tcp://127.96.0.1:443"


@pytest.mark.parametrize(
    "record",
    [PodRecord("u", pod(hostNetwork=True)), PodRecord("u", pod(), running())],
    ids=["host network", "begun without"],
)
async def test_who_has_the_machines_network_meets_the_machine(record: PodRecord) -> None:
    network = Network()
    assert await Places(network, Events()).enter(record, HOST) is HOST
    assert not network.places


async def test_where_no_place_can_be_made_an_event_says_why() -> None:
    events = Events()
    with pytest.raises(RuntimeUnavailable, match="bridge: no IP addresses"):
        await Places(Network("bridge: no IP addresses"), events).enter(PodRecord("u", pod()), HOST)
    text = "Failed to create pod sandbox: bridge: no IP addresses"
    assert events.told == [("FailedCreatePodSandBox", text)]


async def test_a_port_of_the_host_is_told_once_to_be_missing() -> None:
    events, record = Events(), PodRecord("u", pod(host_port=8080))
    places = Places(Network(), events)
    await places.enter(record, HOST)
    await places.enter(record, HOST)
    assert [reason for reason, _ in events.told] == ["HostPortNotServed"]


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        (PodRecord("u", pod("Running"), running()), True),
        (PodRecord("u", pod("Pending")), True),
        (PodRecord("u", pod("Succeeded"), running()), True),
        (PodRecord("u", pod("Failed"), running(ContainerState.EXITED)), False),
        (PodRecord("u", pod("Running"), running(), gone=True), True),
        (PodRecord("u", None, gone=True), False),
    ],
)
async def test_a_place_goes_when_the_pod_is_over(record: PodRecord, kept: bool) -> None:
    network = Network()
    network.places["u"] = PLACE
    await Places(network, Events()).clear_up(record)
    assert ("u" in network.places) is kept
