"""conda: where it is, which condarc files it reads, which channels follow, and how its torch was built."""

import json
import os
import re
import sys

from . import condarc, reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    from .sections import Ask

KEYS = ("channels", "default_channels", "custom_channels", "channel_alias", "custom_multichannels", "ssl_verify",
        "proxy_servers", "channel_priority", "offline", "allowlist_channels", "denylist_channels")  # fmt: skip
# Settings of the environment that are stronger than every file.
VARIABLES = ("CONDA_CHANNELS", "CONDA_DEFAULT_CHANNELS", "CONDA_CUSTOM_CHANNELS", "CONDA_CHANNEL_ALIAS",
             "CONDA_CUSTOM_MULTICHANNELS")  # fmt: skip
HOME_PLACES = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "miniconda", "anaconda")


def search_path(environ: "Mapping[str, str]", root: str, prefix: str) -> "List[str]":
    """Where conda looks for its configuration, weakest first (conda/base/constants.py, SEARCH_PATH)."""
    home = environ.get("HOME") or os.path.expanduser("~")
    folders = ["C:/ProgramData/conda"] if os.name == "nt" else ["/etc/conda", "/var/lib/conda"]
    if root:
        folders.append(root)
    if environ.get("XDG_CONFIG_HOME"):
        folders.append(os.path.join(environ["XDG_CONFIG_HOME"], "conda"))
    folders += [os.path.join(home, ".config", "conda"), os.path.join(home, ".conda")]
    found: "List[str]" = []
    for folder in folders:
        found += _in_folder(folder)
    found.append(os.path.join(home, ".condarc"))
    if prefix:
        found += _in_folder(prefix)
    if environ.get("CONDARC"):
        found.append(environ["CONDARC"])
    return list(dict.fromkeys(found))


def _in_folder(folder: str) -> "List[str]":
    pieces = [name for name in reading.names(os.path.join(folder, "condarc.d")) if name.endswith((".yml", ".yaml"))]
    return [os.path.join(folder, name) for name in (".condarc", "condarc")] + [
        os.path.join(folder, "condarc.d", name) for name in pieces
    ]


def files(paths: "List[str]") -> "List[Dict[str, Any]]":
    """The condarc files that exist, with what they say."""
    found = []
    for path in paths:
        if not reading.exists(path):
            continue
        text = reading.text(path, 1 << 18)
        if text is None:
            found.append({"path": path, "readable": False})
            continue
        values, lines, odd = condarc.parse(text)
        kept = {key: value for key, value in values.items() if key in KEYS}
        final = condarc.finals(text)
        found.append(
            {
                "path": path,
                "not_understood": odd[:20],
                "settings": [
                    {
                        "key": key,
                        "line": lines[key],
                        "items": listed(value),
                        "pairs": paired(key, value, lines),
                        "final": key in final,
                    }
                    for key, value in kept.items()
                ],
            }
        )
    return found


def listed(value: "Any") -> "List[str]":
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value)] if isinstance(value, str) and value else []


def paired(key: str, value: "Any", lines: "Dict[str, int]") -> "List[Dict[str, Any]]":
    if not isinstance(value, dict):
        return []
    return [
        {"name": name, "items": listed(item), "line": lines.get(key + "." + name, lines[key])}
        for name, item in value.items()
    ]


def merged(found: "List[Dict[str, Any]]", environ: "Mapping[str, str]") -> "Dict[str, Any]":
    """What follows from all files: a stronger file's list comes first, maps merge by key, a scalar overrides; after
    #!final nothing stronger counts (conda/common/configuration.py)."""
    lists: "Dict[str, List[str]]" = {"channels": [], "default_channels": []}
    maps: "Dict[str, Dict[str, List[str]]]" = {"custom_channels": {}, "custom_multichannels": {}}
    alias = ""
    settled = set()
    for file in found:
        for setting in file.get("settings", ()):
            key = setting["key"]
            if key in settled:
                continue
            if key in lists:
                lists[key] = setting["items"] + [item for item in lists[key] if item not in setting["items"]]
            elif key in maps:
                maps[key].update({pair["name"]: pair["items"] for pair in setting["pairs"]})
            elif key == "channel_alias" and setting["items"]:
                alias = setting["items"][0]
            if setting.get("final"):
                settled.add(key)
    for key in lists:
        if environ.get("CONDA_" + key.upper()) and key not in settled:
            told = [part.strip() for part in environ["CONDA_" + key.upper()].split(",")]
            lists[key] = told + [item for item in lists[key] if item not in told]
    if "channel_alias" not in settled:
        alias = environ.get("CONDA_CHANNEL_ALIAS") or alias
    return dict(lists, alias=alias, **maps)


def channel_urls(settings: "Dict[str, Any]") -> "List[str]":
    """The addresses of the channels in effect. Those that are conda's own by default are left out: only what is written
    is looked at."""
    found: "List[str]" = []
    for channel in settings["channels"] or (["defaults"] if settings["default_channels"] else []):
        if channel in settings["custom_multichannels"]:
            found += [address(url, settings) for url in settings["custom_multichannels"][channel]]
        elif channel == "defaults":
            found += [address(url, settings) for url in settings["default_channels"]]
        else:
            found.append(address(channel, settings))
    return [url for url in dict.fromkeys(found) if url]


