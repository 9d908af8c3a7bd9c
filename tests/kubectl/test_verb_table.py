"""Verbs and flags of kubectl that no other file tries, with all that they print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kubectl import session, tools

# Without any kubectl this import skips this module too.
from tests.kubectl.test_verbs import NEWEST, at_home

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

EVERY = [v for v in tools.find_kubectls() if v not in ("PATH", NEWEST)]

FILES = {
    "rs.yaml": """\
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox, command: [sleep, "300"]}]
""",
    "role.yaml": """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: again, namespace: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
""",
    "kustomization.yaml": """\
namePrefix: pre-
resources: [cm.yaml]
configMapGenerator: [{name: made, literals: [a=b]}]
""",
    "cm.yaml": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {a: "1"}\n',
    "list.yaml": """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: first, labels: {set: two}}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: second, labels: {set: two}}}
""",
}


@pytest.fixture(scope="module")
def folder(newest: tools.Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (made / name).write_text(text.replace("NS", newest.namespace))
    return made


def text_of(name: str) -> str:
    return (Path(__file__).parent / "sessions" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def newest(server: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    return at_home(NEWEST, "table-", server, tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("name", ["create", "may", "write", "replicas", "not-there", "ask"])
def test_a_session(newest: tools.Kubectl, folder: Path, name: str) -> None:
    session.run(newest, text_of(name), DIR=str(folder))


@pytest.mark.parametrize("version", EVERY)
def test_a_little_with_every_version(
    version: str, server: tools.Server, folder: Path, tmp_path: Path
) -> None:
    session.run(
        at_home(version, "table-", server, tmp_path), text_of("everywhere"), DIR=str(folder)
    )
