"""Shared memory and the limits this process runs under."""

import os

from . import reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from .sections import Ask


def shared_memory() -> "Dict[str, Any]":
    """Size of /dev/shm, what is free, and what NCCL, torch and others left there."""
    place = "/dev/shm"
    try:
        told = os.statvfs(reading.rooted(place))
    except OSError as error:
        return {"error": error.strerror or str(error)}
    left = [name for name in reading.names(place) if name.startswith(("nccl-", "torch_", "sem.mp-", "psm_"))]
    return {
        "size_bytes": told.f_blocks * told.f_frsize,
        "free_bytes": told.f_bavail * told.f_frsize,
        "writable": os.access(reading.rooted(place), os.W_OK),
        "left_over": left[:50],
    }


def limit(kind: int) -> "Dict[str, Optional[int]]":
    """Soft and hard value of a limit; None is unlimited."""
    import resource

    soft, hard = resource.getrlimit(kind)
    endless = resource.RLIM_INFINITY
    return {"soft": None if soft == endless else soft, "hard": None if hard == endless else hard}


def oom_kills() -> "Tuple[Optional[int], str]":
    """Processes of this control group that the kernel killed for want of memory, and the file that says so."""
    groups = {}
    for line in (reading.text("/proc/self/cgroup", 65536) or "").splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        groups.update({controller: path.rstrip("/") for controller in controllers.split(",")})
    places = []
    # Inside a container the group is its root: the path of /proc may be the host's.
    for path in (groups.get("", ""), ""):
        places.append("/sys/fs/cgroup" + path + "/memory.events")
    for path in (groups.get("memory", ""), ""):
        places.append("/sys/fs/cgroup/memory" + path + "/memory.oom_control")
    for place in places:
        for line in (reading.text(place, 65536) or "").splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill" and value.isdigit():
                return int(value), place
    return None, ""


def may_lock_memory() -> bool:
    """Whether CAP_IPC_LOCK is in effect, which the limit of locked memory does not bind (capabilities(7))."""
    for line in (reading.text("/proc/self/status", 65536) or "").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 14 & 1)
    return False


def limits(ask: "Ask") -> "Dict[str, Any]":
    try:
        import resource
    except ImportError:
        raise NotHere("this platform has no such limits")
    killed, killed_source = oom_kills()
    used = (reading.line("/proc/sys/fs/file-nr") or "").split()
    return {
        "shm": shared_memory(),
        "memlock_bytes": limit(resource.RLIMIT_MEMLOCK),
        "open_files": limit(resource.RLIMIT_NOFILE),
        "processes": limit(resource.RLIMIT_NPROC),
        "may_lock_memory": may_lock_memory(),
        "oom_kills": killed,
        "oom_kills_source": killed_source,
        "system_open_files": int(used[0]) if len(used) == 3 else None,
        "system_open_files_limit": int(used[2]) if len(used) == 3 else None,
    }
