"""The subset of YAML that condarc files are written in, with the line of every key.

Scalars, lists of scalars and maps of scalars or lists below a top-level key, in block or flow style, with comments,
quotes and conda's markers (#!final, #!top, #!bottom). Anything else is left out, and said so.
"""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

KEY = re.compile(r"(?P<key>\"[^\"]*\"|'[^']*'|[^\s:#][^:#]*?)\s*:(?:\s+(?P<value>.*)|\s*)$")


def strip_comment(text: str) -> str:
    """Text without a comment; a # counts at the start or after white space, outside of quotes."""
    quote = ""
    for number, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and (number == 0 or text[number - 1] in " \t[,{:"):
            quote = letter
        elif letter == "#" and (number == 0 or text[number - 1] in " \t"):
            return text[:number].rstrip()
    return text.rstrip()


def scalar(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return "" if text in ("~", "null") else text


def flow(text: str) -> "Any":
    """A value on the line of its key: [a, b], {k: v} or a scalar."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [scalar(part) for part in text[1:-1].split(",") if part.strip()]
    if text.startswith("{") and text.endswith("}"):
        found = {}
        for part in text[1:-1].split(","):
            key, colon, value = part.partition(": ")
            if colon:
                found[scalar(key)] = scalar(value)
        return found
    return scalar(text)


def finals(text: str) -> "List[str]":
    """The top-level keys marked #!final: what stronger files say of them does not count."""
    found = []
    for line in text.lstrip("\ufeff").split("\n"):
        key = KEY.match(strip_comment(line.rstrip("\r")))
        if key and line[:1] not in (" ", "\t") and re.search(r"#!final\b", line):
            found.append(scalar(key.group("key")))
    return found


def parse(text: str) -> "Tuple[Dict[str, Any], Dict[str, int], List[int]]":
    """The top-level keys of a file: their values, their lines, and the lines that were not understood."""
    values: "Dict[str, Any]" = {}
    lines: "Dict[str, int]" = {}
    odd: "List[int]" = []
    top = inner = ""
    for number, raw in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = strip_comment(raw.rstrip("\r"))
        content = line.strip()
        if not content or content in ("---", "..."):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if "\t" in line[: len(line) - len(line.lstrip())]:
            odd.append(number)
            continue
        if content == "-" or content.startswith("- "):
            item = scalar(content[1:])
            held = values.get(top)
            if inner and isinstance(held, dict) and indent > 0:
                if not isinstance(held.get(inner), list):
                    held[inner] = []
                held[inner].append(item)
            elif top and isinstance(held, (list, str)) and not (isinstance(held, str) and held):
                if not isinstance(held, list):
                    held = values[top] = []
                held.append(item)
            else:
                odd.append(number)
            continue
        found = KEY.match(content)
        if found is None:
            odd.append(number)
        elif indent == 0:
            top, inner = scalar(found.group("key")), ""
            values[top] = flow(found.group("value") or "")
            lines[top] = number
        elif top:
            if not isinstance(values[top], dict):
                if values[top]:
                    odd.append(number)
                    continue
                values[top] = {}
            inner = scalar(found.group("key"))
            values[top][inner] = flow(found.group("value") or "")
            lines[top + "." + inner] = number
        else:
            odd.append(number)
    return values, lines, odd
