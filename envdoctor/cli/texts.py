"""Reads texts for a verb, with progress on standard error where it takes time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.model import Language
    from envdoctor.readers.scan import Reading

QUIET_S = 1.0  # what is done before that needs no progress
EVERY_S = 0.2


def read(names: Sequence[str], language: Language, quiet: bool) -> Reading:
    """What the texts tell.

    Raises:
        UsageError: one of them cannot be read.
    """
    from envdoctor.readers import scan

    with _Progress(names, language, quiet) as progress:
        return scan.read(names, progress.told)


class _Progress:
    """One line that is rewritten: which file, how much of it, how fast."""

    def __init__(self, names: Sequence[str], language: Language, quiet: bool) -> None:
        self._names = list(names)
        self._language = language
        self._on = not quiet and sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._shown = False

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *ending: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def told(self, name: str, done: int) -> None:
        now = time.monotonic()
        if not self._on or now - self._began < QUIET_S or now - self._last < EVERY_S:
            return
        from envdoctor.render import line

        self._last = now
        self._shown = True
        size = os.path.getsize(name) if os.path.isfile(name) else 0
        share = f"{done / size:.0%}" if size else f"{done / 1e6:.0f} MB"
        number = f" ({self._names.index(name) + 1}/{len(self._names)})" if len(self._names) > 1 else ""
        verb = "正在读取" if self._language == "zh" else "reading"
        print(f"\r\x1b[K{verb} {line(name)}{number} {share}", end="", file=sys.stderr, flush=True)
