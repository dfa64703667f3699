"""`envdoctor check`: what is wrong with this machine's training environment."""

from __future__ import annotations

import enum
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli import elsewhere, host_files, options, saved
from envdoctor.cli.elsewhere import DockerOption, HostsOption, KubectlOption, SlurmOption
from envdoctor.cli.host_files import BadHostsOption, GoodHostsOption
from envdoctor.cli.options import (
    ChecksOption,
    Colour,
    ColourOption,
    Format,
    FormatOption,
    JsonOption,
    KeyOption,
    LangOption,
    LogOption,
    OfflineOption,
    OutputOption,
    PortOption,
    PythonOption,
    QuickOption,
    QuietOption,
    TimeoutOption,
    VerboseOption,
)
from envdoctor.errors import UsageError

if TYPE_CHECKING:
    from envdoctor.model import Report
    from envdoctor.readers.scan import Reading
    from envdoctor.render import Style


class FailOn(str, enum.Enum):
    error = "error"
    warning = "warning"
    never = "never"


# The severities by their words: the model is imported when a report is made.
FAILING: dict[FailOn, tuple[str, ...]] = {
    FailOn.error: ("error",),
    FailOn.warning: ("error", "warning"),
    FailOn.never: (),
}


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
    log: LogOption = None,
    quick: QuickOption = False,
    offline: OfflineOption = False,
    port: PortOption = 0,
    checks: ChecksOption = None,
    hosts: HostsOption = "",
    slurm: SlurmOption = False,
    docker: DockerOption = "",
    kubectl: KubectlOption = "",
    good_hosts: GoodHostsOption = None,
    bad_hosts: BadHostsOption = None,
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
    With --format nagios that of a plugin: 0 OK, 1 WARNING, 2 CRITICAL (an error), 3 UNKNOWN, whatever --fail-on says.
    """
    began = time.monotonic()
    form = Format.json if json else form
    options.refuse(output)
    host_files.refuse(good_hosts, bad_hosts)
    style = options.style(form, lang, color, quiet, verbose, output is not None)
    redactor = options.redactor(redact_key)
    from envdoctor import judgement, load, render
    from envdoctor.cli.examine import Examined, Question, examine
    from envdoctor.snapshot import told_by

    others = elsewhere.Elsewhere(hosts, slurm, docker, kubectl)
    others.refuse(from_=source, log=log)
    if source and python:
        raise UsageError(
            "--from judges the Python that was examined back then; leave --python out, or --from",
            "--from 判断的是当时检查的 Python；请去掉 --python 或 --from",
        )
    reading = _texts(log, style, quiet) if log else None
    question = Question(tuple(names or ()), python, quick, offline, port, timeout, quiet)
    if source:
        examined = Examined(load.everything(checks or []), saved.read(source))
    elif others:
        examined = elsewhere.examine(others, question, checks or [], style)
    else:
        examined = examine(question, checks or [], form, style, redactor, output is not None or reading is not None)
    if reading is not None:
        from envdoctor import texts

        examined = replace(examined, snapshots=texts.joined(examined.snapshots, reading))
    for fact in told_by(examined.snapshots):
        redactor.learn(fact)
    loaded = examined.loaded
    wanted = list(names or ())
    if source or others:
        from envdoctor.bench import spoken

        wanted = spoken.asked(wanted, examined.snapshots)
        loaded = spoken.of(loaded, examined.snapshots) if source and not names else loaded
    report = judgement.judge(examined.snapshots, loaded, wanted)
    report = replace(report, seconds=time.monotonic() - began)
    options.write(examined.rest(render.renderer(form.value).render(report, style, redactor)), output)
    if not source and not others:
        from envdoctor import last_check

        last_check.write(report, redactor, tuple(names or ()))
    host_files.write(report, FAILING[fail_on], good_hosts, bad_hosts)
    return exit_code(report, fail_on, form)


def _texts(log: list[Path], style: Style, quiet: bool) -> Reading:
    from envdoctor.cli.texts import read

    return read([str(file) for file in log], style.language, quiet)


def exit_code(report: Report, fail_on: FailOn, form: Format = Format.text) -> int:
    """0 nothing at `fail_on`, 1 problems, 3 a check crashed or a check file did not load; for Nagios a plugin's."""
    if form is Format.nagios:
        from envdoctor.render import nagios

        return nagios.exit_code(report)
    if report.with_status("crashed") or report.unloaded:
        return 3
    return 1 if any(finding.severity in FAILING[fail_on] for finding in report.findings) else 0
