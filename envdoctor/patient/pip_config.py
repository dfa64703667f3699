"""pip's configuration as pip reads it, without running pip: every file, every value with its line, and which wins.

The rules are those of pip/_internal/configuration.py and cli/parser.py from 10 to 26.3, compared with the real pip in
tests/patient/test_pip_config.py. A later level beats an earlier one: global, user, site, PIP_CONFIG_FILE, variables.
But a section of the command itself beats [global] whatever the files, and a list replaces a list.
"""

import os
import re
import stat
import sys

from . import ini, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Tuple

    from .sections import Ask

COMMANDS = ("install", "download", "wheel", "list")
# What decides where packages come from, by any name pip knows it under.
OPTIONS = {
    "index-url": "index-url",
    "pypi-url": "index-url",
    "extra-index-url": "extra-index-url",
    "find-links": "find-links",
    "trusted-host": "trusted-host",
    "no-index": "no-index",
    "cert": "cert",
    "client-cert": "client-cert",
    "proxy": "proxy",
    "timeout": "timeout",
    "default-timeout": "timeout",
    "retries": "retries",
    "require-virtualenv": "require-virtualenv",
    "require-venv": "require-virtualenv",
    "keyring-provider": "keyring-provider",
    "user": "user",
    "target": "target",
    "prefix": "prefix",
    "break-system-packages": "break-system-packages",
}
ONLY_INSTALL = ("user", "target", "prefix", "break-system-packages")
LISTS = ("extra-index-url", "find-links", "trusted-host")
TRUTH = ("y", "yes", "t", "true", "on", "1")
UNTRUTH = ("n", "no", "f", "false", "off", "0")
BOOLEANS = ("no-index", "require-virtualenv", "user", "break-system-packages")
LIMIT = 1 << 20  # bytes of a configuration file that are read; a real one has a few hundred


class Level(object):
    """The files of one level, in the order pip reads them."""

    def __init__(self, name: str, files: "List[str]") -> None:
        self.name = name
        self.files = files


