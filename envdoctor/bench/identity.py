"""What tells nodes, machines and kernels apart.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import os
import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def index_of(given: "Any") -> int:
    """The index of a request, or what a variable of the launcher says."""
    if isinstance(given, int):
        return given
    return next(int(os.environ[name]) for name in given["from"] if os.environ.get(name, "").isdigit())


def cpu_mask() -> str:
    """A bit for each processor this process may use, hexadecimal; empty where that cannot be told."""
    return "%x" % sum(1 << cpu for cpu in os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ""


def boot_id() -> str:
    """What tells kernels apart, empty where it does not say: containers of one kernel share its processors."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def host_id() -> str:
    """What tells machines apart, network namespaces included: containers may share a boot id and a name."""
    parts = [platform.node(), boot_id()]
    try:
        parts.append(os.readlink("/proc/self/ns/net"))
    except OSError:
        pass
    return "|".join(parts)
