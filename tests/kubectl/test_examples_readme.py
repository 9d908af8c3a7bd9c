"""The README of each example, typed as it stands, on a server as `kubatch up` starts it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.kubectl import broker, readme, tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)

# What waits longest comes first; several run at a time, since most of them mostly wait.
_SLOW = ("rabbitmq", "failing", "indexed", "suspended", "work-queue")
FOLDERS = sorted(
    (path.parent.name for path in tools.EXAMPLES.glob("*/README.md")),
    key=lambda name: (_SLOW.index(name) if name in _SLOW else len(_SLOW), name),
)
AT_ONCE = 4
NEEDS = {"pi": ("perl", "bc"), "work-queue": ("curl",)}


def why_not(name: str) -> str:
    """Why an example cannot run here, "" when it can."""
    if name == "rabbitmq":
        return broker.why_not()
    return ", ".join(f"no {p} here" for p in NEEDS.get(name, ()) if shutil.which(p) is None)


class Sessions:
    """Every README's session in a namespace, a home and a copy of the examples of its own."""

    def __init__(self, server: tools.Server, directory: Path) -> None:
        self._server = server
        self._directory = directory
        versions = [v for v in tools.find_kubectls() if v != "PATH"] or ["PATH"]
        self._kubectl = tools.find_kubectls()[versions[-1]]

    def run(self, name: str) -> None:
        """One of them. Raises readme.Differs."""
        home = self._directory / name
        environment = self._prepare(name, home)
        if name == "rabbitmq":
            (home / "broker").mkdir()
            with broker.running(home / "broker") as port:
                self._type(name, home, environment, {"5672": port})
        else:
            ports = {"8080": broker.free_port(), "18080": broker.free_port()}
            self._type(name, home, environment, ports)

    def _prepare(self, name: str, home: Path) -> dict[str, str]:
        namespace = f"example-{name}"
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "kubectl").symlink_to(self._kubectl)
        config = yaml.safe_load(self._server.kubeconfig.read_text(encoding="utf-8"))
        config["contexts"][0]["context"]["namespace"] = namespace
        kubeconfig = home / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
        kubeconfig.chmod(0o600)
        tools.Kubectl(self._kubectl, "", kubeconfig, home)("create", "namespace", namespace)
        path = (str(home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
        return {
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "PATH": ":".join(path),
            "LANG": "C.UTF-8",
        }

    def _type(
        self, name: str, home: Path, environment: dict[str, str], ports: dict[str, int]
    ) -> None:
        shutil.copytree(tools.EXAMPLES, home / "examples")
        # Others on this machine may listen on the ports that the README names.
        for path in (home / "examples" / name).rglob("*"):
            if path.suffix in (".md", ".yaml"):
                text = path.read_text(encoding="utf-8")
                text = re.sub(r"\b(8080|18080|5672)\b", lambda m: str(ports.get(m[0], m[0])), text)
                path.write_text(text, encoding="utf-8")
        (home / "session").mkdir()
        session = readme.steps((home / "examples" / name / "README.md").read_text(encoding="utf-8"))
        assert session, "a README without commands"
        readme.run(session, directory=home / "session", cwd=home, environment=environment)


@pytest.fixture(scope="module")
def sessions(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """The sessions of the READMEs that were asked for, begun together."""
    directory = tmp_path_factory.mktemp("examples")
    chosen = [item for item in request.session.items if item.path == request.path]
    with (
        tools.running_server(directory, "--runtime", "auto") as server,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        every = Sessions(server, directory)
        yield {
            name: pool.submit(every.run, name)
            for name in FOLDERS
            if any(f"[{name}]" in item.name for item in chosen) and not why_not(name)
        }


@pytest.mark.parametrize("name", FOLDERS)
def test_the_readme(name: str, sessions: dict[str, Future[None]]) -> None:
    if reason := why_not(name):
        pytest.skip(reason)
    try:
        sessions[name].result()
    except readme.Differs as error:
        said = f"examples/{name}/README.md: {error}"
    else:
        return
    pytest.fail(said, pytrace=False)
