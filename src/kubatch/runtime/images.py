"""The image map: what an image's ENTRYPOINT, CMD and programs are where no engine unpacks it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEYS = {"match", "entrypoint", "command", "env", "workingDir", "provides"}


class ImageMapError(ValueError):
    """An image map file does not say what it must."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """What the map says about an image."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # program: host argv


@dataclass(frozen=True, slots=True)
class ImageMap:
    """Patterns and their entries; the first that matches counts."""

    entries: tuple[tuple[tuple[str, ...], ImageEntry], ...]

    def names(self) -> list[str]:
        """The images that have an entry of their own, by name; patterns name none."""
        return sorted(
            {name for names, _ in self.entries for name in names if not set(name) & set("*?[")}
        )

    def resolve(self, image: str) -> ImageEntry | None:
        """The entry for an image reference."""
        spellings = tuple(_spellings(image))
        for patterns, entry in self.entries:
            if any(fnmatchcase(text, pattern) for text in spellings for pattern in patterns):
                return entry
        return None


def load_image_map(path: Path | None = None) -> ImageMap:
    """The map shipped with kubatch, after the user's own file if there is one."""
    sources = [_HERE / "images.yaml"] if path is None else [path, _HERE / "images.yaml"]
    return ImageMap(tuple(entry for source in sources for entry in _read(source)))


def argv(entry: ImageEntry | None, command: Sequence[str], args: Sequence[str]) -> tuple[str, ...]:
    """What to run for a container's command and args; () when nothing says.

    A command replaces ENTRYPOINT and CMD, args alone replace CMD.
    """
    entry = entry or ImageEntry()
    image_words = (*entry.entrypoint, *(args or entry.command))
    words = (*command, *args) if command else image_words
    if words and words[0] in entry.provides:
        return (*entry.provides[words[0]], *words[1:])
    return words


def _spellings(image: str) -> Iterator[str]:
    """The reference as written, then without tag and digest, registry, and library/."""
    yield image
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    name = folder + slash + last.partition(":")[0]
    for text in (image, name):
        yield text
        registry, slash, path = text.partition("/")
        # A first part is a host if it cannot be a user's name (distribution/reference: splitDomain)
        if slash and ("." in registry or ":" in registry or registry == "localhost"):
            text = path
            yield text
        if text.startswith("library/"):
            yield text.removeprefix("library/")


def _read(path: Path) -> Iterator[tuple[tuple[str, ...], ImageEntry]]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.YAMLError as error:
        raise ImageMapError(f"{path}: {error}") from error
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list):
        raise ImageMapError(f"{path}: must hold a list named images")
    for number, item in enumerate(images):
        try:
            yield _entry(item)
        except (TypeError, ValueError) as error:
            raise ImageMapError(f"{path}: images[{number}]: {error}") from error


def _entry(item: Any) -> tuple[tuple[str, ...], ImageEntry]:
    if not isinstance(item, dict):
        raise TypeError("must be a mapping")
    unknown = sorted(str(key) for key in item.keys() - _KEYS)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    patterns = _words(item, "match")
    if not patterns:
        raise ValueError("match: must name at least one pattern")
    provides = _mapping(item, "provides")
    working_dir = item.get("workingDir")
    return patterns, ImageEntry(
        entrypoint=_words(item, "entrypoint"),
        command=_words(item, "command"),
        env={str(name): _here(str(value)) for name, value in _mapping(item, "env").items()},
        working_dir=None if working_dir is None else str(working_dir),
        provides={str(name): _words(provides, name) for name in provides},
    )


def _mapping(item: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
    value = item.get(key) or {}
    if not isinstance(value, dict):
        raise TypeError(f"{key}: must be a mapping")
    return value


def _words(item: Mapping[Any, Any], key: Any) -> tuple[str, ...]:
    words = item.get(key) or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"{key}: must be a list of strings")
    return tuple(map(_here, words))


def _here(text: str) -> str:
    """The text with what only this machine knows."""
    return text.replace("{python}", sys.executable).replace("{workloads}", str(_HERE / "workloads"))
