"""Containers as sandboxed processes: bubblewrap, over the same shim as the process runtime's.

A container sees the host's files, and changes none of them: it has a root of its own to write to
(as root) or a read-only one, its own /tmp, /dev, /proc and process ids, its own host name, and
volumes where it wants them. The network is the host's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kubatch.runtime import ground as ground_of
from kubatch.runtime import holders, recipe
from kubatch.runtime.ground import Ground
from kubatch.runtime.holders import Holders, is_holder
from kubatch.runtime.process import ProcessRuntime
from kubatch.runtime.protocol import (
    SIGHUP,
    Container,
    ContainerId,
    ContainerNotFound,
    ContainerSpec,
    ContainerState,
    ExecFailed,
    Features,
    Isolation,
    RuntimeUnavailable,
)
from kubatch.runtime.session import ProcessSession
from kubatch.runtime.view import View

_FOLDER = "sandbox"
_TOOLS = ("bwrap", "env", "mount", "nsenter", "setpriv", "setsid", "sh", "stat", "unshare")
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROBE_TIMEOUT_S = 10.0
# A sandbox is made some milliseconds after its container was started.
_READY_S = 5.0
_READY_LOOKS = 1000
_CLEAN = {"PATH": _SEARCH}
_CHILD = re.compile(r'"child-pid":\s*(\d+)')
# linux/capability.h, for the bounding set of what is run beside a program
_NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7,
    "SETPCAP": 8, "NET_BIND_SERVICE": 10, "NET_RAW": 13, "IPC_LOCK": 14, "SYS_CHROOT": 18,
    "SYS_PTRACE": 19, "SYS_NICE": 23, "SYS_RESOURCE": 24, "MKNOD": 27, "LEASE": 28,
    "AUDIT_WRITE": 29, "SETFCAP": 31,
}  # fmt: skip


def available() -> str:
    """Why sandboxes cannot be made here, in one line; "" when they can."""
    tools = _find_tools()
    missing = [name for name in _TOOLS if name not in tools]
    if missing:
        names = " and ".join(missing)
        return f"{names} not found; install the packages bubblewrap, util-linux and coreutils"
    spec = ContainerSpec(ContainerId("", "", 0), (tools["env"],), {}, None, Path("/"))
    made = recipe.make(spec, _ground(tools, root=os.geteuid() == 0, layers=False))
    # The probe brings its arguments along: there is no shim to hand them over.
    return _try([tools["bwrap"], *made.told, "--", tools["env"]], "/")


class SandboxRuntime(ProcessRuntime):
    """The Runtime whose containers are bubblewrap sandboxes; see runtime/protocol.py.

    Containers never see what is `hidden`, and see what is `provided` even in directories that are
    otherwise their own.
    """

    name = "sandbox"

    def __init__(
        self,
        directory: Path,
        *,
        hidden: Sequence[Path] = (),
        provided: Sequence[Path] = (),
        rootless: bool | None = None,
        **options: int,
    ) -> None:
        """`rootless`: do without root's rights; by default when there are none."""
        super().__init__(directory, **options)
        self._root = not (os.geteuid() != 0 if rootless is None else rootless)
        self._attempts = directory / _FOLDER
        self._hidden = (directory, *hidden)
        self._provided = provided
        self._ground = Ground({})
        self._holders = Holders(
            self._known, self._start_holder, self._remove_holder, self._made_process
        )
        self.features = Features(
            mounts=True,
            users=True,
            groups=self._root,
            capabilities=recipe.CAPABILITIES,
            privileged=self._root,
        )

    async def open(self) -> None:
        """Look at the machine, connect to the shim, and clear up after attempts it has not."""
        await asyncio.to_thread(self._survey)
        await super().open()
        known = {_folder_name(seen.id) for seen in await super().observe()}
        await asyncio.to_thread(self._sweep, known)
        self._holders.adopt()

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a container, in its pod's namespaces where it has such."""
        async with self._holders.held(spec):
            return await super().start(spec)

    async def observe(self) -> Sequence[Container]:
        """Ask the shim for everything it knows."""
        return [seen for seen in await super().observe() if not is_holder(seen.id)]

    async def changes(self) -> AsyncIterator[Container]:
        """Starts and exits as they happen, until close()."""
        async for seen in super().changes():
            if not is_holder(seen.id):
                yield seen

    def _learn(self, record: Mapping[str, Any]) -> None:
        super()._learn(record)
        self._holders.noticed(record["id"][0])

    async def _start_holder(self, id: ContainerId) -> Container:
        spec = ContainerSpec(id, holders.PROGRAM, {}, None, self._folder(id) / "log")
        return await super().start(spec)

    async def _remove_holder(self, id: ContainerId) -> None:
        await super().remove(id)
        await asyncio.to_thread(shutil.rmtree, self._folder(id), ignore_errors=True)

    def _made_process(self, id: ContainerId) -> int | None:
        folder = self._folder(id)
        return _child_of(folder) if _is_made(folder, self._ground.tools["bwrap"]) else None

    def _process_in(self, uid: str, container: str) -> int | None:
        """The first process of a pod's container, while it runs."""
        for id, seen in self._known.items():
            if id[:2] == (uid, container) and seen.state is ContainerState.RUNNING:
                return self._made_process(id)
        return None

    def _holder_request(self, request: dict[str, Any], folder: Path) -> dict[str, Any]:
        folder.mkdir(mode=0o700, exist_ok=True)
        maker = [self._ground.tools["bwrap"], "--args", "3", "--json-status-fd", "4", "--"]
        return {
            **request,
            "argv": [*maker, *holders.PROGRAM],
            "cwd": "/",
            "sandbox": {
                "told": "\0".join(holders.told(_SEARCH)) + "\0",
                "status": str(folder / "status"),
                "enter": {},
            },
        }

    async def remove(self, id: ContainerId) -> None:
        """Forget an attempt, and the layer it wrote to."""
        await super().remove(id)
        await asyncio.to_thread(shutil.rmtree, self._folder(id), ignore_errors=True)

    async def close(self, *, kill: bool) -> None:
        """Disconnect; with kill, end every container."""
        await super().close(kill=kill)
        if kill:
            await asyncio.to_thread(shutil.rmtree, self._attempts, ignore_errors=True)

    async def exec(
        self,
        id: ContainerId,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        on_close: int = SIGHUP,
    ) -> ProcessSession:
        """Start one more program in a container's sandbox."""
        folder = self._folder(id)
        for _ in range(_READY_LOOKS):
            known = self._known.get(id)
            if known is None or known.state is not ContainerState.RUNNING:
                raise ContainerNotFound(id)
            if _is_made(folder, self._ground.tools["bwrap"]):
                break
            await asyncio.sleep(_READY_S / _READY_LOOKS)
        why = await asyncio.to_thread(_why_not_exec, folder, argv)
        if why:
            raise ExecFailed(why)
        return await super().exec(id, argv, tty=tty, stdin=stdin, on_close=on_close)

    def _request(self, spec: ContainerSpec) -> dict[str, Any]:
        request = super()._request(spec)
        if is_holder(spec.id):
            return self._holder_request(request, self._folder(spec.id))
        ground = self._ground
        if ground.layers:
            text = Path("/proc/self/mountinfo").read_text()
            points = ground_of.mount_points(text, ground.hidden)
            ground = replace(ground, mount_points=points)
        wanted = spec.isolation.processes_of if spec.isolation is not None else ""
        target = self._process_in(spec.id.pod_uid, wanted) if wanted else None
        if wanted and target is None:
            return {**request, "refused": f'target container "{wanted}" is not running'}
        made = recipe.make(spec, ground, self._holders.process_of(spec), target)
        if made.error:
            return {**request, "refused": made.error}
        folder = self._folder(spec.id)
        try:
            _prepare(folder, made, ground.tools["bwrap"])
        except OSError as error:
            raise RuntimeUnavailable(f"no room for a sandbox: {error}") from error
        isolation = spec.isolation or Isolation()
        user, group, groups = recipe.identity(isolation, ground)
        kept = recipe.capabilities(isolation)
        return {
            **request,
            "argv": made.words,
            "cwd": str(folder) if made.layer or made.copied else "/",
            "sandbox": {
                "told": "\0".join(made.told) + "\0",
                "status": str(folder / "status"),
                "enter": {
                    "user": user,
                    "group": group,
                    "groups": list(groups),
                    "switch": ground.root,
                    "keep": [*range(64)] if "ALL" in kept else sorted(_NUMBERS[n] for n in kept),
                    "starter": ground.tools["setpriv"],
                    "cwd": spec.working_dir or "/",
                },
            },
        }

    def _layer(self, id: ContainerId) -> Path | None:
        return self._folder(id) / "upper" if self._ground.layers else None

    def _folder(self, id: ContainerId) -> Path:
        return self._attempts / _folder_name(id)

    def _survey(self) -> None:
        try:
            self._attempts.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RuntimeUnavailable(f"no room for sandboxes: {error}") from error
        tools = _find_tools()
        layers = self._root and _layers_work(tools, self._attempts)
        self._ground = replace(
            _ground(tools, root=self._root, layers=layers),
            provided=ground_of.as_paths(self._provided),
            hidden=ground_of.as_paths(self._hidden),
        )

    def _sweep(self, known: set[str]) -> None:
        for folder in self._attempts.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _folder_name(id: ContainerId) -> str:
    return sha256("/".join(map(str, id)).encode()).hexdigest()[:32]


