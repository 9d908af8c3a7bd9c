"""The audit log."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubatch.server.access.attributes import User
from kubatch.server.audit import AuditLog, Record, event
from kubatch.server.request import parse
from kubatch.settings import Settings
from tests.unit.server.secured import secured

NOW = datetime(2026, 5, 1, 12, 0, 0, 1000, tzinfo=UTC)


def record(target: str = "/api/v1/namespaces/d/pods/p/log?follow=1", **more: Any) -> Record:
    made = Record(parse("GET", target), target, "id-1", NOW, "127.0.0.1", "kubectl")
    for name, value in more.items():
        setattr(made, name, value)
    return made


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event() -> None:
    said = event(record(user=User("bob", "7", ("dev",)), code=200, decision="allow"), NOW)
    assert said == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "id-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/d/pods/p/log?follow=1",
        "verb": "get",
        "user": {"username": "bob", "uid": "7", "groups": ["dev"]},
        "sourceIPs": ["127.0.0.1"],
        "userAgent": "kubectl",
        "objectRef": {
            "resource": "pods",
            "namespace": "d",
            "name": "p",
            "apiVersion": "v1",
            "subresource": "log",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-05-01T12:00:00.001000Z",
        "stageTimestamp": "2026-05-01T12:00:00.001000Z",
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "",
        },
    }


def test_a_path_that_is_no_resource() -> None:
    said = event(record("/healthz", code=401, message="Unauthorized"), NOW)
    assert "objectRef" not in said
    assert said["user"] == {}
    assert said["responseStatus"]["message"] == "Unauthorized"


async def test_what_goes_on_is_told_of_twice(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"

    def change(settings: Settings) -> Settings:
        return replace(settings, audit_log=path)

    space = "/api/v1/namespaces/default"
    async with secured(tmp_path, change=change) as on:
        await on.root("GET", f"{space}/pods?watch=1&timeoutSeconds=1&resourceVersion=1")
        await on.root("GET", f"{space}/pods/nope/log")
        await on.root("GET", f"{space}/pods")
    told = [(e["stage"], e["verb"], e["responseStatus"]["code"]) for e in lines(path)]
    assert told == [
        ("ResponseStarted", "watch", 200),
        ("ResponseComplete", "watch", 200),
        ("ResponseStarted", "get", 404),
        ("ResponseComplete", "get", 404),
        ("ResponseComplete", "list", 200),
    ]
    assert len({e["auditID"] for e in lines(path)}) == 3


def test_a_failure_of_the_server() -> None:
    said = event(record(failure="division by zero", code=500), NOW)
    assert said["stage"] == "Panic"
    assert said["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": "APIServer panic'd: division by zero",
        "reason": "InternalError",
        "code": 500,
    }
    assert event(record(failure="x", code=500), NOW, "ResponseStarted")["stage"] != "Panic"


async def test_requests_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"

    def change(settings: Settings) -> Settings:
        return replace(settings, audit_log=path)

    async with secured(tmp_path, change=change) as on:
        secret = {"metadata": {"name": "s"}, "stringData": {"password": "hush"}}
        answer = await on.root("POST", "/api/v1/namespaces/default/secrets", secret)
        await on.ask("bob-token", "GET", "/api/v1/namespaces/default/secrets/s")
        await on.root("GET", "/api/v1/nodes", **{"Impersonate-User": "ann"})
        await on.ask("nobodys", "GET", "/version")
        await on.ask("", "GET", "/healthz", headers={"Audit-Id": "mine"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert "hush" not in path.read_text()
    first, second, third, fourth, fifth = lines(path)
    assert first["auditID"] == answer.headers["Audit-Id"]
    assert (first["verb"], first["responseStatus"]["code"]) == ("create", 201)
    assert first["user"]["username"] == "root"
    assert second["responseStatus"]["reason"] == "Forbidden"
    assert second["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert third["impersonatedUser"]["username"] == "ann"
    assert third["user"]["username"] == "root"
    assert fourth["responseStatus"]["code"] == 401
    assert fifth["auditID"] == "mine"
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{6}Z", fifth["stageTimestamp"])


def test_the_log_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, bytes_max=1500, files_max=3)
    for number in range(20):
        log.write(record(audit_id=str(number)), NOW)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["audit.log", "audit.log.1", "audit.log.2"]
    assert all(f.stat().st_size <= 1500 and f.stat().st_mode & 0o777 == 0o600 for f in files)
    kept = [e["auditID"] for f in reversed(files) for e in lines(f)]
    assert kept == [str(n) for n in range(20 - len(kept), 20)]


def test_one_file_alone(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a", bytes_max=1000, files_max=1)
    for number in range(5):
        log.write(record(audit_id=str(number)), NOW)
    log.close()
    assert [f.name for f in tmp_path.iterdir()] == ["a"]
    assert lines(tmp_path / "a")[-1]["auditID"] == "4"


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for number in range(2):
        log = AuditLog(path, bytes_max=10_000, files_max=2)
        log.write(record(audit_id=str(number)), NOW)
        log.close()
    assert [e["auditID"] for e in lines(path)] == ["0", "1"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="Too many levels"):
        AuditLog(tmp_path / "a", bytes_max=10, files_max=2)


def test_what_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = AuditLog(folder / "a", bytes_max=10, files_max=2)
    (folder / "a").unlink()
    folder.rmdir()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            log.write(record(), NOW)
    assert len(caplog.records) == 1
    folder.mkdir()
    log.write(record(), NOW)
    log.close()
    assert len(lines(folder / "a")) == 1
