"""Environments, from every source."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.agent.env import EnvError, PodContext, Sources, build, expand, references
from kubatch.api import models as m
from tests.unit.agent.pods import container, pod

CONTEXT = PodContext("node-1", "10.0.0.1", {"cpu": "4", "memory": "8Gi"})
SOURCES = Sources(
    {"cm": m.ConfigMap(data={"A": "1", "B": "$(A)"})},
    {"s": m.Secret(data={"PASSWORD": base64.b64encode(b"hunter2").decode()})},
)


def env_of(*env: m.EnvVar, sources: Sources = SOURCES, **fields: Any) -> dict[str, str]:
    p = pod(container(env=list(env), **fields))
    assert p.metadata is not None
    p.metadata.labels = {"batch.kubernetes.io/job-completion-index": "3", "a/b": "x"}
    assert p.spec is not None
    return build(p, p.spec.containers[0], sources, CONTEXT)


def literal(name: str, value: str | None) -> m.EnvVar:
    return m.EnvVar(name=name, value=value)


def field(path: str) -> m.EnvVar:
    return m.EnvVar(
        name="X", valueFrom=m.EnvVarSource(fieldRef=m.ObjectFieldSelector(fieldPath=path))
    )


def test_literals_see_what_came_before() -> None:
    found = env_of(literal("X", "x-$(Y)"), literal("Y", "1"), literal("Z", "$(X)/$(Y)"))
    assert found == {"X": "x-$(Y)", "Y": "1", "Z": "x-$(Y)/1"}


def test_an_empty_value_is_kept() -> None:
    assert env_of(literal("X", None), literal("Y", "")) == {"X": "", "Y": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(NO)", "$(NO)"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("a$(A)b$(B)c", "a1b$(A)c"),
        ("$()", "$()"),
        ("$(A $(A)", "$(A $(A)"),
        ("$$", "$"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "$(A)"}) == expected


def slow_expand(text: str, variables: dict[str, str]) -> str:
    """third_party/forked/golang/expansion/expand.go, character by character."""
    out = ""
    i = 0
    while i < len(text):
        if text[i] == "$" and i + 1 < len(text):
            if text[i + 1] == "$":
                out, i = out + "$", i + 2
                continue
            end = text.find(")", i + 2)
            if text[i + 1] == "(" and end >= 0:
                name = text[i + 2 : end]
                out, i = out + variables.get(name, f"$({name})"), end + 1
                continue
        out, i = out + text[i], i + 1
    return out


@given(st.text("$()AB x", max_size=20))
def test_expansion_is_that_of_the_slow_twin(text: str) -> None:
    variables = {"A": "1", "B": "$(A)", "AB": ""}
    assert expand(text, variables) == slow_expand(text, variables)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u1"),
        ("metadata.labels['batch.kubernetes.io/job-completion-index']", "3"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", ""),
        ("status.hostIP", "10.0.0.1"),
        ("status.podIPs", "10.0.0.1"),
    ],
)
def test_field_ref(path: str, expected: str) -> None:
    assert env_of(field(path)) == {"X": expected}


def test_unknown_field() -> None:
    with pytest.raises(EnvError, match=r"unsupported fieldPath: spec\.hostname"):
        env_of(field("spec.hostname"))


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("limits.cpu", None, "1"),
        ("limits.cpu", "1m", "100"),
        ("limits.memory", None, "67108864"),
        ("limits.memory", "1Mi", "64"),
        ("requests.cpu", None, "0"),
        ("limits.ephemeral-storage", None, "0"),
        ("requests.memory", "0", "0"),
    ],
)
def test_resource_field_ref(resource: str, divisor: str | None, expected: str) -> None:
    needs = m.ResourceRequirements(limits={"cpu": "100m", "memory": "64Mi"})
    ref = m.ResourceFieldSelector(resource=resource, divisor=divisor)
    var = m.EnvVar(name="X", valueFrom=m.EnvVarSource(resourceFieldRef=ref))
    assert env_of(var, resources=needs) == {"X": expected}


def test_limits_that_are_not_set_are_the_nodes() -> None:
    ref = m.ResourceFieldSelector(resource="limits.cpu")
    var = m.EnvVar(name="X", valueFrom=m.EnvVarSource(resourceFieldRef=ref))
    assert env_of(var) == {"X": "4"}


def config_key(name: str, key: str, optional: bool | None = None) -> m.EnvVar:
    ref = m.ConfigMapKeySelector(name=name, key=key, optional=optional)
    return m.EnvVar(name="X", valueFrom=m.EnvVarSource(configMapKeyRef=ref))


def secret_key(name: str, key: str, optional: bool | None = None) -> m.EnvVar:
    ref = m.SecretKeySelector(name=name, key=key, optional=optional)
    return m.EnvVar(name="X", valueFrom=m.EnvVarSource(secretKeyRef=ref))


@pytest.mark.parametrize(
    ("var", "expected"),
    [
        (config_key("cm", "A"), {"X": "1"}),
        (config_key("cm", "B"), {"X": "$(A)"}),
        (secret_key("s", "PASSWORD"), {"X": "hunter2"}),
        (config_key("cm", "Z", True), {}),
        (config_key("missing", "Z", True), {}),
        (secret_key("missing", "Z", True), {}),
    ],
)
def test_keys(var: m.EnvVar, expected: dict[str, str]) -> None:
    assert env_of(var) == expected


@pytest.mark.parametrize(
    ("var", "message"),
    [
        (config_key("missing", "A"), 'configmap "missing" not found'),
        (secret_key("missing", "A"), 'secret "missing" not found'),
        (config_key("cm", "K"), "couldn't find key K in ConfigMap default/cm"),
        (secret_key("s", "K"), "couldn't find key K in Secret default/s"),
    ],
)
def test_what_is_missing(var: m.EnvVar, message: str) -> None:
    with pytest.raises(EnvError) as error:
        env_of(var)
    assert str(error.value) == message


def test_env_from_with_prefix_and_override() -> None:
    sources = [
        m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="cm"), prefix="p-"),
        m.EnvFromSource(secretRef=m.SecretEnvSource(name="s")),
        m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="none", optional=True)),
    ]
    found = env_of(literal("p-A", "mine"), envFrom=sources)
    assert found == {"p-A": "mine", "p-B": "$(A)", "PASSWORD": "hunter2"}


def test_env_from_what_is_missing() -> None:
    source = m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="missing"))
    with pytest.raises(EnvError, match='configmap "missing" not found'):
        env_of(envFrom=[source])


def test_references() -> None:
    found = references(
        container(
            env=[config_key("cm", "A"), secret_key("s", "A")],
            envFrom=[m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="other"))],
        )
    )
    assert (found.config_maps, found.secrets) == (("other", "cm"), ("s",))
    assert not references(container())


def test_references_name_every_object_once() -> None:
    def named(name: str) -> m.EnvVar:
        key = m.SecretKeySelector(key="k", name=name)
        return m.EnvVar(name="X", valueFrom=m.EnvVarSource(secretKeyRef=key))

    found = references(
        container(
            env=[named("s"), named(""), literal("A", "1"), field("metadata.name")],
            envFrom=[
                m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="cm")),
                m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="")),
                m.EnvFromSource(secretRef=m.SecretEnvSource(name="s")),
                m.EnvFromSource(secretRef=m.SecretEnvSource(name="t")),
                m.EnvFromSource(secretRef=m.SecretEnvSource(name="")),
                m.EnvFromSource(),
            ],
        )
    )
    assert (found.config_maps, found.secrets) == (("cm",), ("s", "t"))
    assert not references(container())


def test_a_source_of_nothing_gives_nothing() -> None:
    nothing = m.EnvVar(name="X", valueFrom=m.EnvVarSource())
    assert env_of(nothing, envFrom=[m.EnvFromSource()]) == {}


def test_a_file_that_is_not_mounted_is_no_source() -> None:
    key = m.core_v1.FileKeySelector(key="k", path="p", volumeName="v")
    with pytest.raises(EnvError, match='need volume "v" mounted'):
        env_of(m.EnvVar(name="X", valueFrom=m.EnvVarSource(fileKeyRef=key)))


@pytest.mark.parametrize(
    ("name", "resource", "expected"),
    [
        ("c", "requests.cpu", "0"),
        ("other", "requests.cpu", "2"),
        ("first", "limits.memory", "1024"),
        ("nobody", "limits.cpu", EnvError("container nobody not found")),
        ("c", "sizes.cpu", EnvError("unsupported container resource : sizes.cpu")),
    ],
)
def test_resources_of_another_container(name: str, resource: str, expected: str | EnvError) -> None:
    other = container("other", resources=m.ResourceRequirements(requests={"cpu": "2"}))
    first = container("first", resources=m.ResourceRequirements(limits={"memory": "1Ki"}))
    ref = m.ResourceFieldSelector(resource=resource, containerName=name)
    c = container(env=[m.EnvVar(name="X", valueFrom=m.EnvVarSource(resourceFieldRef=ref))])
    p = pod(c, other, init=(first,))
    if isinstance(expected, EnvError):
        with pytest.raises(EnvError, match=str(expected)):
            build(p, c, SOURCES, CONTEXT)
    else:
        assert build(p, c, SOURCES, CONTEXT) == {"X": expected}
