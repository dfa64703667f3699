"""The line on standard error that says what the doctor waits for, when it waits long enough to be asked."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Any

from envdoctor.model import Text

SILENT_S = 0.3
LONG_S = 5.0


class Progress:
    """Shows the sections in flight on a terminal's standard error; silent elsewhere and for the first 0.3 s."""

    def __init__(self, language: str, limit_s: float, quiet: bool) -> None:
        self._language = language
        self._limit_s = limit_s
        self._columns = shutil.get_terminal_size().columns
        self._flying: dict[str, float] = {}
        self._began = time.monotonic()
        self._done = threading.Event()
        self._shown = False
        self._pen = threading.Lock()
        wanted = not quiet and sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb")
        self._thread = threading.Thread(target=self._run, daemon=True) if wanted else None

    def __enter__(self) -> Progress:
        try:
            if self._thread:
                self._thread.start()
        except RuntimeError:
            self._thread = None  # no thread may start; what is said here is dispensable
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread:
            self._thread.join(0.5)
            self.make_room()

    def make_room(self) -> None:
        """Take the line off the screen; it comes back below what is printed next."""
        with self._pen:
            if self._shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def record(self, record: dict[str, Any]) -> None:
        """Take note of a record of the patient."""
        from envdoctor import facts

        if record.get("begin") in facts.KINDS:
            self._flying[str(record["begin"])] = time.monotonic()
        else:
            self._flying.pop(str(record.get("fact", record.get("missing", ""))), None)

    def _run(self) -> None:
        from envdoctor.render import cut

        while not self._done.wait(SILENT_S if not self._shown else 0.2):
            flying = sorted(self._flying.items(), key=lambda item: item[1])
            names = ", ".join(name for name, _ in flying[:3]) or "..."
            seconds = time.monotonic() - self._began
            text = Text("looking at {names}", "正在检查 {names}")
            if seconds > LONG_S:
                text = Text(
                    "waiting for {names}: {seconds:.0f} s of at most {limit:.0f} s",
                    "等待 {names}：已 {seconds:.0f} 秒，最多 {limit:.0f} 秒",
                )
            said = text.say(
                "zh" if self._language == "zh" else "en", {"names": names, "seconds": seconds, "limit": self._limit_s}
            )
            with self._pen:
                if self._done.is_set():
                    return
                try:
                    sys.stderr.write(f"\r\x1b[K{cut(said, self._columns - 1)}")
                    sys.stderr.flush()
                except (OSError, ValueError):
                    return
                self._shown = True
