"""Which message sizes are measured: what --sizes says."""

from __future__ import annotations

import re

from envdoctor.errors import UsageError

USUAL = "8:64M"
STEP = 4
LARGEST = 1 << 40
UNITS = {"": 0, "K": 10, "M": 20, "G": 30}


def sizes(text: str) -> tuple[int, ...]:
    """The sizes, in bytes, of "8:64M": from the first to the last in steps of 4, the last among them; or of one, "1G".

    Raises:
        UsageError: the text is no such thing.
    """
    first, colon, last = text.partition(":")
    low, high = _bytes(first, text), _bytes(last if colon else first, text)
    if not 1 <= low <= high <= LARGEST:
        raise UsageError(
            f"--sizes {text}: give FROM:TO such as {USUAL}, the smaller first",
            f"--sizes {text}：应为 FROM:TO，例如 {USUAL}，较小者在前",
        )
    found = []
    size = low
    while size < high:
        found.append(size)
        size *= STEP
    return (*found, high)


def _bytes(word: str, text: str) -> int:
    """A number of bytes; K, M and G are powers of 1024, as in nccl-tests."""
    found = re.fullmatch(r"(\d{1,13})\s*([KMG]?)(i?B)?", word.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(
            f"--sizes {text}: {word!r} is no size; give FROM:TO such as {USUAL}",
            f"--sizes {text}：{word!r} 不是大小；应为 FROM:TO，例如 {USUAL}",
        )
    return int(found.group(1)) << UNITS[found.group(2).upper()]
