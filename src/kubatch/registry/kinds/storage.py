"""What volumes and claims have in common: access modes, volume modes, and how both show."""

from __future__ import annotations

from collections.abc import Sequence

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import ObjectMeta

ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
VOLUME_MODES = ("Block", "Filesystem")
UNSET = "<unset>"


def protect(meta: ObjectMeta | None, finalizer: str) -> None:
    """A new object gets the finalizer that keeps it while it is used (storageobjectinuse)."""
    if meta is not None and finalizer not in (meta.finalizers or ()):
        meta.finalizers = [*(meta.finalizers or ()), finalizer]


def shown_modes(modes: Sequence[str] | None) -> str:
    """Access modes in a table (GetAccessModesAsString)."""
    return ",".join(short for mode, short in ACCESS_MODES.items() if mode in (modes or ()))


def access_modes(modes: Sequence[str] | None, path: str, out: list[Cause]) -> None:
    """Each mode is known, and ReadWriteOncePod is alone."""
    unknown = [mode for mode in modes or () if mode not in ACCESS_MODES]
    out += [fields.not_supported(path, mode, sorted(ACCESS_MODES)) for mode in unknown]
    others = set(modes or ()) & set(ACCESS_MODES)
    if "ReadWriteOncePod" in others and len(others) > 1:
        why = "may not use ReadWriteOncePod with other access modes"
        out.append(fields.forbidden(path, why))


def volume_mode(mode: str | None, path: str, out: list[Cause]) -> None:
    """A file system or a block device."""
    if mode is not None and mode not in VOLUME_MODES:
        out.append(fields.not_supported(path, mode, VOLUME_MODES))
