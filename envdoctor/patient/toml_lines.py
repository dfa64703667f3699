"""The parts of a TOML file that configuration needs, with the line of every value, on any Python from 3.6 on.

tomllib names no lines and comes with Python 3.11 only. Read are tables, arrays of tables, and keys whose value is a
string, a boolean, a number, an array of strings or an array of inline tables; other values are kept as their text.
"""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

HEADER = re.compile(r"(\[\[?)\s*([^\]]+?)\s*\]\]?$")
KEY = re.compile(
    r"((?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=\s*(.*)$"
)
TOKEN = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*|[\[\]{}]|[^\[\]{}\"'#]+")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "b": "\b", "f": "\f"}


def without_comment(line: str) -> "Tuple[str, int]":
    """A line without its comment, and how many brackets it opens more than it closes."""
    kept: "List[str]" = []
    depth = 0
    for token in TOKEN.findall(line):
        if token[0] == "#":
            break
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        kept.append(token)
    return "".join(kept).strip(), depth


def names(key: str) -> str:
    """A dotted key without quotes and spaces."""
    return ".".join(part.strip().strip("\"'") for part in re.split(r"\.(?=(?:[^\"']*[\"'][^\"']*[\"'])*[^\"']*$)", key))


def value_of(text: str) -> "Any":
    """A TOML value, or its text where it is none of those read here."""
    text = text.strip().rstrip(",").strip()
    for mark in ('"""', "'''"):
        if text.startswith(mark) and text.endswith(mark) and len(text) > 5:
            text = text[2:-2]
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return re.sub(r"\\(.)", lambda match: ESCAPES.get(match.group(1), match.group(0)), text[1:-1])
    if text.startswith("'") and text.endswith("'") and len(text) > 1:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("[") and text.endswith("]"):
        return [value_of(part) for part in _parts(text[1:-1]) if part.strip()]
    if text.startswith("{") and text.endswith("}"):
        pairs = (KEY.match(part.strip()) for part in _parts(text[1:-1]))
        return {names(pair.group(1)): value_of(pair.group(2)) for pair in pairs if pair}
    return text


def _parts(text: str) -> "List[str]":
    """The parts between the commas of the outermost level."""
    parts: "List[str]" = [""]
    depth = 0
    for token in TOKEN.findall(text):
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        if depth == 0 and token[0] not in "\"'[]{}":
            first, *rest = token.split(",")
            parts[-1] += first
            parts += rest
        else:
            parts[-1] += token
    return parts


def read(text: str) -> "Iterator[Tuple[str, int, str, int, Any]]":
    """Every value: its table ("tool.uv.pip"), the table's number in an array of tables, key, line and value."""
    table, count = "", 0
    counted: "Dict[str, int]" = {}
    pending, pending_line, depth = "", 0, 0
    quotes = ""
    for number, raw in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = raw.rstrip("\r")
        if quotes:
            # Inside a string of several lines, which no setting read here has.
            quotes = "" if quotes in line else quotes
            continue
        content, opened = without_comment(line)
        if pending:
            pending += " " + content
            depth += opened
        elif not content:
            continue
        else:
            header = HEADER.match(content)
            if header and "=" not in content.partition("#")[0].partition("]")[0]:
                table = names(header.group(2))
                counted[table] = counted.get(table, -1) + 1
                count = counted[table] if header.group(1) == "[[" else 0
                continue
            for mark in ('"""', "'''"):
                if line.count(mark) % 2:
                    quotes = mark
            if quotes:
                continue
            pending, pending_line, depth = content, number, opened
        if depth > 0:
            continue
        found = KEY.match(pending)
        pending = ""
        if found:
            key = names(found.group(1))
            inside, _, last = key.rpartition(".")
            yield (
                ".".join(part for part in (table, inside) if part),
                count,
                last,
                pending_line,
                value_of(found.group(2)),
            )
