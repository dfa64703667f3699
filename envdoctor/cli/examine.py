"""Examines this machine for a verb, while this process loads what it will need to judge and to write."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envdoctor.cli.live import Live
from envdoctor.cli.options import Format
from envdoctor.cli.progress import Progress

if TYPE_CHECKING:
    from envdoctor.facts.asked import Asked
    from envdoctor.load import Loaded
    from envdoctor.redact import Redactor
    from envdoctor.render import Style
    from envdoctor.snapshot import Snapshot
    from envdoctor.transport.target import Target


@dataclass(frozen=True)
class Question:
    """What is asked of this machine, as the command line has it."""

    names: tuple[str, ...] = ()
    python: str = ""
    quick: bool = False
    offline: bool = False
    port: int = 0
    timeout: float = 60.0
    quiet: bool = False

    @property
    def asked(self) -> Asked:
        """The question as the checks see it."""
        from envdoctor.facts.asked import Asked

        return Asked(topics=self.names, quick=self.quick, offline=self.offline, port=self.port)

    def observe(self, target: Target, on_record: Callable[[dict[str, Any]], None]) -> Snapshot:
        """Examine the target Python and the machine around it; raises ExaminationError where nothing can be had."""
        from envdoctor import examination
        from envdoctor.transport import local

        request = local.Request(limit_s=self.timeout, quick=self.quick, offline=self.offline, port=self.port)
        return examination.of_this_machine(target, request, self.asked, on_record)


@dataclass(frozen=True)
class Examined:
    """The check files, what was observed, and what of the report is already on the screen."""

    loaded: Loaded
    snapshots: list[Snapshot]
    live: Live | None = None

    def rest(self, document: str) -> str:
        """What of the report is still to be printed."""
        return self.live.finish(document) if self.live else document


def examine(
    question: Question, checks: list[Path], form: Format, style: Style, redactor: Redactor, to_file: bool
) -> Examined:
    """Examine this machine; on a terminal the first lines of a text report appear as soon as they are certain."""
    from envdoctor.model import Node
    from envdoctor.transport.target import choose

    target = choose(question.python)
    preparation = _Preparation(checks, form)
    live = None
    with Progress(style.language, question.timeout, question.quiet) as progress:
        if form is Format.text and not to_file and not question.quiet and sys.stdout.isatty():
            node = Node(python=target.python, python_why=target.why)
            live = Live(
                preparation.so_far, list(question.names), node, question.asked, style, redactor, progress.make_room
            )

        def record(told: dict[str, Any]) -> None:
            preparation.refuse(question.names)
            progress.record(told)
            if live is not None:
                live.record(told)

        snapshot = question.observe(target, record)
    return Examined(preparation.result(), [snapshot], live)


class _Preparation:
    """Loads the check files and the libraries of the report in a thread of its own."""

    def __init__(self, checks: list[Path], form: Format) -> None:
        self._checks = checks
        self._form = form
        self._loaded: Loaded | None = None
        self._error: BaseException | None = None
        self._names_known = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._run()  # no thread may start

    def _run(self) -> None:
        try:
            self._loaded = self._load()
        except BaseException as error:
            self._error = error

    def _load(self) -> Loaded:
        import importlib

        from envdoctor import facts, load, render

        importlib.import_module("msgspec")
        if self._form is Format.text:
            importlib.import_module("rich.console")
            importlib.import_module("rich.text")
        render.renderer(self._form.value)
        for kind in facts.KINDS:
            facts.kind(kind)
        return load.everything(self._checks)

    def so_far(self) -> Loaded | None:
        """The check files if they are loaded by now."""
        return self._loaded

    def refuse(self, names: tuple[str, ...]) -> None:
        """Raise what loading raised, or UsageError for an unknown name, before the examination has ended."""
        if self._error is not None:
            raise self._error
        if self._loaded is not None and not self._names_known:
            from envdoctor import judgement

            judgement.chosen(self._loaded, names)
            self._names_known = True

    def result(self) -> Loaded:
        """The check files. Raises what loading them raised."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._loaded is not None
        return self._loaded
