"""What files a volume holds."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from kubatch.agent import volume_files
from kubatch.agent.env import PodContext, Sources
from kubatch.agent.volume_files import File, Inputs, TokenWanted, VolumeError, files_of
from kubatch.api import models as m
from kubatch.api.models import core_v1
from tests.unit.agent.pods import container, pod

CONFIG = m.ConfigMap(
    metadata=m.ObjectMeta(name="cm"),
    data={"a": "1", "b": "two\n"},
    binaryData={"bin": base64.b64encode(b"\0\1").decode()},
)
SECRET = m.Secret(
    metadata=m.ObjectMeta(name="s"), data={"password": base64.b64encode(b"hunter2").decode()}
)
SOURCES = Sources({"cm": CONFIG}, {"s": SECRET})


def inputs(p: m.Pod | None = None, **fields: Any) -> Inputs:
    context = PodContext("node-1", "10.0.0.1", {"cpu": "4"})
    return Inputs(p or pod(), context, fields.pop("sources", SOURCES), **fields)


def item(key: str, path: str, mode: int | None = None) -> core_v1.KeyToPath:
    return core_v1.KeyToPath(key=key, path=path, mode=mode)


def config_map(name: str = "cm", **fields: Any) -> m.Volume:
    return m.Volume(name="v", configMap=core_v1.ConfigMapVolumeSource(name=name, **fields))


def secret(name: str = "s", **fields: Any) -> m.Volume:
    return m.Volume(name="v", secret=core_v1.SecretVolumeSource(secretName=name, **fields))


def projected(*parts: core_v1.VolumeProjection, mode: int | None = None) -> m.Volume:
    source = core_v1.ProjectedVolumeSource(sources=list(parts), defaultMode=mode)
    return m.Volume(name="v", projected=source)


def shown(files: Mapping[str, File]) -> dict[str, tuple[bytes, str]]:
    return {path: (file.content, f"{file.mode:o}") for path, file in files.items()}


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (
            config_map(),
            {"a": (b"1", "644"), "b": (b"two\n", "644"), "bin": (b"\0\1", "644")},
        ),
        (
            config_map(items=[item("a", "sub/x", 0o755), item("b", "y")], defaultMode=0o400),
            {"sub/x": (b"1", "755"), "y": (b"two\n", "400")},
        ),
        (config_map("none", optional=True), {}),
        (config_map(items=[item("zzz", "x"), item("a", "a")], optional=True), {"a": (b"1", "644")}),
        (secret(defaultMode=0o400), {"password": (b"hunter2", "400")}),
        (secret(items=[item("password", "pw")]), {"pw": (b"hunter2", "644")}),
        (secret("none", optional=True), {}),
    ],
)
def test_keys_become_files(volume: m.Volume, expected: dict[str, tuple[bytes, str]]) -> None:
    assert shown(files_of(volume, inputs())) == expected


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (config_map("none"), 'configmap "none" not found'),
        (secret("none"), 'secret "none" not found'),
        (
            config_map(items=[item("zzz", "x")]),
            "configmap references non-existent config key: zzz",
        ),
        (secret(items=[item("zzz", "x")]), "references non-existent secret key: zzz"),
        (
            projected(
                core_v1.VolumeProjection(configMap=core_v1.ConfigMapProjection(name="none")),
                core_v1.VolumeProjection(secret=core_v1.SecretProjection(name="none")),
            ),
            '[configmap "none" not found, secret "none" not found]',
        ),
        (
            projected(
                core_v1.VolumeProjection(
                    serviceAccountToken=core_v1.ServiceAccountTokenProjection(path="t")
                )
            ),
            "failed to fetch token: this cluster issues no tokens",
        ),
        (
            projected(
                core_v1.VolumeProjection(
                    clusterTrustBundle=core_v1.ClusterTrustBundleProjection(path="t")
                )
            ),
            "a projected volume cannot have a clusterTrustBundle here",
        ),
    ],
)
def test_what_is_missing(volume: m.Volume, message: str) -> None:
    with pytest.raises(VolumeError) as raised:
        files_of(volume, inputs())
    assert str(raised.value) == message


def field(path: str, name: str) -> core_v1.DownwardAPIVolumeFile:
    return core_v1.DownwardAPIVolumeFile(
        path=path, fieldRef=core_v1.ObjectFieldSelector(fieldPath=name)
    )


def test_fields_of_the_pod() -> None:
    p = pod(container("c", resources=m.ResourceRequirements(limits={"memory": "64Mi"})))
    assert p.metadata is not None
    p.metadata.labels = {"b": "2", "a": 'say "x"\n'}
    p.metadata.annotations = {"note": "tab\t\x01é\u200b"}
    resource = core_v1.ResourceFieldSelector(resource="limits.memory", containerName="c")
    items = [
        field("name", "metadata.name"),
        field("labels", "metadata.labels"),
        field("deep/annotations", "metadata.annotations"),
        field("one", "metadata.labels['b']"),
        core_v1.DownwardAPIVolumeFile(path="mem", resourceFieldRef=resource, mode=0o600),
    ]
    volume = m.Volume(name="v", downwardAPI=core_v1.DownwardAPIVolumeSource(items=items))
    assert shown(files_of(volume, inputs(p))) == {
        "name": (b"p", "644"),
        "labels": (b'a="say \\"x\\"\\n"\nb="2"', "644"),
        "deep/annotations": ('note="tab\\t\\x01é\\u200b"'.encode(), "644"),
        "one": (b"2", "644"),
        "mem": (b"67108864", "600"),
    }


def test_later_parts_of_a_projected_volume_win() -> None:
    volume = projected(
        core_v1.VolumeProjection(configMap=core_v1.ConfigMapProjection(name="cm")),
        core_v1.VolumeProjection(
            secret=core_v1.SecretProjection(name="s", items=[item("password", "a")])
        ),
        mode=0o440,
    )
    files = shown(files_of(volume, inputs()))
    assert files["a"] == (b"hunter2", "440")
    assert files["b"] == (b"two\n", "440")
    assert volume_files.config_maps(volume) == ("cm",)
    assert volume_files.secrets(volume) == ("s",)
    assert volume_files.is_secret(volume)
    assert not volume_files.is_secret(config_map())


@pytest.mark.parametrize(
    ("security", "mode"),
    [
        (None, "644"),
        (m.PodSecurityContext(fsGroup=5), "600"),
        (m.PodSecurityContext(runAsUser=5), "600"),
    ],
)
def test_a_token_is_for_its_user(security: m.PodSecurityContext | None, mode: str) -> None:
    source = core_v1.ServiceAccountTokenProjection(path="token", audience="x")
    volume = projected(core_v1.VolumeProjection(serviceAccountToken=source))
    assert volume_files.tokens(volume) == (TokenWanted("x", 3600),)
    p = pod(securityContext=security)
    made = files_of(volume, inputs(p, tokens={TokenWanted("x", 3600): "abc"}))
    assert shown(made) == {"token": (b"abc", mode)}
