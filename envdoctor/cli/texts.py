"""Reads texts for a verb, with progress on standard error where it takes time."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.model import Language
    from envdoctor.readers.scan import Reading

QUIET_S = 1.0  # what is done before that needs no progress
EVERY_S = 0.2
STILL_S = 3.0  # after so long without a byte it is said what is waited for
MOST_NAMED = 5  # texts that could not be read; of the others it is said how many they are


def read(names: Sequence[str], language: Language, quiet: bool) -> Reading:
    """What the texts tell. What could not be read of them is said on standard error.

    Raises:
        UsageError: nothing of any of them can be read.
    """
    from envdoctor.filling import counted
    from envdoctor.readers import scan
    from envdoctor.render import line

    with _Progress(names, language, quiet) as progress:
        reading = scan.read(names, progress.told)
    if not reading.log.size_bytes and not reading.unread and not quiet:
        _say_that_nothing_came(names, language)
    for error in reading.unread[:MOST_NAMED]:
        print(f"envdoctor: {line(error.zh if language == 'zh' else str(error))}", file=sys.stderr)
    if (more := len(reading.unread) - MOST_NAMED) > 0:
        said = f"另有 {more} 个文件无法读取" if language == "zh" else f"{counted(more, 'more file')} cannot be read"
        print(f"envdoctor: {said}", file=sys.stderr)
    return reading


def _named(name: str, chinese: bool) -> str:
    from envdoctor.render import line

    return line(name) if name != "-" else "标准输入" if chinese else "standard input"


def _say_that_nothing_came(names: Sequence[str], language: Language) -> None:
    """An empty log shows no problem, and whoever asked about it expects one: the run may write to another place."""
    from envdoctor.model import Text

    said = Text(
        "{names} {count:is|are} empty: a run that writes nothing there may write to another file or to its terminal",
        "{names}：内容为空；训练的输出可能写到了别的文件或终端",
    )
    shown = ", ".join(_named(name, language == "zh") for name in names)
    print(f"envdoctor: {said.say(language, {'names': shown, 'count': len(names)})}", file=sys.stderr)


class _Progress:
    """One line that is rewritten: which file, how much of it, how fast; or that nothing comes."""

    def __init__(self, names: Sequence[str], language: Language, quiet: bool) -> None:
        self._names = list(names)
        self._chinese = language == "zh"
        self._at, self._done, self._total = "", 0, 0
        self._began = self._last = time.monotonic()
        self._ended = threading.Event()
        wanted = not quiet and sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb")
        # Nobody needs to be told that they are asked to paste something.
        wanted = wanted and not ("-" in names and sys.stdin is not None and sys.stdin.isatty())
        self._thread = threading.Thread(target=self._run, daemon=True) if wanted else None

    def __enter__(self) -> _Progress:
        try:
            if self._thread:
                self._thread.start()
        except RuntimeError:
            self._thread = None  # no thread may start; what is said here is dispensable
        return self

    def __exit__(self, *ending: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join(0.5)

    def told(self, name: str, done: int) -> None:
        """Args: done: bytes of this file that have been read."""
        self._total += done - (self._done if name == self._at else 0)
        self._at, self._done, self._last = name, done, time.monotonic()

    def _run(self) -> None:
        shown = False
        while not self._ended.wait(EVERY_S if shown else QUIET_S):
            said = self._said()[: shutil.get_terminal_size().columns - 1]
            if not _written(f"\r\x1b[K{said}"):
                return
            shown = True
        if shown:
            _written("\r\x1b[K")

    def _said(self) -> str:
        name, done, now = self._at, self._done, time.monotonic()
        number = f" ({self._names.index(name) + 1}/{len(self._names)})" if len(self._names) > 1 and name else ""
        shown = _named(name, self._chinese)
        if now - self._last > STILL_S:
            return f"{'等待' if self._chinese else 'waiting for'} {shown}{number}"
        size = os.path.getsize(name) if os.path.isfile(name) else 0
        share = f"{min(1.0, done / size):.0%}" if size else f"{done / 1e6:.0f} MB"
        speed = f"{self._total / 1e6 / max(0.1, now - self._began):.0f} MB/s"
        return f"{'正在读取' if self._chinese else 'reading'} {shown}{number} {share}, {speed}"


def _written(text: str) -> bool:
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return False
    return True
