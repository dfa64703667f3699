"""Text edits of condarc files, conda's YAML: lists and maps of scalars at the top level.

Only the lines of what is changed are touched. A key may be written in any way conda reads (block or flow style,
quotes, comments, the markers #!final, #!top and #!bottom); what goes beyond that is refused where it would have to be
edited, and left alone elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from envdoctor.edits.yaml_scalars import KEY, NotUnderstood, Scalar, ends, goes_on, scalar, spaces, written

BOM = "\ufeff"
# Line breaks of YAML 1.1 besides \n, and what YAML forbids: the lines here would not be those that conda sees.
ODD = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


@dataclass
class _Key:
    """A top-level key: its line, the column after its colon and the content lines below it."""

    name: str
    line: int
    after: int
    body: list[int] = field(default_factory=list)


class CondarcText:
    """A condarc file that is being edited. Raises NotUnderstood for one that is not read as it stands."""

    def __init__(self, data: bytes) -> None:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotUnderstood(data[: error.start].count(b"\n") + 1, "it is not UTF-8") from None
        self._bom = BOM if text.startswith(BOM) else ""
        text = text[len(self._bom) :]
        if odd := ODD.search(text):
            raise NotUnderstood(text[: odd.start()].count("\n") + 1, f"the character {odd[0]!r}")
        self._lines = text.split("\n")
        self._end = "\r" if self._lines[0].endswith("\r") else ""
        self._read()

    def data(self) -> bytes:
        """The file as it is now."""
        return (self._bom + "\n".join(self._lines)).encode()

    def _line(self, number: int) -> str:
        return self._lines[number].removesuffix("\r")

    def _read(self) -> None:
        self._keys: dict[str, _Key] = {}
        current: _Key | None = None
        for number in range(len(self._lines)):
            line = self._line(number)
            content = line.strip(" \t")
            if not content or content.startswith("#"):
                continue
            if line.startswith("---") and ends(line, 3) and not self._keys:
                continue
            if line[0] in " \t" or re.match(r"-(\s|$)", line):
                if current is None:
                    raise NotUnderstood(number + 1, "an entry above the first key")
                current.body.append(number)
                continue
            found = KEY.match(line)
            if found is None:
                raise NotUnderstood(number + 1, "no key stands there")
            current = _Key(scalar(found[1], 0, number, flow=True).value, number, found.end())
            if current.name in self._keys:
                raise NotUnderstood(number + 1, f"{current.name} stands there twice")
            self._keys[current.name] = current
            self._refuse_open_end(line, current)

    def _refuse_open_end(self, line: str, key: _Key) -> None:
        """A flow collection or quoted text that goes on in the next line may hold what looks like a key."""
        start = spaces(line, key.after)
        if line[start : start + 1] in ("[", "{", '"', "'") and goes_on(line[start:]):
            raise NotUnderstood(key.line + 1, f"the value of {key.name} goes on in the next line")

    @property
    def keys(self) -> tuple[str, ...]:
        """The top-level keys."""
        return tuple(self._keys)

    def line_of(self, key: str) -> int:
        """The 1-based line of a key, 0 if it is not there."""
        return self._keys[key].line + 1 if key in self._keys else 0

    def final(self, key: str) -> bool:
        """Whether #!final marks the key: then nothing in a stronger file counts."""
        found = self._keys.get(key)
        return bool(found) and found is not None and "#!final" in self._line(found.line)

    def items(self, key: str) -> tuple[str, ...]:
        """The values of a list; a key that is absent or empty has none. Raises NotUnderstood for another kind."""
        return tuple(item.value for item in self._list(key))

    def pairs(self, key: str) -> dict[str, str]:
        """The entries of a map of scalars; a key that is absent or empty has none. Raises NotUnderstood."""
        return {name.value: value.value for name, value in self._map(key)}

    def scalar(self, key: str) -> str:
        """The value of a key that has a single one, "" where it is absent or empty. Raises NotUnderstood."""
        found = self._keys.get(key)
        if found is None:
            return ""
        line = self._line(found.line)
        start = spaces(line, found.after)
        if ends(line, found.after) and not found.body:
            return ""
        value = scalar(line, start, found.line)
        if found.body or not ends(line, value.end):
            raise NotUnderstood(found.line + 1, f"{key} is no single value")
        return "" if line[start] not in "\"'" and value.value in ("~", "null") else value.value

    def _inline(self, key: _Key) -> str:
        """What the line of the key starts its value with: "[", "{", "" for nothing. Raises NotUnderstood."""
        line = self._line(key.line)
        start = spaces(line, key.after)
        if ends(line, key.after):
            return ""
        if line[start] in "[{" and not key.body:
            return line[start]
        if re.compile(r"(~|null)\s*(#.*)?$").match(line, start) and not key.body:
            return "~"
        raise NotUnderstood(key.line + 1, f"the value of {key.name} is written in a way that is not edited here")

    def _list(self, name: str) -> list[Scalar]:
        key = self._keys.get(name)
        if key is None:
            return []
        style = self._inline(key)
        if style in ("[", "~"):
            return [one for one, _ in self._flow(key, "]", pairs=False)[0]] if style == "[" else []
        if style == "{":
            if self._flow(key, "}", pairs=True)[0]:
                raise NotUnderstood(key.line + 1, f"{name} is no list")
            return []
        found = []
        indents = set()
        for number in key.body:
            line = self._line(number)
            dash = re.match(r"( *)-( +|$)", line)
            if dash is None or dash.end() == len(line):
                raise NotUnderstood(number + 1, f"no entry of a plain list, as {name} should be")
            indents.add(len(dash[1]))
            value = scalar(line, dash.end(), number)
            if not ends(line, value.end):
                raise NotUnderstood(number + 1, "more than one value")
            found.append(value)
        if len(indents) > 1:
            raise NotUnderstood(key.body[0] + 1, f"the entries of {name} are indented differently")
        return found

    def _map(self, name: str) -> list[tuple[Scalar, Scalar]]:
        key = self._keys.get(name)
        if key is None:
            return []
        style = self._inline(key)
        if style == "~":
            return []
        if style == "[":
            raise NotUnderstood(key.line + 1, f"{name} is no map")
        if style == "{":
            return [(one, value) for one, value in self._flow(key, "}", pairs=True)[0] if value is not None]
        found = []
        indents = set()
        for number in key.body:
            line = self._line(number)
            entry = re.match(r" *(?! )", line)
            label = KEY.match(line, entry.end()) if entry else None
            if label is None or not label.start() or ends(line, label.end()):
                raise NotUnderstood(number + 1, f"no entry of a plain map, as {name} should be")
            indents.add(label.start())
            value = scalar(line, spaces(line, label.end()), number)
            if not ends(line, value.end):
                raise NotUnderstood(number + 1, "more than one value")
            found.append((scalar(label[1], 0, number, flow=True), value))
        if len(indents) > 1:
            raise NotUnderstood(key.body[0] + 1, f"the entries of {name} are indented differently")
        names = [one.value for one, _ in found]
        if len(set(names)) < len(names):
            raise NotUnderstood(key.line + 1, f"{name} has an entry twice")
        return found

    def _flow(self, key: _Key, close: str, pairs: bool) -> tuple[list[tuple[Scalar, Scalar | None]], int]:
        """The elements of a flow collection on one line, and the column after it.

        Raises:
            NotUnderstood: it holds another collection.
        """
        line = self._line(key.line)
        column = spaces(line, spaces(line, key.after) + 1)
        found: list[tuple[Scalar, Scalar | None]] = []
        while line[column : column + 1] != close:
            value: Scalar | None = None
            if pairs:
                label = re.compile(r"(\"[^\"\\]*\"|'[^']*'|[A-Za-z_][\w.-]*)\s*:\s+").match(line, column)
                if label is None:
                    raise NotUnderstood(key.line + 1, f"no entry of a plain map in {key.name}")
                one = scalar(label[1], 0, key.line, flow=True)
                value = scalar(line, label.end(), key.line, flow=True)
                column = value.end
            else:
                one = scalar(line, column, key.line, flow=True)
                column = one.end
            found.append((one, value))
            column = spaces(line, column)
            if line[column : column + 1] == ",":
                column = spaces(line, column + 1)
            elif line[column : column + 1] != close:
                raise NotUnderstood(key.line + 1, f"{key.name} is no plain list or map")
        if not ends(line, column + 1):
            raise NotUnderstood(key.line + 1, f"something follows the value of {key.name}")
        return found, column + 1

    def set_items(self, key: str, wanted: Sequence[str]) -> None:
        """Make a list hold these values; none takes the key out. Lines of values that stay are not touched."""
        old = self._list(key)
        if [item.value for item in old] == list(wanted):
            return
        if not wanted:
            self.remove(key)
        elif key not in self._keys:
            self._append([f"{key}:", *(f"  - {written(value)}" for value in wanted)])
        elif not old or old[0].line == self._keys[key].line:
            self._put_flow(self._keys[key], "[]", [self._again(old, value) for value in wanted])
        else:
            self._put_block(old, wanted)
        self._read()

    def set_pairs(self, key: str, wanted: Mapping[str, str]) -> None:
        """Make a map hold these entries; none takes the key out. Lines of entries that stay are not touched."""
        old = self._map(key)
        if {name.value: value.value for name, value in old} == dict(wanted):
            return
        if not wanted:
            self.remove(key)
        elif key not in self._keys:
            self._append([f"{key}:", *(f"  {written(name)}: {written(value)}" for name, value in wanted.items())])
        elif not old or old[0][1].line == self._keys[key].line:
            names, values = [name for name, _ in old], [value for _, value in old]
            told = [f"{written(name)}: {self._again(values, value)}" for name, value in self._ordered(names, wanted)]
            self._put_flow(self._keys[key], "{}", told)
        else:
            self._put_map(old, wanted)
        self._read()

    def remove(self, key: str) -> None:
        """Take a key out with all its values; comments on lines of their own stay."""
        found = self._keys.get(key)
        if found is None:
            return
        self._unindent_comments(found)
        gone = [found.line, *found.body]
        if gone[-1] == len(self._lines) - 1:
            self._lines.append("")  # the line break above belongs to the value above
        for number in reversed(gone):
            self._drop(number)
        self._read()

    def _unindent_comments(self, key: _Key) -> None:
        """Comments of a key that goes would become text of a block scalar (| or >) above it."""
        order = [*self._keys.values(), _Key("", len(self._lines), 0)]
        place = order.index(key)
        above = order[place - 1] if place else None
        if above is None or self._line(above.line)[spaces(self._line(above.line), above.after) :][:1] not in ("|", ">"):
            return
        for number in range(key.line + 1, order[place + 1].line):
            if self._lines[number].lstrip(" \t").startswith("#"):
                self._lines[number] = self._lines[number].lstrip(" \t")

    def _drop(self, number: int) -> None:
        last = number == len(self._lines) - 1
        del self._lines[number]
        if last and self._lines:  # the file ended without a line break, and does so again
            self._lines[-1] = self._lines[-1].removesuffix("\r")
        if not self._lines:
            self._lines = [""]

    def _append(self, told: list[str]) -> None:
        closed = self._lines[-1] == ""
        if closed:
            self._lines.pop()
        elif self._end:
            self._lines[-1] += self._end
        self._lines += [line + self._end for line in told]
        if closed:
            self._lines.append("")
        else:
            self._lines[-1] = self._lines[-1].removesuffix("\r")

    def _quote_of(self, one: Scalar) -> str:
        mark = self._line(one.line)[one.start]
        return mark if mark in "\"'" else ""

    def _again(self, old: Sequence[Scalar], value: str) -> str:
        """A value in flow style: as it stood where it did, else in the quotes of its neighbours."""
        for one in old:
            if one.value == value:
                return self._line(one.line)[one.start : one.end]
        return written(value, self._quote_of(old[0]) if old else "")

    @staticmethod
    def _ordered(old: Sequence[Scalar], wanted: Mapping[str, str]) -> list[tuple[str, str]]:
        kept = [name.value for name in old if name.value in wanted]
        return [(name, wanted[name]) for name in dict.fromkeys([*kept, *wanted])]

    def _put_flow(self, key: _Key, brackets: str, told: Sequence[str]) -> None:
        line = self._line(key.line)
        start = spaces(line, key.after)
        if line[start : start + 1] in ("[", "{"):
            end = self._flow(key, brackets[1], brackets == "{}")[1]
        else:
            named = re.compile(r"~|null").match(line, start)
            start, end = (start, named.end()) if named else (key.after, key.after)
        gap = "" if line[start - 1 : start] == " " else " "
        ending = "\r" if self._lines[key.line].endswith("\r") else ""
        text = gap + brackets[0] + ", ".join(told) + brackets[1]
        self._lines[key.line] = line[:start] + text + line[end:] + ending

    def _replaced(self, one: Scalar, value: str) -> None:
        raw = self._lines[one.line]
        self._lines[one.line] = raw[: one.start] + written(value, self._quote_of(one)) + raw[one.end :]

    def _insert(self, number: int, told: str) -> None:
        """A line before the line of this number; at the end of a file without a final line break, none is added."""
        if number == len(self._lines):
            if self._end:
                self._lines[-1] += self._end
            self._lines.append(told)
        else:
            self._lines.insert(number, told + self._end)

    def _put_block(self, old: list[Scalar], wanted: Sequence[str]) -> None:
        prefix = self._line(old[0].line)[: old[0].start]
        quote = self._quote_of(old[0])
        matcher = SequenceMatcher(None, [item.value for item in old], list(wanted), autojunk=False)
        for what, a, b, c, d in reversed(matcher.get_opcodes()):
            if what == "equal":
                continue
            both = min(b - a, d - c)
            for value in reversed(wanted[c + both : d]):
                at = old[a + both - 1].line + 1 if a + both else old[0].line
                self._insert(at, prefix + written(value, quote))
            for one in reversed(old[a + both : b]):
                self._drop(one.line)
            for offset in range(both):
                self._replaced(old[a + offset], wanted[c + offset])

    def _put_map(self, old: list[tuple[Scalar, Scalar]], wanted: Mapping[str, str]) -> None:
        line = self._line(old[0][1].line)
        indent = line[: len(line) - len(line.lstrip(" "))]
        there = {name.value for name, _ in old}
        added = [(name, value) for name, value in wanted.items() if name not in there]
        for name, value in reversed(added):
            self._insert(old[-1][1].line + 1, f"{indent}{written(name)}: {written(value)}")
        for label, place in reversed(old):
            if label.value not in wanted:
                self._drop(place.line)
            elif wanted[label.value] != place.value:
                self._replaced(place, wanted[label.value])
