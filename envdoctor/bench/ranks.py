"""The processes of the ranks on this node: started, spoken to through pipes, and ended with everything below them.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

from envdoctor.patient import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

PR_SET_PDEATHSIG = 1
TAIL = 8192  # bytes of a rank's standard error that are kept


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, whatever kills that. Linux only."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(137)  # it died before the kernel was asked


class Rank:
    """One rank's process. `hear(place, record)` is called from a thread; a record None says that its output ended."""

    def __init__(
        self, place: int, argv: "List[str]", blob: bytes, env: "Dict[str, str]",
        cookie: bytes, hear: "Callable[[int, Optional[Dict[str, Any]]], None]",
    ) -> None:  # fmt: skip
        self.place = place  # among the ranks of this agent
        self.lines = wire.Lines(cookie)
        self.errors = b""
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
            start_new_session=True,
        )  # fmt: skip
        self._hear = hear
        self._words: "queue.Queue[bytes]" = queue.Queue()
        self.threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
            threading.Thread(target=self._write, daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        self._words.put(blob)

    def _write(self) -> None:
        """The first words are more than a pipe holds: a Python that is slow to start must not keep the agent."""
        assert self.process.stdin is not None
        while True:
            data = self._words.get()
            try:
                self.process.stdin.write(data)
                self.process.stdin.flush()
            except (OSError, ValueError):
                return  # it has ended, which its output tells

    def tell(self, command: "Dict[str, Any]") -> None:
        self._words.put(json.dumps(command).encode("ascii") + b"\n")

    def _read(self) -> None:
        assert self.process.stdout is not None
        while True:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                break
            for record in self.lines.feed(data):
                self._hear(self.place, record)
        self._hear(self.place, None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while True:
            data = os.read(self.process.stderr.fileno(), 1 << 16)
            if not data:
                return
            self.errors = (self.errors + data)[-TAIL:]

    def last_words(self) -> str:
        self.threads[1].join(0.3)
        return self.errors.decode("utf-8", "replace").strip()[-2000:]

    def status(self, wait_s: float = 0.5) -> "Optional[int]":
        """Its exit status, negative for a signal; None while it runs."""
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and its process group at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass


def end(ranks: "List[Rank]", wait_s: float = 1.0) -> None:
    """Kill all ranks and take their exit status; one in the D state is left behind."""
    for rank in ranks:
        rank.kill()
    until = time.monotonic() + wait_s
    for rank in ranks:
        rank.status(max(0.0, until - time.monotonic()))
