"""Starting one program, and what /proc says about processes."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from collections.abc import Callable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

_DEFAULT_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_PR_SET_CHILD_SUBREAPER = 36
_HIGH = 10


class StartError(Exception):
    """The program cannot be started; the text is worded as runc words it."""


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _why_not(file: str) -> str:
    """Why a file cannot be executed; empty when it can (Go: os/exec, findExecutable)."""
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        return f"stat {file}: {_reason(error)}"
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "" if os.access(file, os.X_OK) else "permission denied"


def find_program(name: str, path: str) -> str:
    """The file to execute: the name itself if it has a slash, else searched on the path."""
    if "/" in name:
        why = _why_not(name)
        if why:
            raise StartError(f'exec: "{name}": {why}')
        return name
    for folder in path.split(":") if path and name else ():
        file = os.path.join(folder or ".", name)
        if not _why_not(file):
            return file
    raise StartError(f'exec: "{name}": executable file not found in $PATH')


def pipes(stdin: int, stdout: int, stderr: int) -> tuple[Any, ...]:
    """What to do with files in a new process: these become 0, 1 and 2; without an input, none."""
    read: tuple[Any, ...] = (os.POSIX_SPAWN_DUP2, stdin, 0)
    if stdin < 0:
        read = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
    return read, (os.POSIX_SPAWN_DUP2, stdout, 1), (os.POSIX_SPAWN_DUP2, stderr, 2)


def terminal(slave: int) -> tuple[Any, ...]:
    """The same with a terminal. The leader of a new session that opens one controls it."""
    return (
        (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
    )


def spawn(
    argv: list[str], env: Mapping[str, str], cwd: str, files: tuple[Any, ...], home: int
) -> int:
    """Start a program in a session of its own and return its pid; `files` as above.

    posix_spawn has no working directory in Python, so the shim goes there and comes back to the
    directory open as `home`; it has one thread, and nobody sees it away. Everything the shim
    has open closes on exec.
    """
    try:
        os.chdir(cwd)
    except OSError as error:
        raise StartError(
            f'chdir to cwd ("{cwd}") set in config.json failed: {_reason(error)}'
        ) from error
    try:
        program = find_program(argv[0], env.get("PATH", ""))
        try:
            return os.posix_spawn(
                program,
                argv,
                env,
                file_actions=files,
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULT_SIGNALS,
            )
        except OSError as error:
            raise StartError(f"exec {program}: {_reason(error)}") from error
        except ValueError as error:  # a NUL byte, or a variable's name with "="
            raise StartError(f"exec {program}: {error}") from error
    finally:
        os.fchdir(home)


def spawn_after(
    prepare: Callable[[], None],
    argv: list[str],
    env: Mapping[str, str],
    cwd: str,
    files: tuple[Any, ...],
) -> int:
    """The same where the new process has something to do before the program: a fork, so dearer."""
    heard, tell = os.pipe()
    tell = _move_up(tell)
    pid = os.fork()
    if not pid:
        _become(prepare, argv, env, cwd, files, tell)
    os.close(tell)
    with open(heard, "rb") as pipe:
        said = pipe.read().decode(errors="surrogateescape")
    if said:
        os.waitpid(pid, 0)
        raise StartError(said)
    return pid


def _become(
    prepare: Callable[[], None],
    argv: list[str],
    env: Mapping[str, str],
    cwd: str,
    files: tuple[Any, ...],
    tell: int,
) -> None:
    """In the new process: what posix_spawn does, and never come back."""
    try:
        prepare()
        os.setsid()
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for action, *values in files:
            if action == os.POSIX_SPAWN_DUP2:
                os.dup2(values[0], values[1])
            else:
                fd, path, flags, mode = values
                opened = os.open(path, flags, mode)
                os.dup2(opened, fd)
        try:
            os.chdir(cwd)
        except OSError as error:
            raise StartError(
                f'chdir to cwd ("{cwd}") set in config.json failed: {_reason(error)}'
            ) from error
        program = find_program(argv[0], env.get("PATH", ""))
        try:
            os.execve(program, argv, env)
        except OSError as error:
            raise StartError(f"exec {program}: {_reason(error)}") from error
    except Exception as error:
        os.write(tell, (str(error) or "failed").encode(errors="surrogateescape")[:4096])
    finally:
        os._exit(128)


def _move_up(fd: int) -> int:
    """The same file under a number above those that a new process gets."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    finally:
        os.close(fd)


def boot_id() -> str:
    """Names this run of the kernel; pids of another one mean nothing."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def birth(pid: int) -> int | None:
    """When a process started, in ticks since boot; None when it has ended or never was."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    # The name, in parentheses, may hold anything; after it come field 3 (state) and the rest.
    fields = text[text.rfind(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def parent(pid: int) -> int:
    """The pid of a process's parent; 0 when it has ended or never was."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read(4096)
    except OSError:
        return 0
    return int(text[text.rfind(b")") + 2 :].split()[1])


def children() -> list[int] | None:
    """The pids of our children; None when the kernel does not tell."""
    pid = os.getpid()
    try:
        with open(f"/proc/self/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return None


def kill_group(group: int, number: int) -> None:
    """Signal a process group; that it is gone, or not ours, is no error."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def adopt_orphans() -> None:
    """Become the parent of what containers leave behind, so that it is reaped and can be ended.

    The C part of ctypes alone, because loading the whole takes longer than starting the shim.
    """
    try:
        import _ctypes

        function = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        _ctypes.call_function(function, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    except (ImportError, AttributeError, OSError):
        pass  # orphans go to init; only what escaped its process group can survive its end


def exit_code(status: int) -> int:
    """128 + n for death by signal n."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
