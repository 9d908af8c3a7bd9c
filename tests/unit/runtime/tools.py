"""What the tests of the process runtime share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import kubatch.runtime.shim
from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import Container, ContainerId
from tests.suites.runtime_suite import TIMEOUT_S, Watcher, log_records, make_spec

Opener = Callable[..., Awaitable[ProcessRuntime]]

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
SHIM = Path(kubatch.runtime.shim.__file__).with_name("__main__.py")


async def eventually(condition: Callable[[], bool]) -> None:
    """Look until it is so; for what nobody reports."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110  # another process makes it so
            await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text[text.rfind(")") + 2] not in "ZX"


def shims_of(directory: Path) -> list[int]:
    """The pids of the shims that serve a directory."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(SHIM).encode() in words and str(directory).encode() in words:
                found.append(int(folder.name))
    return found


def shim_of(directory: Path) -> int:
    """The pid of the shim that serves a directory."""
    (pid,) = shims_of(directory)
    return pid


async def pids_in(path: Path, count: int) -> list[int]:
    """The pids that a container's program prints."""
    await eventually(lambda: path.exists() and len(log_records(path)) >= count)
    return [int(text) for _, _, text in log_records(path)[:count]]


async def run(runtime: ProcessRuntime, folder: Path, *argv: str, **options: object) -> Container:
    """Run a container to its end."""
    spec = make_spec(folder, *argv, **options)  # type: ignore[arg-type]
    watcher = Watcher(runtime)
    await runtime.start(spec)
    return await watcher.exit(spec.id)


def logged(folder: Path, id: ContainerId) -> list[tuple[str, str, str]]:
    return log_records(folder / "logs" / id.pod_uid / id.container / f"{id.attempt}.log")


def log_files(folder: Path, id: ContainerId) -> list[Path]:
    """The log and what it was rotated to, oldest first."""
    files = (folder / "logs" / id.pod_uid / id.container).iterdir()
    return sorted(files, key=lambda file: (file.name == "0.log", file.name))
