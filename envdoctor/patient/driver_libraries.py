"""The driver's user-space libraries: where the loader finds them, told without loading them."""

import os
import re
import struct

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

CACHE = "/etc/ld.so.cache"
MAGIC = b"glibc-ld.so.cache1.1"
X86_64 = 0x0300  # FLAG_X8664_LIB64 of glibc's sysdeps/generic/ldconfig.h
# Searched after the cache, see ld.so(8); the last is where the Windows driver of WSL puts its libraries.
DEFAULT_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/lib/wsl/lib")
RELEASE = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)*)$")


def cached(*wanted: str) -> "Dict[str, List[str]]":
    """The paths that ldconfig's cache has for each of the names, in its order.

    The format is glibc's sysdeps/generic/dl-cache.h: a header of 48 bytes, then entries of 24 bytes (flags, offset of
    the name, offset of the path, ...), then the strings. Caches in the older format carry this one behind it.
    """
    found: "Dict[str, List[str]]" = {name: [] for name in wanted}
    data = reading.raw(CACHE, 16 << 20) or b""
    start = data.find(MAGIC)
    names = {name.encode(): name for name in wanted}
    if start < 0 or len(data) < start + 48 or not any(name + b"\0" in data for name in names):
        return found

    def string(offset: int) -> bytes:
        return data[start + offset : data.find(b"\0", start + offset)]

    count = struct.unpack_from("=I", data, start + 20)[0]
    for index in range(min(count, (len(data) - start - 48) // 24)):
        flags, key, value = struct.unpack_from("=III", data, start + 48 + 24 * index)
        name = string(key)
        # The libraries of 32-bit programs are in the same cache.
        if name in names and not (os.uname().machine == "x86_64" and flags & 0xFF00 != X86_64):
            path = os.fsdecode(string(value))
            if path not in found[names[name]]:
                found[names[name]].append(path)
    return found


def candidates(*wanted: str) -> "Dict[str, List[str]]":
    """Existing files the loader would try for each name, in its order: LD_LIBRARY_PATH, the cache, its folders."""
    first = [folder for folder in re.split("[:;]", os.environ.get("LD_LIBRARY_PATH", "")) if folder]
    in_cache = cached(*wanted)
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
