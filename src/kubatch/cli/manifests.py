"""The manifests named on the command line, checked before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubatch.api import codec
from kubatch.api.resource import Resource, by_kind
from kubatch.api.yaml_text import parse_manifests
from kubatch.cli.main import Refused

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Manifest:
    """One object to apply, and where it was written."""

    source: str
    resource: Resource[Any]
    obj: Any


def load(filenames: Iterable[str]) -> list[Manifest]:
    """Every object of the files, directories and standard input named, in their order.

    Raises Refused with the file's name and what is wrong in it.
    """
    found = [m for source, text in _texts(filenames) for m in _parse(source, text)]
    if not found:
        raise Refused("no objects in the manifests given")
    return found


def _texts(filenames: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for filename in filenames:
        if filename == "-":
            yield "standard input", sys.stdin.buffer.read()
            continue
        path = Path(filename)
        try:
            if path.is_dir():
                inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
                if not inside:
                    raise Refused(f"{path}: no manifests in this directory (*.yaml, *.yml, *.json)")
                yield from ((str(p), p.read_bytes()) for p in inside)
            else:
                yield filename, path.read_bytes()
        except OSError as error:
            raise Refused(f"{filename}: {error.strerror}") from None


def _parse(source: str, text: bytes) -> Iterator[Manifest]:
    try:
        for document in parse_manifests(text):
            yield _manifest(source, document)
    except codec.Malformed as error:
        raise Refused(f"{source}: {error}") from None


def _manifest(source: str, document: codec.Unmarshalled) -> Manifest:
    api_version, kind = document.value.get("apiVersion"), document.value.get("kind")
    if not api_version or not kind:
        missing = "apiVersion" if not api_version else "kind"
        raise Refused(f"{source}: an object has no {missing}")
    resource = by_kind(str(api_version), str(kind))
    if resource is None:
        raise Refused(f'{source}: no matches for kind "{kind}" in version "{api_version}"')
    try:
        obj, problems = codec.from_wire(resource, document)
    except codec.WrongType as error:
        raise Refused(f"{source}: {error}") from None
    if problems:
        raise Refused(f"{source}: strict decoding error: {', '.join(problems)}")
    return Manifest(source, resource, obj)
