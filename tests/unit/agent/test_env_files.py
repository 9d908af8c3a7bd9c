"""Variables from files, whoever wrote them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.env import EnvError, PodContext, Sources, build
from kubatch.agent.env_files import FILE_BYTES_MAX, parse, read_files
from kubatch.agent.volumes import Mounted
from kubatch.api import models as m
from tests.unit.agent.pods import container, pod


def of(path: str = "f", key: str = "K", *, optional: bool | None = None) -> m.Container:
    ref = m.core_v1.FileKeySelector(key=key, path=path, volumeName="v", optional=optional)
    return container(env=[m.EnvVar(name="X", valueFrom=m.EnvVarSource(fileKeyRef=ref))])


def env_of(c: m.Container, volume: Path) -> dict[str, str]:
    p = pod(c, volumes=[m.Volume(name="v", emptyDir=m.core_v1.EmptyDirVolumeSource())])
    sources = replace(Sources(), files=read_files(p, c, {"v": Mounted(volume)}))
    return build(p, c, sources, PodContext("n", "10.0.0.1"))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("K=v\n", {"K": "v"}),
        (" K = v w  \nL=\n# M=1\n\n", {"K": "v w", "L": ""}),
        ("K='a b'\nL='x=y'", {"K": "a b", "L": "x=y"}),
        ("K='two\n# lines'  # said\nL=1\n", {"K": "two\n# lines", "L": "1"}),
        ('K="v"', {"K": '"v"'}),
        ("K=a\nK=b", {"K": "b"}),
        ("K", None),
        ("=v", None),
        ("export K=v", None),
        ("K='v", None),
        ("K='v'w", None),
    ],
)
def test_what_a_file_says(text: str, values: dict[str, str] | None) -> None:
    if values is None:
        with pytest.raises(ValueError, match="not KEY=VALUE"):
            parse(text)
    else:
        assert parse(text) == values


_VALUES = st.text(st.characters(exclude_characters="'\0", codec="utf-8"))


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]\w{0,5}", fullmatch=True), _VALUES))
def test_quoted_values_come_back(values: dict[str, str]) -> None:
    assert parse("".join(f"{key}='{value}'\n" for key, value in values.items())) == values


def test_a_key_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("K=v\n")
    assert env_of(of("d/f"), tmp_path) == {"X": "v"}
    with pytest.raises(EnvError, match='environment variable key "L" not found in file "d/f"'):
        env_of(of("d/f", "L"), tmp_path)
    assert env_of(of("d/f", "L", optional=True), tmp_path) == {}


def test_only_an_empty_dir_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("K=v\n")
    host = m.Volume(name="v", hostPath=m.core_v1.HostPathVolumeSource(path=str(tmp_path)))
    assert read_files(pod(of(), volumes=[host]), of(), {"v": Mounted(tmp_path)}) == {}


@pytest.mark.parametrize(
    "path",
    ["none", "link", "pipe", "folder", "large", "bytes", "linked/f", "../f", "d/../../f", ""],
)
def test_files_that_are_not_read(tmp_path: Path, path: str) -> None:
    outside, volume = tmp_path / "outside", tmp_path / "volume"
    for folder in (outside, volume, volume / "folder"):
        folder.mkdir()
    for file in (tmp_path / "f", outside / "f"):
        file.write_text("K=secret\n")
    (volume / "link").symlink_to(outside / "f")
    (volume / "linked").symlink_to(outside)
    os.mkfifo(volume / "pipe")
    (volume / "large").write_text("K=v\n#" + "x" * FILE_BYTES_MAX)
    (volume / "bytes").write_bytes(b"K=\xff\n")
    with pytest.raises(EnvError, match="couldn't parse env file"):
        env_of(of(path), volume)
    assert env_of(of(path, optional=True), volume) == {}
