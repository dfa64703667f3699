"""The report as metrics in the text format that node_exporter's textfile collector reads.

The number of series is bounded: by the codes of the checks and the severities, and for what is told of single nodes by
`MOST`. Values of the machine (evidence, sentences) are never labels: they may be secrets, and every new value would be
a new series.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable

from envdoctor.model import Report, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style, line

MOST = 2000  # series of findings by node; the worst are kept, the others counted

Series = tuple[dict[str, str], float]


def render(report: Report, style: Style, redactor: Redactor) -> str:
    topics = {problem.code: outcome.check.topic for outcome in report.outcomes for problem in outcome.check.problems}
    codes = Counter[tuple[str, str]]()
    by_node = Counter[tuple[str, str, str]]()
    for finding in report.findings:
        nodes = dict.fromkeys(finding.nodes)
        codes[finding.code, finding.severity.value] += max(1, len(nodes))
        for node in nodes:
            by_node[finding.code, finding.severity.value, node] += 1
    kept = list(by_node.items())[:MOST]  # in the order of the findings: the worst first
    crashed = len(report.with_status("crashed")) + len(report.unloaded)
    pages = [
        _metric(
            "envdoctor_findings", "Problems found, by severity.",
            (({"severity": severity.value}, report.count(severity)) for severity in Severity),
        ),
        _metric(
            "envdoctor_problem_nodes", "Nodes on which a problem was found.",
            (
                ({"code": code, "topic": topics.get(code, ""), "severity": severity}, count)
                for (code, severity), count in codes.items()
            ),
        ),
        _metric(
            "envdoctor_problem", "Findings of a problem on a node.",
            (
                ({"code": code, "severity": severity, "node": _name(redactor.text(node))}, count)
                for (code, severity, node), count in kept
            ),
        ),
        _metric(
            "envdoctor_problem_series_left_out", f"Series of envdoctor_problem beyond the first {MOST}.",
            [({}, len(by_node) - len(kept))],
        ),
        _metric(
            "envdoctor_checks", "Checks, by what became of them.",
            [
                ({"status": "ran"}, len(report.with_status("ran"))),
                ({"status": "skipped"}, len(report.with_status("skipped"))),
                ({"status": "crashed"}, crashed),
            ],
        ),
        _metric("envdoctor_nodes", "Nodes examined.", [({}, len(report.nodes))]),
        _metric("envdoctor_run_duration_seconds", "How long the examination took.", [({}, report.seconds)]),
        _ending(report.made_by, not crashed, _seconds(report.taken_at)),
    ]  # fmt: skip
    return "".join(pages)


def failure(made_by: str, taken_at: str) -> str:
    """The metrics of a run that brought no report: what is not known is absent, not zero."""
    return _ending(made_by, False, _seconds(taken_at))


def _ending(made_by: str, success: bool, at: float | None) -> str:
    version = made_by.partition(" ")[2] or made_by
    return (
        _metric("envdoctor_success", "1 where the doctor could do its job.", [({}, 1 if success else 0)])
        + _metric(
            "envdoctor_last_run_timestamp_seconds", "When the facts were taken, Unix time.",
            [] if at is None else [({}, at)],
        )
        + _metric("envdoctor_build_info", "The version of envdoctor.", [({"version": _name(version)}, 1)])
    )  # fmt: skip


def _metric(name: str, about: str, series: Iterable[Series]) -> str:
    """A gauge with all its series; nothing where it has none."""
    rows = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in series]
    return "\n".join([f"# HELP {name} {about}", f"# TYPE {name} gauge", *rows]) + "\n" if rows else ""


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """As a label's value is written (Prometheus docs, "Text-based format"): backslash, quote and line end escaped."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _name(text: str) -> str:
    """A value from elsewhere as a label: printable, valid UTF-8, of a sane length."""
    return line(text).encode("utf-8", "backslashreplace").decode("utf-8")[:200]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _seconds(told: str) -> float | None:
    """Unix time of an ISO 8601 time, None for what is none."""
    try:
        moment = datetime.datetime.fromisoformat(told.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None
