"""Edits of INI files as Python's configparser reads them for pip: a value, a line, a section, and nothing else.

What stands where is read by `envdoctor.patient.ini`, so that an edit and a reading can never differ. Every edit is read
again before it is given out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from envdoctor.patient import ini
from envdoctor.patient.ini import Fault, Item

Normal = Callable[[str], str]
# A line of an option: everything up to its delimiter, the blanks behind it, its value.
LINE = re.compile(rb"(?P<head>\s*.*?\s*[=:])(?P<gap>[ \t]*)(?P<value>.*)", re.S)


class Unfit(ValueError):
    """The file is such that the edit would change more than it should; nothing is edited."""


def text_of(data: bytes) -> str:
    """The text of a file: UTF-8, else a character for each byte, so that every line keeps its number."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def options(data: bytes, normal: Normal = str.lower, headers: dict[str, int] | None = None) -> list[Item]:
    """The options of a file in order, with their lines. Raises Fault where configparser would refuse it."""
    return ini.read(ini.lines_of(text_of(data).encode(), "utf-8"), normal, headers)


def replaced(data: bytes, item: Item, value: str, normal: Normal = str.lower) -> bytes:
    """The file with another value for an option; lines that continued the old one are gone, comments stay."""
    lines = data.splitlines(keepends=True)
    lines[item.line - 1] = _with_value(lines[item.line - 1], value)
    after = _joined(_without(lines, _continuations(lines, item)), data)
    return _checked(data, after, normal, gone=_twins(data, item, normal), new=value)


def removed(data: bytes, item: Item, normal: Normal = str.lower) -> bytes:
    """The file without an option and the lines that continue it; comments stay, and so does an empty section."""
    lines = data.splitlines(keepends=True)
    after = _joined(_without(lines, {item.line - 1, *_continuations(lines, item)}), data)
    gone = _twins(data, item, normal)
    result = _checked(data, after, normal, gone=gone)
    names = {said[:2] for said in gone}
    if any((one.section, one.key) in names for one in options(result, normal)):
        raise Unfit("[DEFAULT] says it as well")
    return result


def without_words(data: bytes, item: Item, words: Iterable[str], normal: Normal = str.lower) -> bytes:
    """The file with some words of a list taken out; the option itself goes with the last of them."""
    gone = set(words)
    kept = [word for word in item.value.split() if word not in gone]
    if not kept:
        return removed(data, item, normal)
    if item.line == item.last_line:
        return replaced(data, item, " ".join(kept), normal)
    lines = data.splitlines(keepends=True)
    empty = set()
    for number in (item.line - 1, *sorted(_continuations(lines, item))):
        body, end = _parted(lines[number])
        found = LINE.fullmatch(body) if number == item.line - 1 else None
        value = text_of(found["value"] if found else body)
        left = [word for word in value.split() if word not in gone]
        if left == value.split():
            continue
        if found:
            lines[number] = found["head"] + (found["gap"] if left else b"") + " ".join(left).encode() + end
        elif left:
            lines[number] = _blanks(body) + " ".join(left).encode() + end
        else:
            empty.add(number)
    after = _joined(_without(lines, empty), data)
    result = _checked(data, after, normal, gone=_twins(data, item, normal), new=None)
    found_now = [one.value.split() for one in options(result, normal) if one.line == item.line]
    if not found_now or any(words_now != kept for words_now in found_now):
        raise Unfit("the list did not come out as it should")
    return result


def with_word(data: bytes, item: Item, word: str, normal: Normal = str.lower) -> bytes:
    """The file with one more word at the end of a list."""
    if not item.value.strip():
        return replaced(data, item, word, normal)
    lines = data.splitlines(keepends=True)
    body, end = _parted(lines[item.last_line - 1])
    lines[item.last_line - 1] = body.rstrip() + f" {word}".encode() + end
    return _checked(data, b"".join(lines), normal, gone=_twins(data, item, normal), new=f"{item.value} {word}")


def added(data: bytes, section: str, key: str, value: str, normal: Normal = str.lower, end: bytes = b"\n") -> bytes:
    """The file with one more option, at the end of its section, in the manner of the options around it.

    Args:
        end: line end of a file that has none yet.
    """
    headers: dict[str, int] = {}
    items = options(data, normal, headers)
    lines = data.splitlines(keepends=True)
    end = _common_end(lines) or end
    like = _delimiter(lines, items, section)
    if section in headers:
        own = [item for item in items if item.section == section and item.line > headers[section]]
        behind = max([item.last_line for item in own] or [headers[section]])
        model = max(own, key=lambda item: item.line).line if own else headers[section]
        blanks = _blanks(_parted(lines[model - 1])[0])
        if not own:
            # A header that is indented deeper than the option before it would continue that option.
            following = next((line for line in lines[behind:] if not _is_silent(line)), b"")
            blanks = max(blanks, _blanks(_parted(following)[0]), key=len)
        new = [blanks + f"{key}{like}{value}".encode() + end]
    else:
        behind = len(lines)
        parting = [end] if lines and not _is_blank(lines[-1]) else []
        new = [*parting, f"[{section}]".encode() + end, f"{key}{like}{value}".encode() + end]
    if behind and not lines[behind - 1].endswith((b"\n", b"\r")):
        lines[behind - 1] += end
    after = _joined([*lines[:behind], *new, *lines[behind:]], data)
    return _checked(data, after, normal, new=value, added=(section, normal(key)))


