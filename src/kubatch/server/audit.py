"""The audit log: who asked for what and what came of it, one line of JSON for each request.

audit.k8s.io/v1 Events of what a policy names; without one at level Metadata, all stages but
RequestReceived: never a body, so no Secret's data. A watch, a log or a session is told of when it
starts and when it ends, and a request on which the server failed at stage Panic. The file is its
owner's only, and bounded: when full it moves to FILE.1, that one to FILE.2, and the oldest goes.
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
from kubatch.server.audit_objects import NOTHING, TOO_LARGE, Body
from kubatch.server.audit_policy import (
    COMPLETE,
    EVERYTHING,
    PANIC,
    RECEIVED,
    STARTED,
    Policy,
    Telling,
    read,
    telling,
)
from kubatch.server.metrics import is_long_running
from kubatch.server.request import RequestInfo
from kubatch.settings import Settings

log = logging.getLogger(__name__)

# kube-apiserver's --audit-log-truncate-max-event-size; what is larger is told of without objects
EVENT_BYTES_MAX = 100 * 1024
_METADATA = Telling("Metadata")


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
    failure: str = ""  # what the server failed of
    started: bool = False  # its start has been told of
    attempted: str = ""  # how a caller whom nobody knows tried to get in
    telling: Telling | None = None  # what the policy says of it, once asked
    asked: Body = NOTHING  # what came with it ...
    answered: Body = NOTHING  # ... and went back, where the policy wants to know

    def note_request(self, data: bytes, media_type: str) -> None:
        """Keep the body for the log, if it is wanted."""
        if self.telling is not None and self.telling.reaches("Request"):
            self.asked = Body.of(data, media_type)

    def note_response(self, data: bytes | None) -> None:
        """Keep the JSON that is answered for the log, if it is wanted; None: it is too long."""
        if self.telling is not None and self.telling.reaches("RequestResponse"):
            self.answered = TOO_LARGE if data is None else Body.of(data, "application/json")


def event(record: Record, now: datetime, stage: str = COMPLETE) -> dict[str, Any]:
    """A record as an audit Event (apiserver/pkg/audit/request.go; filters/audit.go)."""
    info = record.info
    told = record.telling or _METADATA
    out: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": told.level,
        "auditID": record.audit_id,
        "stage": _stage(record, stage),
        "requestURI": record.target,
        "verb": info.verb or info.method.lower(),
        "user": _user(record.user or User("")),
    }
    if record.impersonated is not None and stage != RECEIVED:
        out["impersonatedUser"] = _user(record.impersonated)
    out["sourceIPs"] = [record.source] if record.source else []
    out["userAgent"] = record.agent
    if info.is_resource:
        out["objectRef"] = _object(info)
    if stage != RECEIVED:
        out["responseStatus"] = _status(record)
        for name, body in (("requestObject", record.asked), ("responseObject", record.answered)):
            if (value := body.value(managed_fields=told.managed_fields)) is not None:
                out[name] = value
    out["requestReceivedTimestamp"] = _micro(record.received)
    out["stageTimestamp"] = _micro(record.received if stage == RECEIVED else now)
    if record.decision and stage != RECEIVED:
        out["annotations"] = {
            "authorization.k8s.io/decision": record.decision,
            "authorization.k8s.io/reason": record.reason,
        }
    if stage != RECEIVED and (record.asked.too_large or record.answered.too_large):
        _truncate(out)
    return out


def _stage(record: Record, stage: str) -> str:
    if stage != COMPLETE:
        return stage
    if record.attempted:
        return STARTED  # filters/authn_audit.go: such a request is told of once
    return PANIC if record.failure else COMPLETE


def _status(record: Record) -> dict[str, Any]:
    if record.attempted:
        return {"metadata": {}, "message": record.attempted, "code": record.code}
    status: dict[str, Any] = {"metadata": {}}
    if record.failure:
        why = f"APIServer panic'd: {record.failure}"
        status |= {"status": "Failure", "message": why, "reason": "InternalError"}
    elif record.code >= 400:
        status |= {"status": "Failure", "message": record.message, "reason": record.status_reason}
    return {k: v for k, v in status.items() if v != ""} | {"code": record.code}


def _truncate(out: dict[str, Any]) -> None:
    """plugin/pkg/audit/truncate: what is too large loses its objects, and says so."""
    out.pop("requestObject", None)
    out.pop("responseObject", None)
    out["annotations"] = {**out.get("annotations", {}), "audit.k8s.io/truncated": "true"}


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


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


class AuditLog:
    """Lines appended to a file that never grows past its limit."""

    def __init__(
        self, path: Path, bytes_max: int, files_max: int, policy: Policy = EVERYTHING
    ) -> None:
        self._policy = policy
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

    def received(self, record: Record, now: datetime) -> None:
        """Tell of a request, whose caller is known, before anything is done about it."""
        self.write(record, now, RECEIVED)

    def started(self, record: Record, code: int, now: datetime) -> None:
        """Tell of a request's start, once, when it is one that goes on."""
        if not record.started and is_long_running(record.info):
            record.started, record.code = True, code
            self.write(record, now, STARTED)

    def write(self, record: Record, now: datetime, stage: str = COMPLETE) -> None:
        """Append one request. A full disk is told of once, and stops nothing else."""
        if record.telling is None:
            record.telling = telling(self._policy, record.user, record.info)
        if not record.telling.tells(_stage(record, stage)):
            return
        said = event(record, now, stage)
        line = _line(said)
        if len(line) > EVENT_BYTES_MAX and said.keys() & {"requestObject", "responseObject"}:
            _truncate(said)
            line = _line(said)
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


def open_log(settings: Settings) -> AuditLog:
    """The log that the settings ask for. Raises OSError, AuditPolicyError."""
    assert settings.audit_log is not None, "asked for by a path"
    policy = EVERYTHING
    if settings.audit_policy is not None:
        policy = read(settings.audit_policy.read_bytes())
    return AuditLog(
        settings.audit_log, settings.audit_log_bytes_max, settings.audit_log_files_max, policy
    )
