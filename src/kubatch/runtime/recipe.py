"""How bubblewrap is told to make a container: its file system, its identity, its program.

The host's root is what containers see of files, and none can change it. As root it lies under a
writable layer of the attempt's own, as in a container engine; otherwise it is read-only, and a
directory in which a mount point is missing is rebuilt entry by entry.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kubatch.runtime.ground import PRIVATE, Ground, in_any, memories
from kubatch.runtime.protocol import ContainerSpec, Isolation, Mount
from kubatch.runtime.view import View, children, mode

# containerd's defaults (pkg/oci/spec.go: defaultUnixCaps) but for MKNOD: no device can be used.
DEFAULT_CAPABILITIES = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE",
    "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
))  # fmt: skip
# More would reach the host: its network is the containers' own, and its kernel always is.
CAPABILITIES = DEFAULT_CAPABILITIES | frozenset(
    ("IPC_LOCK", "LEASE", "MKNOD", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE")
)
_NEED_SIGHT = ("/proc",)  # what shows other containers, to be seen only by who may
SHARED_MEMORY_BYTES = 64 << 20  # containerd's /dev/shm
_STICKY = ("/tmp", "/var/tmp")
# What another process must not take from a container's environment: what the C library itself
# drops in programs with more rights than their user (glibc: sysdeps/generic/unsecvars.h).
_UNSAFE = frozenset((
    "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH",
    "MALLOC_TRACE", "NIS_PATH", "NLSPATH", "RESOLV_HOST_CONF", "RES_OPTIONS", "TMPDIR", "TZDIR",
))  # fmt: skip
# For each path what must be there, told by device and inode; then the program.
_CHECK = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do '
    '[ "$(STAT -L -c %d:%i -- "$2")" = "$1" ] || { '
    'echo "$2: the subPath was changed while it was mounted" >&2; exit 128; }; '
    'shift 2; n=$((n-1)); done; exec "$@"'
)
# In a mount namespace of its own: the layer, then bubblewrap. Relative to the attempt's directory,
# since in these options a path could not have every character.
LAYER = (
    'MOUNT -n -i -c -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root && exec "$@"'
)
_PID_NAMESPACE_FD = 5
LAYER_DIRECTORIES = ("upper", "work", "root")


@dataclass(slots=True)
class Recipe:
    """The words to run, and what bubblewrap is told apart from them."""

    words: list[str] = field(default_factory=list)  # what the shim runs
    told: list[str] = field(default_factory=list)  # bubblewrap's arguments
    layer: bool = False  # LAYER_DIRECTORIES are needed in the attempt's directory
    opaque: tuple[str, ...] = ()  # directories of the layer that hide the host's
    copied: bool = False  # a copy of bubblewrap is needed there, as "maker"
    error: str = ""  # why the container cannot start


@dataclass(slots=True)
class _Plan:
    """The file system while it is put together."""

    spec: ContainerSpec
    isolation: Isolation
    ground: Ground
    view: View = field(default_factory=View)
    read_only: list[str] = field(default_factory=list)  # to be closed at the end
    made: set[str] = field(default_factory=set)  # directories that were missing
    told: list[str] = field(default_factory=list)


def make(
    spec: ContainerSpec, ground: Ground, holder: int | None = None, beside: int | None = None
) -> Recipe:
    """The recipe for a container. Looks at the machine's files, and changes none.

    `holder` is the process whose namespaces are the pod's; `beside` one whose process ids
    the container is to share, though the pod has not.
    """
    isolation = spec.isolation or Isolation()
    plan = _Plan(spec, isolation, ground)
    recipe = Recipe(layer=ground.layers)
    mounts = sorted(spec.mounts, key=lambda m: m.target.rstrip("/").count("/"))
    try:
        targets = _private(plan)
        if ground.layers:
            recipe.opaque = tuple(t for t in targets if t in _STICKY)
            _layered_root(plan, targets)
        else:
            _host_root(plan, mounts, targets)
        _shown_and_hidden(plan)
        for mount in mounts:
            _mount(plan, mount)
        directory = _working_directory(plan)
        why = plan.view.why_not_program(spec.argv[0], spec.env.get("PATH", ""), directory)
        if why:
            return Recipe(error=why)
    except (OSError, _Refused) as error:
        return Recipe(error=str(error))
    for target in plan.read_only:
        plan.told += ["--remount-ro", target]
    if beside is None and isolation.pod_processes:
        beside = holder
    recipe.told = namespaces(isolation, holder, beside)
    recipe.told += _identity(plan) + plan.told + ["--chdir", directory]
    before, deferred = _before(plan)
    if before and (over := _covers_tools(plan)):
        return Recipe(error=f'mounting to rootfs at "{over}": it hides programs of the sandbox')
    recipe.told += _environment(spec.env, deferred)
    # What starts a container's program may be opened by it, through /proc. Of a layer, it is the
    # attempt's own copy that is written to then; elsewhere a copy is made.
    maker = f"root{ground.tools['bwrap']}" if ground.layers else "./maker"
    recipe.copied = ground.root and not ground.layers
    if not ground.root:
        maker = ground.tools["bwrap"]  # only root's, and we are not root
    recipe.words = [maker, "--args", "3", "--json-status-fd", "4", "--"]
    recipe.words += [*before, *spec.argv]
    if ground.layers:
        script = LAYER.replace("MOUNT", ground.tools["mount"])
        shell = [ground.tools["sh"], "-c", script, "sh"]
        recipe.words = [ground.tools["unshare"], "--mount", *shell, *recipe.words]
    if holder is not None and isolation.pod_ipc:
        enter = [ground.tools["nsenter"], f"--ipc=/proc/{holder}/ns/ipc", "--"]
        recipe.words = [*enter, *recipe.words]
    if beside is not None:  # it is for bubblewrap to enter, once it has left itself behind
        script = f'exec {_PID_NAMESPACE_FD}</proc/{beside}/ns/pid && exec "$@"'
        recipe.words = [ground.tools["sh"], "-c", script, "sh", *recipe.words]
    return recipe


def namespaces(isolation: Isolation, holder: int | None, beside: int | None) -> list[str]:
    """The namespaces a container gets for itself, and those it is put into."""
    told = ["--unshare-uts"]
    if not isolation.host_ipc and (holder is None or not isolation.pod_ipc):
        told.append("--unshare-ipc")
    if beside is not None:
        return [*told, "--pidns", str(_PID_NAMESPACE_FD)]
    return told if isolation.host_processes else [*told, "--unshare-pid", "--as-pid-1"]


class _Refused(Exception):
    """The container cannot be made; the text is for the user."""


# ----- files


def _private(plan: _Plan) -> list[str]:
    """The directories whose content is the container's own."""
    found = []
    for path in PRIVATE:
        if os.path.isdir(path) and not os.path.islink(path):
            found.append(path)
            plan.view.mount(path, None)
    return found


