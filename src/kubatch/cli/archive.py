"""What `kubatch backup` writes: a compressed tar whose first member lists and sums the others."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

FORMAT = 1
_MANIFEST = "manifest.json"
_BYTES_AT_ONCE = 1 << 20
_MANIFEST_BYTES_MAX = 1 << 20


class Sum(msgspec.Struct, frozen=True):
    """What a file must be, to be the one that was saved."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds."""

    format: int
    kubatch: str  # the version that wrote it
    created: str  # RFC 3339, UTC
    revision: int  # of the state
    files: Mapping[str, Sum]  # by path below the data directory


class BadArchive(Exception):
    """Not an archive, or not the one that was written; says why."""


def write(out: BinaryIO, manifest: Manifest, directory: Path) -> None:
    """Write the manifest, and its files from below a directory."""
    with (
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        data = msgspec.json.encode(manifest)
        tar.addfile(_member(_MANIFEST, len(data)), io.BytesIO(data))
        for name, expected in manifest.files.items():
            with (directory / name).open("rb") as file:
                tar.addfile(_member(name, expected.bytes), file)


def sums(directory: Path) -> dict[str, Sum]:
    """The sums of all files below a directory, sorted by name."""
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): _sum(path) for path in found}


def read(source: BinaryIO, directory: Path) -> Manifest:
    """Unpack into an empty directory, for its owner alone. Raises BadArchive.

    Nothing outside the directory is touched, whatever the archive says.
    """
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as tar:
            members = iter(tar)
            manifest = _read_manifest(tar, members)
            missing = dict(manifest.files)
            for member in members:
                expected = missing.pop(member.name, None)
                if expected is None or not member.isreg() or not _is_inside(member.name):
                    raise BadArchive(f"{member.name} does not belong into it")
                if _unpack(tar, member, directory / member.name) != expected:
                    raise BadArchive(f"{member.name} is not what was saved")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadArchive(str(error)) from error
    if missing:
        raise BadArchive(f"{next(iter(missing))} is missing")
    return manifest


@contextmanager
def private_umask() -> Iterator[None]:
    """Files made within are their owner's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _read_manifest(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> Manifest:
    first = next(members, None)
    if first is None or first.name != _MANIFEST or not first.isreg():
        raise BadArchive("it does not begin with a manifest")
    file = tar.extractfile(first)
    assert file is not None, "a regular file has content"
    try:
        manifest = msgspec.json.decode(file.read(_MANIFEST_BYTES_MAX), type=Manifest)
    except msgspec.DecodeError as error:
        raise BadArchive(f"its manifest cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise BadArchive(f"it has format {manifest.format}, and this kubatch reads {FORMAT}")
    return manifest


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Sum:
    source = tar.extractfile(member)
    assert source is not None, "a regular file has content"
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while piece := source.read(_BYTES_AT_ONCE):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Sum(digest.hexdigest(), size)


def _is_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _sum(path: Path) -> Sum:
    with path.open("rb") as file:
        return Sum(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member
