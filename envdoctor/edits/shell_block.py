"""Lines in one marked block of a shell's start-up file. Outside of the block every byte stays what it is.

A block is a begin mark and the next end mark with no other begin between them. Whatever else the marks do (a begin
without an end, one inside another, an end alone) is the user's text and stays. A line of the block is known by its
purpose: the variable it sets, or what stands behind `# envdoctor:` at its end. Lines without either are the user's.

Own lines end in a line feed even in a file with Windows line ends: a shell takes a carriage return for a part of the
value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BEGIN, END = b"# >>> envdoctor >>>", b"# <<< envdoctor <<<"

_TAG = re.compile(rb"#[ \t]*envdoctor:[ \t]*(\S+)[ \t]*\r?$")
# One word without anything for the shell to expand: bare, quoted, or both.
_WORD = (
    rb"(?:[^\s'\"\\$`;&|<>()#~*?!]|'(?:[^'\\]|\\.)*'|\\.|\$'(?:[^'\\]|\\.)*'|\"[^\"$`\\]*\")(?:[^\s'\"\\$`;&|<>()*?!]"
    rb"|'(?:[^'\\]|\\.)*'|\\.|\$'(?:[^'\\]|\\.)*'|\"[^\"$`\\]*\")*"
)
_SETTING = re.compile(
    rb"(?:export[ \t]+(?P<sh>[A-Za-z_]\w*)=(?:%b)?|setenv[ \t]+(?P<csh>[A-Za-z_]\w*)[ \t]+%b"
    rb"|set[ \t]+(?:-gx|-xg|-x[ \t]+-g|-g[ \t]+-x|--global[ \t]+--export)[ \t]+(?P<fish>[A-Za-z_]\w*)[ \t]+%b)"
    rb"(?P<comment>[ \t]+#[^\r\n]*)?[ \t]*\r?" % (_WORD, _WORD, _WORD)
)


@dataclass(frozen=True)
class Line:
    """A line for the block.

    Attributes:
        purpose: the variable it sets; or for any other statement a word of its own, without blanks.
        text: the statement, without a line end.
    """

    purpose: str
    text: str

    def written(self) -> bytes:
        line = self.text.encode("utf-8", "surrogateescape")
        return line if purpose_of(line) == self.purpose else line + b"  # envdoctor: " + self.purpose.encode()


@dataclass(frozen=True)
class _Block:
    begin: int
    end: int


def purpose_of(line: bytes) -> str:
    """What a line of the block is there for, "" for a line that the user wrote or turned into a comment."""
    if line.lstrip().startswith(b"#"):
        return ""
    tagged = _TAG.search(line)
    if tagged:
        return tagged.group(1).decode("utf-8", "replace")
    found = _SETTING.fullmatch(line.strip(b"\n").lstrip())
    return next((found[group].decode() for group in ("sh", "csh", "fish") if found[group]), "") if found else ""


def put(content: bytes | None, line: Line, before: int | None = None) -> bytes:
    """The file with this line in its block, in place of one of the same purpose.

    Args:
        content: of the file, None where there is none.
        before: number of the line, from 0, that the block must stand before; None for the end of the file.
    """
    lines = _lines(content or b"")
    blocks = [block for block in _blocks(lines) if before is None or block.begin < before]
    holding = [block for block in blocks if _of(lines, block, line.purpose)]
    best = holding or blocks
    wanted = line.written()
    if not best:
        at = len(lines) if before is None else before
        opened = _closed_before(lines, at)
        made = [*opened, BEGIN + b"\n", wanted + b"\n", END + b"\n"]
        # Lines of this purpose in blocks further down would come later and win.
        return b"".join(lines[:at] + made) + _without(lines[at:], line.purpose)
    chosen = best[-1]
    own = _of(lines, chosen, line.purpose)
    if own:
        lines[own[-1]] = _renewed(lines[own[-1]], wanted)
    else:
        lines.insert(chosen.end, wanted + b"\n")
    kept = own[-1] if own else chosen.end
    return _without(lines, line.purpose, kept)


def take(content: bytes | None, purpose: str) -> bytes | None:
    """The file without the block's lines of a purpose, and without the block where nothing is left in it."""
    return None if content is None else _without(_lines(content), purpose)


