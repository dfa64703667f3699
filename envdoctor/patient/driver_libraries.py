"""The driver's user-space libraries: where the loader finds them, told without loading them."""

import os
import re

from . import ld_cache, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

# Searched after the cache, see ld.so(8); the last is where the Windows driver of WSL puts its libraries.
DEFAULT_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/lib/wsl/lib")
RELEASE = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)*)$")


def candidates(*wanted: str) -> "Dict[str, List[str]]":
    """Existing files the loader would try for each name, in its order: LD_LIBRARY_PATH, the cache, its folders."""
    first = [folder for folder in re.split("[:;]", os.environ.get("LD_LIBRARY_PATH", "")) if folder]
    machine = ld_cache.MACHINES.get(os.uname().machine, 0)
    in_cache = ld_cache.libraries(ld_cache.read(), machine, *wanted)
    found = {}
    for name in wanted:
        places = [os.path.join(folder, name) for folder in first] + in_cache[name]
        places += [os.path.join(folder, name) for folder in DEFAULT_FOLDERS]
        seen: "List[str]" = []
        real: "List[str]" = []
        for place in places:
            if reading.exists(place) and reading.link(place) not in real:
                seen.append(place)
                real.append(reading.link(place))
        found[name] = seen
    return found


def release(path: str) -> str:
    """The driver release in the name of the file behind a path: "580.65.06" of libcuda.so.580.65.06; "" if none."""
    told = RELEASE.search(reading.link(path)) if path else None
    return told.group(1) if told else ""


def mapped(name: str) -> str:
    """The file of a library that is loaded in this process, from /proc/self/maps; "" if none is."""
    start = name.partition(".so")[0] + ".so"
    for line in (reading.text("/proc/self/maps", 4 << 20) or "").splitlines():
        path = line.partition("/")[2]
        if os.path.basename(path).startswith(start):
            return "/" + path
    return ""


def origin(path: str) -> str:
    """What a libcuda is, by its place: "compat", "stub", "wsl", "driver", or "" without one."""
    if not path:
        return ""
    for mark, kind in (("/stubs/", "stub"), ("/wsl/", "wsl"), ("/compat", "compat"), ("cuda-compat", "compat")):
        if mark in path or mark in reading.link(path):
            return kind
    return "driver"
