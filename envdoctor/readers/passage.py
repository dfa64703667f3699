"""A line that can matter, in its surroundings."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from envdoctor.facts.log import Place, Sighting
from envdoctor.readers.lines import Line, split, when

# Bytes of text before a line that are still at hand; after it, at least the following piece is.
PAST = 1 << 16
REACH = 1 << 16
# Lines before one without a stamp among which one is looked for: a long traceback.
NEAR = 200
LONGEST_QUOTE = 400


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
        file: str,
        window: bytes,
        start: int,
        end: int,
        number: int,
        held: frozenset[str] = frozenset(),
        order: int = 0,
    ) -> None:
        self.file = file
        self.held = held
        self.order = order
        self._window, self._start, self._end, self._number = window, start, end, number

    @functools.cached_property
    def line(self) -> Line:
        return split(self._window[self._start : self._end], self.file, self._number)

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
        return self._taken(self._following(), most, same_stream)

    def before(self, most: int, same_stream: bool = True) -> list[Line]:
        """The lines before, the nearest last; at most `most`."""
        return self._taken(self._preceding(), most, same_stream)[::-1]

    def _taken(self, lines: Iterator[Line], most: int, same_stream: bool) -> list[Line]:
        found: list[Line] = []
        for line in lines:
            if len(found) >= most:
                break
            if not same_stream or line.stream == self.line.stream:
                found.append(line)
        return found

    def _following(self) -> Iterator[Line]:
        at, number, last = self._end, self._number, min(len(self._window), self._end + REACH)
        while at < last:
            end = self._window.find(b"\n", at) + 1 or len(self._window)
            number += 1
            yield split(self._window[at:end], self.file, number)
            at = end

    def _preceding(self) -> Iterator[Line]:
        end, number, first = self._start, self._number, max(0, self._start - PAST)
        while end > first:
            start = self._window.rfind(b"\n", 0, end - 1) + 1
            if start < first:
                return
            number -= 1
            yield split(self._window[start:end], self.file, number)
            end = start
