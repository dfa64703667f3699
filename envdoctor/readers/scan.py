"""Streams texts past the readers, in bounded memory and one pass."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from envdoctor.errors import UsageError
from envdoctor.facts.log import Log, Place, Sighting, Told
from envdoctor.readers import registry, sources, verdict
from envdoctor.readers.needles import Needles
from envdoctor.readers.passage import PAST, Passage, Window
from envdoctor.readers.reader import Reader

HEAD = 4096
LARGEST_FILE = 4 << 20  # bytes of a script; more is no script that anybody wrote

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Reading:
    """What texts told.

    Attributes:
        log: the errors in them, settled: which follows from which.
        sections: section name -> fact, of all texts together.
        seen: the sightings before they were settled, to settle them with what else is known.
        unread: what is wrong with each text that could not be read, or not to its end.
        seconds: how long it took.
    """

    log: Log
    sections: Mapping[str, object] = field(default_factory=dict)
    seen: tuple[Sighting, ...] = ()
    unread: tuple[UsageError, ...] = ()
    seconds: float = 0.0


def read(names: Sequence[str], progress: Progress | None = None) -> Reading:
    """Read the files, or standard input for "-". What cannot be read of one keeps nobody from the others.

    Args:
        progress: told the file and how many of its bytes have been read.

    Raises:
        UsageError: nothing of any of them can be read.
    """
    began = time.monotonic()
    readers, file_readers = registry.readers(), registry.file_readers()
    found: list[Mapping[str, object]] = []
    sightings: list[Sighting] = []
    scan = _Scan(readers)
    unread: list[UsageError] = []
    for name in names:
        pieces = _readable(name, progress, unread)
        first = next(pieces, b"")
        head = first[:HEAD].decode("utf-8", "replace")
        reader = next((one for one in file_readers if one.accepts(name, head)), None)
        if reader is None:
            scan.run(name, _joined(first, pieces))
            continue
        data = _whole(first, pieces)
        read_whole = reader.read(name, data[:LARGEST_FILE].decode("utf-8", "replace"))
        if read_whole is None:
            scan.run(name, _joined(data, pieces))
            continue
        facts, seen = read_whole
        found.append(facts)
        sightings += scan.of_whole(data, seen)
    if unread and not scan.size:
        raise unread[0]
    found += [reader.facts() for reader in readers]
    for one in readers:
        sightings += one.sightings()
    sections = merged(found)
    places: dict[str, Place] = {}
    for one in reversed(readers):
        places.update(one.places())
    told = tuple(Told(section, place) for section, place in places.items() if section in sections)
    log = Log(tuple(names), scan.lines, scan.size, verdict.settled(sightings, sections), told)
    return Reading(log, sections, tuple(sightings), tuple(unread), time.monotonic() - began)


def _readable(name: str, progress: Progress | None, unread: list[UsageError]) -> Iterator[bytes]:
    """The text of a file as far as it can be read; what is wrong with it is added to `unread`."""
    try:
        if progress is None:
            yield from sources.pieces(name)
        else:
            progress(name, 0)
            yield from sources.pieces(name, lambda read: progress(name, read))
    except UsageError as error:
        unread.append(error)


def _whole(first: bytes, pieces: Iterator[bytes]) -> bytes:
    """A file that is read at once; of one beyond `LARGEST_FILE` the beginning."""
    data = first
    for piece in pieces:
        data += piece
        if len(data) >= LARGEST_FILE:
            break
    return data


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


@dataclass
class _Owner:
    """A reader that a literal belongs to, and how many more lines with it the reader wants to see."""

    reader: Reader
    left: int


class _Scan:
    """Finds the lines that hold a reader's literals and shows them to it."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self.lines = 0
        self.size = 0
        self.shown = 0
        self._owners: dict[str, list[_Owner]] = {}
        for reader in readers:
            for needle, limit in reader.needles().items():
                self._owners.setdefault(needle, []).append(_Owner(reader, limit))
        self._needles = Needles({needle: max(one.left for one in own) for needle, own in self._owners.items()})

    def of_whole(self, data: bytes, seen: Iterable[Sighting]) -> list[Sighting]:
        """The sightings of a file that was read at once, in their place among all."""
        told = [dataclasses.replace(one, order=self.shown + number) for number, one in enumerate(seen)]
        self.lines += data.count(b"\n")
        self.size += len(data)
        self.shown += len(told)
        return told

    def _asked(self, held: Iterable[str]) -> Iterable[Reader]:
        """The readers that want to see a line with these literals."""
        asked: dict[Reader, None] = {}
        for needle in held:
            for owner in self._owners[needle]:
                if owner.left > 0:
                    owner.left -= 1
                    asked[owner.reader] = None
        return asked

    def run(self, file: str, pieces: Iterator[bytes]) -> None:
        """Show one text's lines to the readers. A line's surroundings are what came before it and the piece after."""
        past, number = b"", 1
        piece = next(pieces, b"")
        while piece:
            following = next(pieces, b"")
            window: Window | None = None
            counted, at = 0, number
            for start, end, held in self._needles.candidates(piece):
                window = window or Window(file, past + piece + following)
                at += piece.count(b"\n", counted, start)
                counted = start
                passage = Passage(window, len(past) + start, len(past) + end, at, held, self.shown)
                self.shown += 1
                for reader in self._asked(held):
                    reader.read(passage)
            ends = piece.count(b"\n")
            number += ends
            self.size += len(piece)
            self.lines += ends + (not following and not piece.endswith(b"\n"))
            past, piece = (piece if len(piece) >= PAST else past + piece)[-PAST:], following


def merged(found: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """One fact per section: of two that tell a section, the later fills in what the earlier leaves at its default."""
    whole: dict[str, object] = {}
    for sections in found:
        for name, fact in sections.items():
            whole[name] = filled(whole[name], fact) if name in whole else fact
    return whole


def filled(fact: object, other: object) -> object:
    """`fact` with the fields that it leaves at their default taken from `other`."""
    if not dataclasses.is_dataclass(fact) or isinstance(fact, type) or type(other) is not type(fact):
        return fact
    empty = type(fact)()
    told = {
        one.name: getattr(other, one.name)
        for one in dataclasses.fields(fact)
        if getattr(fact, one.name) == getattr(empty, one.name)
    }
    return dataclasses.replace(fact, **told)
