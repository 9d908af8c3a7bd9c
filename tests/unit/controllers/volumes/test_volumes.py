"""Claims and volumes over the real registry, on virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from kubatch.api import codec
from kubatch.api.resource import EVENTS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS
from kubatch.controllers import volumeprotection, volumes
from kubatch.controllers.volumes import match
from kubatch.controllers.volumes.decide import NO_VOLUMES, decide
from kubatch.controllers.volumes.facts import ClaimFacts, VolumeFacts, read_claim, read_volume
from kubatch.reconcile.decision import Decision, Emit, Patch
from tests.suites.engine import Engine, engine
from tests.suites.virtual_time import virtual_time

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def volume(
    name: str = "v", size: str = "1Gi", meta: dict[str, Any] | None = None, **spec: Any
) -> Any:
    whole = {
        "metadata": {"name": name, **(meta or {})},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/tmp/v"},
            **spec,
        },
    }
    return codec.from_dict(PERSISTENTVOLUMES, whole)[0]


def claim(
    name: str = "c", size: str = "1Gi", meta: dict[str, Any] | None = None, **spec: Any
) -> Any:
    whole = {
        "metadata": {"name": name, "namespace": "default", **(meta or {})},
        "spec": {
            "resources": {"requests": {"storage": size}},
            "accessModes": ["ReadWriteOnce"],
            **spec,
        },
    }
    return codec.from_dict(PERSISTENTVOLUMECLAIMS, whole)[0]


def user(name: str = "p", **spec: Any) -> Any:
    whole = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}],
            **spec,
        },
    }
    return codec.from_dict(PODS, whole)[0]


def start(on: Engine) -> None:
    on.run(volumes.controller(), volumeprotection.controller())


async def has(on: Engine, name: str = "c") -> tuple[str, str]:
    """A claim's phase and volume."""
    found: Any = await on.client.get(PERSISTENTVOLUMECLAIMS, "default", name)
    return found.status.phase, found.spec.volumeName or ""


async def phase(on: Engine, name: str = "v") -> str:
    found: Any = await on.client.get(PERSISTENTVOLUMES, None, name)
    return str(found.status.phase)


async def said(on: Engine, name: str) -> list[tuple[str | None, str | None, str | None]]:
    listing = await on.client.list(EVENTS, "default")
    return [
        (e.type, e.reason, e.message)
        for e in listing.items
        if e.involvedObject and e.involvedObject.name == name
    ]


@virtual_time
async def test_a_claim_gets_a_volume_whichever_comes_first() -> None:
    for first_claim in (True, False):
        async with engine() as on:
            start(on)
            objects: list[tuple[Any, Any]] = [
                (PERSISTENTVOLUMECLAIMS, claim()),
                (PERSISTENTVOLUMES, volume()),
            ]
            for resource, obj in objects if first_claim else reversed(objects):
                await on.client.create(resource, obj)
                await on.quiet(2)
            assert await has(on) == ("Bound", "v")
            bound: Any = await on.client.get(PERSISTENTVOLUMECLAIMS, "default", "c")
            assert bound.metadata.annotations == {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
            }
            assert bound.metadata.finalizers == ["kubernetes.io/pvc-protection"]
            assert bound.status.capacity == {"storage": "1Gi"}
            assert bound.status.accessModes == ["ReadWriteOnce"]
            there: Any = await on.client.get(PERSISTENTVOLUMES, None, "v")
            assert there.status.phase == "Bound"
            assert there.spec.claimRef.uid == bound.metadata.uid
            assert there.metadata.annotations == {"pv.kubernetes.io/bound-by-controller": "yes"}
            assert there.metadata.finalizers == ["kubernetes.io/pv-protection"]


@virtual_time
async def test_two_claims_never_get_one_volume() -> None:
    async with engine() as on:
        start(on)
        await on.client.create(PERSISTENTVOLUMES, volume("v1"))
        await on.quiet()
        for name in "abc":
            await on.client.create(PERSISTENTVOLUMECLAIMS, claim(name))
        await on.quiet()
        await on.client.create(PERSISTENTVOLUMES, volume("v2"))
        await on.quiet()
        found = sorted([await has(on, name) for name in "abc"])
        assert found == [("Bound", "v1"), ("Bound", "v2"), ("Pending", "")]


@virtual_time
async def test_waiting_is_told_once() -> None:
    async with engine() as on:
        start(on)
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim("d", storageClassName="fast"))
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim("e", volumeName="none"))
        await on.quiet(120)
        assert await said(on, "c") == [("Normal", "FailedBinding", NO_VOLUMES)]
        missing = 'storageclass.storage.k8s.io "fast" not found'
        assert await said(on, "d") == [("Warning", "ProvisioningFailed", missing)]
        assert await said(on, "e") == []
        assert await has(on, "e") == ("Pending", "none")


