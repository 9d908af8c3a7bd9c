"""What a command is asked about, and which server knows it: KIND/NAME, --namespace, --data-dir."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubatch.api import resource as table
from kubatch.api.resource import Resource
from kubatch.cli import connect
from kubatch.cli.assemble import default_data_dir
from kubatch.cli.main import Refused
from kubatch.client.kubeconfig import Endpoint


@dataclass(frozen=True)
class Subject:
    """What is asked about."""

    resource: Resource[Any]
    namespace: str | None
    name: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.singular}/{self.name}{where}"


def find(
    what: str, namespace: str, kubeconfig: str | None, context: str, data_dir: str | None
) -> tuple[Subject, Endpoint]:
    """The subject, and where to ask. Raises Refused."""
    resource, name = parse(what)
    if data_dir is not None:
        kubeconfig = str(_kubeconfig_of(Path(data_dir)))
    elif kubeconfig is None and not os.environ.get("KUBECONFIG"):
        usual = default_data_dir() / "kubeconfig"
        kubeconfig = str(usual) if usual.is_file() else None
    where = connect.endpoint(kubeconfig, context)
    space = (namespace or where.namespace) if resource.namespaced else None
    return Subject(resource, space, name), where


def _kubeconfig_of(directory: Path) -> Path:
    path = directory / "kubeconfig"
    if not path.is_file() and (directory / "pki").is_dir():
        raise Refused(
            f"the kubeconfig of the server on {directory} is not in it; name it with --kubeconfig"
        )
    if not path.is_file():
        raise Refused(
            f"{directory} holds no kubeconfig: no server has run on it; "
            f"start one with kubatch up --data-dir {directory}"
        )
    return path


def parse(what: str) -> tuple[Resource[Any], str]:
    """KIND/NAME as kubectl takes it. Raises Refused."""
    kind, slash, name = what.partition("/")
    if not slash or not name:
        raise Refused(f"{what}: name what is meant as KIND/NAME, for example job/import")
    plural, _, group = kind.lower().partition(".")
    for resource in table.RESOURCES:
        names = (resource.plural, resource.singular, *resource.short_names)
        if plural in names and group in ("", resource.group):
            return resource, name
    raise Refused(f"{kind}: there is no such kind")
