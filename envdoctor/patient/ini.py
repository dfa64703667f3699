"""INI files exactly as Python's configparser reads them for pip, with the line of every value and of every fault.

configparser itself names neither the line of a value nor keeps what it read before a fault, and costs its import.
The rules are those of `RawConfigParser()` as pip makes it: `=` or `:` delimits, `#` and `;` at the start of a line
comment it, deeper indented lines continue a value, a key or section that comes twice is a fault.
"""

import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

# Up to Python 3.8 a section ends at the first bracket, later at the last one of the line.
SECTION = re.compile(r"\[([^]]+)\]" if sys.version_info < (3, 9) else r"\[(.+)\]")
OPTION = re.compile(r"(.*?)\s*[=:]\s*(.*)$")
DEFAULT = "DEFAULT"


class Fault(Exception):
    """The file is not what configparser accepts.

    Attributes:
        kind: "bom", "no-section-header", "duplicate-section", "duplicate-option", "bad-line" or "not-decodable".
        line: where, from 1.
        text: the line as it stands, or the name that comes twice.
    """

    def __init__(self, kind: str, line: int, text: str) -> None:
        Exception.__init__(self, "%s in line %d: %s" % (kind, line, text))
        self.kind = kind
        self.line = line
        self.text = text


class Item(object):
    """A value and where it stands: from the line of its key to the last line that continues it."""

    def __init__(self, section: str, key: str, value: str, line: int) -> None:
        self.section = section
        self.key = key
        self.line = line
        self.last_line = line
        self.lines = [value]

    @property
    def value(self) -> str:
        return "\n".join(self.lines).rstrip()


def lines_of(data: bytes, encoding: str) -> "List[str]":
    """The lines of a file as text mode gives them. Raises Fault for bytes the encoding does not know."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        at = data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
        raise Fault("not-decodable", at, "byte 0x%02x is not %s" % (data[error.start], encoding))
    except LookupError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read(
    lines: "List[str]", normal: "Callable[[str], str]" = str.lower, headers: "Optional[Dict[str, int]]" = None
) -> "List[Item]":
    """The values of a file in order, those of [DEFAULT] repeated in every section.

    Args:
        normal: what makes two spellings of a key the same key.
        headers: takes the line of every section's header, up to the first fault.

    Raises:
        Fault: the first fault that configparser reports.
    """
    sections: "Dict[str, Dict[str, Item]]" = {}
    defaults: "Dict[str, Item]" = {}
    current: "Optional[Dict[str, Item]]" = None
    name = ""
    item: "Optional[Item]" = None
    seen: "Set[Tuple[str, str]]" = set()
    indent = 0
    bad: "Optional[Fault]" = None
    for number, line in enumerate(lines, 1):
        content = line.strip()
        if content.startswith(("#", ";")):
            continue
        if not content:
            if item is not None:
                item.lines.append("")
            continue
        column = len(line) - len(line.lstrip())
        if item is not None and column > indent:
            item.lines.append(content)
            item.last_line = number
            continue
        indent = column
        header = SECTION.match(content)
        if header:
            name, item = header.group(1), None
            if name in sections:
                raise Fault("duplicate-section", number, name)
            if headers is not None:
                headers.setdefault(name, number)
            if name == DEFAULT:
                current = defaults
            else:
                current = sections[name] = {}
            continue
        if current is None:
            raise Fault("bom" if line.startswith("\ufeff") else "no-section-header", number, line)
        option = OPTION.match(content)
        if option is None:
            bad = bad or Fault("bad-line", number, line)
            continue
        key = normal(option.group(1).rstrip())
        if (name, key) in seen:
            raise Fault("duplicate-option", number, key)
        seen.add((name, key))
        current[key] = found = Item(name, key, option.group(2).strip(), number)
        # A line without a key is a fault, and what follows it is no continuation.
        item = found if option.group(1) else None
        if item is None:
            bad = bad or Fault("bad-line", number, line)
    if bad is not None:
        raise bad
    return _with_defaults(sections, defaults)


def _with_defaults(sections: "Dict[str, Dict[str, Item]]", defaults: "Dict[str, Item]") -> "List[Item]":
    found: "List[Item]" = []
    for name, own in sections.items():
        for key, item in defaults.items():
            if key not in own:
                copy = Item(name, key, "", item.line)
                copy.lines = item.lines
                copy.last_line = item.last_line
                found.append(copy)
            else:
                found.append(own[key])
        found += [item for key, item in own.items() if key not in defaults]
    return found