@virtual_time
async def test_a_claim_stays_while_a_pod_uses_it_and_a_volume_while_it_is_bound() -> None:
    async with engine() as on:
        start(on)
        await on.client.create(PERSISTENTVOLUMES, volume())
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
        await on.quiet()
        await on.client.create(PODS, user(nodeName="n1"))
        await on.client.delete(PERSISTENTVOLUMECLAIMS, "default", "c")
        await on.client.delete(PERSISTENTVOLUMES, None, "v")
        await on.quiet()
        assert await on.names(PERSISTENTVOLUMECLAIMS) == ["c"]
        assert await on.names(PERSISTENTVOLUMES) == ["v"]
        await on.client.delete(PODS, "default", "p", grace_period_seconds=0)
        await on.quiet()
        assert await on.names(PERSISTENTVOLUMECLAIMS) == []
        assert await on.names(PERSISTENTVOLUMES) == []


@virtual_time
async def test_a_pod_without_a_node_holds_up_nothing() -> None:
    async with engine() as on:
        start(on)
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
        await on.client.create(PODS, user())
        await on.client.delete(PERSISTENTVOLUMECLAIMS, "default", "c")
        await on.quiet()
        assert await on.names(PERSISTENTVOLUMECLAIMS) == []


@virtual_time
async def test_the_finalizer_is_put_back() -> None:
    async with engine() as on:
        start(on)
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
        await on.quiet()
        await on.client.remove_finalizer(
            PERSISTENTVOLUMECLAIMS, "default", "c", volumeprotection.CLAIM_FINALIZER
        )
        await on.quiet()
        again: Any = await on.client.get(PERSISTENTVOLUMECLAIMS, "default", "c")
        assert again.metadata.finalizers == [volumeprotection.CLAIM_FINALIZER]


@pytest.mark.parametrize(
    ("policy", "end", "event"),
    [
        ("Retain", "Released", []),
        (
            "Delete",
            "Failed",
            [
                (
                    "Warning",
                    "VolumeFailedDelete",
                    'error getting deleter volume plugin for volume "v": '
                    "no deletable volume plugin matched",
                )
            ],
        ),
        (
            "Recycle",
            "Failed",
            [("Warning", "VolumeFailedRecycle", "No recycler plugin found for the volume!")],
        ),
    ],
)
def test_what_a_claim_leaves_behind(policy: str, end: str, event: list[Any]) -> None:
    @virtual_time
    async def story() -> None:
        async with engine() as on:
            start(on)
            await on.client.create(PERSISTENTVOLUMES, volume(persistentVolumeReclaimPolicy=policy))
            await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
            await on.quiet()
            await on.client.delete(PERSISTENTVOLUMECLAIMS, "default", "c")
            await on.quiet()
            assert await phase(on) == end
            assert await said(on, "v") == event
            # Its namesake does not get it.
            await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
            await on.quiet()
            assert await has(on) == ("Pending", "")

    story()


@virtual_time
async def test_a_volume_that_goes_loses_the_claim() -> None:
    async with engine() as on:
        start(on)
        await on.client.create(PERSISTENTVOLUMES, volume())
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim())
        await on.quiet()
        await on.client.delete(PERSISTENTVOLUMES, None, "v")
        await on.client.remove_finalizer(
            PERSISTENTVOLUMES, None, "v", volumeprotection.VOLUME_FINALIZER
        )
        await on.quiet()
        assert await has(on) == ("Lost", "v")
        lost = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        assert (await said(on, "c"))[-1] == ("Warning", "ClaimLost", lost)


@virtual_time
async def test_a_volume_that_names_its_claim_waits_for_it() -> None:
    async with engine() as on:
        start(on)
        ref = {"namespace": "default", "name": "c"}
        await on.client.create(PERSISTENTVOLUMES, volume("a", size="1Gi"))
        await on.client.create(PERSISTENTVOLUMES, volume("b", size="9Gi", claimRef=ref))
        await on.quiet()
        assert await phase(on, "b") == "Available"
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim("d"))
        await on.quiet()
        assert await has(on, "d") == ("Bound", "a")
        await on.client.create(PERSISTENTVOLUMECLAIMS, claim("c"))
        await on.quiet()
        assert await has(on, "c") == ("Bound", "b")


# ----- which volume


def found(volume: Any) -> Any:
    return read_volume(replace(volume, status=replace(volume.status, phase="Available")))


def picked(asked: Any, *there: Any) -> str | None:
    chosen = match.best(read_claim(asked), [found(one) for one in there])
    return None if chosen is None else chosen.name


def labelled(name: str, **labels: str) -> Any:
    return volume(name, meta={"labels": labels})


