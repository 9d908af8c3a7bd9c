"""A volume's files change all at once."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.volume_files import File, VolumeError
from kubatch.agent.volume_writer import write
from tests.unit.agent.pods import START

NAMES = st.sampled_from(["a", "b", "dir/c", "dir/d", "deep/er/e"])
VERSIONS = st.dictionaries(NAMES, st.builds(File, st.binary(max_size=3), st.just(0o640)))


def listing(volume: Path) -> dict[str, str]:
    return {
        entry.name: os.readlink(entry.path) if entry.is_symlink() else "directory"
        for entry in os.scandir(volume)
    }


def content(volume: Path) -> dict[str, bytes]:
    """What a container reads, through the links."""
    found: dict[str, bytes] = {}
    for top in (entry for entry in volume.iterdir() if not entry.name.startswith("..")):
        paths = [top] if top.is_file() else [p for p in top.rglob("*") if p.is_file()]
        found |= {str(path.relative_to(volume)): path.read_bytes() for path in paths}
    return found


def test_the_layout(tmp_path: Path) -> None:
    files = {"key": File(b"1", 0o400), "dir/deep": File(b"2", 0o644)}
    assert write(tmp_path / "v", files, START, "0000000042", None)
    assert listing(tmp_path / "v") == {
        "..2026_11_22_03_00_00.0000000042": "directory",
        "..data": "..2026_11_22_03_00_00.0000000042",
        "key": "..data/key",
        "dir": "..data/dir",
    }
    assert (tmp_path / "v" / "key").stat().st_mode & 0o777 == 0o400
    assert content(tmp_path / "v") == {"key": b"1", "dir/deep": b"2"}


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    files = {"key": File(b"1", 0o644)}
    assert write(tmp_path, files, START, "1", None)
    before = listing(tmp_path)
    assert not write(tmp_path, files, START + timedelta(minutes=1), "2", None)
    assert listing(tmp_path) == before
    assert write(tmp_path, {"key": File(b"1", 0o600)}, START, "3", None)


def test_an_empty_volume_is_a_directory(tmp_path: Path) -> None:
    write(tmp_path / "v", {}, START, "1", None)
    assert list((tmp_path / "v" / "..data").iterdir()) == []


@given(st.lists(VERSIONS, max_size=4))
def test_any_sequence_of_versions(
    tmp_path_factory: pytest.TempPathFactory, versions: list[dict[str, File]]
) -> None:
    volume = tmp_path_factory.mktemp("volume")
    for number, files in enumerate(versions):
        write(volume, files, START, str(number), None)
        assert content(volume) == {path: file.content for path, file in files.items()}
        directories = [name for name, kind in listing(volume).items() if kind == "directory"]
        assert len(directories) == 1


@pytest.mark.parametrize("path", ["/abs", "../x", "a/../../x", "..data", "..x/y", ""])
def test_no_path_leads_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(VolumeError, match="invalid path"):
        write(tmp_path / "v", {path: File(b"", 0o644)}, START, "1", None)
    assert not (tmp_path / "v").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_group_may_read(tmp_path: Path) -> None:
    files = {"dir/key": File(b"1", 0o400)}
    write(tmp_path / "v", files, START, "1", 4321)
    info = (tmp_path / "v" / "dir" / "key").stat()
    assert (info.st_gid, info.st_mode & 0o777) == (4321, 0o440)
    assert (tmp_path / "v").stat().st_mode & 0o7777 == 0o2755
    assert not write(tmp_path / "v", files, START, "2", 4321)
