"""A line that can matter, in its surroundings."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

from envdoctor.facts.log import Place, Sighting
from envdoctor.readers.lines import Line, split, when

# Bytes of text before a line that are still at hand; after it, at least the following piece is.
PAST = 1 << 16
REACH = 1 << 16
# Lines looked through for those of the same rank, in either direction: a thousand ranks that write in turn.
MOST_PASSED = 2000
# Split lines that are kept for the next one who asks.
MOST_SPLIT = 4096
# Lines before one without a stamp among which one is looked for: a long traceback.
NEAR = 200
LONGEST_QUOTE = 400


class Window:
    """A stretch of a text. Its lines are split once, however many of them ask for their neighbours.

    Attributes:
        file: what it is called; text: its bytes.
    """

    def __init__(self, file: str, text: bytes) -> None:
        self.file = file
        self.text = text
        self._split: dict[int, Line] = {}

    def line(self, start: int, end: int, number: int) -> Line:
        """The line between two offsets, which is the one of this number."""
        known = self._split.get(start)
        if known is None:
            if len(self._split) >= MOST_SPLIT:
                self._split.clear()
            known = self._split[start] = split(self.text[start:end], self.file, number)
        return known

    def following(self, end: int, number: int) -> Iterator[Line]:
        """The lines after the one that ends here, the nearest first, as far as `REACH` goes."""
        text, at, last = self.text, end, min(len(self.text), end + REACH)
        if end and not text.endswith(b"\n", 0, end):
            number -= 1  # the rest of the line comes first
        for passed in range(1, MOST_PASSED + 1):
            if at >= last:
                return
            end = text.find(b"\n", at) + 1 or len(text)
            yield self.line(at, end, number + passed)
            at = end

    def preceding(self, start: int, number: int) -> Iterator[Line]:
        """The lines before the one that begins here, the nearest first, as far as `PAST` goes."""
        text, end, first = self.text, start, max(0, start - PAST)
        if start and not text.endswith(b"\n", 0, start):
            number += 1  # the beginning of the line comes first
        for passed in range(1, MOST_PASSED + 1):
            start = text.rfind(b"\n", max(0, first - 1), max(0, end - 1)) + 1
            if end <= first or start < first:
                return
            yield self.line(start, end, number - passed)
            end = start


class Passage:
    """A line that holds a literal of a reader, the literals, and the lines around it on demand.

    A reader keeps none: it holds megabytes of text around the line. What it wants to say later is made by `sighting`.

    Attributes:
        line: the line, freed of its prefixes.
        held: the literals in it.
        order: its place among all lines that any reader has been shown, of all files; for `Sighting.order`.
    """

    def __init__(
        self,
        window: Window,
        start: int,
        end: int,
        number: int,
        held: frozenset[str] = frozenset(),
        order: int = 0,
    ) -> None:
        self.held = held
        self.order = order
        self._window, self._start, self._end, self._number = window, start, end, number

    @functools.cached_property
    def line(self) -> Line:
        return self._window.line(self._start, self._end, self._number)

    @property
    def place(self) -> Place:
        return Place(self.line.file, self.line.number, self.line.node, self.line.rank)

    def sighting(self, code: str, severity: str = "error", quote: str = "", signature: str = "") -> Sighting:
        """The line as what shows a problem; `quote` where another text says it better."""
        said = (quote or self.line.text)[:LONGEST_QUOTE]
        return Sighting(signature, code, "root", severity, said, self.place, self.order, self.when)

    @functools.cached_property
    def when(self) -> float | None:
        """Seconds since the beginning of the year, by the stamp of the line or the nearest one before it."""
        own = when(self.line.raw)
        if own is not None:
            return own
        return next((found for line in self.before(NEAR)[::-1] if (found := when(line.raw)) is not None), None)

    def after(self, most: int, same_stream: bool = True) -> list[Line]:
        """The next lines, at most `most`; only those of the same node, rank and process unless told otherwise."""
        if not same_stream:
            return list(itertools.islice(self._window.following(self._end, self._number), most))
        return self._after.taken(most)

    def before(self, most: int) -> list[Line]:
        """The lines before of the same node, rank and process, the nearest last; at most `most`."""
        return self._before.taken(most)[::-1]

    @functools.cached_property
    def _after(self) -> _OneWriter:
        return _OneWriter(self._window.following(self._end, self._number), self.line)

    @functools.cached_property
    def _before(self) -> _OneWriter:
        return _OneWriter(self._window.preceding(self._start, self._number), self.line)


class _OneWriter:
    """The lines on one side that the writer of a line wrote as well, looked for once, as far as they are asked for."""

    def __init__(self, lines: Iterator[Line], line: Line) -> None:
        stream = line.stream
        self._left = (one for one in lines if one.stream == stream)
        self._found: list[Line] = []

    def taken(self, most: int) -> list[Line]:
        self._found += itertools.islice(self._left, max(0, most - len(self._found)))
        return self._found[:most]
