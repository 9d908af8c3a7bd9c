"""What an import costs, and which files nobody imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy import sources

# Started by name, not by an import: by a console script, by the interpreter, by the image map.
ENTRY_POINTS = {
    "kubatch.__main__",
    "kubatch.cli.main",
    "kubatch.runtime.shim.__main__",
    "kubatch.runtime.shim.daemon",
    "kubatch.runtime.shim.enter",
    "kubatch.runtime.workloads.kuard",
}

HTTP_CLIENTS = {"aiohttp", "httpcore2", "httpx2", "lightkube.core.client", "requests"}


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("import kubatch.api.models", HTTP_CLIENTS | {"asyncio", "yaml", "ssl"}),
        ("import kubatch.api.codec", HTTP_CLIENTS | {"asyncio", "yaml", "ssl"}),
        (
            "from kubatch.cli.main import main\n"
            "sys.argv = ['kubatch', '--help']\n"
            "try: main()\n"
            "except SystemExit: pass",
            HTTP_CLIENTS | {"asyncio", "cryptography", "lightkube", "sqlite3", "uvloop"},
        ),
    ],
    ids=["models", "codec", "kubatch --help"],
)
def test_start_up_loads_only_what_it_needs(program: str, unwanted: set[str]) -> None:
    report = "\nprint('loaded:', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}{report}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    assert "kubatch" in loaded
    assert loaded & unwanted == set()


def test_every_module_is_used() -> None:
    files = sources.python_files("src")
    modules = {sources.module_name(path) for path in files}
    used = {name for path in files for name in mentions(path)}
    # What pretends is there for tests as much as for users.
    used |= {
        name
        for path in sources.python_files("tests")
        for name in mentions(path)
        if name.startswith("kubatch.sim.")
    }
    rooms = {sources.module_name(path) for path in files if path.name == "__init__.py"}
    assert sorted(modules - used - rooms - ENTRY_POINTS) == []


def mentions(path: Path) -> Iterator[str]:
    """Modules that a file imports, or names in a string to import later."""
    own = sources.module_name(path)
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    for node in ast.walk(sources.tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]
