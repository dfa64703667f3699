"""Where text comes from: files and standard input as pieces of UTF-8 of bounded size, whatever their encoding."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import os
import re
import shlex
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from io import FileIO
from typing import BinaryIO, cast

from envdoctor.errors import UsageError

PIECE = 1 << 20  # bytes read at a time
LONGEST_LINE = 1 << 18  # bytes; what is longer is cut into several
# Bytes, of what need not end: without a line's end in so many it is no text, and a device that gave as many goes on.
ENDLESS = 1 << 26

# ECMA-48: CSI sequences (colours, cursor), OSC sequences (titles, links) and the two-character escapes.
ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_=>()*+/-][0-9A-Za-z]?)"
)
STANDARD_INPUT = "-"
MAGIC = b"\xfd7zXZ\x00"  # of xz, the longest that is looked for
# What a file is packed by, its first bytes, and what unpacks it where the standard library does not.
UNREADABLE = (
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc {name}"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc {name}"),
    (b"PK\x03\x04", "zip", "unzip -p {name}"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x -so {name}"),
)
# What the standard library raises for what it cannot read or unpack.
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)

Read = Callable[[int], bytes]


def pieces(name: str, on_bytes: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """The text of a file, or of standard input for "-", in pieces that end where a line ends; none is empty.

    Bytes that are not UTF-8 are left as they are: what they mean is settled line by line. UTF-16 is turned into
    UTF-8, escape sequences of terminals are taken out, and so are NUL bytes. Of a file that grows, what was in it when
    it was opened.

    Args:
        on_bytes: told how many bytes of the source have been read so far.

    Raises:
        UsageError: the file cannot be read, or not to its end, or it has none (`ENDLESS`); the pieces before are the
            text up to there.
    """
    try:
        with _opened(name) as file:
            start, error = _filled(file.read, len(MAGIC))
            if error is not None:
                raise error
            for magic, kind, command in UNREADABLE:
                if start.startswith(magic):
                    way = command.format(name="" if name == STANDARD_INPUT else shlex.quote(name)).strip()
                    raise UsageError(
                        f"cannot read {name}: it is packed by {kind}; `{way} | envdoctor explain -` reads it",
                        f"无法读取 {name}：它由 {kind} 打包；可用 `{way} | envdoctor explain -` 读取",
                    )
            rest = _Rest(start, file)
            yield from _pieces(_unpacked(rest), (lambda: on_bytes(rest.taken)) if on_bytes else None, rest.endless)
    except _Endless:
        called = ("standard input", "标准输入") if name == STANDARD_INPUT else (name, name)
        raise UsageError(
            f"{called[0]} does not end and is no text, so only its first {ENDLESS >> 20} MiB were read; "
            "name the file that holds the log",
            f"{called[1]} 没有结尾，也不是文本，因此只读取了开头 {ENDLESS >> 20} MiB；请给出日志所在的文件",
        ) from None
    except BROKEN as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise UsageError(f"cannot read {name}: {why[0].lower()}{why[1:]}", f"无法读取 {name}：{why}") from error


def _opened(name: str) -> FileIO:
    """The file without a buffer: a terminal and a pipe give what they have."""
    if name != STANDARD_INPUT:
        return FileIO(name)
    try:
        return FileIO(sys.stdin.fileno(), closefd=False)
    except (AttributeError, ValueError, OSError) as error:
        raise UsageError("cannot read standard input: it is closed", "无法读取标准输入：它已关闭") from error


def _unpacked(file: _Rest) -> Read:
    """What reads the file, or what is packed in it: logs are rotated into gzip, bzip2 and xz files."""
    packed = cast(BinaryIO, file)
    if file.start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed).read1
    if file.start.startswith(b"BZh"):
        return bz2.BZ2File(packed).read1
    if file.start.startswith(MAGIC):
        return lzma.LZMAFile(packed).read1
    return file.read


class _Endless(Exception):
    """What is read has no end that one could wait for."""


class _Rest:
    """A file whose first bytes have been read already, up to where it ended when it was opened.

    Attributes:
        start: those bytes; taken: how many bytes of the file have been read.
        endless: what of it may be read in vain: "" nothing, it has a size; "line" a line, as of a pipe; "device" all
            of it, as of /dev/urandom.
    """

    def __init__(self, start: bytes, file: FileIO) -> None:
        self.start, self.taken = start, len(start)
        self._again, self._file = start, file
        self._left: int | None = None
        status = os.fstat(file.fileno())
        if len(start) < len(MAGIC):
            self._left = 0  # who ends the input at a terminal does so once
        elif stat.S_ISREG(status.st_mode) and status.st_size:  # files of /proc have no size and a text all the same
            self._left = max(0, status.st_size - file.tell())
        self.endless = "" if self._left is not None else "line"
        if self.endless and stat.S_ISCHR(status.st_mode) and not file.isatty():
            self.endless = "device"

    def read(self, most: int = -1) -> bytes:
        """Some of the next bytes; none at the end."""
        again, self._again = self._again[:most], self._again[most:]
        if again:
            return again
        data = self._file.read(most if self._left is None else min(most, self._left)) or b""
        self.taken += len(data)
        if self._left is not None:
            self._left -= len(data)
        return data


def _filled(read: Read, most: int) -> tuple[bytes, Exception | None]:
    """As many bytes, however few come at once; fewer at the end, or before what went wrong."""
    parts: list[bytes] = []
    left = most
    try:
        while left and (data := read(left)):
            parts.append(data)
            left -= len(data)
    except BROKEN as error:
        return b"".join(parts), error
    return b"".join(parts), None


def _pieces(source: Read, on_piece: Callable[[], None] | None, endless: str) -> Iterator[bytes]:
    rest = b""
    unended = 0  # bytes since the last line's end; of a device, bytes
    first = True
    recode: Callable[[bytes, bool], bytes] | None = None
    ended = False
    while not ended:
        data, error = _filled(source, PIECE)
        ended = len(data) < PIECE
        if first:
            recode, first = _recoder(data), False
        if on_piece is not None:
            on_piece()
        whole = rest + (recode(data, ended) if recode else data)
        end = len(whole) if ended else whole.rfind(b"\n") + 1
        if not end and len(whole) > LONGEST_LINE:
            end = len(whole)
        rest = whole[end:]
        if end and (piece := clean(whole[:end])):
            yield piece
        if error is not None:
            raise error
        unended = 0 if endless != "device" and b"\n" in data else unended + len(data)
        if endless and unended >= ENDLESS and not ended:
            raise _Endless


def _recoder(start: bytes) -> Callable[[bytes, bool], bytes] | None:
    """What turns the text into UTF-8, None where it is not UTF-16. PowerShell's `>` writes UTF-16 with a mark."""
    name = ""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    else:
        head = start[:1024]
        # Latin text in UTF-16 has every second byte zero.
        if len(head) >= 8 and head[1::2].count(0) > 0.4 * len(head[1::2]) and head[::2].count(0) == 0:
            name = "utf-16-le"
        elif len(head) >= 8 and head[::2].count(0) > 0.4 * len(head[::2]) and head[1::2].count(0) == 0:
            name = "utf-16-be"
    if not name:
        return None
    decoder = codecs.getincrementaldecoder(name)("replace")
    return lambda data, final: decoder.decode(data, final).encode("utf-8", "replace")


def clean(piece: bytes) -> bytes:
    """Without escape sequences and NUL bytes. Most pieces have none of either and are returned as they are."""
    if b"\x1b" in piece:
        piece = ESCAPES.sub(b"", piece)
    if b"\x00" in piece:
        piece = piece.replace(b"\x00", b"")
    return piece
