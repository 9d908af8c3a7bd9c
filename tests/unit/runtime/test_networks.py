"""Programs that are put into a network namespace, and what is run beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.suites.runtime_suite import Watcher, log_records, make_spec
from tests.unit.runtime.tools import Opener

# A file for each device of the network one is in.
NET = "/proc/self/net/dev_snmp6"


@pytest.fixture
def namespace() -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root makes network namespaces, with ip")
    name = f"kubatch-test-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield Path("/run/netns") / name
    subprocess.run(["ip", "netns", "delete", name], check=True)


async def test_a_program_is_put_into_a_namespace(
    opened: Opener, tmp_path: Path, namespace: Path
) -> None:
    runtime = await opened()
    spec = replace(make_spec(tmp_path, "ls", NET), network=namespace)
    watcher = Watcher(runtime)
    await runtime.start(spec)
    assert (await watcher.exit(spec.id)).exit_code == 0
    assert [text for _, _, text in log_records(spec.log_path)] == ["lo"]


async def test_exec_goes_there_too_after_the_shim_was_asked_anew(
    opened: Opener, tmp_path: Path, namespace: Path
) -> None:
    runtime = await opened()
    spec = replace(make_spec(tmp_path, "sleep", "60"), network=namespace)
    await runtime.start(spec)
    await runtime.close(kill=False)
    again = await opened()
    session = await again.exec(spec.id, ["ls", NET], tty=False, stdin=False)
    try:
        assert await session.read("stdout") == b"lo\n"
        assert await session.wait() == 0
    finally:
        await session.close()


async def test_without_the_namespace_nothing_starts(opened: Opener, tmp_path: Path) -> None:
    runtime = await opened()
    seen = await runtime.start(replace(make_spec(tmp_path, "true"), network=tmp_path / "missing"))
    assert (seen.exit_code, seen.reason) == (128, "StartError")
    assert seen.message == "cannot join the pod's network: No such file or directory"