def _layered_root(plan: _Plan, private: Sequence[str]) -> None:
    """The host's root under a layer, which does not show what is mounted on the host's root."""
    plan.told += ["--bind", "root", "/"]
    if plan.isolation.read_only_root:
        plan.read_only.append("/")
    _devices(plan)
    plan.told += ["--bind-try" if plan.isolation.privileged else "--ro-bind-try", "/sys", "/sys"]
    for point in plan.ground.mount_points:
        plan.told += ["--ro-bind-try", point, point]
    for path in private:
        if path not in _STICKY:  # those are opaque in the layer
            plan.told += ["--tmpfs", path]
            if plan.isolation.read_only_root:
                plan.read_only.append(path)


def _host_root(plan: _Plan, mounts: Iterable[Mount], private: Sequence[str]) -> None:
    """The host's root, read-only; directories in which something has to be made are rebuilt."""
    wanted = [mount.target for mount in mounts]
    if plan.spec.working_dir:
        wanted.append(plan.spec.working_dir)
    rebuilt = _incomplete(wanted, (*private, "/dev", "/proc"))
    if "/" not in rebuilt:
        plan.told += ["--ro-bind", "/", "/"]
    for directory in sorted(rebuilt):
        _rebuild(plan, directory)
    _devices(plan)
    for path in private:
        sticky = ["--perms", "1777"] if path in _STICKY else []
        plan.told += [*sticky, "--tmpfs", path]
    plan.read_only += sorted(rebuilt)
    if plan.isolation.read_only_root:
        plan.read_only += private


def _incomplete(wanted: Iterable[str], private: Sequence[str]) -> set[str]:
    """The host's directories in which a wanted path, or the first part of it, is missing."""
    shown, found = View(), set()
    for path in private:
        shown.mount(path, None)
    for target in wanted:
        path = shown.real(target)
        if path == "/" or in_any(path, private) or os.path.lexists(path):
            continue
        while not os.path.lexists(path):
            path = os.path.dirname(path)
        if os.path.isdir(path):
            found.add(path)
    return found


def _rebuild(plan: _Plan, directory: str) -> None:
    """A directory in memory with everything in it that was there before."""
    if directory != "/":
        plan.told += ["--perms", f"{mode(directory):04o}", "--tmpfs", directory]
    for name, link in children(directory):
        path = os.path.join(directory, name)
        if link is not None:
            plan.told += ["--symlink", link, path]
        elif path not in ("/dev", "/proc"):
            plan.told += ["--ro-bind-try", path, path]


