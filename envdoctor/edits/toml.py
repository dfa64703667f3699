"""Text edits of TOML files that keep every byte they need not touch: comments, order, quotes, line ends, a BOM.

A document is read twice. tomllib says what it means; a scanner, which may trust that it is valid TOML, says where each
part stands. An edit is a splice of text, and what the result means is compared with what was to come of it: where the
two differ, the edit is refused rather than made.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envdoctor.edits.toml_scan import BARE_KEY, Node, Pair, Path, Scanner, Table
from envdoctor.errors import EnvdoctorError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BOM = "\ufeff"


class NotToml(EnvdoctorError):
    """The bytes are no TOML document; the text says where it ends to be one."""

    exit_code = 2


class CannotEdit(EnvdoctorError):
    """The document is written in a way that this edit does not know."""


@dataclass(frozen=True)
class Item:
    """One entry of an array of tables, written as [[path]] or as an inline table in an array."""

    pairs: tuple[Pair, ...]
    table: Table | None = None
    node: Node | None = None
    among: Node | None = None

    def pair(self, key: str) -> Pair | None:
        return next((pair for pair in self.pairs if pair.key == (key,)), None)


class Document:
    """A TOML file's bytes, read.

    Attributes:
        text: without the BOM.
        value: as tomllib has it.
        tables: in their order.

    Raises:
        NotToml: they are none.
    """

    def __init__(self, content: bytes) -> None:
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise NotToml(f"byte {error.start} is no UTF-8") from error
        self.bom = BOM if text.startswith(BOM) else ""
        self.text = text.removeprefix(BOM)
        try:
            self.value: dict[str, Any] = tomllib.loads(self.text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise NotToml(str(error) or "it is nested too deeply") from error
        self.tables = Scanner(self.text).tables()

    @property
    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def content(self) -> bytes:
        return (self.bom + self.text).encode()

    def line_of(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def pairs(self) -> Iterable[tuple[Path, Pair]]:
        """Every pair outside of arrays with its whole path, those of inline tables included."""
        for table in self.tables:
            if not any(other.array and other.path == table.path[: len(other.path)] for other in self.tables):
                yield from _flat(table.path, table.pairs)

    def pair(self, path: Path) -> Pair | None:
        return next((pair for found, pair in self.pairs() if found == path), None)

    def items(self, path: Path) -> tuple[Item, ...]:
        """The entries of the array of tables at a path."""
        headed = [Item(table.pairs, table=table) for table in self.tables if table.array and table.path == path]
        pair = self.pair(path)
        if headed or pair is None:
            return tuple(headed)
        return tuple(Item(node.pairs, node=node, among=pair.value) for node in pair.value.items)

    def value_of(self, pair: Pair) -> Any:
        return tomllib.loads("x = " + self.text[pair.value.start : pair.value.end])["x"]

    def spliced(self, splices: Sequence[tuple[int, int, str]], intended: Callable[[dict[str, Any]], None]) -> Document:
        """The document with parts of its text replaced.

        Args:
            splices: start, end and new text of each, none overlapping another.
            intended: makes of the present value what is meant to come of it.

        Raises:
            CannotEdit: something else would come of it.
        """
        text = self.text
        for start, end, new in sorted(splices, reverse=True):
            text = text[:start] + new + text[end:]
        expected = copy.deepcopy(self.value)
        try:
            intended(expected)
        except (AttributeError, LookupError, TypeError) as error:
            raise CannotEdit("something else stands where a table or a list should") from error
        try:
            found = Document((self.bom + text).encode())
        except NotToml as error:
            raise CannotEdit(f"the edit would break the file: {error}") from error
        if _pruned(found.value) != _pruned(expected):
            raise CannotEdit("the edit would change more than it should")
        return found


def _flat(path: Path, pairs: Iterable[Pair]) -> Iterable[tuple[Path, Pair]]:
    for pair in pairs:
        yield path + pair.key, pair
        yield from _flat(path + pair.key, pair.value.pairs)


def _pruned(value: Any) -> Any:
    """A value without its empty tables and arrays: a header without keys says nothing."""
    if isinstance(value, dict):
        kept = {key: _pruned(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in ({}, [])}
    # 1 equals True in Python, and no nan equals another.
    return [_pruned(part) for part in value] if isinstance(value, list) else (type(value).__name__, repr(value))


def within(value: dict[str, Any], path: Path) -> Any:
    """What stands at a path of a document's value."""
    found: Any = value
    for part in path:
        found = found[part]
    return found


