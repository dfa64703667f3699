"""Small edits that make an INI file readable again where configparser refuses it; none where what is meant is not sure.

Nothing that is written is lost: a line that cannot be read becomes a comment, a list that is written twice becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envdoctor.edits.ini import Normal, Unfit, commented, options, text_of
from envdoctor.patient import ini
from envdoctor.patient.ini import Fault

BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
HEADER = re.compile(r"\[(.+)\]")
MOST = 50  # faults of one file


def fault_of(data: bytes, encoding: str = "utf-8", normal: Normal = str.lower) -> Fault | None:
    """Why configparser refuses a file, None where it does not."""
    try:
        ini.read(ini.lines_of(data, encoding), normal)
    except Fault as fault:
        return fault
    return None


def mended(
    data: bytes, lists: tuple[str, ...] = (), encoding: str = "utf-8", normal: Normal = str.lower
) -> tuple[bytes, tuple[Fault, ...]]:
    """The file as configparser takes it, and the faults that were mended, in order.

    Args:
        lists: keys whose values are lists: written twice, both are meant.
        encoding: in which the file is to be read.

    Raises:
        Fault: the first one that has no sure remedy.
    """
    faults: list[Fault] = []
    while fault := fault_of(data, encoding, normal):
        if len(faults) == MOST:
            raise fault
        faults.append(fault)
        remedy = REMEDIES[fault.kind]
        after = remedy(data, fault, lists, encoding, normal)
        if after is None or after == data:
            raise fault
        data = after
    return data, tuple(faults)


def _without_bom(data: bytes, fault: Fault, *_: object) -> bytes | None:
    return data[len(BOM) :] if data.startswith(BOM) else None


def _decodable(data: bytes, fault: Fault, lists: tuple[str, ...], encoding: str, normal: Normal) -> bytes | None:
    """A file of UTF-16, as Windows' shells write it, or comments in another encoding."""
    if encoding.lower().replace("-", "") not in ("utf8", "ascii", "ansi_x3.41968"):
        return None
    if data.startswith(UTF_16):
        try:
            return data.decode("utf-16").encode(encoding)
        except UnicodeError:
            return None
    lines = data.splitlines(keepends=True)
    body = lines[fault.line - 1]
    if not body.lstrip().startswith((b"#", b";")):
        return None
    # A comment of a Chinese editor, else of a western one; which it was matters to nobody but its reader.
    for guess in ("gb18030", "latin-1"):
        try:
            lines[fault.line - 1] = body.decode(guess).encode(encoding)
        except UnicodeError:
            continue
        if guess == "latin-1" or re.search("[\u4e00-\u9fff]", body.decode(guess)):
            return b"".join(lines)
    return None


def _with_header(data: bytes, fault: Fault, *_: object) -> bytes | None:
    """[global] before the first value; where that section follows anyway, its header moves up."""
    lines = data.splitlines(keepends=True)
    end = next((line[len(line.rstrip(b"\r\n")) :] for line in lines if line.endswith((b"\n", b"\r"))), b"\n")
    for number in range(fault.line, len(lines)):
        found = HEADER.match(text_of(lines[number]).strip())
        if found:
            if found[1] == "global":
                header = lines.pop(number)
                lines.insert(fault.line - 1, header.strip() + end)
                return b"".join(lines)
            break
    lines.insert(fault.line - 1, b"[global]" + end)
    return b"".join(lines)


def _one_section(data: bytes, fault: Fault, lists: tuple[str, ...], encoding: str, normal: Normal) -> bytes | None:
    """What stands below the second header goes to the end of the first section of that name."""
    lines = data.splitlines(keepends=True)
    headers = [
        number
        for number, line in enumerate(lines)
        if line[:1] == b"[" and HEADER.match(text_of(line).strip())
    ]  # fmt: skip
    second = fault.line - 1
    first = next((n for n in headers if HEADER.match(text_of(lines[n]).strip())[1] == fault.text), None)  # type: ignore[index]
    if first is None or second not in headers or first == second:
        return None  # an indented header may be many things
    after_first = min(n for n in [*headers, len(lines)] if n > first)
    after_second = min(n for n in [*headers, len(lines)] if n > second)
    block = lines[second + 1 : after_second]
    while after_first > first + 1 and not lines[after_first - 1].strip():
        after_first -= 1
    head, between, rest = lines[:after_first], lines[after_first:second], lines[after_second:]
    if head and not head[-1].endswith((b"\n", b"\r")):
        return None
    if block and not block[-1].endswith((b"\n", b"\r")) and (between or rest):
        block[-1] += head[-1][len(head[-1].rstrip(b"\r\n")) :]
    return b"".join([*head, *block, *between, *rest])


def _one_option(data: bytes, fault: Fault, lists: tuple[str, ...], encoding: str, normal: Normal) -> bytes | None:
    """A list written twice becomes one; of any other option the second is made a comment."""
    lines = data.splitlines(keepends=True)
    last = fault.line
    indent = _column(lines[fault.line - 1])
    while last < len(lines) and lines[last].strip() and _column(lines[last]) > indent:
        last += 1
    if fault.text.replace("_", "-") not in lists:
        return commented(data, fault.line, last)
    try:
        before = options(b"".join(lines[: fault.line - 1]), normal)
    except (Fault, Unfit):
        return None
    first = next((item for item in reversed(before) if item.key == fault.text), None)
    found = ini.OPTION.match(text_of(lines[fault.line - 1]).strip())
    if first is None or found is None:
        return None
    words = [*found.group(2).split(), *(word for line in lines[fault.line : last] for word in _words(line))]
    new = [word for word in words if word not in first.value.split()]
    body = lines[first.last_line - 1].rstrip(b"\r\n")
    lines[first.last_line - 1] = (
        b" ".join([body.rstrip(), *(word.encode() for word in new)]) + (lines[first.last_line - 1][len(body) :])
    )
    return b"".join(lines[: fault.line - 1] + lines[last:])


def _words(line: bytes) -> list[str]:
    text = text_of(line).strip()
    return [] if text.startswith(("#", ";")) else text.split()


def _column(line: bytes) -> int:
    text = text_of(line)
    return len(text) - len(text.lstrip())


def _as_comment(data: bytes, fault: Fault, *_: object) -> bytes | None:
    return commented(data, fault.line, fault.line)


REMEDIES: dict[str, Callable[..., bytes | None]] = {
    "bom": _without_bom,
    "not-decodable": _decodable,
    "no-section-header": _with_header,
    "duplicate-section": _one_section,
    "duplicate-option": _one_option,
    "bad-line": _as_comment,
}
