"""Reading what this machine is."""

from __future__ import annotations

import os
import platform
import pwd
from collections.abc import Sequence
from pathlib import Path

from kubatch.agent.node import Machine

# runtime.GOARCH
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def read_machine(disk: Path, max_pods: int, images: Sequence[str] = ()) -> Machine:
    """The machine as it is now; `disk` is where pods' data will lie."""
    space = os.statvfs(disk)
    kernel = os.uname()
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk_bytes=space.f_frsize * space.f_blocks,
        pods=max_pods,
        machine_id=_text("/etc/machine-id"),
        # Without root the firmware's id cannot be read; the kubelet then shows the machine's.
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        kernel_version=kernel.release,
        os_image=_os_image(),
        architecture=_ARCHITECTURES.get(kernel.machine, kernel.machine),
        huge_pages=_huge_pages(),
        images=images,
    )


def _huge_pages(folder: Path = Path("/sys/kernel/mm/hugepages")) -> dict[str, int]:
    """Bytes of each size; the usual two are told also where there are none."""
    found = {"1Gi": 0, "2Mi": 0}
    for each in sorted(folder.glob("hugepages-*kB")):
        kib = int(each.name.removeprefix("hugepages-").removesuffix("kB"))
        size = f"{kib >> 20}Gi" if kib >= 1 << 20 else f"{kib >> 10}Mi" if kib >> 10 else f"{kib}Ki"
        found[size] = kib * 1024 * int(_text(str(each / "nr_hugepages")) or 0)
    return found


def home_of(uid: int) -> str:
    """A user's home directory; the root when nobody has this id."""
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