def quoted(text: str, like: str = '"') -> str:
    """A TOML string; in single quotes where the one it replaces was."""
    if like.startswith("'") and not like.startswith("'''") and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _literal(value: str | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else quoted(value)


def set_value(document: Document, path: Path, value: str) -> Document:
    """A string put in the place of the value at a path. Raises CannotEdit."""
    pair = document.pair(path)
    if pair is None:
        raise CannotEdit(f"{'.'.join(path)} is not written as a key and a value")
    new = quoted(value, document.text[pair.value.start :])
    return document.spliced(
        [(pair.value.start, pair.value.end, new)],
        lambda told: within(told, path[:-1]).__setitem__(path[-1], value),
    )


def set_in_item(document: Document, path: Path, number: int, key: str, value: str) -> Document:
    """A string put in the place of a value of an entry of an array of tables. Raises CannotEdit."""
    pair = document.items(path)[number].pair(key)
    if pair is None:
        raise CannotEdit(f"entry {number + 1} of {'.'.join(path)} has no {key}")
    new = quoted(value, document.text[pair.value.start :])
    return document.spliced(
        [(pair.value.start, pair.value.end, new)],
        lambda told: within(told, path)[number].__setitem__(key, value),
    )


def remove_value(document: Document, path: Path) -> Document:
    """The document without a key and its value. Raises CannotEdit."""
    found = next(((table, pair) for table in document.tables for at, pair in _flat(table.path, table.pairs)
                  if at == path and not table.array), None)  # fmt: skip
    if found is None:
        raise CannotEdit(f"{'.'.join(path)} is not written as a key and a value")
    pair = found[1]
    cut = _inline_cut(document, found[0].pairs, pair) if pair.inline else _lines(document.text, pair)
    return document.spliced([(*cut, "")], lambda told: within(told, path[:-1]).pop(path[-1]))


def remove_item(document: Document, path: Path, number: int) -> Document:
    """The document without an entry of an array of tables, and the tables below it. Raises CannotEdit."""
    item = document.items(path)[number]
    if item.node is not None and item.among is not None:
        cuts = [_cut_among(document.text, [(node.start, node.end) for node in item.among.items], number, item.among)]
    else:
        assert item.table is not None
        at = document.tables.index(item.table)
        rest = document.tables[at + 1 :]
        until = next((n for n, table in enumerate(rest) if table.path == path), len(rest))
        below = [table for table in rest[:until] if table.path[: len(path)] == path]
        cuts = [_block(document.text, table) for table in (item.table, *below)]
    return document.spliced([(*cut, "") for cut in cuts], lambda told: within(told, path).pop(number))


def add_item(document: Document, path: Path, pairs: Mapping[str, str | bool]) -> Document:
    """The document with another entry at the end of an array of tables. Raises CannotEdit."""
    newline = document.newline
    inline = document.pair(path)

    def intended(told: dict[str, Any]) -> None:
        for part in path[:-1]:
            told = told.setdefault(part, {})
        told.setdefault(path[-1], []).append(dict(pairs))

    if inline is None:
        lines = ["[[" + ".".join(_key(part) for part in path) + "]]"]
        lines += [f"{_key(key)} = {_literal(value)}" for key, value in pairs.items()]
        text = document.text
        before = "" if not text or text.endswith("\n") else newline
        before += newline if text.strip() and not text.endswith(("\n\n", "\n\r\n")) else ""
        return document.spliced([(len(text), len(text), before + newline.join(lines) + newline)], intended)
    entry = "{ " + ", ".join(f"{_key(key)} = {_literal(value)}" for key, value in pairs.items()) + " }"
    array = inline.value
    if not array.items:
        return document.spliced([(array.start, array.end, f"[{entry}]")], intended)
    last = array.items[-1]
    line = document.text.rfind("\n", array.start, last.start) + 1
    indent = document.text[line : last.start] if line and document.text[line : last.start].isspace() else ""
    between = f",{newline}{indent}" if indent else ", "
    return document.spliced([(last.end, last.end, between + entry)], intended)


def add_root_value(document: Document, key: str, value: str) -> Document:
    """The document with another key before its first table. Raises CannotEdit."""
    newline, root = document.newline, document.tables[0]
    line = f"{_key(key)} = {quoted(value)}{newline}"
    at = _lines(document.text, root.pairs[-1])[1] if root.pairs else 0
    if at and not document.text[:at].endswith("\n"):
        line = newline + line
    if not root.pairs and document.text.strip():
        line += newline
    return document.spliced([(at, at, line)], lambda told: told.__setitem__(key, value))


def _key(part: str) -> str:
    return part if BARE_KEY.fullmatch(part) else quoted(part)


def _line_end(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


def _lines(text: str, pair: Pair) -> tuple[int, int]:
    """The whole lines of a pair that is not inline, with the comment behind it."""
    return text.rfind("\n", 0, pair.start) + 1, _line_end(text, pair.value.end)


def _block(text: str, table: Table) -> tuple[int, int]:
    """A header with its pairs, and one of the blank lines around them; comments before and after it stay."""
    start = text.rfind("\n", 0, table.start) + 1
    end = _lines(text, table.pairs[-1])[1] if table.pairs else _line_end(text, table.body)
    follows = _line_end(text, end)
    if end < len(text) and not text[end:follows].strip():
        return start, follows
    above = text.rfind("\n", 0, start - 1) + 1 if start else 0
    if end == len(text) and start and not text[above:start].strip():
        return above, end
    return start, end


def _inline_cut(document: Document, pairs: Iterable[Pair], pair: Pair) -> tuple[int, int]:
    """A pair of an inline table with the comma that goes with it."""
    for _, holder in _flat((), pairs):
        if pair in holder.value.pairs:
            spans = [(one.start, one.value.end) for one in holder.value.pairs]
            return _cut_among(document.text, spans, holder.value.pairs.index(pair), holder.value)
    raise CannotEdit("it stands in a table that is not found")


def _cut_among(text: str, spans: list[tuple[int, int]], number: int, holder: Node) -> tuple[int, int]:
    if number + 1 < len(spans):
        return spans[number][0], spans[number + 1][0]
    if number:
        return spans[number - 1][1], spans[number][1]
    comma = re.compile(r"(?:\s|#[^\n]*\n)*,").match(text, spans[0][1], holder.end)
    return spans[0][0], comma.end() if comma else spans[0][1]
