"""Where a finding is, for formats that have one line for it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor.model import Finding, Report
from envdoctor.redact import Redactor
from envdoctor.render import line

MOST = 8  # names or ranges in a line; the rest is a number


def places(finding: Finding, report: Report, redactor: Redactor) -> str:
    """ " [node[01-07]]"; nothing in a report on one node."""
    if len(report.nodes) < 2 or not finding.nodes:
        return ""
    return f" [{folded(line(redactor.text(node)) for node in finding.nodes)}]"


def folded(names: Iterable[str]) -> str:
    """Names in few characters, "node[01-03,07],login": Slurm's form, which it and `--hosts` read back."""
    runs: list[tuple[str, str, list[list[str]]]] = []
    for name in dict.fromkeys(names):
        found = re.fullmatch(r"(.*?)(\d{1,9})(\D*)", name)
        before, number, after = found.groups() if found else (name, "", "")
        last = runs[-1] if runs else None
        if number and last and last[:2] == (before, after) and last[2] and len(last[2][-1][1]) == len(number):
            span = last[2][-1]
            if int(number) == int(span[1]) + 1:
                span[1] = number
            else:
                last[2].append([number, number])
        else:
            runs.append((before, after, [[number, number]] if number else []))
    told = [_run(before, after, spans) for before, after, spans in runs]
    return ",".join(told[:MOST]) + (f",... ({len(told) - MOST} more)" if len(told) > MOST else "")


def _run(before: str, after: str, spans: list[list[str]]) -> str:
    if not spans:
        return before
    if len(spans) == 1 and spans[0][0] == spans[0][1]:
        return before + spans[0][0] + after
    inside = ",".join(first if first == last else f"{first}-{last}" for first, last in spans[:MOST])
    return f"{before}[{inside}{',...' if len(spans) > MOST else ''}]{after}"