def _devices(plan: _Plan) -> None:
    """/dev and /proc."""
    if plan.isolation.privileged:
        plan.told += ["--dev-bind", "/dev", "/dev"]
    elif plan.ground.root:
        plan.told += ["--dev", "/dev"]
    else:
        # Not --dev: for its terminals it makes a user namespace inside the first one, and then
        # nobody outside can join the container any more.
        plan.told += ["--tmpfs", "/dev"]
        for name in ("null", "zero", "full", "random", "urandom", "tty"):
            plan.told += ["--dev-bind-try", f"/dev/{name}", f"/dev/{name}"]
        plan.told += ["--symlink", "/proc/self/fd", "/dev/fd"]
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            plan.told += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    plan.view.mount("/dev", None)
    plan.view.mount("/proc", None)
    if plan.isolation.host_ipc:
        plan.told += ["--bind", "/dev/shm", "/dev/shm"]
        plan.view.mount("/dev/shm", "/dev/shm")
    else:
        size = str(SHARED_MEMORY_BYTES)
        plan.told += ["--perms", "1777", "--size", size, "--tmpfs", "/dev/shm"]
    plan.told += ["--proc", "/proc"]
    if plan.ground.uid == 0 and not plan.isolation.privileged:
        # Settings of the whole machine, which user 0 may change without any capability: with a
        # program to handle core dumps it would be out. bubblewrap closes some and not these
        # (containerd: pkg/oci/spec_opts.go, WithReadonlyPaths). Each costs a tenth of a start.
        for path in plan.ground.settings:
            plan.told += ["--ro-bind-try", path, path]


def _shown_and_hidden(plan: _Plan) -> None:
    ground = plan.ground
    if ground.names_file:
        plan.told += ["--ro-bind-try", ground.names_file, ground.names_file]
    for path in ground.provided:
        if in_any(path, PRIVATE) and plan.view.find(path) is None:
            plan.told += ["--ro-bind-try", path, path]
            plan.view.mount(path, path)
    for path in ground.hidden:
        _hide(plan, path, plan.view.find(path))


def _hide(plan: _Plan, target: str, host: str | None) -> None:
    if host is None:
        return
    if os.path.isdir(host):
        plan.told += ["--tmpfs", target, "--remount-ro", target]
    else:
        plan.told += ["--ro-bind", "/dev/null", target]
    plan.view.mount(target, None)


def _mount(plan: _Plan, mount: Mount) -> None:
    target = plan.view.real(mount.target)
    if target == "/":
        raise _Refused(f"{mount.target}: the root of a container cannot be a mount point")
    _parents(plan, target)
    if mount.source is None:
        size = [] if mount.size_bytes is None else ["--size", str(mount.size_bytes)]
        plan.told += ["--perms", "1777", *size, "--tmpfs", target]
        plan.view.mount(target, None)
        if mount.read_only:
            plan.told += ["--remount-ro", target]
        return
    source = os.path.realpath(mount.source)
    if not os.path.exists(source):
        raise _Refused(f'failed to stat "{mount.source}": no such file or directory')
    there = plan.view.find(target)
    if there is not None and os.path.isdir(there) != os.path.isdir(source):
        raise _Refused(
            f'mounting "{source}" to rootfs at "{mount.target}": not a directory: Are you trying '
            "to mount a directory onto a file (or vice-versa)? Check if the specified host path "
            "exists and is the expected type"
        )
    hidden = plan.ground.hidden
    if not plan.isolation.host_processes:
        # The machine's /proc leads into every other container that has no more rights.
        if in_any(source, _NEED_SIGHT):
            raise _Refused(f'mounting "{source}": it shows other containers, and needs hostPID')
        hidden += _NEED_SIGHT
    if in_any("/dev/shm", (source,)):
        hidden += memories()
    plan.told += ["--ro-bind" if mount.read_only else "--bind", source, target]
    plan.view.mount(target, source)
    for path in hidden:
        # A part of the host that holds our state shows it no more than the root does.
        if in_any(path, (source,)) and path != source:
            inside = os.path.join(target, os.path.relpath(path, source))
            _hide(plan, inside, plan.view.find(inside))


def _covers_tools(plan: _Plan) -> str:
    """A mount over what has to check others, or to give up rights, before the program runs.

    Whoever fills that volume would do both instead, and could let a subPath lead outside.
    """
    for mount in plan.spec.mounts:
        if _any_in(plan.ground.trusted, View().real(mount.target)):
            return mount.target
    return ""


