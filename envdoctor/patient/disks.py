"""The file systems that training writes to, each looked at in a child of its own: a dead NFS server blocks for ever."""

import functools
import os
import re
import sys
import time

from . import children, reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from .sections import Ask

LIMIT_S = 2.5
# What is written where: use, variable that moves it, folder below it or the default below home.
CACHES = (
    ("pip-cache", "PIP_CACHE_DIR", "", "~/.cache/pip"),
    ("huggingface", "HF_HOME", "", "~/.cache/huggingface"),
    ("torch-hub", "TORCH_HOME", "", "~/.cache/torch"),
    ("torch-extensions", "TORCH_EXTENSIONS_DIR", "", "~/.cache/torch_extensions"),
    ("triton", "TRITON_CACHE_DIR", "", "~/.triton"),
    ("triton", "TRITON_HOME", ".triton", ""),
    ("inductor", "TORCHINDUCTOR_CACHE_DIR", "", ""),
)


def places() -> "List[Tuple[str, str, str]]":
    """Use, path and the variable that says so ("" for the default) of every place."""
    home = os.environ.get("HOME") or os.path.expanduser("~")
    try:
        found = [("working-directory", os.getcwd(), "")]
    except OSError:
        found = []
    found.append(("home", home, "HOME" if os.environ.get("HOME") else ""))
    temporary = next((name for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), "")
    found.append(("temporary", os.environ.get(temporary, "") or "/tmp", temporary))
    for use, variable, below, default in CACHES:
        value = os.environ.get(variable, "")
        if value:
            found.append((use, os.path.join(value, below) if below else value, variable))
        elif default:
            cache = os.environ.get("XDG_CACHE_HOME", "")
            if cache and default.startswith("~/.cache/"):
                found.append((use, cache + default[len("~/.cache") :], "XDG_CACHE_HOME"))
            else:
                found.append((use, home + default[1:], ""))
    return [(use, path, variable) for use, path, variable in found if path.startswith("/")]


def read_places(executable: str) -> "List[Tuple[str, str, str]]":
    """As `places`, what every start of a program reads: the Python under examination and the folders searched."""
    found = [("python", executable, "")]
    for use, variable in (("search-path", "PATH"), ("module-path", "PYTHONPATH"), ("library-path", "LD_LIBRARY_PATH")):
        found += [(use, path, variable) for path in reading.parts(os.environ.get(variable), os.pathsep)]
    return [place for place in found if place[1].startswith("/")]


def mounts() -> "List[Dict[str, Any]]":
    """Mount points, the deepest first. Reading this file asks no file system."""
    found = []
    for line in (reading.text("/proc/self/mountinfo", 1 << 22) or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) > 5 and len(rest) > 1:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), fields[4])
            options = fields[5].split(",") + (rest[2].split(",") if len(rest) > 2 else [])
            found.append({"point": point, "type": rest[0], "source": rest[1], "options": options})
    return sorted(found, key=lambda mount: -len(mount["point"]))


def mount_of(path: str, all_mounts: "List[Dict[str, Any]]") -> "Dict[str, Any]":
    for mount in all_mounts:
        point = mount["point"].rstrip("/")
        if path == point or path.startswith(point + "/"):
            return mount
    return {}


def look(path: str) -> "Dict[str, Any]":
    """What one place has. Blocks where its file system does."""
    real = os.path.realpath(path)
    exists = os.path.isdir(real)
    nearest = real
    while not os.path.exists(nearest) and nearest != "/":
        nearest = os.path.dirname(nearest)
    told = os.statvfs(nearest)
    return {
        "real": real,
        "exists": exists,
        "writable": os.access(nearest, os.W_OK | os.X_OK),
        "size_bytes": told.f_blocks * told.f_frsize,
        "free_bytes": told.f_bavail * told.f_frsize,
        "files": told.f_files,
        "free_files": told.f_favail,
    }


def look_at_all(paths: "List[str]", send: "Any") -> None:
    for path in paths:
        send({"begin": path})
        try:
            send({"fact": path, "value": look(path)})
        except OSError as error:
            send({"missing": path, "reason": "failed", "detail": error.strerror or str(error)})


def looked(wanted: "List[Tuple[str, str, str]]", limit_s: float) -> "Dict[str, Dict[str, Any]]":
    """path -> what it has, or how it failed; one child for each file system, all at once.

    A path that gives no answer is left out. Those behind it in its child were not tried, and get one each.
    """
    all_mounts = mounts()
    answers: "Dict[str, Dict[str, Any]]" = {}
    left = [path for _, path, _ in wanted]
    apart = False
    while left:
        groups: "Dict[str, List[str]]" = {}
        for path in left:
            # What a path is named after need not be where a link in it leads: after a hang each is asked for itself.
            group = groups.setdefault(path if apart else mount_of(path, all_mounts).get("point", "/"), [])
            if path not in group:
                group.append(path)
        running = [children.fork(functools.partial(look_at_all, group), limit_s) for group in groups.values()]
        begun = set()
        for record in children.follow(running, time.monotonic() + limit_s + 1.0):
            begun.add(str(record.get("begin", "")))
            if "fact" in record:
                answers[str(record["fact"])] = record["value"]
            elif "missing" in record:
                answers[str(record["missing"])] = {"error": str(record["detail"])}
        tried = [path for path in left if path in begun]
        left = [path for path in left if path not in begun] if tried else []
        apart = True
    return answers


def disks(ask: "Ask") -> "Dict[str, Any]":
    if not hasattr(os, "statvfs") or not hasattr(os, "fork"):
        raise NotHere("this platform has no /proc/self/mountinfo")
    written = places()
    wanted = written + read_places(ask.stands_for or sys.executable)
    answers = looked(wanted, LIMIT_S)
    # What is only read is of interest where it does not answer.
    wanted = written + [place for place in wanted[len(written) :] if place[1] not in answers]
    all_mounts = mounts()
    found = []
    for use, path, variable in wanted:
        answer = answers.get(path)
        mount = mount_of((answer or {}).get("real", path), all_mounts)
        found.append(
            dict(
                {name: value for name, value in (answer or {}).items() if name != "real"},
                use=use,
                path=path,
                variable=variable,
                answers=answer is not None,
                mount_point=mount.get("point", ""),
                file_system=mount.get("type", ""),
                source=mount.get("source", "")[:300],
                read_only="ro" in mount.get("options", ()),
                no_exec="noexec" in mount.get("options", ()),
            )
        )
    return {"places": found}
