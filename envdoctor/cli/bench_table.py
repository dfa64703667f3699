"""The table of a benchmark on the screen, row by row, and what is being waited for."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from envdoctor.cli import options
from envdoctor.model import Text

if TYPE_CHECKING:
    from envdoctor.bench.launching import Part
    from envdoctor.facts.allreduce import AllreduceResult, Size
    from envdoctor.redact import Redactor
    from envdoctor.render import Style

WAITS_S = 1.5  # after this long without the others, how to start them is said


class Table:
    """Prints each row as it comes, and after a while what the others are to be started with; with -v each rung that
    this node begins.

    Args:
        live: whether the table goes to standard output while it grows.
    """

    def __init__(
        self, part: Part, style: Style, redactor: Redactor, live: bool, quiet: bool, verb: str = "allreduce"
    ) -> None:
        self._verb = verb
        self._part = part
        self._style = style
        self._redactor = redactor
        self._live = live and not quiet and part.reports
        self._quiet = quiet
        self._began = time.monotonic()
        self._met = threading.Event()
        self._rung = ""
        self.printed: tuple[Size, ...] | None = None

    def __enter__(self) -> Table:
        if not self._quiet and self._part.members > 1 and self._part.reports:
            try:
                threading.Thread(target=self._wait, daemon=True).start()
            except RuntimeError:
                pass  # no thread may start; what is said there is dispensable
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._met.set()

    def _wait(self) -> None:
        if self._met.wait(WAITS_S):
            return
        part = self._part
        if not part.master_addr:
            told = Text(
                "envdoctor: reaching {members} {members:host|hosts} over {launcher}",
                "envdoctor：正通过 {launcher} 连接 {members} 台主机",
            ).say(self._style.language, {"members": part.members, "launcher": part.launcher})
            sys.stderr.write(told + "\n")
            sys.stderr.flush()
            return
        told = Text(
            "envdoctor: waiting for {others} more at {address}:{port}",
            "envdoctor：在 {address}:{port} 等待另外 {others} 个",
        ).say(
            self._style.language,
            {"others": part.members - 1, "address": part.master_addr, "port": part.master_port},
        )
        if part.per == "node" and not part.launcher:
            told += (
                f"; envdoctor bench {self._verb} --nnodes {part.members} --node-rank I --master-addr {part.master_addr}"
                + (f" --master-port {part.master_port}" if part.master_port != 29500 else "")
            )
        sys.stderr.write(self._redactor.text(told) + "\n")
        sys.stderr.flush()

    def take(self, result: AllreduceResult) -> None:
        """Show what is new in the result."""
        from envdoctor.render import bench, line

        if result.world_size:
            self._met.set()
        own = result.member(result.own)
        if own is not None and own.rung != self._rung and self._style.verbosity > 0:
            self._rung = own.rung
            sys.stderr.write(
                Text("envdoctor: {rung}", "envdoctor：{rung}").say(self._style.language, {"rung": line(own.rung)})
            )
            sys.stderr.write("\n")
            sys.stderr.flush()
        if not self._live or len(result.sizes) <= len(self.printed or ()):
            return
        if self.printed is None:
            options.write(bench.opening(result, self._style, self._redactor), None)
        for size in result.sizes[len(self.printed or ()) :]:
            options.write(bench.table_row(size, self._style) + "\n", None)
        self.printed = result.sizes
