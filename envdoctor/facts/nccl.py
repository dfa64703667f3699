"""NCCL's settings: the environment, the configuration files, and which of them wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from envdoctor.facts.environment import Environment
from envdoctor.facts.torch import TorchInstall

# NCCL_CONF_FILE is read since 2.23.4; ~/.nccl.conf is looked for in $HOME since 2.30.3, in the password database's
# home before; the carriage return of a Windows line end is cut off since 2.30.3 (src/misc/param.cc at these tags).
READS_CONF_FILE = (2, 23, 4)
READS_HOME = (2, 30, 3)

# Names, and beginnings of names.
READ_BY_NCCL = (
    frozenset({"TORCH_DISTRIBUTED_DEBUG"}),
    ("NCCL_", "GLOO_", "TORCH_NCCL_", "TORCH_GLOO_", "UCX_", "FI_", "OFI_"),
)


@dataclass(frozen=True)
class Row:
    """A line of a configuration file as NCCL cuts it: blanks around "=" belong to name and value."""

    name: str = ""
    value: str = ""
    line: int = 0


@dataclass(frozen=True)
class ConfFile:
    """A configuration file of NCCL.

    Attributes:
        kind: "NCCL_CONF_FILE" (named by that variable), "HOME" or "passwd" (.nccl.conf of the home folder that $HOME
            or the password database names), "system" (/etc/nccl.conf).
        found: it exists; only a file named by NCCL_CONF_FILE is listed without.
        error: why it cannot be read, "hung" and "slow" where the file system does not answer.
    """

    path: str = ""
    kind: str = ""
    found: bool = True
    error: str = ""
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Plugin:
    """A plugin library that the loader would find, with the place that makes it be found."""

    path: str = ""
    found_by: str = ""


@dataclass(frozen=True)
class Tried:
    """A network plugin that NCCL would open, by the name it asks the loader for; `error` is why that fails."""

    name: str = ""
    error: str = ""


@dataclass(frozen=True)
class NcclSettings:
    """What NCCL reads beside the environment.

    Attributes:
        files: in the order in which NCCL reads them.
        plugins: plugin libraries in the loader's order.
        net_plugins: the network plugins NCCL would open here.
    """

    files: tuple[ConfFile, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    net_plugins: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class Setting:
    """A variable as NCCL sees it. `source` is "environment" or "path:line"."""

    name: str
    value: str
    source: str


def nccl_version(torch: TorchInstall | None) -> str:
    """Version of the NCCL that torch pins, "2.27.5"; empty if unknown."""
    pins = torch.pins if torch is not None else ()
    return next((pin.version for pin in pins if re.match(r"nvidia-nccl-cu\d+$", pin.name)), "")


def _release(version: str) -> tuple[int, ...] | None:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else None


def _read_files(settings: NcclSettings | None, version: str) -> list[ConfFile]:
    """The files this version of NCCL reads, in order."""
    release = _release(version)
    named = release is None or release >= READS_CONF_FILE
    home = "HOME" if release is None or release >= READS_HOME else "passwd"
    files = settings.files if settings is not None else ()
    kept = [file for file in files if named or file.kind != "NCCL_CONF_FILE"]
    if any(file.kind == "NCCL_CONF_FILE" for file in kept):
        return [file for file in kept if file.kind in ("NCCL_CONF_FILE", "system")]
    return [file for file in kept if file.kind in (home, "system")]


def lost(settings: NcclSettings | None, environment: Environment, version: str = "") -> list[tuple[Setting, Setting]]:
    """Lines of configuration files that have no effect because the same name is set before: (the line, what wins)."""
    told: list[tuple[Setting, Setting]] = []
    winners: dict[str, Setting] = {}
    for setting in _in_files(settings, version):
        given = environment.get(setting.name)
        first = setting if given is None else Setting(setting.name, given, "environment")
        winner = winners.setdefault(setting.name, first)
        if winner is not setting and winner.value != setting.value:
            told.append((setting, winner))
    return told


def _in_files(settings: NcclSettings | None, version: str) -> list[Setting]:
    cuts_return = (_release(version) or READS_HOME) >= READS_HOME
    return [
        Setting(row.name, row.value.removesuffix("\r") if cuts_return else row.value, f"{file.path}:{row.line}")
        for file in _read_files(settings, version)
        for row in file.rows
        # torch reads its own variables before NCCL puts those of its files into the environment.
        if not row.name.strip().startswith("TORCH_")
    ]


def effective(settings: NcclSettings | None, environment: Environment, version: str = "") -> Mapping[str, Setting]:
    """Every variable whose name holds NCCL_, GLOO_, UCX_ or FI_ as NCCL sees it: the environment wins over
    NCCL_CONF_FILE or ~/.nccl.conf, that over /etc/nccl.conf, and in a file the first line wins."""
    found = {name: Setting(name, value, "environment") for name, value in environment.among(*READ_BY_NCCL)}
    for setting in _in_files(settings, version):
        found.setdefault(setting.name, setting)
    return found


@dataclass(frozen=True)
class View:
    """The variables as NCCL sees them, and NCCL's version, "2.27.5", empty if unknown."""

    settings: Mapping[str, Setting]
    version: str = ""

    def get(self, name: str) -> str | None:
        setting = self.settings.get(name)
        return None if setting is None else setting.value

    def source(self, name: str) -> str:
        """Where the value comes from: "environment", "path:line", or "" for a name that is not set."""
        setting = self.settings.get(name)
        return "" if setting is None else setting.source

    def mend(self, name: str, value: str | None) -> str:
        """The command that gives a variable a value, or none, where it is set now."""
        path, _, line = self.source(name).rpartition(":")
        if path:
            return f"sed -i '{line}d' {path}" if value is None else f"sed -i '{line}s/=.*/={value}/' {path}"
        return f"unset {name}" if value is None else f"export {name}='{value}'"


def view(settings: NcclSettings | None, environment: Environment, torch: TorchInstall | None) -> View:
    version = nccl_version(torch)
    return View(effective(settings, environment, version), version)


def view_of(settings: object, environment: object, torch: object) -> View:
    """The same of one of several nodes, whose facts may be missing."""
    return view(
        settings if isinstance(settings, NcclSettings) else None,
        environment if isinstance(environment, Environment) else Environment(),
        torch if isinstance(torch, TorchInstall) else None,
    )
