"""Owner references."""

from __future__ import annotations

from kubatch.api.models import Job, JobSpec, ObjectMeta, OwnerReference, PodTemplateSpec
from kubatch.api.owners import controller_of, owner_reference
from kubatch.api.resource import JOBS


def reference(name: str, controller: bool | None) -> OwnerReference:
    return OwnerReference(
        apiVersion="batch/v1", kind="Job", name=name, uid=name, controller=controller
    )


def test_the_controller_is_the_owner_that_says_so() -> None:
    owners = [reference("a", None), reference("b", False), reference("c", True)]
    assert controller_of(ObjectMeta(ownerReferences=owners)) == owners[2]


def test_no_controller() -> None:
    assert controller_of(None) is None
    assert controller_of(ObjectMeta()) is None
    assert controller_of(ObjectMeta(ownerReferences=[reference("a", False)])) is None


def test_a_reference_to_a_controller() -> None:
    job = Job(metadata=ObjectMeta(name="x", uid="u"), spec=JobSpec(template=PodTemplateSpec()))
    made = owner_reference(job, JOBS)
    assert made == OwnerReference(
        apiVersion="batch/v1",
        kind="Job",
        name="x",
        uid="u",
        controller=True,
        blockOwnerDeletion=True,
    )
    assert controller_of(ObjectMeta(ownerReferences=[made])) is made
