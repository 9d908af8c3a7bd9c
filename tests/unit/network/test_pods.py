"""Whether pods can have addresses of their own here, and what a start refuses."""

from __future__ import annotations

import os
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kubatch.network import pods


def plugins(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).touch(mode=0o755)
    return str(folder)


def test_plugins_are_searched_where_the_variable_says(tmp_path: Path) -> None:
    path = plugins(tmp_path, "bridge", "host-local")
    assert pods.plugin_folder({"CNI_PATH": f"/nowhere:{path}"}) == path


def test_a_folder_with_one_plugin_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "_PLUGIN_FOLDERS", ())
    path = plugins(tmp_path, "bridge")
    assert pods.plugin_folder({"CNI_PATH": path}) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets that far")
def test_what_is_missing_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "_PLUGIN_FOLDERS", ())
    why = pods.unavailable({})
    assert why.endswith(
        "the CNI plugins bridge and host-local not found; "
        "install the packages containernetworking-plugins, iproute2 and iptables"
    )
    assert "\n" not in why


async def test_a_pod_nobody_attached_has_no_place(tmp_path: Path) -> None:
    network = pods.BridgedPods(tmp_path, IPv4Network("10.244.0.0/24"), "/nowhere")
    assert network.find("uid") is None
    await network.release("uid")
    await network.close(kill=True)  # it was never opened: nothing to take away
    assert not pods.in_use(tmp_path)
