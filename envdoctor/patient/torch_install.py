"""torch as it lies on disk, from folder listings and small files; nothing is imported."""

import os
import re
import sys

from . import python, reading
from .broken_python import site_folders, venv_of
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .sections import Ask

MOST = 10  # names of a kind that are reported
METADATA = 64 * 1024  # bytes; torch's requirements stand in the first 4 kB, its description after them
# Files that RECORD names and an import needs: those of torch/, its packages' __init__.py, and the libraries.
# The line break stands in front, not ^: a literal start is found five times faster in 1.5 MB.
NEEDED = re.compile(rb"\n(torch/(?:[^/,\n]+\.(?:py|so)|lib/[^/,\n]+\.so[^/,\n]*|[^/,\n]+/__init__\.py)),")


def version_file(folder: str) -> "Dict[str, Any]":
    """What torch/version.py says."""
    text = reading.text(os.path.join(folder, "version.py"), 65536) or ""

    def value(name: str) -> str:
        found = re.search(r"^%s(?:\s*:[^=\n]+)?\s*=\s*['\"]([^'\"\n]*)['\"]" % name, text, re.M)
        return found.group(1) if found else ""

    debug = re.search(r"^debug(?:\s*:[^=\n]+)?\s*=\s*True", text, re.M)
    return {"version": value("__version__"), "cuda": value("cuda"), "hip": value("hip"), "debug": bool(debug)}


def entry_of(folder: str) -> str:
    """What `import torch` takes from this folder of sys.path: the package's folder or the file; "" if nothing."""
    package = os.path.join(folder, "torch")
    if os.path.isfile(os.path.join(package, "__init__.py")):
        return package
    for suffix in python.suffixes():
        if os.path.isfile(package + suffix):
            return package + suffix
    return ""


def half_removed(folder: str) -> bool:
    """A torch folder among installed packages that has lost its __init__.py or its compiled core."""
    names = reading.names(folder)
    if not names or names == ["__pycache__"]:
        return bool(names)
    core = any(name.startswith("_C.") and name.endswith((".so", ".pyd")) for name in names)
    return "__init__.py" not in names or not core


def metadata_of(folders: "List[str]") -> "List[str]":
    """torch's metadata folders or files in these site folders."""
    found = []
    for folder in folders:
        for name in reading.names(folder):
            if re.match(r"torch-[0-9][^/]*\.(dist-info|egg-info)$", name):
                found.append(os.path.join(folder, name))
    return found


def pins(dist_info: str) -> "List[Dict[str, str]]":
    """torch's own requirements on NVIDIA's distributions and triton."""
    head = (reading.text(os.path.join(dist_info, "METADATA"), METADATA) or "").partition("\n\n")[0]
    found = []
    for line in head.splitlines():
        asked = re.match(r"Requires-Dist:\s*([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*\(?(==\s*[^\s;,)]+)?", line)
        if not asked:
            continue
        name = re.sub(r"[-_.]+", "-", asked.group(1)).lower()
        if name.startswith(("nvidia-", "cuda-", "triton", "pytorch-triton")) and "extra ==" not in line:
            found.append({"name": name, "version": (asked.group(2) or "").lstrip("= ")})
    return found


def broken_files(dist_info: str) -> "List[str]":
    """Files an import needs that RECORD names and that are absent. One listing per folder, not one look per file."""
    site = os.path.dirname(dist_info)
    listed: "Dict[str, set[str]]" = {}
    absent = []
    for found in NEEDED.findall(b"\n" + (reading.raw(os.path.join(dist_info, "RECORD"), 1 << 23) or b"")):
        path = found.decode("utf-8", "surrogateescape")
        folder, _, name = path.rpartition("/")
        if folder not in listed:
            listed[folder] = set(reading.names(os.path.join(site, folder)))
        if name not in listed[folder]:
            absent.append(os.path.join(site, path))
    return absent[:MOST]


def conda_package(prefix: str) -> str:
    """Version of conda's own record of torch in an environment, "" without one."""
    for name in reading.names(os.path.join(prefix, "conda-meta")):
        found = re.match(r"(?:pytorch|libtorch)-(\d[^-]*)-[^-]+\.json$", name)
        if found:
            return found.group(1)
    return ""


def places(ask: "Ask") -> "Tuple[List[str], List[str], str]":
    """The path of a training run, the site folders on it and the prefix of the environment."""
    if ask.stands_for:
        folders = site_folders(ask.stands_for)
        return folders, folders, os.path.dirname(os.path.dirname(ask.stands_for))
    user = python.user_site(venv_of(sys.prefix))
    path = python.training_path(user)
    return path, [entry for entry in path if entry == user or entry in sys.path], sys.prefix


def place_of(folder: str, ask: "Ask", sites: "List[str]") -> str:
    """Where on the path a folder stands, in the words of facts.torch.TorchCopy."""
    if not ask.stands_for and folder == python.working_directory() and folder not in sys.path:
        return "working directory"
    if not ask.stands_for and folder in python.python_path() and folder not in sys.path:
        return "PYTHONPATH"
    if not ask.stands_for and folder not in sys.path and folder in sites:
        return "user site"
    return "environment" if folder in sites else "other"


def torch_install(ask: "Ask") -> "Dict[str, Any]":
    path, sites, prefix = places(ask)
    copies = []
    seen = set()
    leftover = ""
    leftovers = []
    for folder in path:
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        entry = entry_of(folder)
        if entry:
            told = version_file(entry)
            copies.append({"folder": entry, "version": told["version"], "place": place_of(folder, ask, sites)})
        if folder in sites:
            package = os.path.join(folder, "torch")
            if not leftover and os.path.isdir(package) and half_removed(package):
                leftover = package
            leftovers += [os.path.join(folder, name) for name in reading.names(folder)
                          if re.match(r"~[a-z~-]?(orch|rch)(-[0-9][^/]*)?$", name)]  # fmt: skip
    metadata = metadata_of(sites)
    conda = conda_package(prefix)
    if not (copies or leftover or leftovers or metadata or conda):
        raise NotHere("no trace of torch on the path of a training run")
    first = copies[0]["folder"] if copies else ""
    dist_info = _own_metadata(first, metadata)
    installer = (reading.line(os.path.join(dist_info, "INSTALLER")) or "") if dist_info else ""
    version = (
        re.match(r"torch-([^-]+?)(?:-py[\d.]+)?\.(?:dist|egg)-info$", os.path.basename(dist_info))
        if dist_info
        else None
    )
    return dict(
        version_file(first) if first else {},
        folder=first,
        dist_version=version.group(1) if version else conda,
        dist_info=dist_info,
        installer=installer or ("conda" if conda else ""),
        pins=pins(dist_info) if dist_info else [],
        leftover=leftover,
        broken_files=broken_files(dist_info) if dist_info else [],
        pip_leftovers=leftovers[:MOST],
        copies=copies[:MOST],
    )


def _own_metadata(folder: str, metadata: "List[str]") -> str:
    """The metadata beside a torch folder, else the first there is."""
    beside: "Optional[str]" = next((own for own in metadata if os.path.dirname(own) == os.path.dirname(folder)), None)
    return beside or (metadata[0] if metadata else "")
