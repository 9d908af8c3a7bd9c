"""Lists: revisions, pages, tokens."""

from __future__ import annotations

import base64
import json

from tests.conformance.rows import (
    ABSENT,
    JOBS,
    MAPS,
    NUMBER,
    Row,
    config_map,
    get,
    job,
    like,
    patch,
    post,
    row,
)

THREE = tuple(post(MAPS, config_map(n, {"n": n})) for n in ("a", "b", "c"))
OLD = (
    base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": "/x\0"}).encode())
    .decode()
    .rstrip("=")
)
EXPIRED = "The resourceVersion for the provided list is too old."
INVALID = 'ListOptions.meta.k8s.io "" is invalid: '


def names(*found: str) -> dict[str, object]:
    return {"items": [{"metadata": {"name": n}} for n in found]}


def refused(name: str, query: str, status: int, message: str, **more: object) -> Row:
    return row(name, get(f"{MAPS}?{query}", status, message=message, **more))


ROWS = [
    row("sorted by name", *THREE[::-1], get(MAPS, body={"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": NUMBER, "continue": ABSENT}, **names("a", "b", "c")})),
    row("in every namespace", *THREE, get("/api/v1/configmaps?fieldSelector=metadata.namespace%3D{ns}", body=names("a", "b", "c"))),
    row("an empty list", get(JOBS, body={"kind": "JobList", "apiVersion": "batch/v1", "items": []})),
    row("the list's revision is the latest", *THREE, get(MAPS, body={"metadata": {"resourceVersion": "<<2.metadata.resourceVersion>>"}})),
    row("at any revision", *THREE, get(f"{MAPS}?resourceVersion=0", body=names("a", "b", "c"))),
    row("no limit at any revision", *THREE, get(f"{MAPS}?resourceVersion=0&limit=1", body={"metadata": {"continue": ABSENT}, **names("a", "b", "c")})),
    row("not older than", *THREE, get(f"{MAPS}?resourceVersion=<<0.metadata.resourceVersion>>&resourceVersionMatch=NotOlderThan", body=names("a", "b", "c"))),
    row("at least that old, unsaid", *THREE, get(f"{MAPS}?resourceVersion=<<0.metadata.resourceVersion>>", body=names("a", "b", "c"))),
    row("exactly then", *THREE, get(f"{MAPS}?resourceVersion=<<0.metadata.resourceVersion>>&resourceVersionMatch=Exact", body={"metadata": {"resourceVersion": "<<0.metadata.resourceVersion>>"}, **names("a")})),
    row("exactly then, before a change", *THREE, patch(f"{MAPS}/a", {"data": {"x": "y"}}), get(f"{MAPS}?resourceVersion=<<2.metadata.resourceVersion>>&resourceVersionMatch=Exact", body={"items": [{"data": ABSENT}, {}, {}]})),
    refused("exactly in the past", "resourceVersion=1&resourceVersionMatch=Exact", 410, EXPIRED, reason="Expired"),
    refused("a revision of letters", "resourceVersion=abc", 400, 'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax', reason="BadRequest"),
    row("a revision of the future", get(f"{MAPS}?resourceVersion=999999999", 504, message=like(r"Timeout: Too large resource version: 999999999, current: \d+"), reason="Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1}, headers={"Retry-After": "1"})),
    refused("a match without a revision", "resourceVersionMatch=Exact", 422, INVALID + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
    refused("exactly anything", "resourceVersion=0&resourceVersionMatch=Exact", 422, INVALID + 'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    refused("an unknown match", "resourceVersion=1&resourceVersionMatch=foo", 422, INVALID + 'resourceVersionMatch: Unsupported value: "foo": supported values: "Exact", "NotOlderThan", ""'),
    refused("initial events of a list", "sendInitialEvents=true", 422, INVALID + "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    row("the first page", *THREE, get(f"{MAPS}?limit=1", body={"metadata": {"continue": like("[A-Za-z0-9_-]+"), "remainingItemCount": 2}, **names("a")})),
    row("the next pages", *THREE, get(f"{MAPS}?limit=1"), get(f"{MAPS}?limit=1&continue=<<3.metadata.continue>>", body={"metadata": {"remainingItemCount": 1, "resourceVersion": "<<3.metadata.resourceVersion>>"}, **names("b")}), get(f"{MAPS}?limit=1&continue=<<4.metadata.continue>>", body={"metadata": {"remainingItemCount": ABSENT, "continue": ABSENT}, **names("c")})),
    row("pages under writes", *THREE, get(f"{MAPS}?limit=2"), post(MAPS, config_map("bb")), post(MAPS, config_map("d")), get(f"{MAPS}?limit=2&continue=<<3.metadata.continue>>", body={"metadata": {"resourceVersion": "<<3.metadata.resourceVersion>>"}, **names("c")})),
    row("how many remain is not told of a selection", *THREE, get(f"{MAPS}?limit=1&labelSelector=n", body={"metadata": {"continue": like(".+"), "remainingItemCount": ABSENT}, **names("a")})),
    row("a limit of just all", *THREE, get(f"{MAPS}?limit=3", body={"metadata": {"continue": ABSENT}, **names("a", "b", "c")})),
    row("a negative limit is none", *THREE, get(f"{MAPS}?limit=-1", body=names("a", "b", "c"))),
    refused("a limit of letters", "limit=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
    refused("a limit of many digits", f"limit={'9' * 5000}", 400, f'strconv.ParseInt: parsing "{"9" * 5000}": value out of range'),
    refused("a revision of many digits", f"resourceVersion={'9' * 5000}", 400, f'invalid resource version: resourceVersion: Invalid value: "{"9" * 5000}": strconv.ParseUint: parsing "{"9" * 5000}": value out of range'),
    row("a revision of foreign digits", get(f"{MAPS}?resourceVersion=%C2%B2", 400, reason="BadRequest")),
    row("a broken token", get(f"{MAPS}?continue=zz", 400, message=like("invalid continue token: continue key is not valid: .*"), reason="BadRequest")),
    row("a token and a revision", *THREE, get(f"{MAPS}?limit=1"), get(f"{MAPS}?continue=<<3.metadata.continue>>&resourceVersion=5", 400, message="specifying resource version is not allowed when using continue")),
    row("a token and any revision", *THREE, get(f"{MAPS}?limit=1"), get(f"{MAPS}?continue=<<3.metadata.continue>>&resourceVersion=0", body=names("b", "c"))),
    row("an expired token", *THREE, get(f"{MAPS}?limit=1&continue={OLD}", 410, reason="Expired", message=like("The provided continue parameter is too old to display a consistent list result. .*"), body={"metadata": {"continue": like(".+")}})),
    row("a page in a table", *THREE, get(f"{MAPS}?limit=1", send={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}, body={"kind": "Table", "metadata": {"continue": like(".+"), "remainingItemCount": 2}, "rows": [{"cells": ["a", 0, like(r"\d+s")]}]})),
    row("Jobs in every namespace", post(JOBS, job("x")), get("/apis/batch/v1/jobs?fieldSelector=metadata.namespace%3D{ns}", body=names("x"))),
    row("events under both groups", get("/apis/events.k8s.io/v1/namespaces/{ns}/events", body={"kind": "EventList", "apiVersion": "events.k8s.io/v1", "items": []})),
]  # fmt: skip
