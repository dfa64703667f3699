"""YAML scalars that stand on one line, with the columns they stand in."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLAIN_START = re.compile(r"[^\s\[\]{}&*!|>%@`\"'#,?:-]|[?:-](?=[^\s,\[\]{}])")
KEY = re.compile(r"(\"[^\"\\]*\"|'[^']*'|[A-Za-z_][\w.-]*)[ ]*:(?=[ \t]|$)")
SAFE = re.compile(r"[A-Za-z/][A-Za-z0-9._~/@+=&%-]*(?::[A-Za-z0-9._~/@+=&%-]+)*")
# YAML 1.1 reads these plain words as something else than text.
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


class NotUnderstood(ValueError):
    """A file or a key that is not edited: the 1-based line and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


@dataclass(frozen=True)
class Scalar:
    """A scalar in its line (0-based): `start` and `end` are columns, quotes included."""

    value: str
    line: int
    start: int
    end: int


def scalar(text: str, start: int, line: int, flow: bool = False) -> Scalar:
    """The scalar at this column, up to the end of the line or, in flow style, to a comma or bracket.

    Raises:
        NotUnderstood: it is none, or goes on in the next line.
    """
    found: re.Match[str] | None
    if text[start : start + 1] == '"':
        found = re.compile(r'"([^"\\]*)"').match(text, start)
        value = found[1] if found else ""
    elif text[start : start + 1] == "'":
        found = re.compile(r"'((?:[^']|'')*)'").match(text, start)
        value = found[1].replace("''", "'") if found else ""
    else:
        stop = r"(?=\s*(?:[,\[\]{}]|$|\s#))" if flow else r"(?=\s*(?:$|\s#))"
        found = re.compile(r"\S.*?" + stop).match(text, start) if PLAIN_START.match(text, start) else None
        value = found[0] if found else ""
        if re.search(r":(\s|$)", value):
            found = None
    if found is None:
        raise NotUnderstood(line + 1, "no plain text or quoted text on one line")
    return Scalar(value, line, start, found.end())


def spaces(text: str, column: int) -> int:
    """The next column that holds no white space."""
    return column + len(text[column:]) - len(text[column:].lstrip(" \t"))


def ends(text: str, column: int) -> bool:
    """Whether nothing but a comment follows."""
    return re.compile(r"\s*$|\s+#").match(text, column) is not None


def goes_on(text: str) -> bool:
    """Whether a value that starts with a bracket or a quote is not closed on its line."""
    depth, quote = 0, ""
    letters = enumerate(text)
    for column, letter in letters:
        if quote:
            if (letter == "\\" and quote == '"') or text[column : column + 2] == "''" == quote * 2:
                next(letters, None)  # what is escaped does not close it
            elif letter == quote:
                quote = ""
        elif letter in "\"'" and (column == 0 or text[column - 1] in " \t[,{:"):
            quote = letter
        elif letter == "#" and text[column - 1] in " \t":
            break
        else:
            depth += (letter in "[{") - (letter in "]}")
    return bool(quote) or depth != 0


def written(value: str, quote: str = "") -> str:
    """A scalar as YAML text, in this kind of quotes, or plain where that is safe."""
    if not quote and SAFE.fullmatch(value) and value.lower() not in WORDS:
        return value
    if quote == "'" or '"' in value or "\\" in value:
        return "'" + value.replace("'", "''") + "'"
    return f'"{value}"'
