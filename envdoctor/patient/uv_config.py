"""uv's configuration: every file and variable that names an index, which is the default, and lock files in reach."""

import os
import re

from . import reading, toml_lines
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Tuple

    from .sections import Ask

VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
KEYS = ("index-url", "extra-index-url", "find-links", "no-index")
LOCK_LIMIT = 4 << 20  # bytes of a lock file that are read


def config_files(environ: "Mapping[str, str]", folder: str) -> "List[Tuple[str, str]]":
    """The files uv reads, strongest first: level and path. A uv.toml hides the pyproject.toml beside it."""
    if environ.get("UV_NO_CONFIG", "").lower() in ("1", "true", "yes", "on", "y", "t"):
        return []
    chosen = environ.get("UV_CONFIG_FILE")
    if chosen:
        return [("chosen", chosen)]
    found: "List[Tuple[str, str]]" = []
    project = _project(folder)
    if project:
        found.append(("project", project))
    home = environ.get("HOME") or os.path.expanduser("~")
    own = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    user = os.path.join(own, "uv", "uv.toml")
    if reading.exists(user):
        found.append(("user", user))
    shared = [part for part in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if part]
    for path in [os.path.join(part, "uv", "uv.toml") for part in shared] + ["/etc/uv/uv.toml"]:
        if reading.exists(path):
            found.append(("system", path))
            break
    return found


def _parents(folder: str) -> "List[str]":
    folders = []
    while folder and folder not in folders:
        folders.append(folder)
        folder = os.path.dirname(folder)
    return folders


def _project(folder: str) -> str:
    """The nearest file with settings of uv, from the working directory upwards."""
    for place in _parents(folder):
        path = os.path.join(place, "uv.toml")
        if reading.exists(path):
            return path
        path = os.path.join(place, "pyproject.toml")
        if re.search(r"^\s*\[+\s*tool\.uv\b", reading.text(path, 1 << 20) or "", re.M):
            return path
    return ""


def indexes_of(path: str, level: str) -> "List[Dict[str, Any]]":
    """What a file says of indexes, in its order."""
    own = "tool.uv" if os.path.basename(path) == "pyproject.toml" else ""
    prefix = own + "." if own else ""
    tables: "Dict[int, Dict[str, Any]]" = {}
    found: "List[Dict[str, Any]]" = []
    for table, count, key, line, value in toml_lines.read(reading.text(path, 1 << 20) or ""):
        if table == prefix + "index":
            entry = tables.setdefault(count, {"path": path, "level": level, "key": "index", "line": line})
            if entry not in found:
                found.append(entry)
            if key in ("url", "name", "default", "explicit"):
                entry[key] = value
        elif table == own and key == "index" and isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    kept = {name: item[name] for name in ("url", "name", "default", "explicit") if name in item}
                    found.append(dict(kept, path=path, level=level, key="index", line=line))
        elif table in (own, prefix + "pip") and key in KEYS:
            for url in value if isinstance(value, list) else [value]:
                entry = {"path": path, "level": level, "key": key, "line": line, "url": str(url)}
                entry["pip_only"] = table != own
                entry["default"] = key == "index-url"
                found.append(entry)
    return [dict(entry, url=str(entry.get("url", ""))) for entry in found if entry.get("url")]


def from_variables(environ: "Mapping[str, str]") -> "List[Dict[str, Any]]":
    found = []
    for name in VARIABLES:
        for part in (environ.get(name) or "").split():
            label, _, url = part.partition("=") if re.match(r"[\w.-]+=[a-z]+:", part) else ("", "", part)
            default = name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
            found.append(
                {"variable": name, "level": "env-var", "key": name, "name": label, "url": url, "default": default}
            )
    return found


def default_index(found: "List[Dict[str, Any]]") -> int:
    """The position of the index that replaces uv's own, -1 if none does.

    Variables come first, then every [[index]] with `default = true`, the strongest file's before, then `index-url`: one
    in the user's file beats an `index-url` of the project (tried with uv 0.13).
    """
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        for number, entry in enumerate(found):
            if entry.get("variable") == name:
                return number
    for key in ("index", "index-url"):
        for number, entry in enumerate(found):
            if entry["key"] == key and entry.get("default") is True and not entry.get("pip_only"):
                return number
    return -1


def lock(folder: str) -> "Dict[str, Any]":
    """The nearest uv.lock and the hosts its packages come from, the commonest first."""
    for place in _parents(folder):
        path = os.path.join(place, "uv.lock")
        text = reading.text(path, LOCK_LIMIT)
        if text is not None:
            counted: "Dict[str, int]" = {}
            for host in re.findall(r"registry\s*=\s*\"https?://(?:[^/@\"]*@)?([^/:\"]+)", text):
                counted[host.lower()] = counted.get(host.lower(), 0) + 1
            return {"path": path, "hosts": sorted(counted, key=lambda name: -counted[name])[:5]}
    return {}


def uv_config(ask: "Ask") -> "Dict[str, Any]":
    environ = os.environ
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    home = environ.get("HOME") or os.path.expanduser("~")
    places = environ.get("PATH", "").split(os.pathsep) + [
        os.path.join(home, ".local", "bin"),
        os.path.join(home, ".cargo", "bin"),
    ]
    program = next(
        (
            os.path.join(place, "uv")
            for place in places
            if place and os.access(reading.rooted(os.path.join(place, "uv")), os.X_OK)
        ),
        "",
    )
    files = config_files(environ, folder)
    found = from_variables(environ)
    for level, path in files:
        found += indexes_of(path, level)
    locked = lock(folder)
    if not (program or files or found or locked):
        raise NotHere("there is no uv")
    return {
        "program": program,
        "files": [{"path": path, "level": level} for level, path in files],
        "indexes": found,
        "default": default_index(found),
        "lock": locked,
    }
