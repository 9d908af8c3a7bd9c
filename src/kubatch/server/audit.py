"""The audit log: who asked for what and what came of it, one line of JSON for each request.

audit.k8s.io/v1 Events at level Metadata, stage ResponseComplete: never a body, so no Secret's data.
A watch or a followed log is told of when it ends. The file is its owner's only, and bounded: when
full it moves to FILE.1, that one to FILE.2, and the oldest goes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from kubatch.server.access.attributes import User
from kubatch.server.request import RequestInfo

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Record:
    """One request, filled in on its way."""

    info: RequestInfo
    target: str  # path and query as they came
    audit_id: str
    received: datetime
    source: str
    agent: str
    user: User | None = None
    impersonated: User | None = None
    decision: str = ""  # allow or forbid
    reason: str = ""
    code: int = 0
    message: str = ""  # of a refusal
    status_reason: str = ""


def event(record: Record, now: datetime) -> dict[str, Any]:
    """A record as an audit Event (apiserver/pkg/audit/request.go)."""
    info = record.info
    out: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": record.audit_id,
        "stage": "ResponseComplete",
        "requestURI": record.target,
        "verb": info.verb or info.method.lower(),
        "user": _user(record.user or User("")),
    }
    if record.impersonated is not None:
        out["impersonatedUser"] = _user(record.impersonated)
    out["sourceIPs"] = [record.source] if record.source else []
    out["userAgent"] = record.agent
    if info.is_resource:
        out["objectRef"] = _object(info)
    status: dict[str, Any] = {"metadata": {}}
    if record.code >= 400:
        status |= {"status": "Failure", "message": record.message, "reason": record.status_reason}
    out["responseStatus"] = {k: v for k, v in status.items() if v != ""} | {"code": record.code}
    out["requestReceivedTimestamp"] = _micro(record.received)
    out["stageTimestamp"] = _micro(now)
    if record.decision:
        out["annotations"] = {
            "authorization.k8s.io/decision": record.decision,
            "authorization.k8s.io/reason": record.reason,
        }
    return out


def _user(user: User) -> dict[str, Any]:
    shown: dict[str, Any] = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    shown["extra"] = {key: list(values) for key, values in user.extra}
    return {k: v for k, v in shown.items() if v}


def _object(info: RequestInfo) -> Mapping[str, str]:
    shown = {
        "resource": info.resource,
        "namespace": info.namespace or "",
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {k: v for k, v in shown.items() if v}


def _micro(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class AuditLog:
    """Lines appended to a file that never grows past its limit."""

    def __init__(self, path: Path, bytes_max: int, files_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._size = 0
        self._failed = False
        self._file: BinaryIO | None = self._open()

    def _open(self) -> BinaryIO:
        """Raises OSError when the file cannot be written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        os.fchmod(descriptor, 0o600)  # it may be older than this server, and more open
        self._size = os.fstat(descriptor).st_size
        return os.fdopen(descriptor, "ab", buffering=0)

    def write(self, record: Record, now: datetime) -> None:
        """Append one request. A full disk is told of once, and stops nothing else."""
        line = json.dumps(event(record, now), separators=(",", ":")).encode() + b"\n"
        try:
            if self._file is None or self._size + len(line) > self._bytes_max:
                self._rotate()
            assert self._file is not None, "rotating opens a file"
            self._file.write(line)
            self._size += len(line)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.error("cannot write the audit log: %s", error)
            self._failed = True

    def _rotate(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            for number in range(self._files_max - 1, 0, -1):
                older = self._numbered(number)
                newer = self._numbered(number - 1)
                if newer.exists():
                    os.replace(newer, older)
            if self._files_max == 1:
                self._path.unlink(missing_ok=True)
        self._file = self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def close(self) -> None:
        """Close the file; no more is written."""
        if self._file is not None:
            self._file.close()
            self._file = None