def _any_in(paths: Iterable[str], folder: str) -> bool:
    return any(in_any(path, (folder,)) for path in paths)


def _parents(plan: _Plan, path: str) -> None:
    """Make what is missing above a path; bubblewrap would let only its own user look inside."""
    missing = []
    while (path := os.path.dirname(path)) != "/" and not plan.view.holds_mounts(path):
        if plan.view.find(path) is not None:
            break
        missing.append(path)
    for directory in reversed(missing):
        if directory not in plan.made:
            plan.made.add(directory)
            plan.told += ["--perms", "0755", "--dir", directory]


def _working_directory(plan: _Plan) -> str:
    wanted = plan.spec.working_dir or "/"
    real = plan.view.real(wanted)
    host = plan.view.find(real)
    if host is None and not plan.view.holds_mounts(real):
        _parents(plan, real)
        plan.told += ["--perms", "0755", "--dir", real]  # runc makes a missing one too
    elif host is not None and not os.path.isdir(host):
        raise _Refused(f'chdir to cwd ("{wanted}") set in config.json failed: not a directory')
    return wanted


# ----- identity and program


def capabilities(isolation: Isolation) -> frozenset[str]:
    """What the container may do: the defaults without what is dropped, and what is added."""
    kept = DEFAULT_CAPABILITIES - isolation.capabilities_drop
    if "ALL" in isolation.capabilities_drop:
        kept = frozenset()
    if isolation.privileged:
        return frozenset(("ALL",))
    return kept | (isolation.capabilities_add & CAPABILITIES)


def identity(isolation: Isolation, ground: Ground) -> tuple[int, int, tuple[int, ...]]:
    """User, group and supplementary groups. A user without a group gets 0, as images do."""
    user = ground.uid if isolation.user is None else isolation.user
    group = isolation.group
    if group is None:
        group = ground.gid if isolation.user is None else 0
    return user, group, isolation.groups


def _switches(plan: _Plan) -> bool:
    user, group, groups = identity(plan.isolation, plan.ground)
    changed = (user, group) != (plan.ground.uid, plan.ground.gid)
    return plan.ground.root and (changed or bool(groups) or plan.ground.groups)


def _identity(plan: _Plan) -> list[str]:
    told = ["--hostname", plan.isolation.hostname] if plan.isolation.hostname else []
    wanted = capabilities(plan.isolation)
    if not plan.ground.root:
        user, group, _ = identity(plan.isolation, plan.ground)
        told += ["--unshare-user", "--uid", str(user), "--gid", str(group)]
        wanted = wanted if user == 0 else frozenset()
    elif _switches(plan):
        wanted |= {"SETGID", "SETPCAP", "SETUID"}  # until the switch is made
    if plan.isolation.privileged:
        return [*told, "--cap-add", "ALL"]
    told += ["--cap-drop", "ALL"]
    for name in sorted(wanted):
        told += ["--cap-add", f"CAP_{name}"]
    return told


def _before(plan: _Plan) -> tuple[list[str], dict[str, str]]:
    """What runs before the program, and the variables that are set only after that."""
    tools, words = plan.ground.tools, []
    if plan.spec.tty:
        words += [tools["setsid"], "-c"]  # Ctrl-C is for the program, not for bubblewrap too
    checks = [m for m in plan.spec.mounts if m.identity is not None]
    if checks:
        script = _CHECK.replace("STAT", tools["stat"])
        words += [tools["sh"], "-c", script, "sh", str(len(checks))]
        for mount in checks:
            assert mount.identity is not None
            words += [f"{mount.identity[0]}:{mount.identity[1]}", mount.target]
    if _switches(plan):
        user, group, groups = identity(plan.isolation, plan.ground)
        kept = sorted(capabilities(plan.isolation))
        bounding = ",".join(["-all", *(f"+{name.lower()}" for name in kept)])
        bounding = "+all" if plan.isolation.privileged else bounding
        words += [tools["setpriv"], "--reuid", str(user), "--regid", str(group)]
        words += ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
        words += ["--inh-caps=-all", f"--bounding-set={bounding}"]
    deferred = {}
    if words:
        deferred = {
            name: value
            for name, value in plan.spec.env.items()
            if name in _UNSAFE or name.startswith("LD_")
        }
    if deferred:
        words += [tools["env"], *(f"{name}={value}" for name, value in deferred.items())]
    return words, deferred


def _environment(env: Mapping[str, str], deferred: Mapping[str, str]) -> list[str]:
    """Told and not inherited: bubblewrap itself must not heed what a pod sets."""
    told = ["--clearenv"]
    for name, value in env.items():
        if name not in deferred:
            told += ["--setenv", name, value]
    return told