def _prepare(folder: Path, made: recipe.Recipe, maker: str) -> None:
    """An attempt's directory: the layer it writes to, and where bubblewrap tells how it goes."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if made.copied:
        shutil.copy(maker, folder / "maker")
    if not made.layer:
        return
    for name in recipe.LAYER_DIRECTORIES:
        (folder / name).mkdir(mode=0o755, exist_ok=True)
    for path in made.opaque:
        private = folder / "upper" / path.lstrip("/")
        private.mkdir(mode=0o755, parents=True, exist_ok=True)
        private.chmod(0o1777)
        os.setxattr(private, "trusted.overlay.opaque", b"y")


def _find_tools() -> dict[str, str]:
    found = {name: shutil.which(name, path=_SEARCH) for name in _TOOLS}
    return {name: os.path.realpath(path) for name, path in found.items() if path is not None}


def _ground(tools: Mapping[str, str], *, root: bool, layers: bool) -> Ground:
    names_file = os.path.realpath("/etc/resolv.conf")
    return Ground(
        tools=tools,
        root=root,
        layers=layers,
        uid=os.geteuid(),
        gid=os.getegid(),
        groups=bool(set(os.getgroups()) - {os.getegid()}),
        names_file=names_file if names_file.startswith("/run/") else "",
        settings=ground_of.settings(),
        trusted=ground_of.trusted(tools),
    )


def _layers_work(tools: Mapping[str, str], folder: Path) -> bool:
    """Whether an overlay can be mounted here, and hides what it must."""
    trial = folder / "trial"
    made = recipe.Recipe(layer=True, opaque=("/tmp",))
    try:
        _prepare(trial, made, tools["bwrap"])
    except OSError:
        return False
    script = recipe.LAYER.replace("MOUNT", tools["mount"])
    hides = f'test -x root{tools["bwrap"]} && test -z "$({tools["sh"]} -c "ls -A root/tmp")"'
    words = [tools["unshare"], "--mount", tools["sh"], "-c", script, "sh", tools["sh"], "-c", hides]
    failed = _try(words, str(trial))
    shutil.rmtree(trial, ignore_errors=True)
    return not failed


def _try(words: Sequence[str], directory: str) -> str:
    """Run a command that must succeed: "" or what it said."""
    try:
        done = subprocess.run(
            list(words), cwd=directory, env=_CLEAN, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.strip().partition("\n")[0] or f"{words[0]} failed"


def _is_made(folder: Path, maker: str) -> bool:
    """Whether the sandbox's first process is the program, and no more bubblewrap, its maker."""
    child = _child_of(folder)
    if child is None:
        return False
    try:
        # While it is being executed a program has no environment; later one with PWD at least.
        made = not os.readlink(f"/proc/{child}/exe").endswith((maker, "/maker"))
        return made and bool(Path(f"/proc/{child}/environ").read_bytes())
    except OSError:
        return False


def _why_not_exec(folder: Path, argv: Sequence[str]) -> str:
    """Why a program cannot be run in a sandbox, as far as can be seen from outside."""
    child = _child_of(folder)
    if child is None or not argv:
        return ""
    try:
        environ = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""  # it has just ended
    search = next((os.fsdecode(v[5:]) for v in environ if v.startswith(b"PATH=")), None)
    if search is None:
        return ""
    return View(f"/proc/{child}/root").why_not_program(argv[0], search, "/")


def _child_of(folder: Path) -> int | None:
    """The sandbox's first process, once bubblewrap has told it."""
    with contextlib.suppress(OSError):
        found = _CHILD.search((folder / "status").read_text())
        if found is not None:
            return int(found.group(1))
    return None
