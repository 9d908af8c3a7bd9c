"""Who owns what after writes and applies: laws over random pods, and the cases by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from kubatch.api.fieldset import managers, ownership, values
from kubatch.api.fieldset.managers import Owned, Owners, Writer
from kubatch.api.fieldset.ownership import Applied, Conflicts
from kubatch.api.fieldset.sets import (
    EMPTY,
    FieldSet,
    contains,
    difference,
    from_paths,
    intersection,
    paths,
    union,
)
from kubatch.api.models import ManagedFieldsEntry
from tests.unit.api.fieldset.pods import (
    POD,
    PODS,
    container,
    fields,
    path,
    pod,
    without_empties,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ALICE = Writer("alice", "Apply", "v1")
BOB = Writer("bob", "Apply", "v1")
CAROL = Writer("carol", "Update", "v1")


def updated(owners: Owners, old: Any, new: Any, writer: Writer = CAROL) -> Owners:
    return ownership.update(owners, values.compare(POD, old, new), writer, NOW)


def applied(
    live: Any,
    intent: Any,
    owners: Owners | None = None,
    writer: Writer = ALICE,
    force: bool = False,
    ignored: FieldSet = EMPTY,
) -> Applied:
    return ownership.apply(
        POD, live, intent, owners or {}, writer, NOW, force=force, ignored=ignored
    )


def owned(owners: Owners, writer: Writer) -> FieldSet:
    found = owners.get(writer.id)
    return found.fields if found else EMPTY


# ----- laws


@given(PODS, PODS)
def test_a_writer_owns_what_it_changed_and_nobody_what_is_gone(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before = updated({}, pod(), old)
    after = updated(before, old, new, Writer("dave", "Update", "v1"))
    change = values.compare(POD, old, new)
    taken = owned(after, Writer("dave", "Update", "v1"))
    assert taken == managers.stripped(change.written)
    assert not list(paths(intersection(owned(after, CAROL), change.written)))
    everything = union(taken, owned(after, CAROL))
    assert not list(paths(intersection(everything, change.removed)))


@given(PODS, PODS, PODS)
def test_applying_again_changes_nothing(
    live: dict[str, Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    owners = updated({}, pod(), live)
    once = applied(live, first, owners, force=True)
    twice = applied(once.merged, first, once.owners)
    assert twice == once
    other = applied(once.merged, second, once.owners, BOB, force=True)
    again = applied(other.merged, second, other.owners, BOB)
    assert again == other


@given(PODS, PODS)
def test_what_others_own_does_not_change_without_force(
    live: dict[str, Any], intent: dict[str, Any]
) -> None:
    owners = updated({}, pod(), live)
    forced = applied(live, intent, owners, force=True)
    change = values.compare(POD, live, forced.merged)
    contested = intersection(owned(owners, CAROL), change.written)
    if not contested:
        assert applied(live, intent, owners) == forced
        return
    with pytest.raises(Conflicts) as refused:
        applied(live, intent, owners)
    assert refused.value.paths == contested
    assert not list(paths(intersection(owned(forced.owners, CAROL), contested)))


@given(PODS.map(without_empties), PODS)
def test_an_applier_who_takes_everything_back_leaves_what_others_have(
    live: dict[str, Any], intent: dict[str, Any]
) -> None:
    owners = updated({}, pod(), live)
    made = applied(live, intent, owners, force=True)
    back = applied(made.merged, {"metadata": {"name": "p"}}, made.owners)
    assert ALICE.id not in back.owners
    others = owned(made.owners, CAROL)
    gone = values.compare(POD, made.merged, back.merged).removed
    assert not list(paths(intersection(gone, others)))
    still = intersection(values.to_set(POD, intent), values.to_set(POD, back.merged))
    assert not list(paths(difference(managers.stripped(still), union(others, _parents(others)))))


def _parents(tree: FieldSet) -> FieldSet:
    """What must stay for the sake of what is within."""
    return from_paths(p[:i] for p in paths(tree) for i in range(1, len(p)))


@given(PODS, PODS)
def test_entries_can_be_written_and_read(live: dict[str, Any], intent: dict[str, Any]) -> None:
    owners = applied(live, intent, updated({}, pod(), live), force=True).owners
    entries = managers.write(owners) or []
    assert managers.read(entries) == owners
    assert managers.trusted(entries) == owners
    assert [e.operation for e in entries] == sorted(e.operation or "" for e in entries)


# ----- cases


def test_equal_values_share_ownership() -> None:
    live = pod({"labels": {"a": "1"}})
    owners = updated({}, pod(), live)
    made = applied(live, pod({"labels": {"a": "1"}}), owners)
    for writer in (ALICE, CAROL):
        assert contains(owned(made.owners, writer), path("metadata", "labels", "a"))


def test_force_takes_fields_from_others_and_empties_entries() -> None:
    live = pod(priority=1)
    owners = updated({}, pod(), live)
    made = applied(live, pod(priority=2), owners, force=True)
    assert list(made.owners) == [ALICE.id]


def test_an_item_is_pruned_whole_although_the_server_filled_in_more() -> None:
    first = applied(pod(), pod(containers=[container("a"), container("b", image="1")]))
    live = first.merged
    live["spec"]["containers"][1]["terminationMessagePath"] = "/dev/termination-log"
    second = applied(live, pod(containers=[container("a")]), first.owners)
    assert second.merged["spec"]["containers"] == [container("a")]


def test_an_item_another_applier_has_stays_with_what_that_one_owns() -> None:
    first = applied(pod(), pod(containers=[container("a"), container("b", image="1", tty=True)]))
    shared = applied(first.merged, pod(containers=[container("b", image="1")]), first.owners, BOB)
    second = applied(shared.merged, pod(containers=[container("a")]), shared.owners)
    assert second.merged["spec"]["containers"] == [container("a"), container("b", image="1")]


def test_what_a_plain_writer_added_below_a_pruned_field_stays() -> None:
    first = applied(pod(), pod({"labels": {"a": "1"}}))
    live = pod({"labels": {"a": "1", "b": "2"}})
    owners = updated(first.owners, first.merged, live)
    second = applied(live, pod(), owners)
    assert second.merged["metadata"]["labels"] == {"b": "2"}


def test_a_plain_writer_takes_fields_from_appliers() -> None:
    first = applied(pod(), pod(priority=1))
    owners = updated(first.owners, first.merged, pod(priority=2))
    assert list(owners) == [CAROL.id]


def test_a_reset_field_is_nobodys() -> None:
    status = fields(("status",))
    intent = {**pod(priority=1), "status": {"phase": "Running"}}
    made = applied(pod(), intent, ignored=status)
    assert owned(made.owners, ALICE) == fields(("spec", "priority"))
    change = values.compare(POD, pod(), intent)
    owners = ownership.update({}, change, CAROL, NOW, status)
    assert owned(owners, CAROL) == fields(("spec", "priority"))


def test_entries_of_another_groups_form_are_left_alone() -> None:
    other = Writer("old", "Update", "events.k8s.io/v1")
    before = {other.id: Owned(other, fields(("note",), ("spec", "priority")), NOW)}
    owners = updated(before, pod(priority=1), pod(priority=2))
    assert owners[other.id] is before[other.id]
    made = applied(pod(priority=1), pod(priority=3), before)
    assert made.owners[other.id] is before[other.id]


def test_an_applier_stays_the_same_across_versions() -> None:
    assert Writer("a", "Apply", "v1").id == Writer("a", "Apply", "v2").id
    assert Writer("a", "Update", "v1").id != Writer("a", "Update", "v2").id


# ----- conflicts


@pytest.mark.parametrize(
    ("writer", "who"),
    [
        (BOB, '"bob"'),
        (CAROL, '"carol" using v1'),
        (
            Writer("kubelet", "Update", "v1", "status"),
            '"kubelet" with subresource "status" using v1',
        ),
    ],
)
def test_one_conflict(writer: Writer, who: str) -> None:
    owners = {writer.id: Owned(writer, fields(("spec", "priority")), NOW)}
    with pytest.raises(Conflicts) as refused:
        applied(pod(priority=1), pod(priority=2), owners)
    error = refused.value.to_error()
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == f"Apply failed with 1 conflict: conflict with {who}: .spec.priority"
    assert error.to_status()["details"] == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {who}",
                "field": ".spec.priority",
            }
        ]
    }


def test_several_conflicts() -> None:
    live = pod({"labels": {"a": "1"}}, containers=[container(image="1")], priority=1)
    owners = {
        CAROL.id: Owned(CAROL, fields(("spec", "priority"), ("metadata", "labels", "a")), NOW),
        BOB.id: Owned(BOB, fields(("spec", "containers", 'k:{"name":"c"}', "image")), NOW),
    }
    with pytest.raises(Conflicts) as refused:
        applied(
            live,
            pod({"labels": {"a": "2"}}, containers=[container(image="2")], priority=2),
            owners,
        )
    assert refused.value.to_error().message == (
        'Apply failed with 3 conflicts: conflicts with "bob":\n'
        '- .spec.containers[name="c"].image\n'
        'conflicts with "carol" using v1:\n'
        "- .metadata.labels.a\n"
        "- .spec.priority"
    )


# ----- entries


def test_entries_are_ordered_by_operation_time_and_name() -> None:
    def one(name: str, operation: managers.Operation, age: int | None) -> Owned:
        at = None if age is None else NOW - timedelta(seconds=age)
        return Owned(Writer(name, operation, "v1"), fields(("spec", "priority")), at)

    owners = [
        one("late", "Update", 1),
        one("early", "Update", 9),
        one("b", "Update", 5),
        one("a", "Update", 5),
        one("timeless", "Update", None),
        one("applier", "Apply", 0),
    ]
    entries = managers.write({o.writer.id: o for o in owners}) or []
    assert [e.manager for e in entries] == ["applier", "timeless", "early", "a", "b", "late"]


def test_the_oldest_updates_melt_into_one_entry() -> None:
    live, owners = pod(), dict[managers.WriterId, Owned]()
    for i in range(13):
        new = pod({"labels": {f"l{j}": "x" for j in range(i + 1)}})
        writer = Writer(f"m{i:02}", "Update", "v1")
        change = values.compare(POD, live, new)
        owners = ownership.update(owners, change, writer, NOW + timedelta(seconds=i))
        live = new
    names = [o.writer.manager for o in owners.values()]
    assert sorted(names) == ["ancient-changes", *(f"m{i:02}" for i in range(4, 13))]
    ancient = owners[Writer("ancient-changes", "Update", "v1").id]
    labels = [p[-1] for p in paths(ancient.fields)]
    assert labels == ["f:labels", "f:l0", "f:l1", "f:l2", "f:l3"]
    assert ancient.time == NOW + timedelta(seconds=3)


@pytest.mark.parametrize("kind", [None, "FieldsV2"])
def test_entries_of_another_kind_cannot_be_read(kind: str | None) -> None:
    entry = ManagedFieldsEntry(manager="a", operation="Update", fieldsType=kind)
    with pytest.raises(ValueError, match="fieldsType"):
        managers.read([entry])


def test_entries_that_differ_in_nothing_but_when() -> None:
    mine = managers.write(updated({}, pod(), pod(priority=1)))
    later = [replace(entry, time=NOW + timedelta(hours=1)) for entry in mine or ()]
    others = [replace(entry, manager="other") for entry in later]
    assert managers.same_but_times(mine, later)
    assert managers.same_but_times(None, [])
    assert not managers.same_but_times(mine, others)
    assert not managers.same_but_times(mine, [*later, *others])
    assert not managers.same_but_times(mine, None)


def test_conflicts_about_paths_that_may_be_changed_are_none() -> None:
    live = pod(priority=1, hostname="h")
    owners = applied(pod(), live, writer=BOB).owners
    with pytest.raises(Conflicts) as raised:
        applied(live, pod(priority=2, hostname="i"), owners)
    left = raised.value.less(fields(("spec", "priority")))
    assert [conflict.path for conflict in left.found] == [path("spec", "hostname")]
    assert not left.less(left.paths).found
