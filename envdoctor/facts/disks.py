"""The file systems that training writes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A folder that training writes to.

    Attributes:
        use: "working-directory", "home", "temporary", "pip-cache", "huggingface", "torch-hub", "torch-extensions",
            "triton" or "inductor"; of those that are only read, and only where they do not answer, "python" (the one
            under examination), "search-path", "module-path" or "library-path".
        path: as configured; variable: that says so, empty for the default.
        exists: the folder itself; else sizes are those of its nearest ancestor.
        answers: false where its file system gave no answer within 2.5 s.
        error: why it could not be looked at.
        writable: this user may create files there.
        size_bytes, free_bytes: of the file system; free to this user, quotas aside.
        files, free_files: inodes; 0 where the file system has no fixed number.
        mount_point, file_system, source: where it is mounted, its type ("nfs4"), what is mounted there.
        read_only, no_exec: mount options.
    """

    use: str = ""
    path: str = ""
    variable: str = ""
    exists: bool = True
    answers: bool = True
    error: str = ""
    writable: bool = True
    size_bytes: int | None = None
    free_bytes: int | None = None
    files: int | None = None
    free_files: int | None = None
    mount_point: str = ""
    file_system: str = ""
    source: str = ""
    read_only: bool = False
    no_exec: bool = False


@dataclass(frozen=True)
class Disks:
    """Every folder that training writes to, the most important first."""

    places: tuple[Place, ...] = ()
