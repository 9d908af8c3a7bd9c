"""From volumeMounts to mounts, and the files that every pod gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.mounting import MountError, mounts
from kubatch.agent.pod_files import hosts, lay_out, message, message_file
from kubatch.agent.volumes import Mounted
from kubatch.api import models as m
from kubatch.api.models import core_v1
from kubatch.runtime.protocol import ContainerId, Mount
from tests.unit.agent.pods import container, pod

ID = ContainerId("u1", "c", 3)


def mount(path: str = "/data", **fields: Any) -> m.VolumeMount:
    return m.VolumeMount(name="v", mountPath=path, **fields)


def made(asked: m.VolumeMount, volume: Mounted, **variables: str) -> Mount:
    (found,) = mounts(container(volumeMounts=[asked]), {"v": volume}, variables)
    return found


@pytest.mark.parametrize(
    ("asked", "volume", "expected"),
    [
        (mount(), Mounted(Path("/v")), Mount("/data", Path("/v"))),
        (mount(readOnly=True), Mounted(Path("/v")), Mount("/data", Path("/v"), True)),
        (mount(), Mounted(Path("/v"), read_only=True), Mount("/data", Path("/v"), True)),
        (mount(), Mounted(None, size_bytes=5), Mount("/data", None, size_bytes=5)),
        (mount("data//x/"), Mounted(Path("/v")), Mount("/data/x", Path("/v"))),
        (mount("/a/../../b"), Mounted(Path("/v")), Mount("/b", Path("/v"))),
    ],
)
def test_mounts(asked: m.VolumeMount, volume: Mounted, expected: Mount) -> None:
    assert made(asked, volume) == expected


def test_sub_paths(tmp_path: Path) -> None:
    found = made(mount(subPath="a/b"), Mounted(tmp_path, shared=True))
    assert found.source == tmp_path / "a" / "b"
    info = (tmp_path / "a" / "b").stat()
    assert found.identity == (info.st_dev, info.st_ino)
    found = made(mount(subPathExpr="$(POD)/$$x"), Mounted(tmp_path), POD="p-0")
    assert found.source == tmp_path / "p-0" / "$x"
    assert found.identity is None  # nobody but us writes to it


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (mount(subPath="/x"), "error SubPath `/x` must not be an absolute path"),
        (mount(subPath="a/../b"), "unable to provision SubPath `a/../b`: must not contain '..'"),
        (mount(subPathExpr="$(A)/$(B)/$(EMPTY)"), "missing value for B, EMPTY"),
        (mount(subPathExpr="$(UP)"), "unable to provision SubPath `..`: must not contain '..'"),
        (
            mount(subPath="out"),
            'failed to prepare subPath for volumeMount "v" of container "c"',
        ),
        (
            m.VolumeMount(name="w", mountPath="/w"),
            'cannot find volume "w" to mount into container "c"',
        ),
    ],
)
def test_what_cannot_be_mounted(tmp_path: Path, asked: m.VolumeMount, message: str) -> None:
    (tmp_path / "out").symlink_to("/etc")
    variables = {"A": "1", "EMPTY": "", "UP": ".."}
    with pytest.raises(MountError) as raised:
        made(asked, Mounted(tmp_path), **variables)
    assert str(raised.value) == message


def test_hosts() -> None:
    aliases = [core_v1.HostAlias(ip="10.1.1.1", hostnames=["db", "db.local"])]
    assert hosts(pod(hostAliases=aliases), "web-0", "10.0.0.9", "") == (
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n"
        "10.0.0.9\tweb-0\n"
        "\n# Entries added by HostAliases.\n"
        "10.1.1.1\tdb\tdb.local\n"
    )


def test_hosts_with_a_domain_and_on_the_nodes_network() -> None:
    text = hosts(pod(subdomain="peers"), "job-1", "10.0.0.9", "")
    assert text.endswith("10.0.0.9\tjob-1.peers.default.svc.cluster.local\tjob-1\n")
    text = hosts(pod(hostNetwork=True), "node", "10.0.0.9", "1.2.3.4 other\n")
    assert text == "# Kubernetes-managed hosts file (host network).\n1.2.3.4 other\n"


def test_every_attempt_has_its_message_file(tmp_path: Path) -> None:
    found = lay_out(tmp_path, container(), ID, "hosts")
    assert [mount.target for mount in found] == ["/dev/termination-log", "/etc/hosts"]
    assert message(tmp_path, ID) == ""
    file = message_file(tmp_path, ID)
    assert file.stat().st_mode & 0o777 == 0o666
    file.write_bytes(b"x" * 5000 + "é".encode() + b"\xff")
    assert message(tmp_path, ID) == "x" * 4093 + "é\ufffd"
    assert message(tmp_path, ContainerId("u1", "c", 4)) == ""


def test_a_volume_over_the_hosts_file_wins(tmp_path: Path) -> None:
    own = container(
        volumeMounts=[m.VolumeMount(name="v", mountPath="/etc/hosts")],
        terminationMessagePath="/tmp/last-words",
    )
    found = lay_out(tmp_path, own, ID, "hosts")
    assert [mount.target for mount in found] == ["/tmp/last-words"]
