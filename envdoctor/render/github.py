"""The report as GitHub Actions workflow commands: each finding becomes an annotation of the job."""

from __future__ import annotations

from envdoctor.model import Report, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style, clean
from envdoctor.render.alike import alike
from envdoctor.render.places import places
from envdoctor.render.words import points, tally, title

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def _data(text: str) -> str:
    """Escaped as the runner wants message text (docs: workflow commands, toolkit's escapeData)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render(report: Report, style: Style, redactor: Redactor) -> str:
    lines = []
    for finding in alike(report):
        if finding.severity is Severity.NOTE and style.verbosity < 1:
            continue
        what = title(finding, style.language, redactor) + places(finding, report, redactor)
        parts = points(finding, style.language, redactor)
        name = _property(f"{finding.code}: {what}")
        lines.append(f"::{COMMANDS[finding.severity]} title={name}::{_data(chr(10).join(parts))}")
    for outcome in report.with_status("crashed"):
        told = clean(redactor.text(f"the check {outcome.check.name} crashed: {outcome.error}"))
        lines.append(f"::error title=envdoctor::{_data(told)}")
    for path, error in report.unloaded.items():
        lines.append(f"::error title=envdoctor::{_data(clean(redactor.text(f'{path} could not be loaded: {error}')))}")
    lines.append(tally(report, style))
    return "\n".join(lines) + "\n"
