"""What the last check of this machine found that can be mended: `envdoctor fix` without a name starts from it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass

from envdoctor import atomic
from envdoctor.errors import EnvdoctorError
from envdoctor.journal import state_folder
from envdoctor.model import Report, Severity

SCHEMA = "envdoctor/last-check/1"


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
    """`taken_at` is UTC; `python` was examined."""

    taken_at: str
    python: str
    mendable: tuple[Mendable, ...] = ()


def of_report(report: Report) -> LastCheck:
    """The findings with a command, causes first as in the report; notes are left out."""
    found = tuple(
        Mendable(
            finding.code,
            finding.severity.value,
            (finding.words.title or finding.problem.title).say("en", finding.evidence),
            (finding.words.title or finding.problem.title).say("zh", finding.evidence),
            finding.command,
            bool(finding.fix),
            finding.because_of or "",
        )
        for finding in report.findings
        if finding.command and finding.severity is not Severity.NOTE
    )
    return LastCheck(report.taken_at, report.nodes[0].python if report.nodes else "", found)


def write(report: Report) -> None:
    """Remember a report, for this user's eyes only. A machine where nothing can be written is none the worse for it."""
    with contextlib.suppress(OSError, EnvdoctorError, ValueError):
        folder = state_folder()
        atomic.make_folders(str(folder), 0o700)
        text = json.dumps({"schema": SCHEMA, **asdict(of_report(report))}, ensure_ascii=True) + "\n"
        atomic.replace(os.path.realpath(folder / "last-check.json"), text.encode(), str(os.getpid()), mode=0o600)


def read() -> LastCheck | None:
    """What was remembered; None if nothing was or it cannot be read."""
    try:
        told = json.loads((state_folder() / "last-check.json").read_text(encoding="utf-8"))
        if told.pop("schema") != SCHEMA:
            return None
        return LastCheck(told["taken_at"], told["python"], tuple(Mendable(**one) for one in told["mendable"]))
    except (OSError, EnvdoctorError, ValueError, KeyError, TypeError):
        return None
