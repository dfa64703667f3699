"""The report as one JSON document, schema `envdoctor/report/1`."""

from __future__ import annotations

import json
import math
from typing import Any

from envdoctor.model import Finding, Outcome, Report, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style
from envdoctor.render.words import sentence, title, why_missing

SCHEMA = "envdoctor/report/1"


def document(report: Report, style: Style, redactor: Redactor) -> dict[str, Any]:
    """The document as a value, redacted."""
    topic_of = {problem.code: outcome.check.topic for outcome in report.outcomes for problem in outcome.check.problems}
    return {
        "schema": SCHEMA,
        "made_by": report.made_by,
        "taken_at": report.taken_at,
        "seconds": round(report.seconds, 3),
        "nodes": [
            redactor.value({"name": node.name, "python": node.python, "python_version": node.python_version})
            for node in report.nodes
        ],
        "findings": [_finding(finding, topic_of.get(finding.code, ""), style, redactor) for finding in report.findings],
        "outcomes": [_outcome(outcome, style, redactor) for outcome in report.outcomes]
        + [_unloaded(redactor.text(path), redactor.text(error)) for path, error in report.unloaded.items()],
        "tally": {
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "notes": report.count(Severity.NOTE),
            "skipped": len(report.with_status("skipped")),
            "crashed": len(report.with_status("crashed")) + len(report.unloaded),
        },
    }


def failure(said: str, exit_code: int) -> str:
    """The document of a run that brought no report: a report without content, and `error` says why."""
    from envdoctor.examination import MADE_BY, now

    document = {
        "schema": SCHEMA,
        "made_by": MADE_BY,
        "taken_at": now(),
        "seconds": 0.0,
        "nodes": [],
        "findings": [],
        "outcomes": [],
        "tally": {"errors": 0, "warnings": 0, "notes": 0, "skipped": 0, "crashed": 0},
        "error": {"message": said, "exit_code": exit_code},
    }
    return json.dumps(document, indent=1) + "\n"


def _finding(finding: Finding, topic: str, style: Style, redactor: Redactor) -> dict[str, Any]:
    words = finding.words
    fix: dict[str, Any] | None = None
    if finding.command is not None:
        automatic = bool(finding.fix)
        named = {"name": finding.fix[0]} if automatic else {}
        fix = {**named, "command": redactor.text(finding.command), "automatic": automatic}
    return {
        "code": finding.code,
        "topic": topic,
        "severity": finding.severity.value,
        "title": title(finding, style.language, redactor),
        "why": sentence(words.why, finding, style.language, redactor),
        "evidence": redactor.value(dict(finding.evidence)),
        "nodes": [redactor.text(node) for node in finding.nodes],
        "because_of": finding.because_of,
        "fix": fix,
    }


def _outcome(outcome: Outcome, style: Style, redactor: Redactor) -> dict[str, Any]:
    reason = None
    if outcome.missing is not None:
        reason = why_missing(outcome.missing, style.language, redactor)
    elif outcome.status == "crashed":
        reason = redactor.text(outcome.error)
    return {
        "check": outcome.check.name,
        "topic": outcome.check.topic,
        "status": outcome.status,
        "reason": reason,
        "seconds": round(outcome.seconds, 6),
        **_on_some_nodes(outcome, style, redactor),
    }


def _on_some_nodes(outcome: Outcome, style: Style, redactor: Redactor) -> dict[str, Any]:
    """Of a check that ran: the nodes on which it did not, by the reason."""
    if outcome.status != "ran" or not outcome.skipped_on:
        return {}
    reasons: dict[str, list[str]] = {}
    for missing, nodes in outcome.skipped_on:
        reasons.setdefault(why_missing(missing, style.language, redactor), []).extend(map(redactor.text, nodes))
    return {"skipped_on": [{"reason": reason, "nodes": nodes} for reason, nodes in reasons.items()]}


def _unloaded(path: str, error: str) -> dict[str, Any]:
    """A check file that could not be loaded, told as a check that crashed."""
    return {"check": path, "topic": "", "status": "crashed", "reason": error, "seconds": 0.0}


def render(report: Report, style: Style, redactor: Redactor) -> str:
    return json.dumps(portable(document(report, style, redactor)), indent=1, allow_nan=False) + "\n"


def portable(value: Any) -> Any:
    """`value` as every reader of JSON takes it: no lone surrogates (bytes of file names), no NaN or infinity."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {portable(key): portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
