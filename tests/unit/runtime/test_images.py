"""The image map: which entry an image has, and what a container of it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kubatch.runtime.images import ImageEntry, ImageMap, ImageMapError, argv, load_image_map


@pytest.fixture(scope="module")
def shipped() -> ImageMap:
    return load_image_map(None)


@pytest.mark.parametrize(
    ("command", "args", "runs"),
    [
        ((), (), ("entry", "cmd")),
        (("c",), (), ("c",)),
        ((), ("a",), ("entry", "a")),
        (("c",), ("a", "b"), ("c", "a", "b")),
    ],
)
def test_command_and_args_against_the_image(
    command: tuple[str, ...], args: tuple[str, ...], runs: tuple[str, ...]
) -> None:
    assert argv(ImageEntry(entrypoint=("entry",), command=("cmd",)), command, args) == runs


def test_without_an_entry_only_the_manifest_counts() -> None:
    assert argv(None, (), ()) == ()
    assert argv(None, ("a",), ("b",)) == ("a", "b")
    assert argv(None, (), ("b",)) == ("b",)


def test_the_first_word_is_replaced_by_what_provides_it() -> None:
    entry = ImageEntry(entrypoint=("/app",), provides={"/app": ("python3", "app.py")})
    assert argv(entry, (), ("/app",)) == ("python3", "app.py", "/app")
    assert argv(entry, ("/app", "x"), ()) == ("python3", "app.py", "x")
    assert argv(entry, ("sh", "/app"), ()) == ("sh", "/app")


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("busybox", ("sh",)),
        ("busybox:1.36", ("sh",)),
        ("docker.io/library/busybox", ("sh",)),
        ("docker.io/library/alpine:3.20", ("sh",)),
        ("library/debian", ("bash",)),
        ("ubuntu@sha256:" + "0" * 64, ("bash",)),
        ("ubuntu:24.04@sha256:" + "0" * 64, ("bash",)),
        ("localhost:5000/bash:5", ("bash",)),
        ("perl:5.34.0", ("perl", "-de0")),
        ("python:3.12-slim", ("python3",)),
    ],
)
def test_plain_system_images_are_shipped(
    shipped: ImageMap, image: str, command: tuple[str, ...]
) -> None:
    entry = shipped.resolve(image)
    assert entry is not None
    assert (entry.entrypoint, entry.command) == ((), command)


@pytest.mark.parametrize("image", ["example/busybox", "quay.io/team/python:3", "nginx", "busyboxx"])
def test_other_images_are_not(shipped: ImageMap, image: str) -> None:
    assert shipped.resolve(image) is None


@pytest.mark.parametrize(
    ("command", "args"), [((), ("--x",)), (("/kuard",), ("--x",)), (("/kuard", "--x"), ())]
)
def test_kuard_is_our_workload(
    shipped: ImageMap, command: tuple[str, ...], args: tuple[str, ...]
) -> None:
    words = argv(shipped.resolve("gcr.io/kuar-demo/kuard-amd64:blue"), command, args)
    assert (words[0], words[-1]) == (sys.executable, "--x")
    assert Path(words[-2]).name == "kuard.py"
    assert Path(words[-2]).is_file()


def test_a_users_file_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(
        "images:\n"
        "- match: [busybox, 'registry.example/team/*']\n"
        "  entrypoint: ['{python}', '-c']\n"
        "  env: {LEVEL: 3}\n"
        "  workingDir: /srv\n"
    )
    images = load_image_map(file)
    expected = ImageEntry(entrypoint=(sys.executable, "-c"), env={"LEVEL": "3"}, working_dir="/srv")
    assert images.resolve("busybox:1") == expected
    assert images.resolve("registry.example/team/app:v1") == expected
    assert images.resolve("perl") == load_image_map(None).resolve("perl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: {", "expected"),
        ("[]", "must hold a list named images"),
        ("images: [x]", "images\\[0\\]: must be a mapping"),
        ("images: [{entrypoint: [a]}]", "images\\[0\\]: match: must name at least one pattern"),
        ("images: [{match: [a], comand: [b]}]", "unknown field 'comand'"),
        ("images: [{match: [a], command: b}]", "command: must be a list of strings"),
        ("images: [{match: [a], provides: [b]}]", "provides: must be a mapping"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(text)
    with pytest.raises(ImageMapError, match=message):
        load_image_map(file)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_image_map(tmp_path / "nope.yaml")
