"""From command-line choices to a Cluster: which store, which runtime, which directory."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import kubatch
from kubatch.cli.main import Refused
from kubatch.runtime.protocol import Runtime
from kubatch.settings import Settings
from kubatch.store.protocol import Store

if TYPE_CHECKING:
    from kubatch.network.pods import BridgedPods

log = logging.getLogger(__name__)

T = TypeVar("T")


def set_up_logging(verbose: int) -> None:
    """Warnings to stderr; more on request."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")


def make_store(settings: Settings) -> Store:
    """The store a server keeps its state in."""
    if settings.store == "memory":
        from kubatch.store.memory import MemoryStore

        return MemoryStore(history_changes_max=settings.history_changes_max)
    if settings.store == "sqlite":
        from kubatch.store.sqlite import SqliteStore

        path = settings.data_dir / "state.db"
        return SqliteStore(path, history_changes_max=settings.history_changes_max)
    raise Refused(f"--store {settings.store}: not known; use sqlite or memory")


def make_runtime(settings: Settings) -> Runtime:
    """What runs containers here: sandboxes where they can be made, else plain processes."""
    from kubatch.runtime.process import ProcessRuntime
    from kubatch.runtime.sandbox import SandboxRuntime, available

    directory = settings.data_dir / "runtime"
    bytes_max, files_max = settings.log_file_bytes_max, settings.log_files_max
    why = "asked to" if settings.runtime == "process" else available()
    if why and settings.runtime == "sandbox":
        raise Refused(f"--runtime sandbox: {why}; use --runtime process")
    if why:
        log.info("containers run as plain processes: %s", why)
        return ProcessRuntime(directory, log_file_bytes_max=bytes_max, log_files_max=files_max)
    return SandboxRuntime(
        directory,
        log_file_bytes_max=bytes_max,
        log_files_max=files_max,
        hidden=_own_state(settings),
        # Programs that come with us, wherever we are installed.
        provided=(Path(sys.prefix), Path(kubatch.__file__).parent),
    )


def make_pod_network(settings: Settings) -> BridgedPods | None:
    """The network of pods, where it is asked for. Raises Refused."""
    if not settings.agent:
        return None
    from kubatch.network.pods import BridgedPods, in_use, plugin_folder, unavailable

    if settings.network != "pod":
        if in_use(settings.data_dir):
            raise Refused(
                "--network host: pods that still run here have addresses of their own; "
                "use --network pod until they have ended"
            )
        return None
    from ipaddress import IPv4Network

    why = unavailable(os.environ)
    if why:
        raise Refused(f"--network pod: {why}; or use --network host")
    plugins = plugin_folder(os.environ)
    return BridgedPods(settings.data_dir, IPv4Network(settings.pod_cidr), plugins)


def image_map(path: str | None) -> Path | None:
    """The user's image map, which says what it must. Raises Refused."""
    from kubatch.runtime.images import ImageMapError, load_image_map

    if path is None:
        return None
    found = Path(path).absolute()
    try:
        load_image_map(found)
    except ImageMapError as error:
        raise Refused(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"cannot read the image map {path}: {error}") from None
    return found


def audit_policy(path: str | None, audit_log: str | None) -> Path | None:
    """The user's audit policy, which says what it must. Raises Refused."""
    from kubatch.server.audit_policy import AuditPolicyError, read

    if path is None:
        return None
    if audit_log is None:
        raise Refused("--audit-policy says what goes into an audit log: it needs --audit-log")
    found = Path(path).absolute()
    try:
        read(found.read_bytes())
    except AuditPolicyError as error:
        raise Refused(f"the audit policy {path} cannot be used: {error}") from None
    except OSError as error:
        raise Refused(f"cannot read the audit policy {path}: {error.strerror}") from None
    return found


def _own_state(settings: Settings) -> list[Path]:
    """What no container may see, even where it could read it."""
    from kubatch.agent.volumes import memory_directory

    files = (settings.kubeconfig, settings.audit_log)
    state = [settings.data_dir, memory_directory(settings.data_dir)]
    return [*state, *(path for path in files if path is not None)]


@contextmanager
def data_directory(path: Path) -> Iterator[None]:
    """Make the directory, for its owner alone, and hold it against a second server."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A directory that the user made may be open to others; what is in it is not.
        for part in ("logs", "pods", "runtime"):
            (path / part).mkdir(exist_ok=True)
            (path / part).chmod(0o700)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"cannot use the data directory {path}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise Refused(
            f"the data directory {path} is in use by process {holder}; "
            "stop that server, or choose another with --data-dir"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    try:
        yield
    finally:
        os.close(handle)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, with a garbage collector that leaves stored objects alone."""
    import uvloop

    from kubatch.cli.garbage import tuned

    with tuned(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def default_data_dir() -> Path:
    """Where a server keeps everything unless told otherwise (XDG base directories)."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "kubatch"


def parse_duration(text: str, option: str = "--timeout") -> float:
    """Seconds of a Go-style duration: 90s, 10m, 1h30m, 500ms; a bare number counts seconds."""
    import re

    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise Refused(f"{option} {text}: not a duration; write for example 90s, 10m or 1h30m")
    return sum(float(n) * units[u] for n, u in parts)


def fail(message: str) -> None:
    """One line to stderr."""
    print(f"kubatch: {message}", file=sys.stderr)
