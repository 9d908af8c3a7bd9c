"""What a new process joins before it becomes its program."""

from __future__ import annotations

import os

from . import cgroups
from .spawn import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a third of the time to start
    from typing import Any

_CLONE_NEWNET = 0x40000000


def join(groups: Any, network: str | None) -> None:
    """In the new process: enter its control groups, and its pod's network."""
    if groups:
        cgroups.enter(groups)
    if network:
        _enter_network(network)


def _enter_network(path: str) -> None:
    """setns(2); the C part of ctypes alone, as everywhere in the shim."""
    import _ctypes

    try:
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise StartError(f"cannot join the pod's network: {why}") from error
    function = _ctypes.dlsym(_ctypes.dlopen(None, 0), "setns")  # type: ignore[arg-type]
    if _ctypes.call_function(function, (namespace, _CLONE_NEWNET)):
        raise StartError("cannot join the pod's network")
    os.close(namespace)
