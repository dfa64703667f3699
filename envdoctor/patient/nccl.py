"""Settings of NCCL as its files hold them, and the plugin libraries the loader would find."""

import os

from . import ld_cache, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from .sections import Ask

PLUGINS = ("libnccl-net", "libnccl-tuner", "libnccl-profiler", "libnccl-env", "libnccl-gin")
FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
MOST_LINES = 1000


def settings(path: str) -> "Dict[str, Any]":
    """The lines of a configuration file that name an NCCL variable, cut the way NCCL cuts them.

    Blanks around "=" become part of the name or the value, "#" only counts in the first column, and a carriage return
    stays at the end of the value: all of that is kept here for the doctor to judge.
    """
    real = reading.rooted(path)
    try:
        with open(real, "rb") as file:
            data = file.read(1 << 20)
    except FileNotFoundError:
        return {"path": path, "found": False}
    except OSError as error:
        return {"path": path, "found": True, "error": error.strerror or str(error)}
    rows = []
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n")[:MOST_LINES], 1):
        if line.startswith("#") or "=" not in line:
            continue
        name, _, value = line.partition("=")
        if "NCCL_" in name:
            rows.append({"name": name, "value": value[:1023], "line": number})
    return {"path": path, "found": True, "rows": rows}


def homes() -> "List[Tuple[str, str]]":
    """The home folders in which NCCL looks: $HOME since 2.30, the password database's before."""
    found = []
    home = os.environ.get("HOME") or ""
    if home:
        found.append(("HOME", home))
    try:
        import pwd

        entry = pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return found
    return found + [("passwd", entry)] if entry else found


def files() -> "List[Dict[str, Any]]":
    """The configuration files in the order in which NCCL reads them; the first to set a name wins."""
    from . import children

    named = os.environ.get("NCCL_CONF_FILE") or ""
    wanted = [("NCCL_CONF_FILE", named)] if named else []
    wanted += [(kind, home + "/.nccl.conf") for kind, home in homes()]
    found = []
    answers: "Dict[str, Dict[str, Any]]" = {}
    for kind, path in wanted:
        if path not in answers:
            # A home on a dead file server hangs whoever opens it.
            told, value = children.ask(settings, 1.5, path)
            answers[path] = value if told == "ok" else {"path": path, "found": True, "error": told}
        found.append(dict(answers[path], kind=kind))
    found.append(dict(settings("/etc/nccl.conf"), kind="system"))
    return [file for file in found if file["found"] or file["kind"] == "NCCL_CONF_FILE"]


def cached_libraries() -> "List[str]":
    """Paths of plugin libraries in the loader's cache."""
    data = ld_cache.read()
    found = []
    place = data.find(b"libnccl-")
    while place >= 0:
        start, end = data.rfind(b"\0", 0, place) + 1, data.find(b"\0", place)
        word = data[start:end].decode("utf-8", "surrogateescape")
        if word.startswith("/") and os.path.basename(word).startswith(PLUGINS):
            found.append(word)
        place = data.find(b"libnccl-", end)
    return found


def plugins() -> "List[Dict[str, str]]":
    """Plugin libraries in the loader's order: LD_LIBRARY_PATH, the cache, the standard folders."""
    found: "Dict[str, str]" = {}
    for folder in reading.parts(os.environ.get("LD_LIBRARY_PATH")):
        for name in reading.names(folder):
            if name.startswith(PLUGINS) and ".so" in name:
                found.setdefault(folder.rstrip("/") + "/" + name, "LD_LIBRARY_PATH")
    for path in cached_libraries():
        if reading.exists(path):
            found.setdefault(path, "ld.so.cache")
    for folder in FOLDERS:
        for name in reading.names(folder):
            if name.startswith(PLUGINS) and ".so" in name:
                found.setdefault(folder + "/" + name, "standard folder")
    return [{"path": path, "found_by": found_by} for path, found_by in found.items()][:50]


def load(name: str) -> str:
    """Why the loader cannot open a library, "" if it can."""
    import ctypes

    try:
        ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return ""


def wanted_plugins(value: str) -> "List[str]":
    """The names NCCL_NET_PLUGIN stands for, each as the file that NCCL would ask the loader for last."""
    wanted = []
    for name in reading.parts(value, ","):
        bare = "/" not in name and not (name.startswith("lib") and name.endswith(".so"))
        wanted.append("libnccl-net-%s.so" % name if bare else name)
    return wanted


def nccl(ask: "Ask") -> "Dict[str, Any]":
    found = files()
    there = plugins()
    value = os.environ.get("NCCL_NET_PLUGIN")
    if value is None:
        rows = [row for file in found for row in file.get("rows", ()) if row["name"] == "NCCL_NET_PLUGIN"]
        value = str(rows[0]["value"]).rstrip("\r") if rows else None
    default = any(os.path.basename(plugin["path"]) == "libnccl-net.so" for plugin in there)
    if value is None:
        wanted = ["libnccl-net.so"] if default else []
    else:
        wanted = [] if value.lower() in ("", "none") else wanted_plugins(value)
    tried = []
    from . import children

    for name in wanted[:4]:
        # Loading runs the library's own start-up code, as NCCL's opening it would: in a process of its own.
        told, error = children.ask(load, 2.0, name)
        tried.append({"name": name, "error": error if told == "ok" else "%s: %s" % (told, error)})
    return {"files": found, "plugins": there, "net_plugins": tried}
