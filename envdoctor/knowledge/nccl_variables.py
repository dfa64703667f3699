"""The variables of NCCL and torch.distributed: which names are read, and what becomes of a value."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass
from typing import Any

from envdoctor.knowledge import table

# NCCL since 2.24.3 refuses to start with a word in NCCL_ALGO or NCCL_PROTO that it does not know.
REFUSES_WORDS = (2, 24, 3)


@dataclass(frozen=True)
class Misread:
    """A value that is not taken as it was meant.

    Attributes:
        taken_as: what the reader makes of it: "0", "8", "unset"; empty where it refuses to start.
        accepts: the values it reads, in short.
        fails: whether the program ends with an error for it.
        meant: the value that was probably meant, empty if that is not plain.
    """

    taken_as: str = ""
    accepts: str = ""
    fails: bool = False
    meant: str = ""


# Words and units that people write where a number is read.
ON, OFF = ("true", "yes", "on", "enable", "enabled", "t", "y"), ("false", "no", "off", "disable", "disabled", "f", "n")
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
FAMILIES = {
    "ipv4": "AF_INET",
    "ipv6": "AF_INET6",
    "inet": "AF_INET",
    "inet6": "AF_INET6",
    "4": "AF_INET",
    "6": "AF_INET6",
}


def _rows() -> dict[str, Any]:
    return table("nccl_variables")


@functools.cache
def _names(*path: str) -> frozenset[str]:
    found: Any = _rows()
    for part in path:
        found = found[part]
    return frozenset(found.split())


@functools.cache
def known() -> frozenset[str]:
    """Every NCCL_ name that the newest NCCL reads, and former ones."""
    gone = (word.partition("=")[0] for word in _names("nccl", "gone"))
    return frozenset(f"NCCL_{name}" for name in (*_names("nccl", "numbers"), *_names("nccl", "words"), *gone))


def last_read(name: str) -> str:
    """The last NCCL release that read a name that is gone: "2.19.4"; empty for others."""
    gone = dict(word.split("=") for word in _names("nccl", "gone"))
    return gone.get(name.removeprefix("NCCL_"), "")


def renamed(name: str) -> str:
    """The name that took the place of an old one, empty for others."""
    found: str = _rows()["renamed"].get(name, "")
    return found


def foreign(name: str) -> bool:
    """Whether an NCCL_ name belongs to another reader than NCCL: torch, a plugin, a build system, an image."""
    bare = name.removeprefix("NCCL_")
    return bare in _names("nccl", "foreign") or bare.startswith(tuple(_names("nccl", "foreign_prefixes")))


def meant(name: str) -> str | None:
    """The name that an unread one was probably meant to be; None where nothing is near, "" where the name is fine."""
    listed = _rows()["misspelt"].get(name)
    if listed:
        return str(listed)
    if not name.startswith("NCCL_") or name in known() or foreign(name) or renamed(name):
        return ""
    near = difflib.get_close_matches(name, known(), n=1, cutoff=0.86)
    return near[0] if near else None


def _number(value: str) -> int | None:
    """A value that strtoll with base 0 reads whole, None for another."""
    found = re.fullmatch(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\s*", value)
    if found is None:
        return None
    digits = found.group(2)
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    return int(digits, base) * (-1 if found.group(1) == "-" else 1)


def _beginning(value: str) -> int:
    """What strtoll makes of the beginning of a value."""
    found = re.match(r"\s*[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+)", value)
    text = found.group().strip() if found else "0"
    number = _number(text)
    # "08": octal digits end before the 8.
    return number if number is not None else _beginning(text[:-1])


def misread(name: str, value: str, version: str = "") -> Misread | None:
    """What becomes of a value that NCCL or torch does not take as meant; None for one that is read well or unknown.

    Args:
        name: full name of the variable.
        version: of NCCL, empty if unknown.
    """
    if name.startswith("TORCH_"):
        return _misread_by_torch(name, value)
    bare = name.removeprefix("NCCL_")
    if bare in _names("nccl", "numbers"):
        return _misread_number(bare, value)
    rows = _rows()["nccl"]
    if bare in _names("nccl", "levels", "names"):
        levels = rows["levels"]["values"].split()
        fine = value in levels or value[:1].isdigit() or not value
        meant = value.strip().upper()
        return None if fine else Misread("unset", ", ".join(levels), meant=meant if meant in levels else "")
    if bare in rows["choices"] and bare != "exact_case":
        words = rows["choices"][bare].split()
        exact = bare in _names("nccl", "choices", "exact_case")
        fine = value in words or (not exact and value.upper() in words) or not value
        meant = FAMILIES.get(value.strip().lower(), value.strip().upper())
        return None if fine else Misread("unset", ", ".join(words), meant=meant if meant in words else "")
    if bare in ("ALGO", "PROTO", "DEBUG_SUBSYS"):
        return _misread_list(bare, value, version)
    return None


def _misread_number(bare: str, value: str) -> Misread | None:
    if not value:
        return None
    number = _number(value)
    switch = bare in _names("nccl", "switches", "names")
    low, high = _rows()["nccl"]["ranges"].get(bare, (0, 1) if switch else (None, None))
    accepts = f"{low} .. {high}" if low is not None else "a number"
    accepts = "0, 1" if switch else accepts
    if number is None:
        return Misread(str(_beginning(value)), accepts, meant=_number_meant(value, switch))
    if low is not None and not low <= number <= high and number != -2:
        return Misread(str(number), accepts)
    if re.match(r"\s*[+-]?0[0-7]+\s*$", value) and int(value, 10) != number:
        return Misread(f"{number} (octal)", accepts, meant=str(int(value, 10)))
    return None


def _number_meant(value: str, switch: bool) -> str:
    word = value.strip().lower()
    sized = re.fullmatch(r"(\d+)\s*([kmg])(i?b)?", word)
    if sized and not switch:
        return str(int(sized.group(1)) * UNITS[sized.group(2)])
    return "1" if word in ON else "0" if word in OFF else ""


def _misread_list(bare: str, value: str, version: str) -> Misread | None:
    rows = _rows()["nccl"]["lists"]
    words = {word.lower() for word in rows[bare].split()}
    functions = {word.lower() for word in rows["functions"].split()}
    accepts = ", ".join(rows[bare].split())
    for part in value.split(";") if bare != "DEBUG_SUBSYS" else [value]:
        prefix, colon, rest = part.partition(":")
        elements = (rest if colon else prefix).removeprefix("^").split(",")
        unknown = [word for word in elements if word and word.lower() not in words]
        if unknown or (colon and prefix.lower() not in functions):
            found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
            old = found is not None and tuple(map(int, found.groups())) < REFUSES_WORDS
            fails = bare != "DEBUG_SUBSYS" and not old
            return Misread("" if fails else "unset", accepts, fails)
    return None


def _misread_by_torch(name: str, value: str) -> Misread | None:
    """torch's getCvarBool and getCvarInt raise for anything else (torch/csrc/distributed/c10d/Utils.hpp)."""
    if name in _names("torch", "booleans") and value.lower() not in (
        *("y", "yes", "1", "t", "true"),
        *("n", "no", "0", "f", "false"),
    ):
        return Misread("", "0, 1, true, false", fails=True, meant=_number_meant(value, switch=True))
    if name in _names("torch", "numbers") and not re.match(r"\s*[+-]?\d", value):
        return Misread("", "a number", fails=True)
    return None
