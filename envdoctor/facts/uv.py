"""uv: where it takes packages from. It never reads pip's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class UvFile:
    """A file uv reads. `level` is "chosen" (UV_CONFIG_FILE), "project", "user" or "system"."""

    path: str = ""
    level: str = ""


@dataclass(frozen=True)
class UvIndex:
    """An index or find-links page named by a file or variable.

    Attributes:
        key: "index" for [[index]], "index-url" and the like, or the variable's name.
        default: it replaces uv's own default index.
        explicit: only for packages that name it.
        pip_only: stands in [pip], which `uv pip` alone reads.
    """

    key: str = ""
    url: str = ""
    name: str = ""
    path: str = ""
    line: int = 0
    level: str = ""
    variable: str = ""
    default: bool = False
    explicit: bool = False
    pip_only: bool = False

    @property
    def place(self) -> str:
        return self.variable or f"{self.path}:{self.line}"


@dataclass(frozen=True)
class UvLock:
    """The nearest uv.lock, and the hosts its packages come from, the commonest first."""

    path: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class UvConfig:
    """uv on this machine. Missing ("not-here") without a program, a setting or a lock file.

    Attributes:
        program: path of uv, empty where only its settings were found.
        files: that it reads from the working directory, strongest first.
        indexes: everything that names a place, variables first, then files as in `files`.
        default: position in `indexes` of the one that replaces uv's own default, -1 for none.
    """

    program: str = ""
    files: tuple[UvFile, ...] = ()
    indexes: tuple[UvIndex, ...] = ()
    default: int = -1
    lock: UvLock = field(default_factory=UvLock)

    @property
    def default_index(self) -> UvIndex | None:
        return self.indexes[self.default] if 0 <= self.default < len(self.indexes) else None
