"""The bar that says how far `bench mirrors` has come."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from envdoctor.model import Language, Text

if TYPE_CHECKING:
    from envdoctor.bench.mirror_run import Step


class Bar:
    """A bar on a terminal's standard error for as long as sites are asked; nothing elsewhere."""

    def __init__(self, language: Language, wanted: bool = True) -> None:
        self._language = language
        self._shown = wanted and sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb")
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> Bar:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                BarColumn(24), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
                console=Console(stderr=True, highlight=False), transient=True,
            )  # fmt: skip
            self._progress.start()
            self._task = self._progress.add_task(
                Text("asking pip how it is set up", "正在询问 pip 的配置").say(self._language), total=None
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def step(self, step: Step) -> None:
        """Show a step of the run."""
        if self._progress is None:
            return
        said = (
            Text("measuring {names}", "正在测速 {names}")
            if step.measuring
            else Text("asking {names}", "正在访问 {names}")
        )
        names = ", ".join(step.names[:3]) + ("..." if len(step.names) > 3 else "")
        self._progress.update(
            self._task, total=step.total, completed=step.done, description=said.say(self._language, {"names": names})
        )