def places(
    environ: "Mapping[str, str]", prefix: str, home: str, platform: str, in_venv: bool, pip: "Tuple[int, ...]"
) -> "List[Level]":
    """Where this pip looks for its configuration, weakest level first, whether or not the files exist."""
    windows, mac = platform == "win32", platform == "darwin"
    name = "pip.ini" if windows else "pip.conf"
    if windows:
        shared = [os.path.join(environ.get("ALLUSERSPROFILE") or r"C:\ProgramData", "pip")]
        own = os.path.join(environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming"), "pip")
    elif mac:
        shared = ["/Library/Application Support/pip"]
        own = os.path.join(home, "Library/Application Support/pip")
        if not os.path.isdir(own):
            own = os.path.join(home, ".config/pip")
    else:
        folders = environ.get("XDG_CONFIG_DIRS") or ""
        if not folders.strip():
            folders = "/etc/xdg"
        shared = [os.path.join(_expand(folder, home), "pip") for folder in folders.split(":")] + ["/etc"]
        own = environ.get("XDG_CONFIG_HOME") or ""
        own = os.path.join(own if own.strip() else os.path.join(home, ".config"), "pip")
    legacy = os.path.join(home, "pip" if windows else ".pip")
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return [Level("env", [os.devnull])]
    levels = [Level("global", [os.path.join(folder, name) for folder in shared])]
    if not (chosen and os.path.exists(reading.rooted(chosen))):
        levels.append(Level("user", [os.path.join(legacy, name), os.path.join(own, name)]))
    if pip >= (19, 1) or not pip or in_venv:
        levels.append(Level("site", [os.path.join(prefix, name)]))
    if chosen is not None:
        levels.append(Level("env", [chosen]))
    return levels


def own_file(environ: "Mapping[str, str]", prefix: str, home: str, in_venv: bool, pip: "Tuple[int, ...]") -> str:
    """The file that `pip config --user` writes, whether or not PIP_CONFIG_FILE lets pip read it."""
    rest = {name: value for name, value in environ.items() if name != "PIP_CONFIG_FILE"}
    levels = places(rest, prefix, home, sys.platform, in_venv, pip)
    return next(level.files[-1] for level in levels if level.name == "user")


def _expand(folder: str, home: str) -> str:
    return home + folder[1:] if folder == "~" or folder.startswith("~/") else folder


def normal_key(name: str) -> str:
    name = name.lower().replace("_", "-")
    return name[2:] if name.startswith("--") else name


def encoding_of(data: bytes, environ: "Mapping[str, str]") -> str:
    """The encoding pip opens its files with."""
    if not any(byte > 127 for byte in data) or (environ.get("PYTHONUTF8") == "1" and sys.version_info >= (3, 7)):
        return "utf-8"
    import locale

    return locale.getpreferredencoding(False)


def read_file(path: str, level: str, environ: "Mapping[str, str]", pip: "Tuple[int, ...]") -> "Dict[str, Any]":
    """One configuration file: what it is, its fault if it has one, and its values (under "items")."""
    file: "Dict[str, Any]" = {"path": path, "level": level, "exists": False, "items": []}
    try:
        told = os.stat(reading.rooted(path))
    except (OSError, ValueError) as error:
        # pip asks os.path.exists, for which a folder that may not be entered is an absent file.
        file["hidden"] = isinstance(error, PermissionError)
        return file
    file.update(exists=True, mode=stat.S_IMODE(told.st_mode), owner=told.st_uid)
    file["own"] = not hasattr(os, "geteuid") or told.st_uid == os.geteuid()
    file["open_to_others"] = bool(told.st_mode & stat.S_IROTH) and reachable_by_others(path)
    if not stat.S_ISREG(told.st_mode):
        if path != os.devnull:
            file.update(fault="no-file", detail="not a regular file")
        return file
    data = reading.raw(path, LIMIT)
    if data is None:
        # configparser leaves out a file it may not open, and says nothing.
        file.update(fault="unreadable", detail="may not be read by this user")
        return file
    if told.st_size > LIMIT:
        file.update(fault="too-large", detail="%d bytes" % told.st_size)
        return file
    try:
        lines = ini.lines_of(data, encoding_of(data, environ))
        file["items"] = ini.read(lines, normal_key if pip >= (26, 3) else str.lower)
    except ini.Fault as fault:
        file.update(fault=fault.kind, line=fault.line, detail=fault.text.strip("\ufeff").strip()[:500])
    return file


def reachable_by_others(path: str) -> bool:
    """Whether other users may enter every folder above a file."""
    folder = os.path.dirname(os.path.realpath(reading.rooted(path)))
    while True:
        try:
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return False
        except OSError:
            return False
        above = os.path.dirname(folder)
        if above == folder:
            return True
        folder = above


def variables(environ: "Mapping[str, str]") -> "List[Tuple[str, str, str]]":
    """The variables pip takes as options, in their order: variable, key, value."""
    found = []
    for name, value in environ.items():
        if name.startswith("PIP_") and name[4:].lower() not in ("version", "help"):
            found.append((name, normal_key(name[4:].lower()), value))
    return found


def refused(option: str, value: str) -> bool:
    """Whether pip ends with an error because of this value."""
    try:
        if option in BOOLEANS:
            return value.lower() not in TRUTH + UNTRUTH
        if option == "timeout":
            float(value)
        elif option == "retries":
            int(value, 0 if value.lower()[:2] in ("0x", "0b") else 10)
    except ValueError:
        return True
    return False


def candidates(values: "List[Dict[str, Any]]", command: str, pip: "Tuple[int, ...]") -> "List[Tuple[str, int]]":
    """What pip goes through for a command, in its order: option and position in `values`; the last one counts.

    Args:
        values: all values, weakest level first, see `PipValue`.
        pip: its version; () is taken for the newest.
    """
    newest = not pip or pip >= (26, 0)
    by_file = not pip or pip >= (25, 2)
    order = list(range(len(values)))
    if by_file:
        # A file that stands in two levels keeps the rank of the first: PIP_CONFIG_FILE=/etc/pip.conf raises nothing.
        first: "Dict[str, int]" = {}
        for number in order:
            first.setdefault(values[number]["file"], number)
        order.sort(key=lambda number: first[values[number]["file"]])
    last: "Dict[Tuple[str, str, str], int]" = {}
    for number in order:
        value = values[number]
        # pip 25.2 and 25.3 go through each file: what is overridden must be valid, and an empty value hides none.
        file = value["file"] if by_file and not newest else ""
        last[value["section"], value["key"], file] = number
    found = []
    for section in ("global", command, ":env:"):
        for (where, name, _), number in last.items():
            option = OPTIONS.get(name)
            if where == section and option and values[number]["value"]:
                if command == "install" or option not in ONLY_INSTALL:
                    found.append((option, number))
    return found


def version_of_pip(folders: "List[str]") -> "Tuple[str, str]":
    """The version of the pip a user of this Python runs, and its folder; empty without one."""
    for folder in folders:
        text = reading.text(os.path.join(folder, "pip", "__init__.py"), 4096) if folder else None
        found = re.search(r"^__version__\s*=\s*[\"']([^\"']+)", text or "", re.M)
        if found:
            return found.group(1), os.path.join(folder, "pip")
    return "", ""


def search_folders() -> "List[str]":
    """Where `python -m pip` finds pip, the working directory left out."""
    import site

    folders = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    in_venv = sys.prefix != getattr(sys, "base_prefix", sys.prefix)
    if not in_venv and not os.environ.get("PYTHONNOUSERSITE"):
        try:
            folders.append(site.getusersitepackages())
        except (AttributeError, KeyError, OSError):
            pass
    return folders + [folder for folder in sys.path if folder]


def numbers(version: str) -> "Tuple[int, ...]":
    """(26, 3) of "26.3.dev0"; () of nothing."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group(0).split(".")) if found else ()


def configuration(environ: "Mapping[str, str]", prefix: str, home: str, version: str) -> "Dict[str, Any]":
    """The section's answer for this environment; see `envdoctor.facts.pip.PipConfig`."""
    pip = numbers(version)
    in_venv = sys.prefix != getattr(sys, "base_prefix", sys.prefix)
    files: "List[Dict[str, Any]]" = []
    values: "List[Dict[str, Any]]" = []
    for level in places(environ, prefix, home, sys.platform, in_venv, pip):
        for path in level.files:
            file = read_file(path, level.name, environ, pip)
            for item in file.pop("items"):
                values.append(
                    {
                        "key": normal_key(item.key),
                        "value": item.value,
                        "section": item.section,
                        "level": level.name,
                        "file": path,
                        "line": item.line,
                        "last_line": item.last_line,
                    }
                )
            files.append(file)
    for name, key, value in variables(environ):
        values.append(
            {"key": key, "value": value, "section": ":env:", "level": "env-var", "file": "", "variable": name}
        )
    shadowed_user = []
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen and not any(file["level"] == "user" for file in files):
        rest = {name: value for name, value in environ.items() if name != "PIP_CONFIG_FILE"}
        for level in places(rest, prefix, home, sys.platform, in_venv, pip):
            if level.name == "user" or chosen == os.devnull:
                shadowed_user += [path for path in level.files if reading.exists(path)]
    gone_through = {command: candidates(values, command, pip) for command in COMMANDS}
    return {
        "pip_version": version,
        "config_file_variable": chosen,
        "switched_off": shadowed_user,
        "user_file": own_file(environ, prefix, home, in_venv, pip),
        "files": files,
        "values": values,
        "winners": {command: dict(found) for command, found in gone_through.items()},
        "refused": sorted(
            {
                number
                for found in gone_through.values()
                for option, number in found
                if refused(option, values[number]["value"])
            }
        ),
    }


def pip_config(ask: "Ask") -> "Dict[str, Any]":
    prefix = sys.prefix
    if ask.stands_for:
        prefix = os.path.dirname(os.path.dirname(os.path.abspath(ask.stands_for)))
    version, folder = version_of_pip(search_folders())
    found = configuration(os.environ, prefix, os.path.expanduser("~"), version)
    found["pip_folder"] = folder
    return found
