"""Lists of hosts as schedulers write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

MOST = 65536  # hosts; no cluster has more, and a hostile range must not fill the memory
DEEP = 4  # bracketed ranges in one name; Slurm itself writes at most two dimensions


class NoList(ValueError):
    """A text that is no list of hosts; `zh` says so in Chinese."""

    def __init__(self, message: str, zh: str) -> None:
        super().__init__(message)
        self.zh = zh


def expand(text: str) -> tuple[str, ...]:
    """The hosts of a list in Slurm's compressed form, "gpu[01-03,07]-ib,login1", in order.

    Other forms read as well: separated by commas or white space, and a JSON list of names. At most 65536 hosts.

    Raises:
        NoList: a bracket is not closed, a range is none, or there are too many.
    """
    text = text.strip()
    if text.startswith("[") and '"' in text:
        return _json_list(text)
    found: list[str] = []
    for part in parts(text):
        if part.count("[") > DEEP:
            raise NoList(f"more than {DEEP} ranges in {part!r}", f"{part!r} 中的范围超过 {DEEP} 个")
        for host in _expand_one(part):
            if len(found) == MOST:
                raise NoList(f"more than {MOST} hosts", f"主机超过 {MOST} 台")
            found.append(host)
    return tuple(found)


def _json_list(text: str) -> tuple[str, ...]:
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise NoList("no list of names", "不是名称列表") from None
    if not isinstance(listed, list) or not all(isinstance(host, str) for host in listed):
        raise NoList("no list of names", "不是名称列表")
    return tuple(listed[:MOST])


def parts(text: str) -> Iterator[str]:
    """The parts between commas and white space outside of brackets."""
    part, depth = "", 0
    for letter in text:
        if depth == 0 and (letter == "," or letter.isspace()):
            if part:
                yield part
            part = ""
            continue
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if depth not in (0, 1):
            raise NoList(f"brackets do not match in {text!r}", f"{text!r} 中的方括号不匹配")
        part += letter
    if depth:
        raise NoList(f"a bracket is not closed in {text!r}", f"{text!r} 中的方括号没有闭合")
    if part:
        yield part


def _expand_one(pattern: str) -> Iterator[str]:
    before, bracket, rest = pattern.partition("[")
    if not bracket:
        yield pattern
        return
    inside, _, after = rest.partition("]")
    for piece in inside.split(","):
        for number in _range(piece):
            for tail in _expand_one(after):
                yield before + number + tail


def _range(piece: str) -> Iterator[str]:
    found = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", piece.strip())
    if found is None:
        if not piece.strip():
            raise NoList("there is no number between the brackets", "方括号中没有数字")
        raise NoList(f"{piece!r} is no range of numbers", f"{piece!r} 不是数字范围")
    first, last = found.group(1), found.group(2) or found.group(1)
    if int(last) < int(first):
        raise NoList(f"the range {piece!r} runs backwards", f"范围 {piece!r} 的起点大于终点")
    if int(last) - int(first) >= MOST:
        raise NoList(f"more than {MOST} hosts", f"主机超过 {MOST} 台")
    for number in range(int(first), int(last) + 1):
        yield str(number).zfill(len(first))


def fold(names: Iterable[str], most: int = 8) -> str:
    """Names in few characters, "gpu[01-03,07],login": the form that `expand` reads.

    Names that differ in their last number stand together, in the order of that number.

    Args:
        most: so many groups, and ranges in a group, are shown; what is left out is shown as "...". 0 for all.
    """
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for name in dict.fromkeys(names):
        found = re.fullmatch(r"(.*?)(\d{1,9})(\D*)", name, re.DOTALL)
        before, number, after = found.groups() if found else (name, "", "")
        groups.setdefault((before, after, bool(number)), []).append(number)
    told = [_folded(before, numbers, after, most) for (before, after, _), numbers in groups.items()]
    left = len(told) - most if most else 0
    return ",".join(told[: most or None]) + (f",... (+{left})" if left > 0 else "")


def _folded(before: str, numbers: list[str], after: str, most: int) -> str:
    if len(numbers) == 1:
        return before + numbers[0] + after
    # Where one is written with zeros before it, all of that width are; "9" and "09" are two names.
    padded = {len(number) for number in numbers if number.startswith("0")}
    spans: list[tuple[str, int]] = []  # first as written, last
    for number in sorted(numbers, key=lambda one: (len(one) not in padded, len(one) in padded and len(one), int(one))):
        if spans and number == str(spans[-1][1] + 1).zfill(len(spans[-1][0])):
            spans[-1] = spans[-1][0], int(number)
        else:
            spans.append((number, int(number)))
    shown = [first if int(first) == last else f"{first}-{str(last).zfill(len(first))}" for first, last in spans]
    left = ",..." if most and len(shown) > most else ""
    return f"{before}[{','.join(shown[: most or None])}{left}]{after}"


def per_node(text: str) -> tuple[int, ...]:
    """The counts of Slurm's "4(x2),3" form, one per node: (4, 4, 3). Raises ValueError for anything else."""
    counts: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:\(x(\d+)\))?\s*", part)
        if found is None or len(counts) + int(found.group(2) or 1) > MOST:
            raise ValueError(f"{text!r} holds no counts per node")
        counts += [int(found.group(1))] * int(found.group(2) or 1)
    return tuple(counts)
