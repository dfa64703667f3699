"""uv: where it takes packages from. It never reads pip's configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# Two families of commands weigh the same settings differently: `uv pip`, and those of projects (`uv lock`, `uv add`).
COMMANDS = ("project", "pip")


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
        user_file: where the user's own settings are, or would be.
        no_config: UV_NO_CONFIG keeps uv from reading any file.
    """

    program: str = ""
    files: tuple[UvFile, ...] = ()
    indexes: tuple[UvIndex, ...] = ()
    lock: UvLock = field(default_factory=UvLock)
    user_file: str = ""
    no_config: bool = False

    @property
    def default_index(self) -> UvIndex | None:
        """What replaces uv's own default index for the commands of projects."""
        return default_index(self.indexes)


def default_index(indexes: Iterable[UvIndex], command: str = "project") -> UvIndex | None:
    """The index that replaces uv's own default one for a family of commands, None if none does.

    UV_DEFAULT_INDEX comes first, then the first [[index]] with `default = true`, the strongest file's before, then
    `index-url`: one in the user's file beats an `index-url` of the project. `uv pip` asks UV_INDEX_URL before any
    [[index]], and an `index-url` of [pip] before any other; the rest of uv reads UV_INDEX_URL as an `index-url`. An
    index hides all later ones of its name. (As `IndexLocations` of uv has it; uv 0.4.30 to 0.13.9 agree.)

    Args:
        indexes: as in `UvConfig.indexes`.
        command: one of COMMANDS.
    """
    told = list(indexes)
    found = [entry for entry in told if entry.variable == "UV_DEFAULT_INDEX"]
    found += [entry for entry in told if entry.variable == "UV_INDEX"]
    scalars = [entry for entry in told if entry.key == "index-url"]
    if command == "pip":
        found += [entry for entry in told if entry.variable == "UV_INDEX_URL"]
        scalars = [entry for entry in scalars if entry.pip_only] or scalars
    else:
        scalars = [entry for entry in told if entry.variable == "UV_INDEX_URL"] + [
            entry for entry in scalars if not entry.pip_only
        ]
    found += [entry for entry in told if entry.key == "index"]
    seen: set[str] = set()
    for entry in found + scalars[:1]:
        hidden = entry.name in seen
        if entry.name:
            seen.add(entry.name)
        if entry.default and not hidden:
            return entry
    return None


@dataclass(frozen=True)
class UvAnswer:
    """What one family of commands would use: `default` is "" for uv's own default index."""

    command: str = ""
    default: str = ""


@dataclass(frozen=True)
class UvEffective:
    """What uv itself says, asked with its hidden `--show-settings`, which contacts nobody.

    Attributes:
        version: "0.13.9".
        answers: one for each of COMMANDS; empty where uv could not say.
        error: uv's own words where it refuses its configuration.
    """

    version: str = ""
    answers: tuple[UvAnswer, ...] = ()
    error: str = ""

    def default(self, command: str) -> str | None:
        """The default index of a family of commands, "" for uv's own, None where uv did not say."""
        return next((answer.default for answer in self.answers if answer.command == command), None)
