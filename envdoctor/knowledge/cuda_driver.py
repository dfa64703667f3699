"""Which CUDA runs on which NVIDIA driver, and whether the driver can still translate PTX of that CUDA."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from envdoctor.knowledge import rows
from envdoctor.knowledge.versions import at_least, minor, numbers

# full: everything works. minor: compiled code runs by minor-version compatibility, but the driver cannot translate
# PTX that this CUDA made. no: cudaErrorInsufficientDriver. unknown: neither release nor level is known, or the CUDA
# is newer than the table.
Reach = Literal["full", "minor", "no", "unknown"]


@dataclass(frozen=True)
class Floor:
    """The first driver release for a CUDA major version or, before minor-version compatibility, a CUDA version."""

    cuda: str
    linux: str
    windows: str


@dataclass(frozen=True)
class Branch:
    """A driver branch, 535 of "535.104.05", and the newest CUDA it supports."""

    release: int
    cuda: str


@functools.cache
def cuda_of(tag: str) -> str:
    """ "12.6" of "cu126", "9.2" of "cu92". Raises ValueError for what is no tag of a CUDA build."""
    found = re.fullmatch(r"cu(\d+)(\d)", tag)
    if not found:
        raise ValueError(f"{tag!r} is no CUDA build")
    return f"{found.group(1)}.{found.group(2)}"


def tag_of(cuda: str) -> str:
    """ "cu126" of "12.6" and of "12.6.3"; "" of an empty version."""
    return "cu{}{}".format(*minor(cuda)) if numbers(cuda) else ""


@functools.cache
def floor(cuda: str, windows: bool = False) -> str:
    """First driver release on which programs of this CUDA ("12.6") start; "" if the table does not know it.

    Inside WSL the driver is that of Windows.
    """
    asked = minor(cuda)
    exact: tuple[Floor, ...] = rows("cuda_driver", "exact", Floor)
    families: tuple[Floor, ...] = rows("cuda_driver", "family", Floor)
    own = [row for row in exact if minor(row.cuda) == asked]
    own += [row for row in families if minor(row.cuda)[0] == asked[0]]
    if not own:
        return ""
    return own[0].windows if windows else own[0].linux


def full_branch(cuda: str) -> int | None:
    """First driver branch that supports this CUDA in full, PTX included; None if the table does not know it."""
    able = (row.release for row in rows("cuda_driver", "branch", Branch) if minor(row.cuda) >= minor(cuda))
    return min(able, default=None)


@functools.cache
def level(release: str) -> str:
    """Newest CUDA that a driver release supports, by its branch; "" if it is unknown or older than the table.

    A branch between two of the table counts as the older, one after the last as the last: no more is promised.
    """
    branch = (*numbers(release), 0)[0]
    known = [row for row in rows("cuda_driver", "branch", Branch) if row.release <= branch]
    return known[-1].cuda if known else ""


@functools.cache
def reach(cuda: str, release: str = "", cuda_level: str = "", windows: bool = False) -> Reach:
    """What a driver makes of programs of this CUDA.

    Args:
        cuda: of the program, "12.6".
        release: of the driver, "550.54.15"; "" if unknown.
        cuda_level: what cuDriverGetVersion says, "12.4"; "" if unknown. It is that of the libcuda in use, hence it
            decides wherever it is known: a forward-compatible libcuda raises it above the kernel driver's own.
        windows: the driver is a Windows one, also under WSL.
    """
    if not numbers(cuda):
        return "unknown"
    if numbers(cuda_level):
        if minor(cuda_level) >= minor(cuda):
            return "full"
        family = minor(cuda)[0] == minor(cuda_level)[0] and minor(cuda_level)[0] >= 11
        own = level(release) == cuda_level and not windows
        if own and floor(cuda) and not at_least(release, floor(cuda)):
            return "no"  # the first drivers of a branch are older than the floor of its family
        return "minor" if family else "no"
    least = floor(cuda, windows)
    if not numbers(release) or not least:
        return "unknown"
    if not at_least(release, least):
        return "no"
    # NVIDIA numbers the Windows drivers of a branch like the Linux ones: 551.61 is of branch 550.
    return "full" if minor(level(release)) >= minor(cuda) else "minor"
