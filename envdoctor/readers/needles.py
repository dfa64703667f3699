"""Finds the lines of a text that can matter: those that hold one of a few hundred literals.

Aho-Corasick over bytes, at the speed of grep -F and more: ten million lines of a log are settled without a line of
Python being run for them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import ahocorasick_rs

from envdoctor.readers.lines import LONGEST

# A literal that every line holds tells nothing new after so many lines, and costs time for each.
MOST_LINES = 4000
# After so many literals in lines, each is worth no more than `MOST_MORE` further lines: in a text in which everything
# matters, the last million errors tell what the first hundred thousand told.
MANY = 200_000
MOST_MORE = 200
# Below this many bytes the quicker construction wins over the quicker search.
SMALL = 1 << 20
# Finds of literals that have told enough, after which a search without them pays for its construction.
WASTED = 50_000
# Of a line in which a literal stands further in than where a reader stops looking: bytes before the literal.
BEFORE = 1024
FAR = LONGEST - BEFORE


class Needles:
    """The literals of all readers, and the lines of a piece of text that hold them."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Args: limits: literal -> how many lines with it are worth a look; MOST_LINES is usual."""
        self._names = tuple(needle for needle in limits if needle)
        self._left = [limits[needle] for needle in self._names]
        self._automaton = _quick(self._names)
        self._quick = True
        self._seen = self._told_so_far = self._wasted = 0

    def _build(self) -> None:
        """The search for the literals that have not told enough yet."""
        kept = [index for index, left in enumerate(self._left) if left > 0]
        self._names = tuple(self._names[index] for index in kept)
        self._left = [self._left[index] for index in kept]
        self._automaton = _automaton(self._names, ahocorasick_rs.Implementation.DFA)
        self._quick, self._wasted = False, 0

    def candidates(self, piece: bytes) -> Iterator[tuple[int, int, frozenset[str]]]:
        """Start and end of each line that holds a literal, and the literals in it, from the first to the last.

        Of a line of more than `LONGEST` bytes it is a stretch with a literal in it, and there may be several of them.
        """
        self._seen += len(piece)
        if self._wasted > WASTED or (self._quick and self._seen > SMALL):
            self._build()
        if self._automaton is None:
            return
        left, wasted = self._left, 0
        start, end, held = -1, -1, set[int]()
        for index, at, _ in self._automaton.find_matches_as_indexes(piece, overlapping=True):
            if at < end and index in held:
                continue
            if left[index] <= 0:
                wasted += 1
                continue
            left[index] -= 1
            if at < end:
                held.add(index)
                continue
            if held:
                yield start, end, self._told(held)
            start, end = _line(piece, at)
            held = {index}
        if held:
            yield start, end, self._told(held)
        self._wasted += wasted

    def _told(self, held: set[int]) -> frozenset[str]:
        """The names of the literals of a line."""
        before = self._told_so_far
        self._told_so_far += len(held)
        if before < MANY <= self._told_so_far:
            self._left[:] = [min(left, MOST_MORE) for left in self._left]
        return frozenset([self._names[index] for index in held])


def _line(piece: bytes, at: int) -> tuple[int, int]:
    """Start and end of the line that an offset lies in, or of what is looked at of a long one."""
    start = piece.rfind(b"\n", max(0, at - FAR), at) + 1
    if not start and at > FAR:
        start = _character(piece, at - BEFORE)
    last = start + LONGEST
    return start, piece.find(b"\n", at, last) + 1 or _character(piece, last)


def _character(piece: bytes, at: int) -> int:
    """The offset, or the next one where a character begins."""
    while at < len(piece) and piece[at] & 0xC0 == 0x80:
        at += 1
    return min(at, len(piece))


def _automaton(names: tuple[str, ...], kind: ahocorasick_rs.Implementation) -> Any:
    """The search for these literals, None for none."""
    words = [name.encode("utf-8") for name in names]
    return ahocorasick_rs.BytesAhoCorasick(words, implementation=kind) if words else None


@functools.lru_cache(maxsize=1)
def _quick(names: tuple[str, ...]) -> Any:
    """The search that every text begins with: who reads many texts one by one makes it once."""
    return _automaton(names, ahocorasick_rs.Implementation.ContiguousNFA)
