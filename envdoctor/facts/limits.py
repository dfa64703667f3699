"""Shared memory and the limits a process runs under."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SharedMemory:
    """/dev/shm. `left_over` are names of segments that NCCL, torch or multiprocessing made, in use or not.

    `error` says why it could not be looked at; sizes are None then.
    """

    size_bytes: int | None = None
    free_bytes: int | None = None
    writable: bool = True
    left_over: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Limit:
    """A resource limit; None is unlimited."""

    soft: int | None = None
    hard: int | None = None


@dataclass(frozen=True)
class Limits:
    """Limits of the process that started the doctor. A launcher may set others: they hold for what it starts.

    Attributes:
        may_lock_memory: CAP_IPC_LOCK is in effect: memlock_bytes does not bind.
        oom_kills: processes of this control group that the kernel killed for want of memory since the group was made;
            None if unknown. oom_kills_source is the file that says so.
        system_open_files, system_open_files_limit: of the whole machine, /proc/sys/fs/file-nr.
    """

    shm: SharedMemory = field(default_factory=SharedMemory)
    memlock_bytes: Limit = field(default_factory=Limit)
    open_files: Limit = field(default_factory=Limit)
    processes: Limit = field(default_factory=Limit)
    may_lock_memory: bool = False
    oom_kills: int | None = None
    oom_kills_source: str = ""
    system_open_files: int | None = None
    system_open_files_limit: int | None = None
