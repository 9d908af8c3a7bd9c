"""hostPath types, and subPaths that cannot lead out of their volume."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.host_paths import SubPathError, give_to_group, host_path, sub_path
from kubatch.agent.volume_files import VolumeError


@pytest.fixture
def places(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(tmp_path)
        listener.bind("sock")
        os.chdir(before)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dir", ""),
        ("file", ""),
        ("new/er", ""),
        ("dir", "Directory"),
        ("new/er", "DirectoryOrCreate"),
        ("file", "File"),
        ("fresh", "FileOrCreate"),
        ("sock", "Socket"),
        ("/dev/null", "CharDevice"),
    ],
)
def test_what_is_as_its_type_says(places: Path, name: str, kind: str) -> None:
    path = host_path(str(places / name), kind)
    assert path == places / name
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("file", "Directory", "a directory"),
        ("none", "Directory", "a directory"),
        ("file", "DirectoryOrCreate", "a directory"),
        ("dir", "File", "a file"),
        ("none", "File", "a file"),
        ("dir", "FileOrCreate", "a file"),
        ("file", "Socket", "a socket file"),
        ("file", "CharDevice", "a character device"),
        ("/dev/null", "BlockDevice", "a block device"),
    ],
)
def test_what_is_something_else(places: Path, name: str, kind: str, what: str) -> None:
    path = places / name
    with pytest.raises(VolumeError) as raised:
        host_path(str(path), kind)
    assert str(raised.value) == f"hostPath type check failed: {path} is not {what}"


def test_a_file_is_not_made_without_its_directory(places: Path) -> None:
    with pytest.raises(VolumeError, match="no such file or directory"):
        host_path(str(places / "none" / "file"), "FileOrCreate")


def test_missing_directories_are_made_as_the_volume_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    path, identity = sub_path(tmp_path, "a/b")
    assert path == tmp_path / "a" / "b"
    assert (path.stat().st_dev, path.stat().st_ino) == identity
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o777


def test_links_within_the_volume_count(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "..data").symlink_to("real")
    assert sub_path(tmp_path, "link/new")[0] == tmp_path / "real" / "new"
    assert sub_path(tmp_path, "..data")[0] == tmp_path / "real"


@pytest.mark.parametrize(
    "target", ["/", "/etc", "../outside", "..", "a/../../outside", "loop", "/proc/self/root"]
)
def test_links_out_of_the_volume_do_not(tmp_path: Path, target: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (tmp_path / "outside").mkdir()
    (volume / "loop").symlink_to(target)
    for path in ("loop", "loop/x"):
        with pytest.raises(SubPathError):
            sub_path(volume, path)
    assert list((tmp_path / "outside").iterdir()) == []


PARTS = st.sampled_from(["a", "b", "..", ".", "in", "out", "up", "abs", "new"])


@given(st.lists(PARTS, min_size=1, max_size=6).map("/".join))
def test_whatever_the_path_it_stays_inside(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    volume = root / "volume"
    (volume / "a" / "b").mkdir(parents=True)
    for name, target in (("in", "a"), ("out", "../.."), ("up", "a/.."), ("abs", "/")):
        (volume / name).symlink_to(target)
    try:
        found, identity = sub_path(volume, path)
    except SubPathError:
        pass
    else:
        assert os.path.realpath(found) == str(found)
        assert found == volume or volume in found.parents
        assert (found.stat().st_dev, found.stat().st_ino) == identity
    assert [entry.name for entry in root.iterdir()] == ["volume"]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert sub_path(tmp_path, "file")[0] == tmp_path / "file"
    with pytest.raises(SubPathError):
        sub_path(tmp_path, "file/below")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_group_gets_everything_but_what_links_lead_to(tmp_path: Path) -> None:
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    (volume / "dir").mkdir(parents=True)
    (volume / "dir" / "file").write_text("")
    (volume / "dir" / "file").chmod(0o600)
    outside.write_text("")
    outside.chmod(0o600)
    (volume / "link").symlink_to(outside)
    give_to_group(volume, 4321, only_if_root_differs=True)
    modes = {
        path: (path.lstat().st_gid, path.lstat().st_mode & 0o7777)
        for path in (volume, volume / "dir", volume / "dir" / "file")
    }
    assert modes == {
        volume: (4321, 0o2775),
        volume / "dir": (4321, 0o2775),
        volume / "dir" / "file": (4321, 0o660),
    }
    assert (outside.stat().st_gid, outside.stat().st_mode & 0o777) == (0, 0o600)
    (volume / "later").write_text("")
    give_to_group(volume, 4321, only_if_root_differs=True)
    assert (volume / "later").stat().st_mode & 0o777 == 0o644
