"""What this server serves: /api, /apis, /version and the lists under them.

Built from the table in api/resource.py, in the legacy form (one list per group and version) and the
aggregated one (everything in two answers; k8s.io/api/apidiscovery).
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kubatch import __version__
from kubatch.api import resource as table
from kubatch.api.resource import Resource, Subresource
from kubatch.server import consumption, negotiate

KUBERNETES_VERSION = "v1.36.2"

_ALL = (*table.RESOURCES, *consumption.RESOURCES)
_SERVED = frozenset((r.group, r.version) for r in _ALL)


@dataclass(frozen=True, slots=True)
class Document:
    """A discovery answer."""

    body: bytes
    content_type: str = negotiate.JSON
    etag: str = ""  # only the aggregated form has one


def find(path: str, accept: str, address: str) -> Document | None:
    """The answer for a path without its trailing slash; None when nothing is there.

    `address` is host:port, as clients reached the server. Raises ApiError 406.
    """
    parts = path.strip("/").split("/")
    if path in ("/api", "/apis"):
        if version := _aggregated_version(accept):
            return _aggregated(path == "/api", version)
        negotiate.form(accept)
        return _root(path, address)
    document = _list_of(parts)
    if document is not None:
        negotiate.form(accept)
    return document


@lru_cache(maxsize=64)
def _root(path: str, address: str) -> Document:
    if path == "/apis":
        groups = [_group(g) for g in _groups() if g]
        return Document(
            negotiate.encode({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        )
    reach = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    body = {
        "kind": "APIVersions",
        "versions": _versions(""),
        "serverAddressByClientCIDRs": reach,
    }
    return Document(negotiate.encode(body))


def _list_of(parts: Sequence[str]) -> Document | None:
    match parts:
        case ["api", version] if version in _versions(""):
            return _resource_list("", version)
        case ["apis", group] if group in _groups():
            return Document(
                negotiate.encode({"kind": "APIGroup", "apiVersion": "v1", **_group(group)})
            )
        case ["apis", group, version] if version in _versions(group):
            return _resource_list(group, version)
    return None


def _groups() -> list[str]:
    return [*table.groups(), consumption.GROUP]


def _versions(group: str) -> list[str]:
    return [consumption.VERSION] if group == consumption.GROUP else table.versions(group)


def serves(group: str, version: str) -> bool:
    """Whether there is such a group and version."""
    return (group, version) in _SERVED


# ----- the legacy form


def _group(group: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in _versions(group)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


@lru_cache(maxsize=64)
def _resource_list(group: str, version: str) -> Document:
    entries: list[dict[str, Any]] = []
    for resource in _resources(group, version):
        entries.append(_entry(resource))
        entries += [_subentry(resource, sub) for sub in resource.subresources]
    body = {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": sorted(entries, key=lambda e: str(e["name"])),
    }
    return Document(negotiate.encode(body))


def _resources(group: str, version: str) -> list[Resource[Any]]:
    return [r for r in _ALL if (r.group, r.version) == (group, version)]


def _entry(resource: Resource[Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return entry


def _subentry(resource: Resource[Any], sub: Subresource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if sub.version:
        entry |= {"group": sub.group, "version": sub.version}
    return entry | {"kind": sub.kind or resource.kind, "verbs": list(sub.verbs)}


# ----- the aggregated form


def _aggregated_version(accept: str) -> str:
    """The version of APIGroupDiscoveryList wanted most, "" when a plain list is."""
    for clause in negotiate.clauses(accept):
        params = clause.params
        if params.get("as") == "APIGroupDiscoveryList":
            version = params.get("v", "")
            known = params.get("g") == "apidiscovery.k8s.io" and version in ("v2", "v2beta1")
            if known and clause.media == negotiate.JSON:
                return version
        elif clause.media in (negotiate.JSON, negotiate.YAML, "*/*", "application/*"):
            return ""
    return ""


@lru_cache(maxsize=8)
def _aggregated(core: bool, version: str) -> Document:
    groups = [g for g in _groups() if bool(g) != core]
    body = negotiate.encode(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": [_group_discovery(g) for g in groups],
        }
    )
    etag = '"' + hashlib.sha256(body).hexdigest().upper() + '"'
    content_type = f"{negotiate.JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    return Document(body, content_type, etag)


def _group_discovery(group: str) -> dict[str, Any]:
    return {
        "metadata": {"name": group} if group else {},
        "versions": [
            {
                "version": version,
                "resources": [_resource_discovery(r) for r in _resources(group, version)],
                "freshness": "Current",
            }
            for version in _versions(group)
        ],
    }


def _resource_discovery(resource: Resource[Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.group,
                    "version": sub.version,
                    "kind": sub.kind or resource.kind,
                },
                "verbs": list(sub.verbs),
            }
            for sub in resource.subresources
        ]
    return entry


# ----- /version


@lru_cache(maxsize=1)
def version() -> Document:
    """The version of the API, with ours as its build metadata (apimachinery/pkg/version)."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    body = {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"{KUBERNETES_VERSION}+kubatch",
        "gitCommit": f"kubatch-{__version__}",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"{sys.platform}/{machine}",
    }
    return Document(negotiate.encode(body))
