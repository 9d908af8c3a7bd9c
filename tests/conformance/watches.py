"""Watches: where they start, what they send, how they end."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ABSENT,
    JOBS,
    MAPS,
    PARTIAL,
    TABLE,
    Is,
    Row,
    config_map,
    delete,
    get,
    like,
    patch,
    post,
    row,
    watch,
)

A = post(MAPS, config_map("a", {"x": "1"}, k="1"))
B = post(MAPS, config_map("b"))
SINCE = "resourceVersion=<<0.metadata.resourceVersion>>"
WATCH = f"{MAPS}?watch=true"
INITIAL = (
    f"{WATCH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
)
INVALID = 'ListOptions.meta.k8s.io "" is invalid: '
LATER = Is("a later revision", lambda rv: rv.isdigit())


def event(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "object": {"kind": "ConfigMap", "metadata": {"name": name}, **more}}


def bookmark(**annotations: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": ABSENT, "resourceVersion": LATER}
    meta["annotations"] = annotations or ABSENT
    return {
        "type": "BOOKMARK",
        "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta},
    }


END = bookmark(**{"k8s.io/initial-events-end": "true"})


def refused(name: str, query: str, message: str) -> Row:
    return row(name, watch(f"{WATCH}&{query}", status=422, message=INVALID + message))


ROWS = [
    row("what is there, then what comes", A, B, watch(WATCH, event("ADDED", "a"), event("ADDED", "b"), headers={"Content-Type": "application/json"})),
    row("watch=1", A, watch(f"{MAPS}?watch=1", event("ADDED", "a"))),
    row("watch with no value", A, watch(f"{MAPS}?watch", event("ADDED", "a"))),
    row("watch=false is a list", A, get(f"{MAPS}?watch=false", body={"kind": "ConfigMapList"})),
    row("from any revision", A, watch(f"{WATCH}&resourceVersion=0", event("ADDED", "a"))),
    row("from a revision", A, B, patch(f"{MAPS}/a", {"data": {"k": "2"}}), delete(f"{MAPS}/b"), watch(f"{WATCH}&{SINCE}", event("ADDED", "b"), event("MODIFIED", "a", data={"k": "2"}), event("DELETED", "b"))),
    row("an event is the whole object", A, watch(WATCH, {"type": "ADDED", "object": {"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "1"}, "metadata": {"uid": "<<0.metadata.uid>>"}}})),
    row("a deletion has a revision of its own", A, patch(f"{MAPS}/a", {"data": {"k": "2"}}), delete(f"{MAPS}/a"), get(MAPS), watch(f"{WATCH}&resourceVersion=<<1.metadata.resourceVersion>>", {"type": "DELETED", "object": {"metadata": {"resourceVersion": "<<3.metadata.resourceVersion>>"}, "data": {"k": "2"}}})),
    row("no event of nothing", A, patch(f"{MAPS}/a", {"data": {"k": "1"}}), B, watch(f"{WATCH}&{SINCE}", event("ADDED", "b"))),
    row("a selection is entered", B, A, patch(f"{MAPS}/b", {"metadata": {"labels": {"x": "1"}}}), watch(f"{WATCH}&labelSelector=x&resourceVersion=<<1.metadata.resourceVersion>>", event("ADDED", "b"))),
    row("a selection is left", A, patch(f"{MAPS}/a", {"metadata": {"labels": {"x": "2"}}, "data": {"k": "2"}}), watch(f"{WATCH}&labelSelector=x%3D1&{SINCE}", {"type": "DELETED", "object": {"metadata": {"labels": {"x": "1"}, "resourceVersion": "<<1.metadata.resourceVersion>>"}, "data": {"k": "1"}}})),
    row("outside a selection nothing is said", A, B, post(MAPS, config_map("c", {"x": "2"})), watch(f"{WATCH}&labelSelector=x&{SINCE}", event("ADDED", "c"))),
    row("by name", A, B, watch(f"{WATCH}&fieldSelector=metadata.name%3Db", event("ADDED", "b"))),
    row("the old path", A, watch("/api/v1/watch/namespaces/{ns}/configmaps", event("ADDED", "a"))),
    row("the old path of one", A, B, watch("/api/v1/watch/namespaces/{ns}/configmaps/b", event("ADDED", "b"))),
    row("every namespace", A, watch("/api/v1/configmaps?watch=true&fieldSelector=metadata.namespace%3D{ns}", event("ADDED", "a"))),
    row("one object is not watched", A, get(f"{MAPS}/a?watch=true", body={"kind": "ConfigMap"})),
    row("too old a revision", watch(f"{WATCH}&resourceVersion=1", {"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": like(r"too old resource version: 1 \(\d+\)")}}, ends=True)),
    row("initial events at a revision of letters", watch(f"{INITIAL}&resourceVersion=abc", status=400, message=like("invalid resource version: .*"))),
    row("initial events at a revision of foreign digits", watch(f"{INITIAL}&resourceVersion=%C2%B2", status=400, message=like("invalid resource version: .*"))),
    row("initial events of the future", watch(f"{INITIAL}&resourceVersion=999999999", status=504, reason="Timeout")),
    row("a revision of letters", watch(f"{WATCH}&resourceVersion=abc", status=400, message=like("invalid resource version: .*"))),
    row("it ends in time", A, watch(f"{WATCH}&timeoutSeconds=1", event("ADDED", "a"), ends=True)),
    row("initial events and their end", A, B, watch(INITIAL, event("ADDED", "a"), event("ADDED", "b"), END)),
    row("initial events of nothing", watch(INITIAL, END)),
    row("initial events as a client asks", A, watch(f"{MAPS}?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=342&watch=true", event("ADDED", "a"), END)),
    row("no initial events", A, watch(f"{WATCH}&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", bookmark())),
    row("the end is told to whoever takes bookmarks", A, watch(f"{WATCH}&allowWatchBookmarks=true", event("ADDED", "a"), END)),
    row("bookmarks", A, get(MAPS), watch(f"{WATCH}&allowWatchBookmarks=true&resourceVersion=<<1.metadata.resourceVersion>>", bookmark(), bookmark())),
    refused("initial events without a match", "sendInitialEvents=true", "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    refused("a match without initial events", "resourceVersionMatch=NotOlderThan", "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
    row("in tables, columns once", A, B, watch(WATCH, {"type": "ADDED", "object": {"kind": "Table", "columnDefinitions": [{"name": "Name"}, {"name": "Data"}, {"name": "Age"}], "rows": [{"cells": ["a", 1, like(".+")]}]}}, {"object": {"columnDefinitions": None, "rows": [{"cells": ["b", 0, like(".+")]}]}}, send=TABLE)),
    row("metadata only", A, watch(WATCH, {"object": {"kind": "PartialObjectMetadata", "metadata": {"name": "a"}, "data": ABSENT}}, send=PARTIAL)),
    row("an unknown label selector", watch(f"{WATCH}&labelSelector=a%20foo%20b", status=400, reason="BadRequest")),
    row("a field nobody selects by", watch(f"{JOBS}?watch=true&fieldSelector=zz%3D1", status=400, reason="BadRequest")),
    row("a timeout of letters", watch(f"{WATCH}&timeoutSeconds=x", status=400, reason="BadRequest")),
    row("in no such namespace", watch("/api/v1/namespaces/nons/configmaps?watch=true&timeoutSeconds=1", ends=True)),
]  # fmt: skip