ELSEWHERE = {"namespace": "x", "name": "c"}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("asked", "there", "chosen"),
    [
        (claim(size="2Gi"), [volume("a", "9Gi"), volume("b", "3Gi"), volume("c")], "b"),
        (claim(size="2Gi"), [volume("a", "1Gi")], None),
        (claim(accessModes=["ReadWriteMany"]), [volume("a")], None),
        (claim(volumeMode="Block"), [volume("a"), volume("b", volumeMode="Block")], "b"),
        (claim(storageClassName="x"), [volume("a"), volume("b", storageClassName="x")], "b"),
        (claim(storageClassName=""), [volume("a", storageClassName="x"), volume("b")], "b"),
        (
            claim(selector={"matchLabels": {"k": "v"}}),
            [labelled("a"), labelled("b", k="v")],
            "b",
        ),
        (claim(), [volume("a", claimRef=ELSEWHERE), volume("b", "8Gi")], "b"),
        (claim(), [volume("b"), volume("a", meta=GOING)], "b"),
    ],
)  # fmt: skip
def test_best(asked: Any, there: list[Any], chosen: str | None) -> None:
    assert picked(asked, *there) == chosen


def test_a_volume_that_is_not_yet_available_is_nobodys() -> None:
    assert match.best(read_claim(claim()), [read_volume(volume())]) is None


# ----- decisions that no story reaches


def notes(decision: Decision) -> list[tuple[str, str]]:
    writes = [write for stage in decision.stages for write in stage.writes]
    return [(w.note.reason, w.note.message) for w in writes if isinstance(w, Emit)]


def about(asked: Any, wanted: Any) -> Decision:
    named = read_volume(wanted) if wanted is not None else None
    return decide(ClaimFacts(read_claim(asked), named, (), ""), NOW)


OTHERS = {"namespace": "default", "name": "x", "uid": "u"}
DONE: dict[str, Any] = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
PINNED: dict[str, Any] = {"volumeName": "v"}


@pytest.mark.parametrize(
    ("asked", "wanted", "note"),
    [
        (claim(size="2Gi", **PINNED), volume(), "requested PV is too small"),
        (claim(storageClassName="x", **PINNED), volume(), "storageClassName does not match"),
        (claim(volumeMode="Block", **PINNED), volume(), "incompatible volumeMode"),
        (claim(accessModes=["ReadOnlyMany"], **PINNED), volume(), "incompatible accessMode"),
        (
            claim(volumeAttributesClassName="x", **PINNED),
            volume(),
            "VolumeAttributesClassName does not match",
        ),
    ],
)
def test_a_named_volume_that_will_not_do(asked: Any, wanted: Any, note: str) -> None:
    message = f'Cannot bind to requested volume "v": {note}'
    assert notes(about(asked, wanted)) == [("VolumeMismatch", message)]


def test_claims_in_trouble() -> None:
    taken = volume(claimRef=OTHERS)
    message = 'volume "v" already bound to a different claim.'
    assert notes(about(claim(**PINNED), taken)) == [("FailedBinding", message)]
    message = "Two claims are bound to the same volume, this one is bound incorrectly"
    assert notes(about(claim(meta=DONE, **PINNED), taken)) == [("ClaimMisbound", message)]
    message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
    assert notes(about(claim(meta=DONE), None)) == [("ClaimLost", message)]
    lost = claim(meta=DONE)
    lost.status.phase = "Lost"
    assert about(lost, None).stages == ()


def test_a_volume_whose_claim_has_another_one() -> None:
    theirs = {"uid": "u"}
    ref = {"namespace": "default", "name": "c", "uid": "u"}
    chosen = {"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}
    for meta, kept in ((chosen, None), ({}, {"uid": None, "resourceVersion": None})):
        mine = read_volume(volume(meta=meta, claimRef=ref))
        other = read_claim(claim(meta=theirs, volumeName="other"))
        [first, _] = decide(VolumeFacts(mine, other, (), ()), NOW).stages
        [write] = first.writes
        assert isinstance(write, Patch)
        assert write.patch["spec"]["claimRef"] == kept
    waits = read_claim(claim(meta=theirs))
    assert decide(VolumeFacts(mine, waits, (), ()), NOW).stages == ()


def test_a_claim_that_names_its_volume() -> None:
    free = volume()
    [first, *_] = about(claim(meta={"uid": "u"}, **PINNED), free).stages
    [write] = first.writes
    assert isinstance(write, Patch)
    assert write.patch["spec"]["claimRef"]["uid"] == "u"
    mine = volume(claimRef={"namespace": "default", "name": "c", "uid": "u"})
    stages = about(claim(meta={"uid": "u"}, **PINNED), mine).stages
    assert len(stages) == 3, "the volume names it already"


def test_a_claim_is_made_pending_once() -> None:
    asked = claim()
    asked.status.phase = "Bound"
    nothing = ClaimFacts(read_claim(asked), None, (), NO_VOLUMES)
    [only] = decide(nothing, NOW).stages
    [write] = only.writes
    assert isinstance(write, Patch)
    assert write.patch["status"] == {"phase": "Pending"}
