"""Sockets in a pod's own network."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

_CLONE_NEWNET = 0x40000000


def open_socket(namespace: Path) -> socket.socket:
    """A new TCP socket there, which does not block. Raises OSError.

    A thread of its own joins the namespace and ends: no other thread must ever be in it.
    """
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            made.append(_joined(namespace))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=make, name="pod network", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    made[0].setblocking(False)
    return made[0]


def _joined(namespace: Path) -> socket.socket:
    import ctypes  # slow to load, and seldom needed

    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