def address(channel: str, settings: "Dict[str, Any]") -> str:
    """The URL of a channel: itself, under its custom_channels entry (conda appends the name), or under the alias."""
    if re.match(r"[a-z]+://", channel):
        return channel.rstrip("/")
    first = channel.partition("/")[0]
    for name in (channel, first):
        place = settings["custom_channels"].get(name)
        if place and place[0]:
            return str(place[0]).rstrip("/") + "/" + channel
    alias = str(settings["alias"]).rstrip("/")
    return alias + "/" + channel if alias else ""


def programs(environ: "Mapping[str, str]") -> "Dict[str, str]":
    """conda, mamba and micromamba on PATH, or where CONDA_EXE says."""
    found = {}
    for name in ("conda", "mamba", "micromamba"):
        for folder in environ.get("PATH", "").split(os.pathsep):
            path = os.path.join(folder, name)
            if folder and os.access(reading.rooted(path), os.X_OK):
                found[name] = path
                break
    if environ.get("CONDA_EXE") and "conda" not in found and reading.exists(environ["CONDA_EXE"]):
        found["conda"] = environ["CONDA_EXE"]
    return found


def installations(environ: "Mapping[str, str]") -> "List[str]":
    """Folders of conda installations in the usual places, whether or not they are on PATH."""
    home = environ.get("HOME") or os.path.expanduser("~")
    places = [os.path.join(top, name) for top in (home, "/opt") for name in HOME_PLACES] + [
        "/opt/conda",
        "/usr/local/conda",
    ]
    return [place for place in places if reading.exists(os.path.join(place, "conda-meta"))]


SETS_UP = re.compile(
    r"^(?:[^#\n]*(?:etc/profile\.d/(?:conda|mamba)\.sh|fish/conf\.d/conda\.fish)|# >>> (?:conda|mamba) initialize >>>)",
    re.M,
)


def initialised(environ: "Mapping[str, str]") -> "List[str]":
    """The shell start-up files that set conda up: by the block of `conda init`, or by reading what conda brings."""
    home = environ.get("HOME") or os.path.expanduser("~")
    fish = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "fish")
    paths = [os.path.join(home, name) for name in (".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv")]
    paths += [os.path.join(fish, name) for name in ("config.fish", "conf.d/envdoctor.fish")]
    if environ.get("ZDOTDIR"):
        paths.append(os.path.join(environ["ZDOTDIR"], ".zshrc"))
    return [path for path in paths if SETS_UP.search(reading.text(path, 1 << 18) or "")]


def packages(prefix: str) -> "List[Dict[str, str]]":
    """torch and what decides its build, as conda installed them in an environment."""
    found = []
    for name in reading.names(os.path.join(prefix, "conda-meta")):
        if re.match(
            r"(?:pytorch|libtorch|pytorch-cuda|pytorch-mutex|cpuonly|cuda-version|pytorch-gpu|pytorch-cpu)-\d.*\.json$",
            name,
        ):
            try:
                told = json.loads(reading.text(os.path.join(prefix, "conda-meta", name), 8 << 20) or "")
            except ValueError:
                continue
            keys = ("name", "version", "build", "channel")
            found.append({key: str(told.get(key) or "") for key in keys})
    return found


def conda_config(ask: "Ask") -> "Dict[str, Any]":
    environ = os.environ
    found = programs(environ)
    prefix = sys.prefix if reading.exists(os.path.join(sys.prefix, "conda-meta")) else ""
    there = installations(environ)
    root = environ.get("CONDA_ROOT") or ""
    if not root and found:
        program = environ.get("CONDA_EXE") or next(iter(found.values()))
        above = os.path.dirname(os.path.dirname(reading.link(program)))
        root = above if reading.exists(os.path.join(above, "conda-meta")) else ""
    paths = search_path(environ, root, environ.get("CONDA_PREFIX") or prefix)
    read = files(paths)
    if not (found or there or read or prefix):
        raise NotHere("there is no conda")
    settings = merged(read, environ)
    return {
        "programs": [{"name": name, "path": path} for name, path in found.items()],
        "installations": there,
        "initialised_in": initialised(environ),
        "root": root,
        "environment": prefix,
        "files": read,
        "channels": settings["channels"],
        "channel_alias": settings["alias"],
        "default_channels": settings["default_channels"],
        "custom_channels": [{"name": name, "items": place} for name, place in settings["custom_channels"].items()],
        "home": environ.get("HOME") or os.path.expanduser("~"),
        "search": paths,
        "variables": [{"name": name, "items": [environ[name]]} for name in VARIABLES if environ.get(name)],
        "channel_urls": channel_urls(settings),
        "packages": packages(prefix) if prefix else [],
    }
