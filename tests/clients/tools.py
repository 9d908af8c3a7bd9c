"""Programs of real clients, run as their users run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.kubectl.tools import Server

HERE = Path(__file__).parent
SECONDS_MAX = 60
INSTALL_SECONDS_MAX = 40
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    / "kubatch-tests"
    / "node-client-1"
)
PACKAGE = "@kubernetes/client-node"


def python(program: str, server: Server, home: Path) -> str:
    """What a Python program beside this file prints; it must succeed."""
    return _output([sys.executable, str(HERE / program)], server, home)


def node(program: str, server: Server, home: Path) -> str:
    """What a JavaScript program beside this file prints; it must succeed."""
    environment = {"NODE_PATH": str(CACHE / "node_modules")}
    # An ES module finds packages only beside itself.
    copy = CACHE / program
    shutil.copyfile(HERE / program, copy)
    return _output(["node", str(copy)], server, home, **environment)


def _output(argv: list[str], server: Server, home: Path, **environment: str) -> str:
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(server.kubeconfig),
            **environment,
        },
    )
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def why_no_node() -> str:
    """Why programs for Node.js cannot run here; "" when they can. Installs their client once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "no node and npm here"
    if (CACHE / "node_modules" / PACKAGE).is_dir():
        return ""
    CACHE.mkdir(parents=True, exist_ok=True)
    argv = ["npm", "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", f"{PACKAGE}@1"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"npm could not install {PACKAGE} in time"
    return f"npm could not install {PACKAGE}" if done.returncode else ""
