"""Getting the shim up: detached, alone in its directory, and listening before anyone is told."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import sys

from . import spawn
from .server import SOCKET, Shim

_IDLE_S = 5.0
_READY_S = 10
_FILES_MAX = 65536  # each running container takes three


def _listen() -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.unlink(SOCKET)
    except FileNotFoundError:
        pass
    # Relative, because a socket's address has 108 bytes and a directory's name may have more.
    before = os.umask(0o177)
    listener.bind(SOCKET)
    os.umask(before)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, _FILES_MAX)
    if 0 <= soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(arguments: list[str]) -> None:
    """Serve the directory named first; the second argument is the idle time in seconds."""
    signal.alarm(_READY_S)  # ends the first process; a fork does not inherit it
    os.umask(0o077)
    os.chdir(arguments[0])
    idle_s = float(arguments[1]) if len(arguments) > 1 else _IDLE_S
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        answer = os.read(ready, 1)
        os._exit(answer[0] if answer else 1)
    os.close(ready)
    os.setsid()
    lock = os.open("shim.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.write(tell, b"\x03")
        sys.exit(3)
    _raise_file_limit()
    os.umask(0o022)  # what containers start with
    shim = Shim(_listen(), idle_s)
    os.write(tell, b"\x00")
    os.close(tell)
    spawn.adopt_orphans()
    shim.run()
