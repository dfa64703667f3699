"""Which functions of torch's C++ interface an extension asks for and the installed torch does not define.

Python opens extensions with RTLD_NOW: one such function, and the import fails with "undefined symbol". Looked up as
ld.so does, in the GNU hash tables, a few reads for each name even in a library of gigabytes.
"""

import os
import re
import struct

from . import elf, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Set

SYMTAB, GNU_HASH = 6, 0x6FFFFEF5
SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
WEAK = 2
# Mangled names in the namespaces c10, at, torch and caffe2: _ZN3c10..., _ZNK2at6Tensor..., _ZTIN5torch...
OF_TORCH = re.compile(r"^_Z(?:[NK]|T[VISTC]N?|GVN|St)*K?(?:3c10|2at|5torch|6caffe2)")
MOST_SYMBOLS = 60000
MOST_LOOKED_UP = 400
MOST_NAMED = 3


class Table(object):
    """The dynamic symbols of a library, through its GNU hash table. Raises ValueError where it has none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(reading.rooted(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.file, values = elf.dynamic(self.descriptor)
            self.symbols = self.file.offset(values[SYMTAB])
            table = self.file.offset(values[GNU_HASH])
            head = struct.unpack("<IIII", self.file.at(table, 16))
        except elf.DAMAGED as error:
            self.close()
            raise ValueError(str(error))
        self.buckets, self.first, self.words, self.shift = head
        self.bloom = table + 16
        self.bucket_table = self.bloom + 8 * self.words
        self.chain_table = self.bucket_table + 4 * self.buckets

    def close(self) -> None:
        os.close(self.descriptor)

    def undefined(self) -> "List[str]":
        """The names of torch's interface that it asks of others; they stand before the first hashed symbol."""
        count = min(self.first, MOST_SYMBOLS)
        data = self.file.at(self.symbols, SYMBOL.size * count)
        found = []
        for name, info, _, section, _, _ in SYMBOL.iter_unpack(data[: len(data) - len(data) % SYMBOL.size]):
            if section == 0 and name and info >> 4 != WEAK:
                told = self.file.string(name)
                if OF_TORCH.match(told):
                    found.append(told)
        return found

    def defines(self, name: str, hashed: int) -> bool:
        """Whether it defines a symbol. `hashed` is `gnu_hash(name)`."""
        if not self.buckets or not self.words:
            return False
        (word,) = struct.unpack("<Q", self.file.at(self.bloom + 8 * (hashed // 64 % self.words), 8))
        if not (word >> (hashed % 64)) & (word >> ((hashed >> self.shift) % 64)) & 1:
            return False
        (index,) = struct.unpack("<I", self.file.at(self.bucket_table + 4 * (hashed % self.buckets), 4))
        if index < self.first:
            return False
        for step in range(index, index + 4096):
            (other,) = struct.unpack("<I", self.file.at(self.chain_table + 4 * (step - self.first), 4))
            if other | 1 == hashed | 1:
                told = SYMBOL.unpack(self.file.at(self.symbols + SYMBOL.size * step, SYMBOL.size))
                if told[3] != 0 and self.file.string(told[0]) == name:
                    return True
            if other & 1:
                break
        return False


def gnu_hash(name: str) -> int:
    """The hash of a symbol's name in DT_GNU_HASH, Bernstein's times 33."""
    value = 5381
    for byte in name.encode("utf-8", "surrogateescape"):
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


class Torch(object):
    """The libraries of the installed torch, opened once."""

    def __init__(self, lib: str) -> None:
        self.tables: "List[Table]" = []
        for name in reading.names(lib):
            if re.match(r"lib(c10|torch|shm|caffe2)\w*\.so", name):
                try:
                    self.tables.append(Table(os.path.join(lib, name)))
                except (OSError, ValueError):
                    continue
        self.defined: "Set[str]" = set()

    def close(self) -> None:
        for table in self.tables:
            table.close()

    def lacks(self, path: str) -> "List[str]":
        """Names the extension at `path` asks of torch's interface and no library of torch defines, at most three.

        Empty where torch's core cannot be read: nothing is known then.
        """
        wanted = self._wanted(path)
        if wanted is None or not any(os.path.basename(table.path) == "libc10.so" for table in self.tables):
            return []
        beside = _beside(path)
        try:
            found = [name for name in wanted[:MOST_LOOKED_UP] if not self._known(name, beside)]
        except elf.DAMAGED:
            return []
        finally:
            for table in beside:
                table.close()
        return sorted(found)[:MOST_NAMED]

    def _known(self, name: str, beside: "List[Table]") -> bool:
        if name not in self.defined:
            hashed = gnu_hash(name)
            if any(table.defines(name, hashed) for table in self.tables):
                self.defined.add(name)
            else:
                return any(table.defines(name, hashed) for table in beside)
        return True

    def _wanted(self, path: str) -> "Optional[List[str]]":
        try:
            table = Table(path)
        except (OSError, ValueError):
            return None
        try:
            return table.undefined()
        except elf.DAMAGED:
            return None
        finally:
            table.close()


def _beside(path: str) -> "List[Table]":
    """The libraries an extension brings along in its own folder."""
    library = elf.read(path)
    found: "List[Table]" = []
    for name in library.needed if library is not None else []:
        try:
            found.append(Table(os.path.join(os.path.dirname(path), name)))
        except (OSError, ValueError):
            continue
    return found
