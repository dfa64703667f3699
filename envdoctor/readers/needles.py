"""Finds the lines of a text that can matter: those that hold one of a few hundred literals.

Aho-Corasick over bytes, at the speed of grep -F and more: ten million lines of a log are settled without a line of
Python being run for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import ahocorasick_rs

# A literal that every line holds tells nothing new after so many lines, and costs time for each.
MOST_LINES = 4000
# Below this many bytes the quicker construction wins over the quicker search.
SMALL = 1 << 20


class Needles:
    """The literals of all readers, and the lines of a piece of text that hold them."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Args: limits: literal -> how many lines with it are worth a look; MOST_LINES is usual."""
        self._left = Counter({needle.encode("utf-8"): limit for needle, limit in limits.items() if needle})
        self._build(quick=True)
        self._seen = 0

    def _build(self, quick: bool) -> None:
        self._words = [needle for needle, left in self._left.items() if left > 0]
        self._names = [needle.decode("utf-8") for needle in self._words]
        kind = ahocorasick_rs.Implementation.ContiguousNFA if quick else ahocorasick_rs.Implementation.DFA
        self._quick = quick
        self._automaton = ahocorasick_rs.BytesAhoCorasick(self._words, implementation=kind) if self._words else None

    def candidates(self, piece: bytes) -> Iterator[tuple[int, int, frozenset[str]]]:
        """Start and end of each line that holds a literal, and the literals in it, from the first to the last."""
        self._seen += len(piece)
        if self._quick and self._seen > SMALL:
            self._build(quick=False)
        if self._automaton is None:
            return
        spent = False
        start, end, held = -1, -1, set[int]()
        for index, at, _ in self._automaton.find_matches_as_indexes(piece, overlapping=True):
            if at < end:
                held.add(index)
                continue
            if held:
                spent |= self._spend(held)
                yield start, end, frozenset(self._names[one] for one in held)
            start = piece.rfind(b"\n", 0, at) + 1
            end = piece.find(b"\n", at) + 1 or len(piece)
            held = {index}
        if held:
            spent |= self._spend(held)
            yield start, end, frozenset(self._names[one] for one in held)
        if spent:
            self._build(self._quick)

    def _spend(self, held: Iterable[int]) -> bool:
        """Count a line against its literals; True when one of them has told enough."""
        done = False
        for index in held:
            word = self._words[index]
            self._left[word] -= 1
            done |= self._left[word] == 0
        return done
