"""Where a finding is, for formats that have one line for it."""

from __future__ import annotations

from envdoctor.facts.hostlist import fold as folded
from envdoctor.model import Finding, Report
from envdoctor.redact import Redactor
from envdoctor.render import line

__all__ = ["folded", "places"]


def places(finding: Finding, report: Report, redactor: Redactor) -> str:
    """ " [node[01-07]]"; nothing in a report on one node."""
    if len(report.nodes) < 2 or not finding.nodes:
        return ""
    return f" [{folded(line(redactor.text(node)) for node in finding.nodes)}]"
