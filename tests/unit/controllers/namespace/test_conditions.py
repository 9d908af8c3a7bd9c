"""What a namespace that is going says of what is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from kubatch.api.models import ConfigMap, Namespace, NamespaceStatus, ObjectMeta
from kubatch.api.resource import CONFIGMAPS, NAMESPACES
from kubatch.controllers import namespace
from kubatch.controllers.namespace.decide import decide
from kubatch.controllers.namespace.facts import read
from kubatch.reconcile.controller import Key
from kubatch.reconcile.decision import PutStatus, Stage
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.namespace.test_namespace import config, pod, space
from tests.unit.controllers.static_view import StaticView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FINE = {
    "NamespaceDeletionDiscoveryFailure": (
        "False", "ResourcesDiscovered", "All resources successfully discovered"
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "False", "ParsedGroupVersions", "All legacy kube types successfully parsed"
    ),
    "NamespaceDeletionContentFailure": (
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": (
        "False", "ContentRemoved", "All content successfully removed"
    ),
    "NamespaceFinalizersRemaining": (
        "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
    ),
}  # fmt: skip


def stages(*objects: Any, now: datetime = NOW) -> tuple[Stage, ...]:
    found = read(StaticView(*objects), Key("", "q"))
    assert found is not None
    return decide(found, now).stages


def written(stages: tuple[Stage, ...]) -> Any:
    [put] = [w for one in stages for w in one.writes if isinstance(w, PutStatus)]
    return put.obj


def shown(obj: Any) -> dict[str, tuple[str, str, str]]:
    return {c.type: (c.status, c.reason, c.message) for c in obj.status.conditions}


def test_all_five_at_first() -> None:
    told = written(stages(space(), pod("a"), config("c")))
    assert shown(told) == FINE
    leaving = config("c", deletionTimestamp=NOW, finalizers=["x/y"])
    assert shown(written(stages(space(), pod("a"), leaving))) == FINE, "pods come first"


def test_what_remains() -> None:
    held = [config(n, deletionTimestamp=NOW, finalizers=["x/y"]) for n in ("a", "b")]
    other = config("c", deletionTimestamp=NOW, finalizers=["x/y", "a/b"])
    assert shown(written(stages(space(), *held, other))) == {
        **FINE,
        "NamespaceContentRemaining": (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: configmaps. has 3 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: a/b in 1 resource "
            "instances, x/y in 3 resource instances",
        ),
    }


def test_nothing_new_is_not_written_and_a_change_keeps_the_other_times() -> None:
    held = config("a", deletionTimestamp=NOW, finalizers=["x/y"])
    first = written(stages(space(), held))
    assert stages(first, held) == ()
    later = NOW + timedelta(minutes=1)
    second = config("b", deletionTimestamp=NOW)
    told = written(stages(first, held, second, now=later))
    times = {c.type: c.lastTransitionTime for c in told.status.conditions}
    assert set(times.values()) == {NOW}, "another message is no transition"


def test_a_refused_deletion() -> None:
    [deletions, _] = stages(space(), config("c"))
    assert deletions.after_error is not None
    told = shown(written(deletions.after_error("no")))
    assert told["NamespaceDeletionContentFailure"] == (
        "True",
        "ContentDeletionFailed",
        "Failed to delete all resource types, 1 remaining: no",
    )


@virtual_time
async def test_in_the_engine() -> None:
    async with engine(namespace.controller()) as on:
        await on.namespace("q")
        meta = ObjectMeta(name="c", namespace="q", finalizers=["x/y"])
        await on.client.create(CONFIGMAPS, ConfigMap(metadata=meta))
        await on.client.delete(NAMESPACES, None, "q")
        await on.quiet()
        going: Namespace = await on.client.get(NAMESPACES, None, "q")
        told = shown(going)
        assert told["NamespaceContentRemaining"][0] == "True"
        assert told["NamespaceFinalizersRemaining"][2].endswith("x/y in 1 resource instances")
        before = going.metadata.resourceVersion if going.metadata else None
        await on.quiet()
        still = await on.client.get(NAMESPACES, None, "q")
        assert still.metadata is not None
        assert still.metadata.resourceVersion == before, "it waits and writes nothing"
        await on.client.remove_finalizer(CONFIGMAPS, "q", "c", "x/y")
        await on.until(lambda: "deleted namespaces/q" in on.log)


def test_the_phase_is_kept() -> None:
    begun = replace(space(), status=NamespaceStatus(phase="Terminating"))
    assert written(stages(begun, config("c"))).status.phase == "Terminating"
