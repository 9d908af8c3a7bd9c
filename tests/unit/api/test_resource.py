"""The table of resources, and the ways into it."""

from __future__ import annotations

from kubatch.api import resource
from kubatch.api.resource import CRONJOBS, JOBS, NODES, PODS


def test_names_of_a_resource() -> None:
    assert (JOBS.singular, JOBS.api_version, PODS.api_version) == ("job", "batch/v1", "v1")
    assert repr(JOBS) == "<jobs.batch/v1>"


def test_keys_in_the_store() -> None:
    assert JOBS.prefix == "/batch/jobs/"
    assert JOBS.key("default", "x") == "/batch/jobs/default/x"
    assert JOBS.namespace_prefix("default") == "/batch/jobs/default/"
    assert JOBS.namespace_prefix(None) == "/batch/jobs/"
    assert NODES.key(None, "n") == "//nodes/n"
    assert NODES.namespace_prefix("default") == "//nodes/"


def test_a_resource_is_found_by_path_and_by_kind() -> None:
    assert resource.by_path("batch", "v1", "jobs") is JOBS
    assert resource.by_path("batch", "v1", "nope") is None
    assert resource.by_kind("v1", "Pod") is PODS
    assert resource.by_kind("v1", "Nope") is None


def test_groups_and_their_versions() -> None:
    assert set(resource.groups()) >= {"", "batch"}
    assert resource.versions("batch") == ["v1", "v1beta1"]
    assert resource.versions("nope") == []


def test_what_is_kept_and_what_only_shows_or_asks() -> None:
    shown = {r: r.shows for r in resource.RESOURCES if r.shows is not None}
    assert shown == {resource.EVENTS_V1: resource.EVENTS, resource.CRONJOBS_V1BETA1: CRONJOBS}
    assert not any(r.kept for r in shown)
    assert resource.CRONJOBS_V1BETA1.key("d", "n") == CRONJOBS.key("d", "n")
    assert not resource.BINDINGS.kept
    assert CRONJOBS.kept
