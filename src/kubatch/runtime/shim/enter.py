"""Runs one more program in a sandbox: `python3 -S -I -E enter.py`, with its order in file 3.

A program of its own, since joining namespaces changes the whole process, and since environment
and identity must be those of the container only once we are in it.

A container may name `/proc/self/exe` as its program, or as a script's interpreter: whatever starts
it. Were that the host's Python, the container could open that file and write to it (as in runc's
CVE-2019-5736). So the program is started by a sealed copy in memory of another one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import sys
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMESPACES = ("user", "ipc", "uts", "mnt", "pid")  # user first: it gives the right to the others
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_MAX = 63
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2
_F_ADD_SEALS = 1033
_SEALS = 0xF  # no more seals, no shrinking, growing or writing
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def _call(name: str, *arguments: int) -> int:
    """A function of the C library; the C part of ctypes alone starts in half the time."""
    import _ctypes

    function = _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type]
    result: int = _ctypes.call_function(function, arguments)
    return result


def _join(pid: int) -> None:
    own = {name: os.stat(f"/proc/self/ns/{name}").st_ino for name in _NAMESPACES}
    files = {}
    for name in _NAMESPACES:
        path = f"/proc/{pid}/ns/{name}"
        if os.stat(path).st_ino != own[name]:
            files[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    for name in _NAMESPACES:
        if name in files and _call("setns", files[name], 0):
            sys.exit(f"exec failed: cannot join the container's {name} namespace")


def _sealed(path: str) -> int:
    """A copy of a program that nobody can change."""
    copy = os.memfd_create("starter", _MFD_CLOEXEC | _MFD_ALLOW_SEALING)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while size and (sent := os.sendfile(copy, file.fileno(), None, size)):
            size -= sent
    fcntl.fcntl(copy, _F_ADD_SEALS, _SEALS)
    return copy


def _become(order: dict[str, Any]) -> None:
    for number in range(_CAPABILITIES_MAX + 1):
        if number not in order["keep"]:
            _call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
    if order["switch"]:
        os.setgroups(order["groups"])
        os.setresgid(order["group"], order["group"], order["group"])
        os.setresuid(order["user"], order["user"], order["user"])
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _run(order: dict[str, Any], starter: int) -> None:
    """In the container, as a new process: become the program."""
    program = order["argv"][0]
    try:
        if order["tty"]:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # which Python ignores, and so would the program
        _become(order)
        os.chdir(order["cwd"])
        _execute(starter, order["argv"], order["env"])
    except OSError as error:
        text = f'exec failed: "{program}": {os.strerror(error.errno or 0)}\n'
        os.write(2, text.encode(errors="surrogateescape"))
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _execute(starter: int, argv: list[str], env: dict[str, str]) -> None:
    """Execute a program; the starter searches it on PATH as we do to tell what is wrong with it."""
    program = argv[0]
    folders = [""] if "/" in program else env.get("PATH", "").split(":")
    failed: OSError = FileNotFoundError(errno.ENOENT, "")
    for folder in folders:
        file = f"{folder}/{program}" if folder else program
        try:
            mode = os.stat(file).st_mode
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                failed = error
            continue
        if os.access(file, os.X_OK) and not stat.S_ISDIR(mode):
            os.execve(starter, ["setpriv", "--no-new-privs", "--", *argv], env)
        failed = PermissionError(errno.EACCES, "")
    raise failed


def main() -> None:
    """Join, run, and end as the program ends."""
    with open(3, encoding="utf-8", errors="surrogatepass") as file:
        order = json.load(file)
    starter = _sealed(order["starter"])
    _join(order["pid"])
    child = os.fork()  # only a new process is in the process id namespace
    if not child:
        _run(order, starter)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
