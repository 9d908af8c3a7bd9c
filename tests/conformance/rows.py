"""What a row of a conformance table is: a name, requests, and what each must be answered.

A row's requests go to one server, in order, in a namespace of the row's own, whose name stands
for `{ns}`. `<<0.metadata.uid>>` stands for a value out of the answer to the row's request 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
PARTIAL_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
YAML_BODY = {"Content-Type": "application/yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}

IN = "/api/v1/namespaces/{ns}"
MAPS = f"{IN}/configmaps"
SECRETS = f"{IN}/secrets"
PODS = f"{IN}/pods"
SERVICES = f"{IN}/services"
EVENTS = f"{IN}/events"
ACCOUNTS = f"{IN}/serviceaccounts"
BATCH = "/apis/batch/v1/namespaces/{ns}"
JOBS = f"{BATCH}/jobs"
CRONJOBS = f"{BATCH}/cronjobs"
REPLICASETS = "/apis/apps/v1/namespaces/{ns}/replicasets"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"


class _Absent:
    def __repr__(self) -> str:
        return "<absent>"


ABSENT = _Absent()  # of a member: it must not be there


@dataclass(frozen=True)
class Is:
    """A value that a predicate accepts."""

    what: str
    accepts: Callable[[Any], bool]

    def __repr__(self) -> str:
        return f"<{self.what}>"


ANY = Is("anything", lambda value: value is not None)
NUMBER = Is("a number in a string", lambda value: isinstance(value, str) and value.isdigit())


def like(pattern: str) -> re.Pattern[str]:
    """Text which a pattern matches whole."""
    return re.compile(pattern, re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One request, and what its answer must be."""

    method: str
    path: str
    sent: Any = None
    send: Mapping[str, str] = field(default_factory=dict)  # headers
    who: str = "root"  # whose token; "" is nobody's
    status: int = 0  # 0: any success
    message: str | re.Pattern[str] | None = None
    reason: str | _Absent | None = None
    details: Any = None
    body: Any = None  # a fragment of the JSON
    text: str | re.Pattern[str] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] | Is | None = None
    events: Sequence[Any] | None = None  # of a watch: the first ones it sends
    ends: bool = False  # of a watch: it ends after them

    def expected(self) -> dict[str, Any]:
        """The fragment of JSON that the answer must hold."""
        found: dict[str, Any] = dict(self.body or {})
        for name in ("message", "reason", "details"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        if self.message is not None:
            failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": ANY}
            found = {**failure, "code": self.status, **found}
        return found


@dataclass(frozen=True)
class Row:
    """One clause of the API."""

    name: str
    steps: tuple[Step, ...]


def row(name: str, *steps: Step) -> Row:
    return Row(name, steps)


def get(path: str, status: int = 200, **more: Any) -> Step:
    return Step(method="GET", path=path, status=status, **more)


def post(path: str, sent: Any, status: int = 0, **more: Any) -> Step:
    return Step(method="POST", path=path, sent=sent, status=status, **more)


def put(path: str, sent: Any, status: int = 0, **more: Any) -> Step:
    return Step(method="PUT", path=path, sent=sent, status=status, **more)


def patch(path: str, sent: Any, status: int = 0, send: Any = MERGE, **more: Any) -> Step:
    return Step(method="PATCH", path=path, sent=sent, send=send, status=status, **more)


def delete(path: str, status: int = 200, **more: Any) -> Step:
    return Step(method="DELETE", path=path, status=status, **more)


def watch(path: str, *events: Any, status: int = 200, **more: Any) -> Step:
    return Step(method="GET", path=path, status=status, events=events, **more)


# ----- objects


def config_map(name: str, labels: Mapping[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"labels": labels} if labels else {})}, "data": data}


def container(name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1", **more}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [container()], **spec}}


def job(name: str, template: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    inner = {"restartPolicy": "Never", "containers": [container()], **(template or {})}
    return {"metadata": {"name": name}, "spec": {"template": {"spec": inner}, **spec}}


def cron_job(name: str, **spec: Any) -> dict[str, Any]:
    template = {"spec": job("x")["spec"]}
    chosen = {"schedule": "*/5 * * * *", "jobTemplate": template, **spec}
    return {"metadata": {"name": name}, "spec": chosen}


def replica_set(name: str, replicas: int = 0) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container()]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}
