"""The line on standard error that says how many nodes have answered, and which are waited for."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from envdoctor.model import Language, Scalar, Text
from envdoctor.render import cut
from envdoctor.render.places import folded

if TYPE_CHECKING:
    from envdoctor.facts.allreduce import AllreduceResult

SILENT_S = 0.3
OFTEN_S = 0.1
EVERY_S = 1.0  # while no node tells anything: those that do not answer are waited for in sight
COUNTED = Text("{done} of {all} {all:node|nodes} {done:has|have} answered", "{all} 个节点中 {done} 个已应答")
WAITING = Text("; waiting for {names}{where}", "；正在等待 {names}{where}")
TRYING = Text(
    "an all-reduce of 8 bytes over {members} nodes: {rung}", "在 {members} 个节点上进行 8 字节 all-reduce：{rung}"
)


class NodesBar:
    """Counts nodes on a terminal's standard error; silent elsewhere and for the first 0.3 s.

    Args:
        names: of the nodes, in the order of their numbers.
    """

    def __init__(self, language: Language, names: Sequence[str], quiet: bool) -> None:
        self._language = language
        self._names = list(names)
        self._at: dict[int, str] = {}  # of each node under way, the section it has begun last
        self._done: set[int] = set()
        self._began = time.monotonic()
        self._shown_at = 0.0
        self._wanted = not quiet and sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb")
        self._ended = threading.Event()
        self._pen = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True) if self._wanted and self._names else None

    def __enter__(self) -> NodesBar:
        try:
            if self._thread:
                self._thread.start()
        except RuntimeError:
            self._thread = None  # no thread may start; what is said here is dispensable
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join(0.5)
        if self._shown_at:
            self._write("")

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._show(self._counted)

    def record(self, number: int, record: dict[str, Any]) -> None:
        """Take note of what a node tells."""
        if "over" in record:
            self._done.add(number)
            self._at.pop(number, None)
        elif "begin" in record:
            self._at[number] = str(record["begin"])
        self._show(self._counted)

    def rung(self, result: AllreduceResult) -> None:
        """Take note of how far a benchmark has come."""
        rungs = [member.rung for member in result.members if member.rung]
        values: dict[str, Scalar] = {"members": len(result.members), "rung": rungs[0] if rungs else "..."}
        self._show(lambda: TRYING.say(self._language, values))

    def _counted(self) -> str:
        left = [number for number in range(len(self._names)) if number not in self._done]
        said = COUNTED.say(self._language, {"done": len(self._done), "all": len(self._names)})
        if left and len(left) <= max(1, len(self._names) / 2):
            names = folded([self._names[number] for number in left])
            at = self._at.get(left[0], "") if len(left) == 1 else ""
            said += WAITING.say(self._language, {"names": names, "where": f" ({at})" if at else ""})
        return said

    def _show(self, said: Any) -> None:
        now = time.monotonic()
        if self._wanted and now - self._began > SILENT_S and now - self._shown_at > OFTEN_S:
            with self._pen:
                self._shown_at = now
                self._write(said())

    def _write(self, line: str) -> None:
        try:
            # What a node tells stands in it: it must neither steer the terminal nor reach into a second line.
            sys.stderr.write(f"\r\x1b[K{cut(line, shutil.get_terminal_size().columns - 1)}")
            sys.stderr.flush()
        except (OSError, ValueError):
            self._wanted = False
