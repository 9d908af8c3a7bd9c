"""`kubatch backup` and `kubatch restore`: a server's whole state in one file, and back."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import kubatch
from kubatch.cli import archive
from kubatch.cli.assemble import default_data_dir, fail
from kubatch.cli.main import EXIT_FAILED, Refused
from kubatch.store import snapshot
from kubatch.store.database import sync_directory
from kubatch.store.protocol import StoreError
from kubatch.world import World

# Beside the objects: who they trust and who trusts them. Logs, and what runs, stay behind; the
# kubeconfig is made anew from these.
_IDENTITY = ("tokens", "pki")
_STATE = "state.db"
_NEXT = "start it with: kubatch up --data-dir"


def backup(file: str, *, data_dir: str | None) -> int:
    """Save a data directory, in use or not; the exit code."""
    source = Path(data_dir).absolute() if data_dir else default_data_dir()
    if file == "-" and sys.stdout.isatty():
        raise Refused("a backup is not for a terminal; give a file, or redirect the output")
    if not (source / _STATE).exists():
        raise Refused(f"there is no state in {source}; say where with --data-dir")
    try:
        with archive.private_umask(), _scratch() as staged, _output(file) as out:
            revision = snapshot.take(source / _STATE, staged / _STATE)
            for name in _IDENTITY:
                _copy(source / name, staged / name)
            (staged / f"{_STATE}.lock").unlink()
            manifest = archive.Manifest(
                archive.FORMAT,
                kubatch.__version__,
                World().now().isoformat(timespec="seconds"),
                revision,
                archive.sums(staged),
            )
            archive.write(out, manifest, staged)
    except (StoreError, OSError) as error:
        fail(f"not saved: {_words(error)}")
        return EXIT_FAILED
    _tell(f"saved {source} at revision {revision}" + (f" in {file}" if file != "-" else ""))
    return 0


def restore(file: str, *, data_dir: str | None, check: bool) -> int:
    """Make a new data directory of a backup, or only look whether one could; the exit code."""
    target = Path(data_dir).absolute() if data_dir else default_data_dir()
    if not check and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused(f"{target} is not empty; restore into a new directory with --data-dir")
    try:
        with archive.private_umask(), _input(file) as source:
            if check:
                with _scratch() as unpacked:
                    manifest = _unpack(source, unpacked)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                with _scratch(target.parent) as unpacked:
                    manifest = _unpack(source, unpacked)
                    snapshot.make_current(unpacked / _STATE)
                    sync_directory(unpacked)
                    unpacked.rename(target)  # all of it, or nothing
                    sync_directory(target.parent)
    except (archive.BadArchive, StoreError, OSError) as error:
        fail(f"{_name(file)} cannot be restored: {_words(error)}")
        return EXIT_FAILED
    what = f"revision {manifest.revision} of {manifest.created}, {len(manifest.files)} files"
    _tell(f"{_name(file)} is good: {what}" if check else f"restored {what}; {_NEXT} {target}")
    return 0


def _unpack(source: BinaryIO, directory: Path) -> archive.Manifest:
    manifest = archive.read(source, directory)
    if _STATE not in manifest.files:
        raise archive.BadArchive(f"{_STATE} is missing")
    snapshot.check(directory / _STATE)
    return manifest


@contextmanager
def _scratch(parent: Path | None = None) -> Iterator[Path]:
    """A directory for the moment, which may be moved away."""
    path = Path(tempfile.mkdtemp(prefix=".kubatch-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _output(file: str) -> Iterator[BinaryIO]:
    """Where to write; a file shows up once it is complete."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(file).absolute()
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, target)
        sync_directory(target.parent)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


@contextmanager
def _input(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy2(source, target)


def _name(file: str) -> str:
    return "the backup" if file == "-" else file


def _words(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _tell(message: str) -> None:
    print(f"kubatch: {message}", file=sys.stderr)
