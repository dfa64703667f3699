"""Where text comes from: files and standard input as pieces of UTF-8 of bounded size, whatever their encoding."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

from envdoctor.errors import UsageError

PIECE = 1 << 20  # bytes read at a time
LONGEST_LINE = 1 << 18  # bytes; what is longer is cut into several

# ECMA-48: CSI sequences (colours, cursor), OSC sequences (titles, links) and the two-character escapes.
ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_=>()*+/-][0-9A-Za-z]?)"
)
STANDARD_INPUT = "-"


def pieces(name: str, on_bytes: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """The text of a file, or of standard input for "-", in pieces that end where a line ends.

    Bytes that are not UTF-8 are left as they are: what they mean is settled line by line. UTF-16 is turned into
    UTF-8, escape sequences of terminals are taken out, and so are NUL bytes.

    Args:
        on_bytes: told how many bytes of the source have been read so far.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        if name == STANDARD_INPUT:
            yield from _pieces(sys.stdin.buffer, on_bytes)
        else:
            with Path(name).open("rb", buffering=0) as file, _unpacked(file) as text:
                yield from _pieces(text, on_bytes)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"cannot read {name}: {why}") from error


def _unpacked(file: FileIO) -> BinaryIO:
    """The file, or what is packed in it: logs are rotated into gzip, bzip2 and xz files."""
    start = file.read(6)
    try:
        file.seek(0)
    except OSError:
        return cast(BinaryIO, _Again(start, file))  # a pipe cannot be rewound
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(file))
    if start.startswith(b"\xfd7zXZ\x00"):
        return cast(BinaryIO, lzma.LZMAFile(file))
    return cast(BinaryIO, file)


class _Again:
    """A pipe whose first bytes have been read already."""

    def __init__(self, start: bytes, file: FileIO) -> None:
        self._start, self._file = start, file

    def __enter__(self) -> _Again:
        return self

    def __exit__(self, *ending: object) -> None:
        self._file.close()

    def read(self, most: int) -> bytes:
        start, self._start = self._start, b""
        return start or self._file.read(most) or b""


def _pieces(file: BinaryIO, on_bytes: Callable[[int], None] | None) -> Iterator[bytes]:
    rest = b""
    read = 0
    recode: Callable[[bytes, bool], bytes] | None = None
    while True:
        data = file.read(PIECE)
        if data and not read:
            recode = _recoder(data)
        read += len(data or b"")
        if on_bytes is not None:
            on_bytes(read)
        if not data:
            tail = rest + (recode(b"", True) if recode else b"")
            if tail:
                yield clean(tail)
            return
        whole = rest + (recode(data, False) if recode else data)
        end = whole.rfind(b"\n") + 1
        if not end and len(whole) > LONGEST_LINE:
            end = len(whole)
        rest = whole[end:]
        if end:
            yield clean(whole[:end])


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