def commented(data: bytes, first: int, last: int) -> bytes:
    """The file with lines, counted from 1, made comments; blank lines and comments among them stay as they are."""
    lines = data.splitlines(keepends=True)
    for number in range(first - 1, min(last, len(lines))):
        if not _is_silent(lines[number]):
            lines[number] = b"# " + lines[number]
    return b"".join(lines)


def _parted(line: bytes) -> tuple[bytes, bytes]:
    body = line.rstrip(b"\r\n")
    return body, line[len(body) :]


def _blanks(body: bytes) -> bytes:
    return body[: len(body) - len(body.lstrip())]


def _is_blank(line: bytes) -> bool:
    return not text_of(line).strip()


def _is_silent(line: bytes) -> bool:
    """Whether configparser takes nothing from the line: it is blank or a comment."""
    return _is_blank(line) or text_of(line).strip().startswith(("#", ";"))


def _with_value(line: bytes, value: str) -> bytes:
    body, end = _parted(line)
    found = LINE.fullmatch(body)
    if found is None:
        raise Unfit("the line has no delimiter")
    head, gap = found["head"], found["gap"]
    if not found["value"] and not gap and (head[-1:] == b":" or head[-2:-1].isspace()):
        gap = b" "
    return head + gap + value.encode() + end


def _continuations(lines: list[bytes], item: Item) -> set[int]:
    """Positions of the lines that continue a value; comments between them do not."""
    return {number for number in range(item.line, min(item.last_line, len(lines))) if not _is_silent(lines[number])}


def _without(lines: list[bytes], gone: set[int]) -> list[bytes]:
    return [line for number, line in enumerate(lines) if number not in gone]


def _joined(lines: list[bytes], before: bytes) -> bytes:
    """The lines as a file that ends as the old one did: with a line end or without."""
    data = b"".join(lines)
    if before and not before.endswith((b"\n", b"\r")) and data.endswith((b"\n", b"\r")):
        data = data[:-2] if data.endswith(b"\r\n") else data[:-1]
    return data


def _common_end(lines: list[bytes]) -> bytes:
    counted = Counter(_parted(line)[1] for line in lines)
    del counted[b""]
    return counted.most_common(1)[0][0] if counted else b""


def _delimiter(lines: list[bytes], items: list[Item], section: str) -> str:
    """The delimiter with its blanks, as the options of the section have it, else the file's others."""
    for item in sorted(items, key=lambda one: (one.section != section, -one.line)):
        found = re.match(rb"\s*[^\s=:]+([ \t]*[=:][ \t]*)\S", lines[item.line - 1])
        if found:
            return found[1].decode()
    return " = "


Said = tuple[str, str, str]


def _said(items: Iterable[Item]) -> Counter[Said]:
    return Counter((item.section, item.key, item.value) for item in items)


def _twins(data: bytes, item: Item, normal: Normal) -> Counter[Said]:
    """What the lines of an option say: once, or in every section for one of [DEFAULT]."""
    return _said(one for one in options(data, normal) if one.line == item.line)


def _checked(
    before: bytes, after: bytes, normal: Normal, gone: Counter[Said] | None = None, new: str | None = None,
    added: tuple[str, str] | None = None,
) -> bytes:  # fmt: skip
    """`after`, if it says what `before` did but for what was to change. Raises Unfit otherwise."""
    was = _said(options(before, normal))
    try:
        found = _said(options(after, normal))
    except Fault as fault:
        raise Unfit(str(fault)) from fault
    gone = gone or Counter()
    lost, came = was - found, found - was
    # A new section would bring what [DEFAULT] says into effect.
    if added is not None and any((said[0], said[1]) != added for said in came):
        raise Unfit("other options would change")
    if lost - gone:
        raise Unfit("other options would be lost")
    if added is not None and came[(added[0], added[1], new or "")] != 1:
        raise Unfit("the option did not come out as it should")
    if added is None and any((said[0], said[1]) not in {(one[0], one[1]) for one in gone} for said in came):
        raise Unfit("other options would change")
    if added is None and new is not None and any(said[2] != new for said in came):
        raise Unfit("the value did not come out as it should")
    return after
