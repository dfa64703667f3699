"""uv's configuration: every file and variable that names an index, which is the default, and lock files in reach."""

import fnmatch
import os
import re

from . import reading, toml_lines
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Tuple

    from .sections import Ask

VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
KEYS = ("index-url", "extra-index-url", "find-links", "no-index")
LOCK_LIMIT = 4 << 20  # bytes of a lock file that are read
YES = ("1", "true", "yes", "on", "y", "t")


def no_config(environ: "Mapping[str, str]") -> bool:
    """Whether uv reads no file at all. A file that UV_CONFIG_FILE names is read all the same."""
    return environ.get("UV_NO_CONFIG", "").lower() in YES and not environ.get("UV_CONFIG_FILE")


def user_file(environ: "Mapping[str, str]") -> str:
    """The user's own uv.toml, whether it is there or not. macOS is no exception: uv looks where Linux does."""
    if os.name == "nt":
        own = environ.get("APPDATA") or os.path.join(os.path.expanduser("~"), "AppData", "Roaming")
        return os.path.join(own, "uv", "uv.toml")
    own = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(own):  # uv passes over a relative path
        own = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(own, "uv", "uv.toml")


def config_files(environ: "Mapping[str, str]", folder: str) -> "List[Tuple[str, str]]":
    """The files uv reads, strongest first: level and path. A uv.toml hides the pyproject.toml beside it."""
    if no_config(environ):
        return []
    chosen = environ.get("UV_CONFIG_FILE")
    if chosen:
        return [("chosen", os.path.join(folder, chosen))]
    found: "List[Tuple[str, str]]" = []
    project = _project(_workspace(folder) or folder)
    if project:
        found.append(("project", project))
    user = user_file(environ)
    if reading.exists(user):
        found.append(("user", user))
    for path in _system_files(environ):
        if reading.exists(path):
            found.append(("system", path))
            break
    return found


def _system_files(environ: "Mapping[str, str]") -> "List[str]":
    if os.name == "nt":
        shared = environ.get("PROGRAMDATA")
        return [os.path.join(shared, "uv", "uv.toml")] if shared else []
    folders = [part for part in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if part]
    return [os.path.join(part, "uv", "uv.toml") for part in folders] + ["/etc/uv/uv.toml"]


def _parents(folder: str) -> "List[str]":
    folders = []
    while folder and folder not in folders:
        folders.append(folder)
        folder = os.path.dirname(folder)
    return folders


def _pyproject(folder: str) -> str:
    return reading.text(os.path.join(folder, "pyproject.toml"), 1 << 20) or ""


def _workspace(folder: str) -> str:
    """The root of the workspace whose member holds the folder, "" outside of any: uv reads its settings only."""
    places = _parents(folder)
    member = next((place for place in places if re.search(r"^\s*\[\s*project\s*\]", _pyproject(place), re.M)), "")
    if not member:
        return ""
    for place in places[places.index(member) :]:
        text = _pyproject(place)
        if not re.search(r"\bworkspace\b", text):
            continue
        told = {key: value for table, _, key, _, value in toml_lines.read(text) if table == "tool.uv.workspace"}
        if place == member:
            return place if told else ""
        inside = os.path.relpath(member, place).replace(os.sep, "/")
        if told and _matches(inside, told.get("members")) and not _matches(inside, told.get("exclude")):
            return place
    return ""


def _matches(path: str, patterns: "Any") -> bool:
    """Whether a glob of a workspace names a folder: `*` stays within one part of the path."""
    parts = path.split("/")
    for pattern in patterns if isinstance(patterns, list) else ():
        wanted = str(pattern).strip("/").split("/")
        if wanted[:1] == ["."]:
            wanted = wanted[1:]
        if "**" in wanted:
            if fnmatch.fnmatchcase(path, "/".join(wanted).replace("**/", "*")):
                return True
        elif len(wanted) == len(parts) and all(map(fnmatch.fnmatchcase, parts, wanted)):
            return True
    return False


def _project(folder: str) -> str:
    """The nearest file with settings of uv, from a folder upwards."""
    for place in _parents(folder):
        path = os.path.join(place, "uv.toml")
        if reading.exists(path):
            return path
        if re.search(r"^\s*\[+\s*tool\s*\.\s*uv\b", _pyproject(place), re.M):
            return os.path.join(place, "pyproject.toml")
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


def _program(environ: "Mapping[str, str]") -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    name = "uv.exe" if os.name == "nt" else "uv"
    places = environ.get("PATH", "").split(os.pathsep)
    places += [os.path.join(home, ".local", "bin"), os.path.join(home, ".cargo", "bin")]
    paths = [os.path.join(place, name) for place in places if place]
    return next((path for path in paths if os.access(reading.rooted(path), os.X_OK)), "")


def uv_config(ask: "Ask") -> "Dict[str, Any]":
    environ = os.environ
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    program = _program(environ)
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
        "lock": locked,
        "user_file": user_file(environ),
        "no_config": no_config(environ),
    }
