"""pip's configuration: what is written where, what takes effect, and what pip itself says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Options that decide where packages come from.
SOURCES = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "proxy")
LISTS = ("extra-index-url", "find-links", "trusted-host")


def host_of(url: str) -> str:
    """The host of a URL in lower case, without credentials and port; empty if it has none."""
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True)
class PipValue:
    """One value of a file or variable.

    Attributes:
        key: as pip normalises it: "index-url".
        value: as pip sees it; lines that continue it are joined by line ends.
        section: of the file, ":env:" for a variable. [DEFAULT] stands once in every section.
        level: "global", "user", "site", "env" (the file PIP_CONFIG_FILE names) or "env-var", weakest first.
        file: path, empty for a variable.
        line: of the key, from 1; 0 for a variable. last_line is that of the last line that continues the value.
        variable: name as it is set, empty for a file.
    """

    key: str = ""
    value: str = ""
    section: str = ""
    level: str = ""
    file: str = ""
    line: int = 0
    last_line: int = 0
    variable: str = ""

    @property
    def place(self) -> str:
        """Where it stands: "/etc/pip.conf:2" or "PIP_INDEX_URL"."""
        return self.variable or f"{self.file}:{self.line}"

    @property
    def items(self) -> tuple[str, ...]:
        """The words of a value that is a list."""
        return tuple(self.value.split())


@dataclass(frozen=True)
class PipFile:
    """A place where pip looks for a file.

    Attributes:
        exists: it is there, as os.path.exists sees it.
        hidden: it may be there, but its folder may not be entered.
        fault: why pip cannot use it: "bom", "no-section-header", "duplicate-section", "duplicate-option", "bad-line" or
            "not-decodable" (every pip command fails), "unreadable" (pip leaves it out and says nothing), "no-file",
            "too-large" (we did not read it); else empty.
        line, detail: of the fault.
        mode: permission bits, None if the file is absent; owner is a user id.
        own: it belongs to the user the doctor runs as.
        open_to_others: every user may read it, the folders above it included.
    """

    path: str = ""
    level: str = ""
    exists: bool = False
    hidden: bool = False
    fault: str = ""
    line: int = 0
    detail: str = ""
    mode: int | None = None
    owner: int | None = None
    own: bool = True
    open_to_others: bool = False

    @property
    def fatal(self) -> bool:
        """Every pip command ends with an error because of this file."""
        return self.fault in (
            "bom", "no-section-header", "duplicate-section", "duplicate-option", "bad-line", "not-decodable",
        )  # fmt: skip


@dataclass(frozen=True)
class PipConfig:
    """What is written, and what follows from it by pip's rules; read without running pip.

    Attributes:
        pip_version: of the target's pip, empty without one; the rules differ before 19.1, 25.2, 26.0 and 26.3.
        pip_folder: its package folder.
        config_file_variable: PIP_CONFIG_FILE, None if unset.
        switched_off: existing files that PIP_CONFIG_FILE keeps pip from reading.
        user_file: what `pip config --user` writes, also where PIP_CONFIG_FILE keeps pip from reading it.
        files: every place pip looks, weakest first.
        values: all values in that order, those of faulty files left out.
        winners: command -> option -> position in `values`; options by their main name.
        refused: positions in `values` that make pip end with an error, such as `no-index = maybe`.
    """

    pip_version: str = ""
    pip_folder: str = ""
    config_file_variable: str | None = None
    switched_off: tuple[str, ...] = ()
    user_file: str = ""
    files: tuple[PipFile, ...] = ()
    values: tuple[PipValue, ...] = ()
    winners: dict[str, dict[str, int]] = field(default_factory=dict)
    refused: tuple[int, ...] = ()

    @property
    def broken(self) -> tuple[PipFile, ...]:
        return tuple(file for file in self.files if file.fatal)

    def winner(self, option: str, command: str = "install") -> PipValue | None:
        """The value a command takes for an option, None where nothing is written."""
        number = self.winners.get(command, {}).get(option)
        return self.values[number] if number is not None and number < len(self.values) else None

    def indexes(self, command: str = "install") -> tuple[tuple[str, PipValue], ...]:
        """The index URLs in effect and where each is written; the default index is not among them."""
        no_index = self.winner("no-index", command)
        if no_index is not None and no_index.value.lower() in ("y", "yes", "t", "true", "on", "1"):
            return ()
        index, extra = self.winner("index-url", command), self.winner("extra-index-url", command)
        found = [(index.value, index)] if index else []
        return tuple(found + [(url, extra) for url in extra.items]) if extra else tuple(found)

    def of(self, option: str) -> tuple[PipValue, ...]:
        """All values written for an option, weakest level first, whatever their section."""
        names = {"index-url": ("index-url", "pypi-url")}.get(option, (option,))
        return tuple(value for value in self.values if value.key in names)

    def file(self, path: str) -> PipFile | None:
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True)
class PipOptions:
    """What one command of pip takes, by pip itself or by our reading."""

    command: str = ""
    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""
    timeout: float | None = None


@dataclass(frozen=True)
class PipEffective:
    """What takes effect, said by the target's own pip. Missing ("not-here") without pip.

    Attributes:
        source: "pip", or "files" where pip failed and our reading stands in.
        version: of pip.
        error: pip's own words where it could not read its configuration or did not start.
        default_index: the index pip uses unless told otherwise; known from pip alone, else empty.
        user_agent: what pip sends, in full.
        commands: one for each of install, download, wheel, list.
        options: every option name that `pip install` knows, without dashes.
        disagreements: where pip and our reading differ, one line each; empty is the rule.
    """

    source: str = ""
    version: str = ""
    error: str = ""
    default_index: str = ""
    user_agent: str = ""
    commands: tuple[PipOptions, ...] = ()
    options: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()

    def command(self, name: str = "install") -> PipOptions:
        """What a command takes; nothing is set in the answer for a command that is not known."""
        return next((found for found in self.commands if found.command == name), PipOptions(name))

    def indexes(self, command: str = "install") -> tuple[str, ...]:
        """The index URLs a command asks, in order."""
        taken = self.command(command)
        if taken.no_index:
            return ()
        return tuple(url for url in (taken.index_url, *taken.extra_index_urls) if url)
