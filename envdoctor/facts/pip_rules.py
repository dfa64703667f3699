"""What follows from pip's configuration: values without effect, hosts pip trusts, how a value is mended."""

from __future__ import annotations

import ipaddress
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from envdoctor.facts.pip import LISTS, SOURCES, PipConfig, PipValue

# Sections pip reads, by the commands of pip 26 and older ones. Every other section is ignored in silence.
SECTIONS = frozenset(
    ("global", ":env:", "DEFAULT", "install", "download", "wheel", "list", "uninstall", "freeze", "inspect", "show",
     "check", "config", "search", "cache", "index", "lock", "hash", "completion", "debug", "help")
)  # fmt: skip
ORDER = ("global", "user", "site", "env", "env-var")


@dataclass(frozen=True)
class Shadowed:
    """A written value that `pip install` does not take.

    Attributes:
        option: "index-url" ...
        value: what is written.
        winner: what is taken instead, None if nothing is.
        how: "section" (pip reads no such section), "command-section" (a section of the command beats [global]),
            "variable", "list" (a list replaced it, entries are lost), "level" (a stronger file says otherwise) or
            "empty" (a variable without a value, which overrides nothing).
    """

    option: str
    value: PipValue
    winner: PipValue | None
    how: str

    @property
    def lost(self) -> tuple[str, ...]:
        """Entries of a list that the winner lacks."""
        kept = self.winner.items if self.winner else ()
        return tuple(item for item in self.value.items if item not in kept)


def shadowed(config: PipConfig) -> tuple[Shadowed, ...]:
    """The values of options that decide where packages come from and have no effect on `pip install`."""
    found = []
    for option in SOURCES:
        winner = config.winner(option)
        for value in config.of(option):
            how = _how(option, value, winner)
            if how:
                found.append(Shadowed(option, value, winner, how))
    return tuple(found)


def _how(option: str, value: PipValue, winner: PipValue | None) -> str:
    if value.section not in SECTIONS:
        return "section"
    if value == winner or value.section not in ("global", "install", ":env:"):
        return ""
    if not value.value:
        return "empty" if value.variable and winner else ""
    if winner is None or set(value.items) == set(winner.items):
        return ""
    if winner.variable:
        return "variable"
    if option in LISTS:
        return "list" if set(value.items) - set(winner.items) else ""
    return "command-section" if value.section == "global" and winner.section != "global" else "level"


def stronger(one: PipValue, other: PipValue) -> bool:
    """Whether the file of `one` is of a stronger level than that of `other`."""
    return ORDER.index(one.level) > ORDER.index(other.level)


def trusts(url: str, trusted_hosts: tuple[str, ...]) -> bool:
    """Whether `trusted-host` names the host of a URL, as pip compares: the host alone, or host:port.

    A trusted-host written as a URL, "https://host", names a host "https" and matches nothing; a network such as
    10.0.0.0/8 names its first address.
    """
    host, port = _netloc(url)
    if not host:
        return False
    for entry in trusted_hosts:
        bare_ipv6 = entry.count(":") >= 2 and "@" not in entry and "[" not in entry
        named, named_port = _netloc(f"https://[{entry}]" if bare_ipv6 else f"https://{entry}")
        if named == host and named_port in (None, port):
            return True
    return False


def _netloc(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def is_plain(url: str) -> bool:
    """Whether pip calls the place insecure: http to another machine than this one."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "http":
        return False
    host = parts.hostname or ""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def is_private(url: str) -> bool:
    """Whether the host is one of a private network, by address or name."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".intranet", ".corp", ".svc"))


def unset(config: PipConfig, value: PipValue, python: str) -> str:
    """The command that takes a value away. `pip config` edits one file of each level only; elsewhere the line goes."""
    if value.variable:
        return f"unset {value.variable}"
    file = config.file(value.file)
    sudo = "" if file is None or file.own else "sudo "
    of_level = [file.path for file in config.files if file.level == value.level]
    # `pip config` makes its argument lower-case and finds no section in capitals.
    capitals = value.section != value.section.lower()
    if capitals or value.level == "env" or value.file != of_level[-1] or config.config_file_variable:
        lines = f"{value.line},{value.last_line}" if value.last_line > value.line else str(value.line)
        return f"{sudo}sed -i {lines}d {shlex.quote(value.file)}"
    return f"{sudo}{python} -m pip config --{value.level} unset {value.section}.{value.key}"


def put(config: PipConfig, value: PipValue | None, option: str, new: str, python: str) -> str:
    """The command that writes an option where its present value stands, so that it takes effect."""
    if value is None:
        return f"{python} -m pip config --user set global.{option} {shlex.quote(new)}"
    if value.variable:
        return f"export {value.variable}={shlex.quote(new)}"
    file = config.file(value.file)
    sudo = "" if file is None or file.own else "sudo "
    of_level = [file.path for file in config.files if file.level == value.level]
    if value.level == "env" or value.file != of_level[-1] or config.config_file_variable:
        line = f"{value.key} = {new}".replace("\\", "\\\\").replace("|", "\\|").replace("&", "\\&")
        rest = f" -e {value.line + 1},{value.last_line}d" if value.last_line > value.line else ""
        return f"{sudo}sed -i -e {shlex.quote(f'{value.line}s|.*|{line}|')}{rest} {shlex.quote(value.file)}"
    return f"{sudo}{python} -m pip config --{value.level} set {value.section}.{value.key} {shlex.quote(new)}"
