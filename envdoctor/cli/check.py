"""`envdoctor check`: what is wrong with this machine's training environment."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envdoctor.cli import options
from envdoctor.cli.options import (
    ChecksOption,
    Colour,
    ColourOption,
    Format,
    FormatOption,
    JsonOption,
    KeyOption,
    LangOption,
    OfflineOption,
    OutputOption,
    PortOption,
    PythonOption,
    QuickOption,
    QuietOption,
    TimeoutOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from envdoctor.load import Loaded
    from envdoctor.model import Report
    from envdoctor.snapshot import Snapshot


class FailOn(str, enum.Enum):
    error = "error"
    warning = "warning"
    never = "never"


def _names(incomplete: str) -> list[str]:
    """Topics and codes that start like this, for the shell's completion."""
    from envdoctor import load

    loaded = load.everything()
    return [
        name for name in [*(file.topic.name for file in loaded.files), *loaded.problems] if name.startswith(incomplete)
    ]


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC|CODE]...", autocompletion=_names, help="Only these topics or codes."),
    ] = None,
    python: PythonOption = "",
    source: Annotated[
        list[Path] | None, typer.Option("--from", metavar="FILE|DIR", help="Judge snapshots instead of this machine.")
    ] = None,
    quick: QuickOption = False,
    offline: OfflineOption = False,
    port: PortOption = 0,
    checks: ChecksOption = None,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="What makes the exit code 1.")] = FailOn.error,
    form: FormatOption = Format.text,
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    timeout: TimeoutOption = 60.0,
    redact_key: KeyOption = None,
) -> int:
    """Say what is wrong with this machine's training environment, why, and the command that mends it.

    Exit code: 0 nothing at --fail-on, 1 problems found, 2 wrong usage, 3 the doctor could not do its job.
    """
    began = time.monotonic()
    form = Format.json if json else form
    style = options.style(form, lang, color, quiet, verbose, output is not None)
    redactor = options.redactor(redact_key)
    from envdoctor.examination import now

    taken_at = now()
    if source:
        from envdoctor import load

        loaded = load.everything(checks or [])
        snapshots = _read(source)
    else:
        loaded, snapshots = _examine(
            names or [], python, quick, offline, port, checks or [], timeout, form, style.language, quiet
        )
        taken_at = snapshots[0].taken_at
    from envdoctor import judgement, render
    from envdoctor.snapshot import to_json

    for snapshot in snapshots:
        redactor.learn(to_json(snapshot))
    report = judgement.judge(snapshots, loaded, names or [], taken_at=taken_at)
    report = _timed(report, time.monotonic() - began)
    options.write(render.renderer(form.value).render(report, style, redactor), output)
    return exit_code(report, fail_on)


def exit_code(report: Report, fail_on: FailOn) -> int:
    """0 nothing at `fail_on`, 1 problems, 3 a check crashed or a check file did not load."""
    from envdoctor.model import Severity

    if report.with_status("crashed") or report.unloaded:
        return 3
    failing = {FailOn.error: (Severity.ERROR,), FailOn.warning: (Severity.ERROR, Severity.WARNING), FailOn.never: ()}[
        fail_on
    ]
    return 1 if any(finding.severity in failing for finding in report.findings) else 0


def _timed(report: Report, seconds: float) -> Report:
    from dataclasses import replace

    return replace(report, seconds=seconds)


def _read(sources: list[Path]) -> list[Snapshot]:
    from envdoctor.errors import UsageError
    from envdoctor.snapshot import read

    files: list[Path] = []
    for source in sources:
        inside = sorted(source.glob("*.json")) if source.is_dir() else [source]
        if not inside:
            raise UsageError(
                f"the folder {source} holds no snapshot (*.json); write one: `envdoctor snapshot -o {source}/NAME.json`"
            )
        files += inside
    return [read(file) for file in files]


def _examine(
    names: list[str],
    python: str,
    quick: bool,
    offline: bool,
    port: int,
    checks: list[Path],
    timeout: float,
    form: Format,
    language: str,
    quiet: bool,
) -> tuple[Loaded, list[Snapshot]]:
    from envdoctor import examination, load
    from envdoctor.cli.progress import Progress
    from envdoctor.facts.asked import Asked
    from envdoctor.transport import local
    from envdoctor.transport.target import choose

    target = choose(python)
    request = local.Request(limit_s=timeout, quick=quick, offline=offline, port=port)
    asked = Asked(topics=tuple(names), quick=quick, offline=offline, port=port)
    # While the patient looks around, this process loads what it will need to judge and to write.
    meanwhile = _Meanwhile(lambda: _prepare(checks, form))
    with Progress(language, timeout, quiet) as progress:
        snapshot = examination.of_this_machine(target, request, asked, progress.record)
    loaded = meanwhile.result()
    assert isinstance(loaded, load.Loaded)
    return loaded, [snapshot]


class _Meanwhile:
    """A call in a thread of its own; `result` gives its value or raises its error."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self._value = call()
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


def _prepare(checks: list[Path], form: Format) -> Loaded:
    import importlib

    from envdoctor import facts, load, render

    importlib.import_module("msgspec")
    if form is Format.text:
        importlib.import_module("rich.console")
        importlib.import_module("rich.text")
    render.renderer(form.value)
    for kind in facts.KINDS:
        facts.kind(kind)
    return load.everything(checks)
