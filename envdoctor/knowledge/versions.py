"""Versions as the drivers, CUDA, NCCL and torch write them: numbers between dots."""

from __future__ import annotations

import functools
import re

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


@functools.cache
def numbers(version: str) -> tuple[int, ...]:
    """(525, 60, 13) of "525.60.13", (2, 13, 0) of "2.13.0+cu130"; () of what does not start with a number."""
    found = _NUMBERS.match(version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def at_least(version: str, floor: str) -> bool:
    """Whether `version` is `floor` or newer; "580" is as new as "580.0". Both must start with a number."""
    mine, least = numbers(version), numbers(floor)
    length = max(len(mine), len(least))
    return mine + (0,) * (length - len(mine)) >= least + (0,) * (length - len(least))


def minor(version: str) -> tuple[int, int]:
    """(12, 6) of "12.6.3" and of "12.6"; (12, 0) of "12"; (0, 0) of what does not start with a number."""
    found = (*numbers(version), 0, 0)
    return found[0], found[1]
