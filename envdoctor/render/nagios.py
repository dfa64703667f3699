"""The report as a monitoring plugin tells it: one line of status with performance data, then the findings.

The plugin interface of Nagios, Icinga, Naemon and NRPE: the first line up to `|` is shown, what follows it are numbers,
further lines are the long text, and the exit code is 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
(Nagios Core documentation, "Nagios Plugin API"; Monitoring Plugins Development Guidelines, sections 1 and 2).
"""

from __future__ import annotations

import enum

from envdoctor.model import Finding, Report, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style, line
from envdoctor.render.alike import alike
from envdoctor.render.places import places
from envdoctor.render.words import points, tally, title

# Nagios keeps 8 KiB of a plugin's output (MAX_PLUGIN_OUTPUT_LENGTH), NRPE 2 and 3 a little over 1 KiB: the first line
# fits everywhere, the whole fits Nagios with its multi-byte characters.
FIRST_LINE = 600
WHOLE = 3500


class State(enum.IntEnum):
    """What the plugin interface knows; the value is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def state(report: Report) -> State:
    """CRITICAL for an error, UNKNOWN where the doctor could not do its job, WARNING for a warning.

    An error that was found stays one, whatever else could not be looked at. A report in which no check ran knows
    nothing.
    """
    if report.count(Severity.ERROR):
        return State.CRITICAL
    if report.with_status("crashed") or report.unloaded or not (report.with_status("ran") or report.findings):
        return State.UNKNOWN
    return State.WARNING if report.count(Severity.WARNING) else State.OK


def exit_code(report: Report) -> int:
    return int(state(report))


def unknown(said: str) -> str:
    """The output of a run that brought no report."""
    return f"ENVDOCTOR UNKNOWN - {_text(said)[:FIRST_LINE]}\n"


def render(report: Report, style: Style, redactor: Redactor) -> str:
    told = [finding for finding in alike(report) if finding.severity is not Severity.NOTE or style.verbosity >= 1]
    worst = next((finding for finding in told if finding.severity is not Severity.NOTE), None)
    counted = tally(report, style)
    first = f"{_headline(worst, report, style, redactor)}; {counted}" if worst else counted
    lines = [f"ENVDOCTOR {state(report).name} - {_text(first)[:FIRST_LINE]} | {_numbers(report)}"]
    length = len(lines[0])
    for number, finding in enumerate(told):
        block = _block(finding, report, style, redactor)
        length += sum(len(each) + 1 for each in block)
        if length > WHOLE:
            more = f"... {len(told) - number}"
            lines.append(more)
            break
        lines += block
    for outcome in report.with_status("crashed"):
        lines.append(_text(redactor.text(f"the check {outcome.check.name} crashed: {outcome.error}"))[:FIRST_LINE])
    for path, error in report.unloaded.items():
        lines.append(_text(redactor.text(f"{path} could not be loaded: {error}"))[:FIRST_LINE])
    return "\n".join(lines) + "\n"


def _headline(finding: Finding, report: Report, style: Style, redactor: Redactor) -> str:
    return f"{finding.code}: {title(finding, style.language, redactor)}{places(finding, report, redactor)}"


def _block(finding: Finding, report: Report, style: Style, redactor: Redactor) -> list[str]:
    told = [f"{finding.severity.value}[{_headline(finding, report, style, redactor)}".replace(":", "]:", 1)]
    told += [f"  {each}" for point in points(finding, style.language, redactor) for each in point.splitlines()]
    return [_text(each) for each in told]


def _text(text: str) -> str:
    """On one line, without the character that begins the performance data."""
    indent = text[: len(text) - len(text.lstrip(" "))]
    return (indent + line(text.lstrip(" "))).replace("|", "/")


def _numbers(report: Report) -> str:
    """Performance data, 'label'=value[unit];warn;crit;min;max: one warning warns, one error is critical."""
    errors, warnings, notes = (report.count(severity) for severity in Severity)
    skipped = len(report.with_status("skipped"))
    return (
        f"errors={errors};;0;0 warnings={warnings};0;;0 notes={notes};;;0 nodes={len(report.nodes)};;;0 "
        f"checks={len(report.outcomes)};;;0 skipped={skipped};;;0 time={report.seconds:.3f}s;;;0"
    )
