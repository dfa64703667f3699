"""What the last check of this machine found that can be mended: `envdoctor fix` without a name starts from it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from envdoctor.model import Report, Severity

if TYPE_CHECKING:
    from envdoctor.redact import Redactor

SCHEMA = "envdoctor/last-check/1"
NAME = "last-check.json"


@dataclass(frozen=True)
class Mendable:
    """A finding and the command for it; `automatic` where `envdoctor fix` does it."""

    code: str
    severity: str
    title_en: str
    title_zh: str
    command: str
    automatic: bool
    because_of: str = ""


@dataclass(frozen=True)
class LastCheck:
    """`taken_at` is UTC; `python` was examined; `only` are the topics or codes it was limited to."""

    taken_at: str
    python: str
    mendable: tuple[Mendable, ...] = ()
    only: tuple[str, ...] = ()


def of_report(report: Report, redactor: Redactor, only: tuple[str, ...] = ()) -> LastCheck:
    """The findings of this machine with a command, causes first as in the report; notes are left out."""
    here = next((node for node in report.nodes if not node.address), None)
    if here is None:
        return LastCheck(report.taken_at, "")
    found = tuple(
        Mendable(
            finding.code,
            finding.severity.value,
            redactor.text((finding.words.title or finding.problem.title).say("en", finding.evidence)),
            redactor.text((finding.words.title or finding.problem.title).say("zh", finding.evidence)),
            redactor.text(finding.command),
            bool(finding.fix),
            finding.because_of or "",
        )
        for finding in report.findings
        if finding.command and finding.severity is not Severity.NOTE and here.name in finding.nodes
    )
    return LastCheck(report.taken_at, redactor.text(here.python), found, only)


def write(report: Report, redactor: Redactor, only: tuple[str, ...] = ()) -> None:
    """Remember a report, without secrets, for this user's eyes only.

    A machine where nothing can be written or whose home folder does not answer, or whose texts do not fit their values,
    is none the worse for it: the report has been shown by now.
    """
    from envdoctor import atomic
    from envdoctor.answering import answers
    from envdoctor.errors import EnvdoctorError
    from envdoctor.state import state_folder

    if not answers(os.path.expanduser("~"), os.environ.get("XDG_STATE_HOME") or "/"):
        return
    try:
        folder = os.path.realpath(state_folder())
        atomic.make_folders(folder, 0o700)
        atomic.sweep(folder, atomic.LEFT_S)
        text = json.dumps({"schema": SCHEMA, **asdict(of_report(report, redactor, only))}, ensure_ascii=True) + "\n"
        # Not forced to the disk: losing it costs another check, waiting for a slow disk would cost every one.
        atomic.replace(os.path.join(folder, NAME), text.encode(), str(os.getpid()), mode=0o600, durable=False)
    except (OSError, EnvdoctorError, ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return


def read() -> LastCheck | None:
    """What was remembered; None if nothing was or it cannot be read."""
    from envdoctor.errors import EnvdoctorError
    from envdoctor.state import state_folder

    try:
        told = json.loads((state_folder() / NAME).read_text(encoding="utf-8"))
        if told.pop("schema") != SCHEMA:
            return None
        mendable = tuple(Mendable(**one) for one in told["mendable"])
        return LastCheck(str(told["taken_at"]), str(told["python"]), mendable, tuple(told.get("only") or ()))
    except (OSError, EnvdoctorError, ValueError, KeyError, TypeError, AttributeError):
        return None
