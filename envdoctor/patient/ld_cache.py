"""/etc/ld.so.cache, in which ldconfig keeps for ld.so where the libraries lie.

The format is glibc's sysdeps/generic/dl-cache.h: a header of 48 bytes, then entries of 24 bytes (flags, offset of the
name, offset of the path, ...), then the strings. Caches in the older format carry this one behind it.
"""

import struct

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

PATH = "/etc/ld.so.cache"
MARK = b"glibc-ld.so.cache1.1"
HEADER, ENTRY = 48, 24
# e_machine -> the flags ld.so asks for, FLAG_* of glibc's sysdeps/generic/ldconfig.h: the libraries of 32-bit programs
# are in the same cache.
FLAGS = {62: 0x0303, 183: 0x0A03}
# What uname() says -> e_machine.
MACHINES = {"x86_64": 62, "aarch64": 183}


def read() -> bytes:
    """The file as it is, empty where there is none."""
    return reading.raw(PATH, 16 << 20) or b""


def libraries(data: bytes, machine: int, *wanted: str) -> "Dict[str, List[str]]":
    """name -> its paths, in ld.so's order: all names of the cache, or the wanted ones, with no path if it lacks them.

    `machine` is an e_machine; for one that is not in FLAGS nothing is left out.
    """
    found: "Dict[str, List[str]]" = {name: [] for name in wanted}
    names = {name.encode("utf-8", "surrogateescape") for name in wanted}
    start = data.find(MARK)
    if start < 0 or len(data) < start + HEADER or (names and not any(name + b"\0" in data for name in names)):
        return found
    flags_wanted = FLAGS.get(machine)
    (count,) = struct.unpack_from("=I", data, start + 20)
    for index in range(min(count, (len(data) - start - HEADER) // ENTRY)):
        flags, key, value = struct.unpack_from("=III", data, start + HEADER + ENTRY * index)
        if flags_wanted is not None and flags != flags_wanted:
            continue
        name = _string(data, start + key)
        if names and name not in names:
            continue
        paths = found.setdefault(_text(name), [])
        path = _text(_string(data, start + value))
        if path not in paths:
            paths.append(path)
    return found


def _string(data: bytes, place: int) -> bytes:
    end = data.find(b"\0", place)
    return data[place : end if end >= 0 else len(data)]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
