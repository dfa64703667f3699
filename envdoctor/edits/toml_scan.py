"""Where the parts of a TOML document stand. The text must be valid TOML, which tomllib says and this does not."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Path = tuple[str, ...]
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
SCALAR = re.compile(r"[^\s,#\]}]+(?: \d[^\s,#\]}]*)?")  # a date and a time may have a space between them


@dataclass(frozen=True)
class Node:
    """A value: where it stands, the pairs of an inline table, the items of an array."""

    start: int
    end: int
    pairs: tuple[Pair, ...] = ()
    items: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A key and its value. `key` is relative to its table or inline table; `inline`: it stands in the latter."""

    key: Path
    start: int
    value: Node
    inline: bool = False


@dataclass(frozen=True)
class Table:
    """A header and what follows it. The first of a document has no header: path (), start and body 0."""

    path: Path
    array: bool
    start: int
    body: int
    pairs: tuple[Pair, ...] = ()


class Scanner:
    """Finds where the parts of a valid document stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def tables(self) -> tuple[Table, ...]:
        found: list[Table] = []
        path, array, start, body = (), False, 0, 0  # type: tuple[Path, bool, int, int]
        pairs: list[Pair] = []
        while self._skip(lines=True) < len(self.text):
            if self.text[self.at] != "[":
                pairs.append(self._pair(inline=False))
                continue
            found.append(Table(path, array, start, body, tuple(pairs)))
            start, pairs = self.at, []
            array = self.text.startswith("[[", self.at)
            self.at += 2 if array else 1
            path = self._key()
            self.at = body = self.text.index("]", self.at) + (2 if array else 1)
        found.append(Table(path, array, start, body, tuple(pairs)))
        return tuple(found)

    def _skip(self, lines: bool) -> int:
        """Past white space, and past line ends and comments where `lines`; the new position."""
        pattern = r"(?:[ \t\r\n]|#[^\n]*)*" if lines else r"[ \t]*"
        found = re.compile(pattern).match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        return self.at

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip(lines=False)
            start = self.at
            if self.text[start] in "\"'":
                self._string()
                parts.append(tomllib.loads("x = " + self.text[start : self.at])["x"])
            else:
                found = BARE_KEY.match(self.text, start)
                assert found is not None
                self.at = found.end()
                parts.append(found.group())
            end = self.at
            self._skip(lines=False)
            if not self.text.startswith(".", self.at):
                self.at = end
                return tuple(parts)
            self.at += 1

    def _pair(self, inline: bool) -> Pair:
        start = self.at
        key = self._key()
        self._skip(lines=False)
        self.at += 1  # the equals sign
        self._skip(lines=False)
        return Pair(key, start, self._value(), inline)

    def _string(self) -> None:
        mark = self.text[self.at]
        many = self.text.startswith(mark * 3, self.at)
        ends = {
            ('"', False): r'"(?:[^"\\]|\\.)*"',
            ('"', True): r'"""(?:[^\\]|\\.)*?"{3,5}(?!")',
            ("'", False): r"'[^']*'",
            ("'", True): r"'''.*?'{3,5}(?!')",
        }
        found = re.compile(ends[mark, many], re.S).match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def _value(self) -> Node:
        start, first = self.at, self.text[self.at]
        items: list[Node] = []
        pairs: list[Pair] = []
        if first in "\"'":
            self._string()
        elif first in "[{":
            self.at += 1
            last = "]" if first == "[" else "}"
            while self.text[self._skip(lines=True)] != last:
                if self.text[self.at] == ",":
                    self.at += 1
                elif first == "[":
                    items.append(self._value())
                else:
                    pairs.append(self._pair(inline=True))
            self.at += 1
        else:
            found = SCALAR.match(self.text, self.at)
            assert found is not None
            self.at = found.end()
        return Node(start, self.at, tuple(pairs), tuple(items))