def supersede(content: bytes, pattern: re.Pattern[bytes], after: int = 0) -> bytes:
    """The file with the user's own lines that fit a pattern turned into comments that keep their text.

    Only whole lines at the left margin, from line number `after` on: what stands under a condition, or does more, is
    the user's to decide about. A colon is left as a statement, because a shell's `if` or loop around it may not become
    empty.

    Args:
        pattern: of the whole line, without its end; see `sets` and `adds_to`.
    """
    lines = _lines(content)
    inside = {number for block in _blocks(lines) for number in range(block.begin, block.end)}
    for number, line in enumerate(lines):
        if number >= after and number not in inside and pattern.fullmatch(line.rstrip(b"\r\n")):
            lines[number] = b": # taken out by envdoctor: " + line
    return b"".join(lines)


def sets(name: str) -> re.Pattern[bytes]:
    """A line that does nothing but set or unset a variable, to a value that the shell need not work out."""
    word = name.encode()
    return re.compile(
        rb"(?:(?:export|(?:typeset|declare)[ \t]+-x)[ \t]+)?%b=(?:%b)?(?:[ \t]*;?|[ \t]+#.*)|unset[ \t]+%b"
        rb"|setenv[ \t]+%b[ \t]+%b|set[ \t]+(?:(?:-\w+|--\w+)[ \t]+)+%b[ \t]+%b(?:[ \t]+#.*)?"
        % (word, _WORD, word, word, _WORD, word, _WORD)
    )


def adds_to(name: str, folder: re.Pattern[bytes]) -> re.Pattern[bytes]:
    """A line that does nothing but put one folder, which fits a pattern, before or behind a list such as PATH."""
    word, one = name.encode(), rb"(?:%b)/?" % folder.pattern
    own = rb"(?:\$%b|\$\{%b\}|\$\{%b:[-+?=]:?(?:\$\{?%b\}?)?\})" % (word, word, word, word)
    return re.compile(
        rb"(?:(?:export|(?:typeset|declare)[ \t]+-x)[ \t]+)?%b=[\"']?(?:%b:?[\"']?:?%b|%b:?%b)[\"']?"
        rb"(?:[ \t]*;?|[ \t]+#.*)"
        % (word, one, own, own, one)
        + rb"|set[ \t]+(?:(?:-\w+|--\w+)[ \t]+)+%b[ \t]+%b[ \t]+\$%b|fish_add_path[ \t]+(?:-\w+[ \t]+)*%b"
        % (word, one, word, one)
    )


def after_block(content: bytes, purpose: str) -> int:
    """Number of the first line behind the block that holds a purpose; 0 where none does."""
    lines = _lines(content)
    return max((block.end + 1 for block in _blocks(lines) if _of(lines, block, purpose)), default=0)


def _lines(content: bytes) -> list[bytes]:
    # Only a line feed ends a line for a shell; splitlines() would cut at form feeds and more.
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def _blocks(lines: list[bytes]) -> list[_Block]:
    found: list[_Block] = []
    begin: int | None = None
    for number, line in enumerate(lines):
        mark = line.strip()
        if mark == BEGIN:
            begin = number
        elif mark == END and begin is not None:
            found.append(_Block(begin, number))
            begin = None
    return found


def _of(lines: list[bytes], block: _Block, purpose: str) -> list[int]:
    return [number for number in range(block.begin + 1, block.end) if purpose_of(lines[number]) == purpose]


def _renewed(old: bytes, wanted: bytes) -> bytes:
    """The new line, with the comment that the user put behind the old one."""
    found = _SETTING.fullmatch(old.strip(b"\n").lstrip())
    note = found["comment"] if found and found["comment"] and not _TAG.search(old) else b""
    return wanted + note + b"\n"


def _closed_before(lines: list[bytes], at: int) -> list[bytes]:
    """What must come before a block so that it begins a line of its own, and no line runs on into it."""
    if at == 0:
        return []
    last = lines[at - 1]
    text = last.rstrip(b"\n")
    runs_on = (len(text) - len(text.rstrip(b"\\"))) % 2 == 1
    return [b"\n"] * ((not last.endswith(b"\n")) + runs_on)


def _without(lines: list[bytes], purpose: str, kept: int | None = None) -> bytes:
    gone: set[int] = set()
    marks: set[int] = set()
    blocks = _blocks(lines)
    for block in blocks:
        own = set(_of(lines, block, purpose)) - {kept}
        gone |= own
        if own and block.end - block.begin - 1 == len(own):
            marks |= {block.begin, block.end}
    left = [line for number, line in enumerate(lines) if number not in gone | marks]
    # Between marks that do not match, taking a pair away would make another block of what was the user's text.
    if len(_blocks(left)) != len(blocks) - len(marks) // 2:
        left = [line for number, line in enumerate(lines) if number not in gone]
    return b"".join(left)
