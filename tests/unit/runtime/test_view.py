"""Paths of a container before it exists: against the kernel's own answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.runtime.ground import Ground, mount_points
from kubatch.runtime.protocol import ContainerId, ContainerSpec, Isolation, Mount
from kubatch.runtime.recipe import make
from kubatch.runtime.view import View

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), max_size=5).map("/".join)
LINKS = st.dictionaries(
    st.tuples(NAMES, NAMES).map("/".join), st.tuples(st.booleans(), PATHS), max_size=3
)


@given(links=LINKS, path=PATHS)
def test_paths_are_the_kernels(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, tuple[bool, str]], path: str
) -> None:
    """A root whose absolute links lead to the same place seen from inside and from outside."""
    root = tmp_path_factory.mktemp("root")
    for name in ("a", "b", "c"):
        (root / name).mkdir()
    for name, (absolute, target) in links.items():
        text = f"{root}/{target}" if absolute else target or "."
        (root / name).symlink_to(text)
    expected = os.path.realpath(root / path)
    view = View()
    try:
        found = view.real(f"{root}/{path}")
    except OSError:
        return  # in circles: realpath gives up in its own way
    if os.path.exists(expected):
        assert found == expected
        assert view.find(f"{root}/{path}") == expected


def test_mounts_hide_and_show(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "dir").mkdir(parents=True)
    (volume / "up").symlink_to("..")
    (volume / "root").symlink_to("/data/dir")
    view = View()
    view.mount("/data", str(volume))
    assert view.find("/data/dir") == str(volume / "dir")
    assert view.real("/data/up/etc") == "/etc"
    assert view.find("/data/root") == str(volume / "dir")
    assert view.find("/data/none") is None
    assert view.holds_mounts("/")
    view.mount("/data/dir", None)
    assert view.find("/data/dir") is None
    view.mount("/data", None)  # over everything there
    assert view.find("/data/dir") is None
    assert not view.holds_mounts("/data/dir")


def test_what_is_mounted_on_the_host() -> None:
    text = (
        "21 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "22 21 0:5 / /proc rw - proc proc rw\n"
        "23 21 0:6 / /dev/shm rw - tmpfs tmpfs rw\n"
        "24 21 8:1 / /home rw shared:1 - ext4 /dev/sda1 rw\n"
        "25 24 8:2 / /home/me rw - ext4 /dev/sda2 rw\n"
        "26 21 8:3 / /mnt/with\\040blank rw - ext4 /dev/sda3 rw\n"
        "27 21 0:7 / /net rw - autofs auto rw\n"
        "28 21 8:4 / /var/lib/kubatch rw - ext4 /dev/sda4 rw\n"
    )
    assert mount_points(text, ["/var/lib/kubatch"]) == ("/home", "/mnt/with blank")


TOOLS = {name: f"/bin/{name}" for name in ("bwrap", "env", "setpriv", "setsid", "sh", "stat")}
TOOLS |= {"mount": "/bin/mount", "unshare": "/bin/unshare"}


def spec(*mounts: Mount, isolation: Isolation | None = None, **env: str) -> ContainerSpec:
    id = ContainerId("u", "c", 0)
    return ContainerSpec(
        id, ("/bin/true",), env, None, Path("/log"), mounts=mounts, isolation=isolation
    )


def test_only_what_is_incomplete_is_rebuilt(tmp_path: Path) -> None:
    told = " ".join(make(spec(Mount("/usr/share", tmp_path)), Ground(TOOLS)).told)
    assert "--ro-bind / /" in told
    assert "--ro-bind-try /usr /usr" not in told
    told = " ".join(make(spec(Mount("/not-there", tmp_path)), Ground(TOOLS)).told)
    assert "--ro-bind / /" not in told
    assert "--ro-bind-try /usr /usr" in told
    assert told.index("--bind") < told.index("--remount-ro /")
    told = " ".join(make(spec(Mount("/usr/not-there", tmp_path)), Ground(TOOLS)).told)
    assert "--ro-bind / /" in told
    assert "--ro-bind-try /usr/share /usr/share" in told


def test_no_secret_is_in_the_words() -> None:
    for ground in (Ground(TOOLS), Ground(TOOLS, root=True, layers=True)):
        made = make(spec(isolation=Isolation(user=5), PASSWORD="hunter2"), ground)
        assert "hunter2" not in " ".join(made.words)
        assert "hunter2" in made.told


def test_what_the_loader_heeds_is_set_last() -> None:
    made = make(
        spec(isolation=Isolation(user=5), LD_PRELOAD="/x.so", GLIBC_TUNABLES="y", A="1"),
        Ground(TOOLS, root=True),
    )
    assert "LD_PRELOAD" not in made.told
    assert made.words[-4:] == ["/bin/env", "LD_PRELOAD=/x.so", "GLIBC_TUNABLES=y", "/bin/true"]


def test_the_root_itself_is_no_mount_point(tmp_path: Path) -> None:
    assert make(spec(Mount("/", tmp_path)), Ground(TOOLS)).error == (
        "/: the root of a container cannot be a mount point"
    )
