from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.errors import ApiError, Cause
from kubatch.api.models import (
    ConfigMap,
    Container,
    Node,
    NodeStatus,
    ObjectMeta,
    Pod,
    PodSpec,
    PodStatus,
)
from kubatch.api.resource import CONFIGMAPS, NAMESPACES, NODES, PODS, Resource
from kubatch.client.local import LocalClient
from kubatch.reconcile.apply import NOT_CACHED, Applied, apply
from kubatch.reconcile.decision import (
    Absent,
    Bind,
    Create,
    Decision,
    Delete,
    Emit,
    Note,
    Patch,
    PutStatus,
    RemoveFinalizer,
    Stage,
    Unchanged,
    Write,
    stage,
)
from kubatch.registry.api import Registry
from tests.suites.engine import engine
from tests.suites.virtual_time import virtual_time
from tests.unit.controllers.static_view import StaticView

T = TypeVar("T")

DONE = Note("Normal", "Done", "wrote {name}")
FAILED = Note("Warning", "Failed", "{name}: {error}")


class Recorder:
    """A Recorder that keeps what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def record(
        self, about: Any, type: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        self.said.append(f"{about} {type} {reason} {message}")


class RefusingClient(LocalClient):
    """Refuses to create objects of certain names; says how many requests were open at once."""

    def __init__(self, registry: Registry, refused: dict[str, ApiError]) -> None:
        super().__init__(registry)
        self.refused = refused
        self.tried: list[str] = []
        self.open = self.open_max = 0

    async def create(self, resource: Resource[T], obj: T) -> T:
        name = getattr(obj, "metadata").name  # noqa: B009 - T has no bound
        self.tried.append(name)
        self.open += 1
        self.open_max = max(self.open_max, self.open)
        try:
            await asyncio.sleep(1)
            if name in self.refused:
                raise self.refused[name]
            return await super().create(resource, obj)
        finally:
            self.open -= 1


def config(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))


def create(name: str, **words: Any) -> Create:
    return Create(CONFIGMAPS, config(name), **words)


def refusal(*causes: Cause) -> ApiError:
    return errors.forbidden("", "configmaps", "x", "no", *causes)


class Bench:
    """An API, and what applying decisions did to it."""

    def __init__(self, client: RefusingClient) -> None:
        self.client = client
        self.recorder = Recorder()

    async def apply(self, *stages: Stage, subject: Any = "subject") -> Applied:
        decision = Decision("a test", stages, subject=subject)
        return await apply(decision, self.client, self.recorder)

    async def names(self) -> list[str]:
        listing = await self.client.list(CONFIGMAPS, "default")
        return [obj.metadata.name or "" for obj in listing.items if obj.metadata]


def with_bench(test: Callable[[Bench], Any], refused: dict[str, ApiError] | None = None) -> None:
    @virtual_time
    async def scenario() -> None:
        async with engine() as on:
            await test(Bench(RefusingClient(on.registry, refused or {})))

    scenario()


# ----- stages


def test_writes_of_a_stage_happen_together_and_stages_one_after_the_other() -> None:
    async def test(on: Bench) -> None:
        applied = await on.apply(stage(create("a"), create("b")), stage(create("c")))
        assert applied.error is None
        assert on.client.open_max == 2
        assert asyncio.get_running_loop().time() == 2
        assert await on.names() == ["a", "b", "c"]

    with_bench(test)


def test_a_stage_is_finished_after_an_error_and_the_next_not_begun() -> None:
    async def test(on: Bench) -> None:
        applied = await on.apply(stage(create("a"), create("b"), create("c")), stage(create("d")))
        assert applied.error is not None
        assert applied.error.code == 403
        assert await on.names() == ["a", "c"]

    with_bench(test, {"b": refusal()})


@pytest.mark.parametrize(
    ("refused", "tried"),
    [("", "abcdefgh"), ("a", "a"), ("b", "abc"), ("d", "abcdefg"), ("h", "abcdefgh")],
)
def test_slow_start_doubles_its_batches_and_stops_after_an_error(refused: str, tried: str) -> None:
    async def test(on: Bench) -> None:
        await on.apply(stage(*map(create, "abcdefgh"), slow_start=True))
        assert sorted(on.client.tried) == list(tried)

    with_bench(test, {refused: refusal()})


def test_after_an_error_the_stages_in_its_stead_are_carried_out() -> None:
    def instead(done: int) -> tuple[Stage, ...]:
        # Its own `otherwise` is for its own failure, which does not come.
        fallback = Stage((create("c"),), otherwise=lambda _: (stage(create("never")),))
        return (fallback, stage(create(f"done-{done}")))

    async def test(on: Bench) -> None:
        failing = Stage((create("a"), create("b")), otherwise=instead)
        applied = await on.apply(failing, stage(create("z")))
        assert applied.error is not None
        assert await on.names() == ["a", "c", "done-1"]

    with_bench(test, {"b": refusal()})


@pytest.mark.parametrize(
    ("refused", "names", "covered"),
    [("b", ["a", "c", "d"], True), ("bc", ["a"], False), ("bd", ["a", "c"], False)],
)
def test_a_failure_is_covered_once_everything_in_its_stead_is_done(
    refused: str, names: list[str], covered: bool
) -> None:
    async def test(on: Bench) -> None:
        instead = (stage(create("c")), stage(create("d")))
        applied = await on.apply(Stage((create("a"), create("b")), otherwise=lambda _: instead))
        assert applied.error is not None
        assert applied.covered is covered
        assert await on.names() == names

    with_bench(test, {name: refusal() for name in refused})


def test_without_an_error_nothing_is_done_in_its_stead() -> None:
    async def test(on: Bench) -> None:
        applied = await on.apply(Stage((create("a"),), otherwise=lambda _: (stage(create("b")),)))
        assert applied.error is None
        assert await on.names() == ["a"]

    with_bench(test)


def test_what_is_done_after_an_error_may_repeat_it() -> None:
    async def test(on: Bench) -> None:
        failing = Stage((create("a"),), after_error=lambda said: (stage(create(said[-2:])),))
        applied = await on.apply(failing)
        assert applied.error is not None
        assert applied.covered
        assert await on.names() == ["no"]

    with_bench(test, {"a": refusal()})


# ----- writes


def test_a_name_that_is_taken_may_count_as_done() -> None:
    async def test(on: Bench) -> None:
        await on.apply(stage(create("a")))
        write = create("a", done=DONE, failed=FAILED, ignore_causes=("AlreadyExists",))
        applied = await on.apply(stage(write), stage(create("b")))
        assert applied.error is None
        assert on.recorder.said == []
        assert await on.names() == ["a", "b"]

    with_bench(test)


def test_what_has_changed_stops_the_turn() -> None:
    async def test(on: Bench) -> None:
        made = await on.client.create(CONFIGMAPS, config("a"))
        seen = (made.metadata.resourceVersion if made.metadata else "") or ""
        check = Unchanged(CONFIGMAPS, "default", "a", seen)
        assert (await on.apply(stage(check), stage(create("b")))).error is None
        await on.client.patch(CONFIGMAPS, "default", "a", {"data": {"a": "b"}})
        applied = await on.apply(stage(check), stage(create("c")))
        assert applied.error is not None
        assert applied.error.code == 409
        assert await on.names() == ["a", "b"]

    with_bench(test)


def test_a_creation_and_its_events() -> None:
    async def test(on: Bench) -> None:
        await on.apply(stage(create("a", done=DONE, failed=FAILED)))
        await on.apply(stage(create("b", done=DONE, failed=FAILED)))
        assert on.recorder.said == [
            "subject Normal Done wrote a",
            'subject Warning Failed b: configmaps "x" is forbidden: no',
        ]

    with_bench(test, {"b": refusal()})


def test_a_cause_that_is_expected_counts_as_done_without_an_event() -> None:
    async def test(on: Bench) -> None:
        write = create("a", failed=FAILED, ignore_causes=("NamespaceTerminating",))
        applied = await on.apply(stage(write), stage(create("b")))
        assert applied.error is None
        assert on.recorder.said == []
        assert await on.names() == ["b"]

    with_bench(test, {"a": refusal(Cause("NamespaceTerminating", "is being terminated"))})


def test_a_deletion_hits_only_the_object_meant() -> None:
    async def test(on: Bench) -> None:
        kept = await on.client.create(CONFIGMAPS, config("kept"))
        gone = await on.client.create(CONFIGMAPS, config("gone"))
        assert kept.metadata is not None
        assert gone.metadata is not None
        applied = await on.apply(
            stage(
                Delete(CONFIGMAPS, "default", "kept", "another uid", done=DONE),
                Delete(CONFIGMAPS, "default", "gone", gone.metadata.uid or "", done=DONE),
                Delete(CONFIGMAPS, "default", "never was", "u", done=DONE, failed=FAILED),
            )
        )
        assert applied.error is None
        assert await on.names() == ["kept"]
        assert on.recorder.said == ["subject Normal Done wrote gone"]
        assert applied.revisions[CONFIGMAPS] > int(gone.metadata.resourceVersion or 0)

    with_bench(test)


@pytest.mark.parametrize(
    "write",
    [
        Patch(CONFIGMAPS, "default", "none", {"data": {"a": "b"}}),
        RemoveFinalizer(CONFIGMAPS, "default", "none", "x/y"),
        Bind("default", "none", "u", "node"),
        Absent(CONFIGMAPS, "default", "none"),
        Absent(CONFIGMAPS, "default", "none", "u"),
        Absent(CONFIGMAPS, "default"),
        Unchanged(CONFIGMAPS, "default", "none", "5"),
    ],
)
def test_what_is_gone_counts_as_done(write: Write) -> None:
    async def test(on: Bench) -> None:
        applied = await on.apply(stage(write), stage(create("a")))
        assert applied.error is None
        assert await on.names() == ["a"]

    with_bench(test)


@pytest.mark.parametrize(
    ("name", "own_uid", "passes"),
    [("", False, False), ("a", False, True), ("a", True, False), ("b", True, True)],
)
def test_an_absence_is_confirmed_by_the_api(name: str, own_uid: bool, passes: bool) -> None:
    async def test(on: Bench) -> None:
        there = await on.client.create(CONFIGMAPS, config("a"))
        assert there.metadata is not None
        uid = (there.metadata.uid or "") if own_uid else "another"
        applied = await on.apply(
            stage(Absent(CONFIGMAPS, "default", name, uid)), stage(create("z"))
        )
        assert (applied.error is None) is passes
        assert await on.names() == (["a", "z"] if passes else ["a"])

    with_bench(test)


@pytest.mark.parametrize(
    "write",
    [
        Delete(NAMESPACES, None, "default", "", failed=FAILED),
        Patch(CONFIGMAPS, "default", "a", [{"op": "remove", "path": "/data/x"}], type="json"),
        Patch(CONFIGMAPS, "default", "a", {"metadata": {"uid": "another"}}),
    ],
)
def test_what_the_api_refuses_ends_the_turn(write: Write) -> None:
    async def test(on: Bench) -> None:
        await on.client.create(CONFIGMAPS, config("a"))
        applied = await on.apply(stage(write), stage(create("z")))
        assert applied.error is not None
        assert await on.names() == ["a"]
        if isinstance(write, Delete):
            assert on.recorder.said[0].startswith("subject Warning Failed default: namespaces")

    with_bench(test)


def test_a_binding_once() -> None:
    async def test(on: Bench) -> None:
        made = await on.client.create(PODS, unbound())
        assert made.metadata is not None
        bind = Bind("default", "a", made.metadata.uid or "", "node-1", done=DONE)
        applied = await on.apply(stage(bind))
        again = await on.apply(stage(bind))
        assert applied.bound == [("default", "a", made.metadata.uid)]
        assert (again.bound, again.error) == ([], None)
        assert on.recorder.said == ["subject Normal Done wrote a"]

    with_bench(test)


def unbound() -> Pod:
    spec = PodSpec(containers=[Container(name="main", image="busybox")])
    return Pod(metadata=ObjectMeta(name="a", namespace="default"), spec=spec)


def test_a_second_status_follows_the_first() -> None:
    async def test(on: Bench) -> None:
        node = await on.client.create(NODES, Node(metadata=ObjectMeta(name="n")))
        first = Node(metadata=node.metadata, status=NodeStatus(phase="Pending"))
        second = Node(metadata=node.metadata, status=NodeStatus(phase="Running"))
        applied = await on.apply(stage(PutStatus(NODES, first)), stage(PutStatus(NODES, second)))
        assert applied.error is None
        stored = await on.client.get(NODES, None, "n")
        assert stored.status is not None
        assert stored.status.phase == "Running"
        stale = await on.apply(stage(PutStatus(NODES, first)))
        assert stale.error is not None
        assert stale.error.code == 409

    with_bench(test)


def test_a_patch_and_a_finalizer() -> None:
    async def test(on: Bench) -> None:
        await on.client.create(CONFIGMAPS, config("a"))
        finalizers = {"metadata": {"finalizers": ["x/y"]}}
        await on.apply(
            stage(Patch(CONFIGMAPS, "default", "a", finalizers)),
            stage(RemoveFinalizer(CONFIGMAPS, "default", "a", "x/y")),
        )
        stored = await on.client.get(CONFIGMAPS, "default", "a")
        assert stored.metadata is not None
        assert stored.metadata.finalizers is None

    with_bench(test)


def test_an_event_of_its_own_comes_after_what_was_written_before() -> None:
    async def test(on: Bench) -> None:
        note = Note("Normal", "Told", "as it is", about="another")
        await on.apply(stage(create("a", done=DONE)), stage(Emit(note)))
        assert on.recorder.said == [
            "subject Normal Done wrote a",
            "another Normal Told as it is",
        ]

    with_bench(test)


# ----- own writes


def pod(uid: str, node: str | None, *, name: str = "a") -> Pod:
    spec = PodSpec(containers=[Container(name="main")], nodeName=node)
    meta = ObjectMeta(name=name, namespace="default", uid=uid)
    return Pod(metadata=meta, spec=spec, status=PodStatus())


@pytest.mark.parametrize(
    ("cached", "seen"),
    [
        (pod("u", "node"), True),
        (pod("u", None), False),
        (pod("v", None), True),  # a namesake: the pod that was bound is gone
        (pod("u", None, name="b"), True),
    ],
)
def test_a_binding_is_seen_once_the_cache_has_it(cached: Pod, seen: bool) -> None:
    applied = Applied(bound=[("default", "a", "u")])
    assert applied.seen_by(StaticView(cached), lambda _: 0) is seen


@pytest.mark.parametrize(("pods", "configs", "seen"), [(5, 7, True), (4, 7, False), (5, 6, False)])
def test_writes_are_seen_once_every_cache_is_as_far(pods: int, configs: int, seen: bool) -> None:
    applied = Applied(revisions={PODS: 5, CONFIGMAPS: 7})
    revisions: dict[Any, int] = {PODS: pods, CONFIGMAPS: configs}
    assert applied.seen_by(StaticView(), revisions.__getitem__) is seen


# ----- what nobody knows of


@pytest.mark.parametrize(
    ("write", "doubts", "gone"),
    [
        (RemoveFinalizer(CONFIGMAPS, "default", "there", "x/y"), ["there"], []),
        (RemoveFinalizer(CONFIGMAPS, "default", "none", "x/y"), ["none"], []),
        (Patch(CONFIGMAPS, "default", "none", {}), ["none"], []),
        (Delete(CONFIGMAPS, "default", "none", "uid"), [], ["none"]),
        (Delete(CONFIGMAPS, "default", "there", "another"), [], ["there"]),
        (create("taken"), ["taken"], []),
        (create("refused"), [], []),
    ],
)
def test_what_others_did_before_or_perhaps_happened_is_noted(
    write: Write, doubts: list[str], gone: list[str]
) -> None:
    async def test(on: Bench) -> None:
        await on.client.create(CONFIGMAPS, config("there"))
        applied = await on.apply(stage(write))
        assert [name for _, _, name in applied.doubts] == doubts
        assert [name for _, _, name, _ in applied.gone] == gone

    with_bench(test, {"taken": errors.internal("the disk is full"), "refused": refusal()})


@virtual_time
async def test_doubts_end_with_what_to_wait_for() -> None:
    async with engine() as on:
        there = await on.client.create(CONFIGMAPS, config("there"))
        gone = replace(
            config("gone"), metadata=ObjectMeta(name="gone", namespace="default", uid="u")
        )
        view = StaticView(gone)
        applied = Applied(
            doubts=[(CONFIGMAPS, "default", name) for name in ("there", "gone", "never")]
        )
        assert not applied.empty
        await applied.settle(on.client, view, lambda _: 0)
        assert there.metadata is not None
        assert applied.revisions == {CONFIGMAPS: int(there.metadata.resourceVersion or 0)}
        assert applied.gone == [(CONFIGMAPS, "default", "gone", "u")]
        assert applied.doubts == []
        newest = await on.client.create(CONFIGMAPS, config("newest"))
        applied = Applied(doubts=[(CONFIGMAPS, "default", "")])
        await applied.settle(on.client, view, lambda _: 0)
        assert newest.metadata is not None
        assert applied.revisions == {CONFIGMAPS: int(newest.metadata.resourceVersion or 0)}
        applied = Applied(doubts=[(CONFIGMAPS, "default", "there")])
        await applied.settle(on.client, view, lambda _: NOT_CACHED)
        assert applied.empty
