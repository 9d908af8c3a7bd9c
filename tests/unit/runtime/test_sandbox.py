"""The sandbox runtime: the shared suite, with and without root's rights, and what is kept apart."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kubatch.runtime.protocol import Container, ContainerId, Isolation, Mount
from kubatch.runtime.sandbox import SandboxRuntime, available
from tests.suites.runtime_suite import (
    PATH,
    RuntimeSuite,
    Watcher,
    exit_of,
    log_records,
    make_spec,
    read_all,
    read_until,
)
from tests.unit.runtime.tools import alive, eventually, shim_of, shims_of

WHY_NOT = available()
ROOT = os.geteuid() == 0
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no sandboxes here: {WHY_NOT}")
needs_root = pytest.mark.skipif(not ROOT, reason="only root may be somebody else")


class Box:
    """A runtime, and what its containers print."""

    def __init__(self, runtime: SandboxRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.watcher = Watcher(runtime)

    async def start(
        self,
        *argv: str,
        mounts: Sequence[Mount] = (),
        isolation: Isolation | None = None,
        **options: object,
    ) -> ContainerId:
        spec = make_spec(self.folder, *argv, **options)  # type: ignore[arg-type]
        spec = replace(spec, mounts=tuple(mounts), isolation=isolation)
        await self.runtime.start(spec)
        return spec.id

    async def run(self, *argv: str, **options: object) -> Container:
        return await self.watcher.exit(await self.start(*argv, **options))  # type: ignore[arg-type]

    async def sh(self, script: str, **options: object) -> list[str]:
        """What a script prints; it must succeed."""
        ended = await self.run("sh", "-c", script, **options)
        lines = self.lines(ended.id)
        assert ended.exit_code == 0, (ended, lines)
        return lines

    def lines(self, id: ContainerId) -> list[str]:
        path = self.folder / "logs" / id.pod_uid / id.container / f"{id.attempt}.log"
        return [text for _, _, text in log_records(path)] if path.exists() else []

    def log(self, id: ContainerId) -> Path:
        return self.folder / "logs" / id.pod_uid / id.container / f"{id.attempt}.log"


async def opened(folder: Path, *, rootless: bool) -> SandboxRuntime:
    runtime = SandboxRuntime(folder / "runtime", hidden=[folder / "state"], rootless=rootless)
    await runtime.open()
    return runtime


class TestSandboxRuntime(RuntimeSuite):
    @pytest.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[SandboxRuntime]:
        runtime = await opened(tmp_path, rootless=not ROOT)
        yield runtime
        await runtime.close(kill=True)


class TestSandboxWithoutRights(RuntimeSuite):
    @pytest.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[SandboxRuntime]:
        runtime = await opened(tmp_path, rootless=True)
        yield runtime
        await runtime.close(kill=True)


@pytest.fixture(params=["root", "rootless"])
async def box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Box]:
    if request.param == "root" and not ROOT:
        pytest.skip("we are not root")
    runtime = await opened(tmp_path, rootless=request.param == "rootless")
    yield Box(runtime, tmp_path)
    await runtime.close(kill=True)


@pytest.fixture
async def rooted(tmp_path: Path) -> AsyncIterator[Box]:
    runtime = await opened(tmp_path, rootless=False)
    yield Box(runtime, tmp_path)
    await runtime.close(kill=True)


# What a container sees


async def test_its_own_processes_name_and_scratch(box: Box) -> None:
    script = "echo $$; hostname; ls -A /tmp /run; touch /tmp/x /dev/shm/x && echo written"
    isolation = Isolation(hostname="web-0")
    assert await box.sh(script, isolation=isolation) == [
        "1", "web-0", "/run:", "", "/tmp:", "written",
    ]  # fmt: skip


async def test_the_host_cannot_be_written(box: Box) -> None:
    await box.run("sh", "-c", "echo x > /usr/kubatch-was-here; rm -f /etc/passwd; echo x > /root-x")
    assert not Path("/usr/kubatch-was-here").exists()
    assert not Path("/root-x").exists()
    assert Path("/etc/passwd").exists()


@needs_root
async def test_root_has_a_layer_of_its_own_to_write_to(rooted: Box) -> None:
    assert await rooted.sh("echo x > /etc/made && cat /etc/made") == ["x"]
    assert await rooted.sh("test ! -e /etc/made && echo fresh") == ["fresh"]


async def test_a_root_that_is_read_only(box: Box) -> None:
    script = "touch /etc/x || touch /tmp/x || touch /run/x || echo none; touch /dev/shm/x"
    lines = await box.sh(script, isolation=Isolation(read_only_root=True))
    assert lines[-1] == "none"


async def test_environment_is_the_containers(box: Box) -> None:
    env = {"PATH": PATH, "EMPTY": "", "WORDS": "a b\tc ü", "LD_PRELOAD": ""}
    shown = dict(line.split("=", 1) for line in await box.sh("env", env=env))
    shown = {name: value for name, value in shown.items() if name not in ("PWD", "_", "SHLVL")}
    assert shown == env


async def test_no_list_of_processes_shows_the_environment(box: Box) -> None:
    env = {"PATH": PATH, "PASSWORD": "hunter2"}
    id = await box.start("sh", "-c", "echo up; exec sleep 1000", env=env)
    await eventually(lambda: box.lines(id) == ["up"])
    (seen,) = await box.runtime.observe()
    assert b"hunter2" not in Path(f"/proc/{seen.pid}/cmdline").read_bytes()


async def test_bubblewrap_does_not_heed_a_containers_variables(box: Box, tmp_path: Path) -> None:
    # The loader complains about a library it cannot load, wherever it is told to.
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "evil.so").write_text("not a library")
    ended = await box.run(
        "/bin/true",
        env={"PATH": PATH, "LD_PRELOAD": str(volume / "evil.so"), "LD_DEBUG": "all"},
        isolation=Isolation(user=1234),
        mounts=[Mount(str(volume), volume)],
    )
    loaded = [line for line in box.lines(ended.id) if "calling init" in line or "evil" in line]
    assert all("bwrap" not in line and "setpriv" not in line for line in box.lines(ended.id))
    assert loaded


async def test_a_missing_working_directory_is_made(box: Box) -> None:
    assert await box.sh("pwd", cwd="/not/there/yet") == ["/not/there/yet"]


async def test_what_is_hidden_is_hidden(tmp_path: Path) -> None:
    # Not below /tmp, which a container has for its own anyway.
    folder = Path("/var/lib/kubatch-test-hidden")
    state = folder / "state"
    try:
        state.mkdir(parents=True)
    except OSError:
        pytest.skip("nowhere to hide something")
    try:
        (state / "secret").write_text("secret")
        (folder / "token").write_text("secret")
        for rootless in (False, True) if ROOT else (True,):
            hidden = (state, folder / "token")
            runtime = SandboxRuntime(tmp_path / "r", hidden=hidden, rootless=rootless)
            await runtime.open()
            try:
                files = f"{state}/* {folder}/token /host/state/* /host/token"
                box = Box(runtime, tmp_path)
                script = f"cat {files} 2>/dev/null; echo end"
                assert await box.sh(script, mounts=[Mount("/host", folder)]) == ["end"]
            finally:
                await runtime.close(kill=True)
    finally:
        (state / "secret").unlink()
        (folder / "token").unlink()
        state.rmdir()
        folder.rmdir()


# Mounts


@pytest.mark.parametrize(
    "target", ["/data", "/etc/app/deep", "/tmp/x/y", "/var/run/secrets/k", "/usr/share", "/run"]
)
async def test_a_volume_anywhere(box: Box, tmp_path: Path, target: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "in").write_text("in\n")
    script = f"cat {target}/in && echo out > {target}/out"
    assert await box.sh(script, mounts=[Mount(target, volume)]) == ["in"]
    assert (volume / "out").read_text() == "out\n"


async def test_others_may_look_into_directories_made_for_mounts(box: Box, tmp_path: Path) -> None:
    lines = await box.sh(
        "stat -c %a /a /a/b /etc/c", mounts=[Mount("/a/b/v", tmp_path), Mount("/etc/c/v", tmp_path)]
    )
    assert lines == ["755", "755", "755"]


async def test_the_rest_of_a_directory_stays(box: Box, tmp_path: Path) -> None:
    lines = await box.sh("ls -A /etc", mounts=[Mount("/etc/added", tmp_path)])
    assert set(lines) == {*os.listdir("/etc"), "added"}


async def test_a_read_only_mount(box: Box, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    script = "touch /data/x 2>/dev/null || echo refused"
    assert await box.sh(script, mounts=[Mount("/data", volume, read_only=True)]) == ["refused"]


async def test_a_file_and_a_mount_in_a_mount(box: Box, tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    (outer / "sub").mkdir(parents=True)
    inner.write_text("inner")
    mounts = [Mount("/data/sub/file", inner), Mount("/data", outer)]  # sorted by depth
    assert await box.sh("cat /data/sub/file", mounts=mounts) == ["inner"]


async def test_memory_with_a_limit(box: Box) -> None:
    script = "df --output=size -B1 /mem | tail -1; stat -c %a /mem"
    lines = await box.sh(script, mounts=[Mount("/mem", None, size_bytes=1 << 20)])
    assert [line.strip() for line in lines] == [str(1 << 20), "1777"]


async def test_a_source_changed_while_it_is_mounted_is_noticed(box: Box, tmp_path: Path) -> None:
    sub, other = tmp_path / "sub", tmp_path / "other"
    sub.mkdir()
    other.mkdir()
    info = other.stat()
    mount = Mount("/data", sub, identity=(info.st_dev, info.st_ino))
    ended = await box.run("sh", "-c", "echo ran", mounts=[mount])
    assert ended.exit_code == 128
    assert box.lines(ended.id) == ["/data: the subPath was changed while it was mounted"]
    info = sub.stat()
    mount = replace(mount, identity=(info.st_dev, info.st_ino))
    assert await box.sh("echo ran", mounts=[mount]) == ["ran"]


# Who it is


async def test_any_user_and_group(box: Box) -> None:
    isolation = Isolation(user=1234, group=567)
    lines = await box.sh("id -u; id -g; grep CapEff /proc/self/status", isolation=isolation)
    assert lines == ["1234", "567", "CapEff:\t0000000000000000"]


@needs_root
async def test_supplementary_groups(rooted: Box) -> None:
    isolation = Isolation(user=1234, groups=(777, 999))
    assert await rooted.sh("id -G", isolation=isolation) == ["0 777 999"]
    assert await rooted.sh("id -G", isolation=Isolation(user=1234)) == ["0"]


@needs_root
@pytest.mark.parametrize(
    ("add", "drop", "effective"),
    [
        ((), (), 0xA00425FB),
        ((), ("ALL",), 0),
        (("NET_BIND_SERVICE",), ("ALL",), 0x400),
        ((), ("CHOWN", "KILL"), 0xA00425DA),
        (("SYS_ADMIN",), ("ALL",), 0),  # not ours to give
    ],
)
async def test_capabilities(
    rooted: Box, add: tuple[str, ...], drop: tuple[str, ...], effective: int
) -> None:
    isolation = Isolation(capabilities_add=frozenset(add), capabilities_drop=frozenset(drop))
    lines = await rooted.sh("grep CapEff /proc/self/status", isolation=isolation)
    assert lines == [f"CapEff:\t{effective:016x}"]


async def test_no_way_to_more_rights(box: Box) -> None:
    script = "grep NoNewPrivs /proc/self/status; mount -o remount,rw / 2>/dev/null || echo refused"
    assert await box.sh(script) == ["NoNewPrivs:\t1", "refused"]


# Programs that cannot start


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("/nope",), 'exec: "/nope": stat /nope: no such file or directory'),
        (("nope",), 'exec: "nope": executable file not found in $PATH'),
        (("",), 'exec: "": executable file not found in $PATH'),
        (("/etc/passwd",), 'exec: "/etc/passwd": permission denied'),
        (("/usr",), 'exec: "/usr": is a directory'),
        (("/tmp/tool",), 'exec: "/tmp/tool": stat /tmp/tool: no such file or directory'),
        (("/data/script",), "exec /data/script: no such file or directory"),
    ],
)
async def test_start_errors_are_seen_beforehand(
    box: Box, tmp_path: Path, argv: tuple[str, ...], message: str
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    script = volume / "script"
    script.write_text("#!/data/interpreter\n")
    script.chmod(0o755)
    spec = replace(make_spec(tmp_path, *argv), mounts=(Mount("/data", volume),))
    failed = await box.runtime.start(spec)
    assert (failed.exit_code, failed.reason, failed.message) == (128, "StartError", message)


async def test_a_directory_over_a_file_is_refused(box: Box, tmp_path: Path) -> None:
    spec = replace(make_spec(tmp_path, "true"), mounts=(Mount("/etc/passwd", tmp_path),))
    failed = await box.runtime.start(spec)
    assert failed.reason == "StartError"
    assert "Are you trying to mount a directory onto a file" in failed.message


# Signals and ends


async def test_a_signal_is_for_the_program_to_heed(box: Box) -> None:
    script = "trap 'echo got; exit 7' TERM; echo up; while :; do sleep 0.01; done"
    id = await box.start("sh", "-c", script)
    await eventually(lambda: box.lines(id) == ["up"])
    await box.runtime.signal(id, signal.SIGTERM)
    assert (await box.watcher.exit(id)).exit_code == 7
    assert box.lines(id) == ["up", "got"]


async def test_an_ignored_signal_is_ignored(box: Box) -> None:
    id = await box.start("sh", "-c", "trap '' TERM; echo up; read x", stdin=True)
    await eventually(lambda: box.lines(id) == ["up"])
    await box.runtime.signal(id, signal.SIGTERM)
    await box.runtime.signal(id, signal.SIGUSR2)  # not heeded: what ends a program ends it here too
    assert (await box.watcher.exit(id)).exit_code == 128 + signal.SIGUSR2


async def test_nothing_is_left_when_the_program_ends(box: Box) -> None:
    mark = "1000.25"
    ended = await box.run("sh", "-c", f"setsid sleep {mark} >/dev/null 2>&1 & sleep 0; exit 3")
    assert ended.exit_code == 3
    assert not [
        path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(path)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_an_end_that_no_shim_saw_is_known(box: Box, tmp_path: Path) -> None:
    id = await box.start("sh", "-c", "echo up; read x; exit 5", stdin=True)
    await eventually(lambda: box.lines(id) == ["up"])
    (seen,) = await box.runtime.observe()
    shim = shim_of(tmp_path / "runtime")
    os.kill(shim, signal.SIGKILL)  # its input ends with the shim
    ended = await box.watcher.exit(id)
    assert (ended.exit_code, ended.reason) == (5, "")
    assert seen.pid is not None
    assert not alive(seen.pid)


async def test_a_sandbox_outlives_the_shim(box: Box, tmp_path: Path) -> None:
    script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done"
    id = await box.start("sh", "-c", script)
    await eventually(lambda: box.lines(id) == ["up"])
    old = shim_of(tmp_path / "runtime")
    os.kill(old, signal.SIGKILL)
    await eventually(lambda: shims_of(tmp_path / "runtime") not in ([], [old]))
    assert [seen.id for seen in await box.runtime.observe()] == [id]
    session = await box.runtime.exec(id, ("hostname",), tty=False, stdin=False)
    assert await exit_of(session) == 0
    await box.runtime.signal(id, signal.SIGTERM)
    assert (await box.watcher.exit(id)).exit_code == 9


async def test_what_an_attempt_wrote_goes_with_it(box: Box, tmp_path: Path) -> None:
    ended = await box.run("sh", "-c", "echo x > /tmp/x")
    folder = tmp_path / "runtime" / "sandbox"
    assert len(list(folder.iterdir())) == 1
    await box.runtime.remove(ended.id)
    assert list(folder.iterdir()) == []


# Programs run beside


async def test_exec_is_in_the_sandbox(box: Box) -> None:
    isolation = Isolation(hostname="inside", user=1234, group=5)
    id = await box.start("sleep", "1000", isolation=isolation, env={"PATH": PATH, "WORD": "x y"})
    script = "hostname; id -u; id -g; echo $WORD; ls -A /tmp; grep CapEff /proc/self/status; pwd"
    script += "; grep -E 'Sig(Blk|Ign)' /proc/self/status"
    session = await box.runtime.exec(id, ("sh", "-c", script), tty=False, stdin=False)
    assert (await read_all(session)).decode().splitlines() == [
        "inside", "1234", "5", "x y", "CapEff:\t0000000000000000", "/",
        # glibc's posix_spawn leaves its own two signals, 32 and 33, ignored.
        "SigBlk:\t0000000000000000", "SigIgn:\t0000000180000000",
    ]  # fmt: skip
    assert await exit_of(session) == 0


async def test_exec_on_a_terminal(box: Box) -> None:
    id = await box.start("sleep", "1000")
    session = await box.runtime.exec(id, ("cat",), tty=True, stdin=True)
    await session.write(b"x\n")
    await read_until(session, b"x\r\nx\r\n")  # once by the terminal, once by the program
    await session.write(b"\x03")  # Ctrl-C: the program's own, so the terminal is in control
    assert await exit_of(session) == 130


async def test_a_container_on_a_terminal(box: Box) -> None:
    id = await box.start("sh", "-c", "echo up; cat; echo never", tty=True, stdin=True)
    await eventually(lambda: box.lines(id) == ["up"])
    session = await box.runtime.attach(id, stdin=True)
    await session.write(b"x\n")
    await read_until(session, b"x\r\nx\r\n")
    await session.write(b"\x03")
    ended = await box.watcher.exit(id)
    assert (ended.exit_code, await exit_of(session)) == (130, 130)
    assert "never" not in box.lines(id)
