"""Reads error lines by the signature catalogue."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.knowledge.signatures import Signature, rows
from envdoctor.readers.needles import MOST_LINES
from envdoctor.readers.passage import Passage

MOST_RANKS = 64
MOST_VARIANTS = 20  # of one row, with different values
LONGEST_QUOTE = 400
UNRECOGNISED = "error-unrecognised"  # of a line that no other row knows, be it as harmless


class Signatures:
    """Sightings of the catalogue's rows: the first of each row and set of values, with a count and the ranks."""

    def __init__(self) -> None:
        self._by_needle: dict[str, list[tuple[int, Signature]]] = {}
        for number, row in enumerate(rows()):
            for needle in row.needles:
                self._by_needle.setdefault(needle, []).append((number, row))
        self._found: dict[tuple[str, tuple[Value, ...]], Sighting] = {}
        self._times: Counter[tuple[str, tuple[Value, ...]]] = Counter()
        self._variants: dict[str, int] = {}
        self._ranks: dict[tuple[str, tuple[Value, ...]], set[int]] = {}

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(self._by_needle, MOST_LINES)

    def read(self, passage: Passage) -> None:
        found: list[tuple[int, int, Signature, re.Match[str]]] = []
        tried = dict(one for needle in passage.held for one in self._by_needle.get(needle, ()))
        for number, row in tried.items():
            text = passage.line.text
            if row.lines > 1:
                text = "\n".join([text, *(line.text for line in passage.after(row.lines - 1))])
            match = expression(row.pattern).search(text)
            if match is not None:
                found.append((match.start(), number, row, match))
        # Of several that know the line, the one whose words come first is the likelier to name what happened.
        for _, _, row, match in sorted(found, key=lambda one: one[:2]):
            if row.id != UNRECOGNISED or len(found) == 1:
                self._keep(row, match, passage)

    def _keep(self, row: Signature, match: re.Match[str], passage: Passage) -> None:
        values = tuple(Value(name, told[:200]) for name, told in match.groupdict().items() if told is not None)
        key = (row.id, values)
        line = passage.line
        if key not in self._found:
            if self._variants.get(row.id, 0) >= MOST_VARIANTS:
                return
            self._variants[row.id] = self._variants.get(row.id, 0) + 1
            self._found[key] = Sighting(
                row.id, row.code, row.kind, row.severity, quote(match, line.text),
                passage.place, passage.order, passage.when,
                values=values,
            )  # fmt: skip
        self._times[key] += 1
        ranks = self._ranks.setdefault(key, set())
        if line.rank is not None and len(ranks) < MOST_RANKS:
            ranks.add(line.rank)

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return [
            replace(seen, times=self._times[key], ranks=tuple(sorted(self._ranks[key])))
            for key, seen in self._found.items()
        ]


@functools.cache
def expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def quote(match: re.Match[str], text: str) -> str:
    """The matched line, cut around the match where it is long."""
    start = text.rfind("\n", 0, match.start()) + 1
    line = text[start : (text.find("\n", match.end()) + 1 or len(text) + 1) - 1]
    at = match.start() - start
    if len(line) <= LONGEST_QUOTE:
        return line.strip()
    first = max(0, min(at - 40, len(line) - LONGEST_QUOTE))
    return ("..." if first else "") + line[first : first + LONGEST_QUOTE].strip() + "..."
