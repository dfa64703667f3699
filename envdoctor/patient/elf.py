"""What a shared library says of itself: its name, what it needs, where it looks, which symbol versions it wants.

Only the dynamic section is read, some kB even of a library of gigabytes.
"""

import os
import struct

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

# Tags of the dynamic section (System V ABI; the GNU ones are those of elf.h).
NEEDED, STRTAB, SONAME, RPATH, RUNPATH = 1, 5, 14, 15, 29
VERDEF, VERDEFNUM, VERNEED, VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
PT_LOAD, PT_DYNAMIC = 1, 2
# What reading a damaged file may raise.
DAMAGED = (OSError, struct.error, ValueError, OverflowError, KeyError)
MOST = 65536  # bytes of a table and entries of a chain; no library comes near


class Library(object):
    """The dynamic section of a 64-bit little-endian ELF file."""

    def __init__(self, path: str, machine: int) -> None:
        self.path = path
        self.machine = machine  # e_machine: 62 is x86_64, 183 aarch64
        self.soname = ""
        self.needed: "List[str]" = []
        self.rpath: "List[str]" = []
        self.runpath: "List[str]" = []
        self.requires: "Dict[str, List[str]]" = {}  # library -> symbol versions wanted of it
        self.provides: "List[str]" = []  # symbol versions it defines


class File(object):
    """An ELF file that is open for reading."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.loads: "List[Tuple[int, int, int]]" = []  # address, file offset, size
        self.strings = 0

    def at(self, offset: int, size: int) -> bytes:
        return os.pread(self.descriptor, size, offset)

    def offset(self, address: int) -> int:
        for start, offset, size in self.loads:
            if start <= address < start + size:
                return offset + address - start
        raise ValueError("an address outside of the file")

    def string(self, index: int) -> str:
        return self.at(self.strings + index, 4096).partition(b"\0")[0].decode("utf-8", "surrogateescape")


def read(path: str) -> "Optional[Library]":
    """The library at `path`; None where there is none, or no 64-bit little-endian ELF file."""
    try:
        descriptor = os.open(reading.rooted(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return _read(File(descriptor), path)
    except DAMAGED:
        return None
    finally:
        os.close(descriptor)


def _headers(file: "File") -> "Tuple[bytes, bytes]":
    """The ELF header and the dynamic section; notes where addresses lie in the file. Raises ValueError for no ELF."""
    head = file.at(0, 64)
    if head[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    headers = file.at(table, min(size * count, MOST))
    dynamic_part = b""
    for index in range(count):
        kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", headers, index * size)
        if kind == PT_LOAD:
            file.loads.append((address, offset, in_file))
        elif kind == PT_DYNAMIC:
            dynamic_part = file.at(offset, min(in_file, MOST))
    return head, dynamic_part


def _entries(dynamic_part: bytes) -> "List[Tuple[int, int]]":
    places = range(0, len(dynamic_part) - 15, 16)
    return [struct.unpack_from("<qQ", dynamic_part, place) for place in places]


def dynamic(descriptor: int) -> "Tuple[File, Dict[int, int]]":
    """An open ELF file and the values of its dynamic section by tag. Raises one of DAMAGED."""
    file = File(descriptor)
    values = dict(_entries(_headers(file)[1]))
    file.strings = file.offset(values.get(STRTAB, -1))
    return file, values


def _read(file: "File", path: str) -> "Library":
    head, dynamic_part = _headers(file)
    library = Library(path, struct.unpack_from("<H", head, 18)[0])
    entries = _entries(dynamic_part)
    values = dict(entries)
    if STRTAB not in values:
        return library
    file.strings = file.offset(values[STRTAB])
    for tag, value in entries:
        if tag == NEEDED:
            library.needed.append(file.string(value))
        elif tag == SONAME:
            library.soname = file.string(value)
        elif tag == RPATH:
            library.rpath = file.string(value).split(":")
        elif tag == RUNPATH:
            library.runpath = file.string(value).split(":")
        elif tag == 0:
            break
    if VERNEED in values:
        _requires(file, file.offset(values[VERNEED]), values.get(VERNEEDNUM, 0), library)
    if VERDEF in values:
        _provides(file, file.offset(values[VERDEF]), values.get(VERDEFNUM, 0), library)
    return library


def _requires(file: "File", offset: int, count: int, library: "Library") -> None:
    table = file.at(offset, MOST)
    place = 0
    for _ in range(min(count, 1024)):
        _, versions, name, first, following = struct.unpack_from("<HHIII", table, place)
        wanted = library.requires.setdefault(file.string(name), [])
        at = place + first
        for _ in range(min(versions, 1024)):
            _, _, _, version, further = struct.unpack_from("<IHHII", table, at)
            wanted.append(file.string(version))
            at += further
        place += following
        if not following:
            break


def _provides(file: "File", offset: int, count: int, library: "Library") -> None:
    table = file.at(offset, MOST)
    place = 0
    for _ in range(min(count, 1024)):
        _, _, _, _, _, first, following = struct.unpack_from("<HHHHIII", table, place)
        (name,) = struct.unpack_from("<I", table, place + first)
        library.provides.append(file.string(name))
        place += following
        if not following:
            break
