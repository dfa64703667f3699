"""Shared memory and the limits this process runs under."""

import os

from . import reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

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


def limits(ask: "Ask") -> "Dict[str, Any]":
    try:
        import resource
    except ImportError:
        raise NotHere("this platform has no such limits")
    used = (reading.line("/proc/sys/fs/file-nr") or "").split()
    return {
        "shm": shared_memory(),
        "memlock_bytes": limit(resource.RLIMIT_MEMLOCK),
        "open_files": limit(resource.RLIMIT_NOFILE),
        "processes": limit(resource.RLIMIT_NPROC),
        "system_open_files": int(used[0]) if len(used) == 3 else None,
        "system_open_files_limit": int(used[2]) if len(used) == 3 else None,
    }
