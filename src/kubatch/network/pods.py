"""The network of pods on this machine: what pod_plan says, carried out.

Namespaces have names (ip-netns(8)), so that they outlive every process, and a file for each pod
says which is its own: a server that was killed finds all of them again.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kubatch.network import pod_plan
from kubatch.network.pod_plan import API_ADDRESS, API_PORT, PACKAGES, Plan
from kubatch.runtime.pod_network import Attachment, NetworkFailed

NAMESPACES = Path("/run/netns")  # ip-netns(8)
PLUGINS = ("bridge", "host-local")
_TOOLS = ("ip", "iptables-save", "iptables-restore", "sh")
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLUGIN_FOLDERS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
_LOCK = Path("/run/kubatch-networks.lock")  # while a server chooses, others wait
_TIMEOUT = 30.0
_AT_ONCE = 4  # pods whose network is made at the same time


def plugin_folder(environ: Mapping[str, str]) -> str:
    """Where the CNI plugins are; "" when they are not here."""
    for folder in (*filter(None, environ.get("CNI_PATH", "").split(":")), *_PLUGIN_FOLDERS):
        if all(os.access(os.path.join(folder, name), os.X_OK) for name in PLUGINS):
            return folder
    return ""


def unavailable(environ: Mapping[str, str]) -> str:
    """Why pods cannot have a network of their own here, in one line; "" when they can."""
    if os.geteuid() != 0:
        return "pods get addresses of their own from root only"
    missing = [name for name in _TOOLS if shutil.which(name, path=_SEARCH) is None]
    if not plugin_folder(environ):
        missing.append(f"the CNI plugins {' and '.join(PLUGINS)}")
    return f"{', '.join(missing)} not found; install {PACKAGES}" if missing else ""


def in_use(data_dir: Path) -> bool:
    """Whether pods of a data directory have addresses of their own, left by another server."""
    return bool(_namespaces(pod_plan.bridge_name(str(data_dir.absolute()))))


class BridgedPods:
    """The PodNetwork of one data directory; see runtime/pod_network.py."""

    def __init__(self, data_dir: Path, wanted: IPv4Network, plugins: str) -> None:
        self.gateway = ""
        self.api: tuple[str, int] | None = None
        self._folder = data_dir.absolute() / "network"
        self._bridge = pod_plan.bridge_name(str(data_dir.absolute()))
        self._wanted = wanted
        self._plugins = plugins
        self._plan: Plan | None = None
        self._known: dict[str, Attachment] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def plan(self) -> Plan:
        """What was chosen; there once it is open."""
        assert self._plan is not None
        return self._plan

    async def open(self, api: tuple[str, int] | None) -> None:
        """Make the bridge, take over what is there. Raises NetworkFailed.

        `api` is where the API server listens.
        """
        try:
            for folder in (self._folder, self._folder / "pods"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with _alone():
                await self._make_bridge()
            await self._write_rules(pod_plan.rules(self.plan, api))
            self.gateway = self.plan.gateway
            self.api = (API_ADDRESS, API_PORT) if api is not None else None
            await self._find_again()
        except OSError as error:
            raise NetworkFailed(f"{error.filename or 'network'}: {error.strerror}") from error

    async def attach(self, uid: str) -> Attachment:
        """A pod's place, made when it has none yet."""
        known = self._known.get(uid)
        if known is not None:
            return known
        async with self._turns:
            name = self.plan.namespace(uid)
            try:
                await self._remove(name)  # of one that was begun and not finished
                await _run(["ip", "netns", "add", name])
                result = json.loads(await self._call("ADD", name))
                await _run(["ip", "netns", "exec", name, "sh", "-c", pod_plan.SET_UP_POD, "sh",
                            self.plan.gateway])  # fmt: skip
                found = Attachment(pod_plan.address_in(result), NAMESPACES / name)
                if not found.address:
                    raise NetworkFailed("plugin bridge: no address was given")
                self._write(uid, found)
            except OSError as error:
                raise NetworkFailed(str(error)) from error
            except BaseException:
                await self._remove(name)
                raise
        self._known[uid] = found
        return found

    def find(self, uid: str) -> Attachment | None:
        """A pod's place, if it has one."""
        return self._known.get(uid)

    async def release(self, uid: str) -> None:
        """Give a pod's place up."""
        if uid not in self._known:
            return
        async with self._turns:
            name = self.plan.namespace(uid)
            await self._remove(name)
            self._known.pop(uid, None)
            self._file(uid).unlink(missing_ok=True)

    async def sweep(self, kept: Iterable[str]) -> None:
        """Give up the places of all other pods."""
        gone = self._known.keys() - set(kept)
        await asyncio.gather(*(self.release(uid) for uid in sorted(gone)))

    async def close(self, *, kill: bool) -> None:
        """Let go; where no pod goes on, or with kill, leave nothing behind on the machine."""
        if self._plan is None or (self._known and not kill):
            return
        await self.sweep(())
        for left in _namespaces(self._bridge):  # of pods that were being put into the network
            await self._remove(left)
        try:
            await self._write_rules({})
            await _run(["ip", "link", "delete", self.plan.bridge])
        except NetworkFailed:
            pass  # somebody else was quicker; there is nobody left to tell
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _make_bridge(self) -> None:
        file = self._folder / "network.json"
        try:
            self._plan = Plan(self._bridge, IPv4Network(json.loads(file.read_bytes())["subnet"]))
        except (FileNotFoundError, ValueError, KeyError):
            self._plan = Plan(self._bridge, await self._choose())
            _write_file(file, {"subnet": str(self._plan.subnet)})
        bridge, subnet = self._bridge, self._plan.subnet
        if not _exists(f"/sys/class/net/{bridge}"):
            await _run(["ip", "link", "add", bridge, "type", "bridge"])
        address = f"{self._plan.gateway}/{subnet.prefixlen}"
        await _run(["ip", "address", "replace", address, "dev", bridge])
        await _run(["ip", "link", "set", bridge, "up"])
        _switch_on(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet")

    async def _choose(self) -> IPv4Network:
        addresses = json.loads(await _run(["ip", "-json", "address"]))
        routes = json.loads(await _run(["ip", "-json", "-4", "route"]))
        taken = pod_plan.taken_networks(addresses, routes)
        try:
            return pod_plan.choose_subnet(self._wanted, taken)
        except pod_plan.NoRoom as error:
            raise NetworkFailed(str(error)) from error

    async def _write_rules(self, wanted: Mapping[str, Sequence[str]]) -> None:
        async with _alone():
            saved = await _run(["iptables-save"])
            told = pod_plan.changes(saved, f"kubatch:{self._bridge}", wanted)
            if told:
                await _run(["iptables-restore", "--noflush", "--wait", "10"], told)

    async def _find_again(self) -> None:
        """Read which pods have a place; what is no pod's is removed."""
        for file in sorted((self._folder / "pods").iterdir()):
            try:
                said = json.loads(file.read_bytes())
                found = Attachment(said["address"], NAMESPACES / said["namespace"])
                uid = said["uid"]
            except (ValueError, KeyError):
                file.unlink()
                continue
            self._known[uid] = found
            if not found.namespace.exists():  # the machine has been started anew
                await self.release(uid)
        held = {one.namespace.name for one in self._known.values()}
        for left in _namespaces(self._bridge):
            if left not in held:
                await self._remove(left)

    async def _remove(self, name: str) -> None:
        """Unplug a pod and end its namespace, whatever there is of it."""
        try:
            await self._call("DEL", name)
        except NetworkFailed:
            pass  # what is left of it goes with its namespace
        try:
            if _exists(str(NAMESPACES / name)):
                await _run(["ip", "netns", "delete", name])
        except NetworkFailed:
            pass  # looked at again by the next server

    async def _call(self, command: str, name: str) -> str:
        """Call the plugin `bridge`; it calls the other one itself."""
        config = pod_plan.cni_config(self.plan, str(self._folder / "addresses"))
        path = str(NAMESPACES / name)
        if command == "DEL" and not _exists(path):
            path = ""
        env = pod_plan.cni_environment(command, path, name, self._plugins)
        return await _run([os.path.join(self._plugins, "bridge")], json.dumps(config), env)

    def _file(self, uid: str) -> Path:
        return self._folder / "pods" / f"{pod_plan.short(uid)}.json"

    def _write(self, uid: str, found: Attachment) -> None:
        said = {"uid": uid, "address": found.address, "namespace": found.namespace.name}
        _write_file(self._file(uid), said)


def _exists(path: str) -> bool:
    return os.path.exists(path)


def _switch_on(setting: str) -> None:
    Path(setting).write_text("1")


def _namespaces(bridge: str) -> list[str]:
    if not NAMESPACES.is_dir():
        return []
    return sorted(p.name for p in NAMESPACES.iterdir() if p.name.startswith(f"{bridge}-"))


def _write_file(path: Path, said: Mapping[str, Any]) -> None:
    """All at once, for us alone."""
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    """While no other server chooses a network or changes rules."""
    fd = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


async def _run(words: Sequence[str], told: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a program of the machine: its output. Raises NetworkFailed with what it said."""
    name = os.path.basename(words[0])
    try:
        # In a thread: a pipe that an event loop writes to may be closed under its hands.
        done = await asyncio.to_thread(
            subprocess.run, list(words), input=told.encode(), capture_output=True, cwd="/",
            env={"PATH": _SEARCH} if env is None else dict(env), timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    except OSError as error:
        raise NetworkFailed(f"{name}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise NetworkFailed(f"{name}: no end within {_TIMEOUT:g}s") from None
    if done.returncode:
        said = pod_plan.plugin_error((done.stdout or done.stderr).decode(errors="replace"))
        raise NetworkFailed(f"{name}: {said}")
    return done.stdout.decode()
