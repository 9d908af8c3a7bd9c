"""Sandboxes that share something, with their pod or with the machine; and who must not get out."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kubatch.agent.host_paths import SubPathError, sub_path
from kubatch.runtime import holders, recipe
from kubatch.runtime.ground import Ground
from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import Container, ContainerId, ContainerState, Isolation, Mount
from kubatch.runtime.sandbox import SandboxRuntime, available
from tests.suites.runtime_suite import exit_of, make_spec, new_id, read_all
from tests.unit.runtime.test_sandbox import Box, opened
from tests.unit.runtime.tools import eventually, shim_of, shims_of

WHY_NOT = available()
ROOT = os.geteuid() == 0
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no sandboxes here: {WHY_NOT}")
needs_root = pytest.mark.skipif(not ROOT, reason="only root may share namespaces")

SHARED = Isolation(pod_processes=True, pod_ipc=True)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    runtime = await opened(tmp_path, rootless=not ROOT)
    yield Box(runtime, tmp_path)
    await runtime.close(kill=True)


@pytest.fixture(params=["root", "rootless"])
async def any_box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Box]:
    if request.param == "root" and not ROOT:
        pytest.skip("we are not root")
    runtime = await opened(tmp_path, rootless=request.param == "rootless")
    yield Box(runtime, tmp_path)
    await runtime.close(kill=True)


async def member(
    box: Box, uid: str, name: str, script: str, isolation: Isolation = SHARED, attempt: int = 0
) -> ContainerId:
    id = ContainerId(uid, name, attempt)
    spec = make_spec(box.folder, "sh", "-c", script, id=id)
    await box.runtime.start(replace(spec, isolation=isolation))
    return id


def holders_of(box: Box) -> list[Container]:
    known = box.runtime._known.values()
    return [c for c in known if holders.is_holder(c.id) and c.state is ContainerState.RUNNING]


@needs_root
async def test_containers_see_each_others_processes(box: Box) -> None:
    uid = new_id().pod_uid
    first = await member(box, uid, "one", "echo up; exec sleep 1000.25")
    await eventually(lambda: box.lines(first) == ["up"])
    second = await member(box, uid, "two", "echo $$; ps ax -o args | grep -c '[s]leep 1000.25'")
    await box.watcher.exit(second)
    number, seen = box.lines(second)
    assert int(number) > 1
    assert seen == "1"
    session = await box.runtime.exec(first, ("cat", "/proc/1/comm"), tty=False, stdin=False)
    assert await read_all(session) == b"sh\n"
    await session.close()
    assert {seen.id for seen in await box.runtime.observe()} == {first, second}
    await box.runtime.signal(first, 9)
    assert (await box.watcher.exit(first)).exit_code == 137
    await eventually(lambda: holders_of(box) == [])


def looking(name: str) -> Isolation:
    return Isolation(processes_of=name)


@needs_root
async def test_one_more_container_sees_the_processes_of_another(box: Box) -> None:
    uid = new_id().pod_uid
    first = await member(box, uid, "one", "echo up; exec sleep 1000.5", Isolation())
    await eventually(lambda: box.lines(first) == ["up"])
    second = await member(box, uid, "two", "cat /proc/1/cmdline | tr '\\0' ' '", looking("one"))
    await box.watcher.exit(second)
    assert box.lines(second) == ["sleep 1000.5 "]
    # It ends with the first process of the one it looks at.
    third = await member(box, uid, "three", "echo up; sleep 1000", looking("one"))
    await eventually(lambda: box.lines(third) == ["up"])
    await box.runtime.signal(first, 9)
    assert (await box.watcher.exit(third)).exit_code == 137


@needs_root
async def test_nobody_looks_at_what_does_not_run(box: Box) -> None:
    uid = new_id().pod_uid
    first = await member(box, uid, "one", "true", Isolation())
    await box.watcher.exit(first)
    seen = await box.watcher.exit(await member(box, uid, "two", "true", looking("one")))
    assert (seen.reason, seen.message) == ("StartError", 'target container "one" is not running')


@needs_root
async def test_nobody_in_a_pod_can_look_into_its_holder(box: Box) -> None:
    uid = new_id().pod_uid
    script = "ls -H /proc/1/root /proc/1/fd || readlink /proc/1/exe || echo closed"
    id = await member(box, uid, "one", script)
    await box.watcher.exit(id)
    assert box.lines(id)[-1] == "closed"


@needs_root
async def test_messages_between_containers(box: Box) -> None:
    uid = new_id().pod_uid
    only_ipc = Isolation(pod_ipc=True)
    one = await member(box, uid, "one", "readlink /proc/self/ns/ipc; sleep 1000", only_ipc)
    two = await member(box, uid, "two", "readlink /proc/self/ns/ipc; echo $$", only_ipc)
    other = await member(box, new_id().pod_uid, "one", "readlink /proc/self/ns/ipc", only_ipc)
    await box.watcher.exit(other)
    await eventually(lambda: len(box.lines(one)) == 1 and len(box.lines(two)) == 2)
    assert box.lines(one) == box.lines(two)[:1] != box.lines(other)
    assert box.lines(two)[1] == "1"  # its processes are its own


@needs_root
async def test_a_holder_outlives_the_shim_and_is_made_anew(box: Box, tmp_path: Path) -> None:
    uid = new_id().pod_uid
    one = await member(box, uid, "one", "echo up; exec sleep 1000")
    await eventually(lambda: box.lines(one) == ["up"])
    old = shim_of(tmp_path / "runtime")
    os.kill(old, 9)
    await eventually(lambda: shims_of(tmp_path / "runtime") not in ([], [old]))
    two = await member(box, uid, "two", "ps ax -o args | grep -c '[s]leep 1000$'")
    await box.watcher.exit(two)
    assert box.lines(two) == ["1"]
    await box.runtime.remove(one)
    await eventually(lambda: holders_of(box) == [])
    three = await member(
        box, uid, "one", "ps ax -o args | grep -c '[s]leep 1000$'; true", SHARED, 1
    )
    await box.watcher.exit(three)
    assert box.lines(three) == ["0"]


@needs_root
async def test_another_server_takes_holders_over(box: Box, tmp_path: Path) -> None:
    uid = new_id().pod_uid
    one = await member(box, uid, "one", "echo up; exec sleep 1000")
    await eventually(lambda: box.lines(one) == ["up"])
    await box.runtime.close(kill=False)
    runtime = await opened(tmp_path, rootless=False)
    try:
        again = Box(runtime, tmp_path)
        assert [seen.id for seen in await runtime.observe()] == [one]
        two = await member(again, uid, "two", "ps ax -o args | grep -c '[s]leep 1000$'")
        await again.watcher.exit(two)
        assert again.lines(two) == ["1"]
    finally:
        await runtime.close(kill=True)


@needs_root
async def test_privileged(box: Box) -> None:
    script = "grep -E 'Cap(Eff|Bnd)' /proc/self/status | sort -u -k2 | wc -l; test -e /dev/mem"
    script += "; mount -t tmpfs none /mnt && echo mounted; id -u"
    isolation = Isolation(privileged=True)
    lines = await box.sh(script, isolation=isolation)
    assert lines == ["1", "mounted", "0"]


@needs_root
async def test_namespaces_of_the_machine(box: Box) -> None:
    isolation = Isolation(privileged=True, host_processes=True, host_ipc=True)
    lines = await box.sh(
        "readlink /proc/self/ns/pid /proc/self/ns/ipc; echo $$", isolation=isolation
    )
    own = [os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "ipc")]
    assert lines[:2] == own
    assert int(lines[2]) > 1


async def test_the_kernels_settings_are_closed(any_box: Box) -> None:
    # Whoever is user 0 may write these without any capability, unless they are read-only.
    files = "/proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/sysrq-trigger"
    files += " /proc/irq/default_smp_affinity /sys/kernel/uevent_helper /sys/power/state"
    script = f"for f in {files}; do (: >>$f) 2>/dev/null && echo $f; done; echo end"
    assert [line for line in await any_box.sh(script) if line.startswith("/")] == []


async def test_the_machines_processes_are_not_to_be_mounted(any_box: Box) -> None:
    mount = Mount("/p", Path("/proc"))
    spec = replace(make_spec(any_box.folder, "true"), mounts=(mount,))
    failed = await any_box.runtime.start(spec)
    assert failed.message == 'mounting "/proc": it shows other containers, and needs hostPID'
    script = "ls -A /host/proc; echo end"
    assert await any_box.sh(script, mounts=[Mount("/host", Path("/"))]) == ["end"]


async def test_what_starts_a_program_cannot_be_changed_by_it(any_box: Box, tmp_path: Path) -> None:
    # The check beforehand finds such a script; one that is put there after it is not found.
    volume = tmp_path / "volume"
    volume.mkdir()
    script = volume / "script"
    script.write_text("#!/proc/self/exe --version\n")
    script.chmod(0o755)
    spec = make_spec(tmp_path, "sleep", "1000")
    await any_box.runtime.start(replace(spec, mounts=(Mount("/v", volume),)))
    ready = await any_box.runtime.exec(spec.id, ("true",), tty=False, stdin=False)
    assert await exit_of(ready) == 0
    await ready.close()
    session = await ProcessRuntime.exec(
        any_box.runtime, spec.id, ("/v/script",), tty=False, stdin=False
    )
    # Neither Python nor bubblewrap: a copy in memory of something small.
    assert b"from util-linux" in await read_all(session)
    await session.close()


@pytest.mark.parametrize(
    ("root", "layers", "maker"),
    [(True, True, "root/bin/bwrap"), (True, False, "./maker"), (False, False, "/bin/bwrap")],
)
def test_what_starts_a_container_is_not_the_hosts(
    tmp_path: Path, root: bool, layers: bool, maker: str
) -> None:
    names = ("bwrap", "env", "mount", "nsenter", "setpriv", "sh", "unshare")
    ground = Ground({name: f"/bin/{name}" for name in names}, root=root, layers=layers)
    made = recipe.make(make_spec(tmp_path, "/bin/true"), ground)
    assert made.error == ""
    assert maker in made.words
    assert made.copied == (root and not layers)


@needs_root
async def test_without_layers(tmp_path: Path) -> None:
    runtime = SandboxRuntime(tmp_path / "runtime")
    await runtime.open()
    runtime._ground = replace(runtime._ground, layers=False)
    try:
        box = Box(runtime, tmp_path)
        assert await box.sh("touch /etc/x 2>/dev/null || echo closed") == ["closed"]
    finally:
        await runtime.close(kill=True)


@pytest.mark.parametrize("target", ["/usr/bin", "/lib", "/usr", "/etc/ld.so.preload"])
async def test_no_volume_takes_the_place_of_what_checks(
    any_box: Box, tmp_path: Path, target: str
) -> None:
    info = tmp_path.stat()
    (tmp_path / "file").touch()
    source = tmp_path / "file" if target.startswith("/etc/") else tmp_path
    mounts = (
        Mount(target, source),
        Mount("/data", tmp_path, identity=(info.st_dev, info.st_ino)),
    )
    spec = make_spec(tmp_path, "/bin/true")
    failed = await any_box.runtime.start(replace(spec, mounts=mounts))
    assert failed.exit_code == 128
    if target in ("/etc/ld.so.preload", "/lib"):
        assert failed.message.startswith("mounting to rootfs at")


async def test_a_sub_path_that_changes_all_the_time(any_box: Box, tmp_path: Path) -> None:
    """A directory that another container of the pod exchanges for a link that leads outside."""
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    for folder in (volume / "x", outside):
        folder.mkdir(parents=True)
    (volume / "x" / "mark").write_text("inside\n")
    (outside / "mark").write_text("OUTSIDE\n")
    (volume / "link").symlink_to(outside)
    stop = threading.Event()
    thread = threading.Thread(target=_exchange, args=(volume / "x", volume / "link", stop))
    thread.start()
    seen = []
    try:
        for _ in range(12):
            try:
                source, identity = sub_path(volume, "x")
            except SubPathError:
                seen.append("refused")
                continue
            mount = Mount("/data", source, identity=identity)
            ended = await any_box.run("cat", "/data/mark", mounts=[mount])
            seen += any_box.lines(ended.id)
            await any_box.runtime.remove(ended.id)
    finally:
        stop.set()
        thread.join()
    assert "OUTSIDE" not in seen


def _exchange(one: Path, other: Path, stop: threading.Event) -> None:
    """Swap two names, each time in one step (renameat2 with RENAME_EXCHANGE)."""
    library = ctypes.CDLL(None)
    while not stop.is_set():
        library.renameat2(-100, bytes(one), -100, bytes(other), 2)
