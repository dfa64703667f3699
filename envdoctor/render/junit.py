"""The report as JUnit XML: a suite per topic, a case per check, an error-level finding as a failure."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from envdoctor.model import Finding, Outcome, Report, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style, clean
from envdoctor.render.places import places
from envdoctor.render.words import points, title, why_missing


def _xml(text: str) -> str:
    """`text` with only such characters as XML 1.0 allows."""
    kept = clean(text)
    return "".join(
        c if c in "\t\n" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE or ord(c) > 0xFFFF else "?"
        for c in kept
    )


def _words(finding: Finding, style: Style, redactor: Redactor) -> str:
    return _xml("\n".join(points(finding, style.language, redactor)))


def _title(finding: Finding, report: Report, style: Style, redactor: Redactor) -> str:
    return title(finding, style.language, redactor) + places(finding, report, redactor)


def _case(suite: ElementTree.Element, outcome: Outcome, report: Report, style: Style, redactor: Redactor) -> str:
    findings = _findings_of(outcome, report)
    case = ElementTree.SubElement(
        suite, "testcase", classname=outcome.check.topic, name=outcome.check.name, time=f"{outcome.seconds:.6f}"
    )
    if outcome.status == "crashed":
        ElementTree.SubElement(case, "error", message=_xml(redactor.text(outcome.error)))
        return "error"
    if outcome.status == "skipped":
        why = why_missing(outcome.missing, style.language, redactor) if outcome.missing else ""
        ElementTree.SubElement(case, "skipped", message=_xml(why))
        return "skipped"
    failed = [finding for finding in findings if finding.severity is Severity.ERROR]
    for finding in failed:
        what = _xml(f"{finding.code}: {_title(finding, report, style, redactor)}")
        ElementTree.SubElement(case, "failure", type=finding.code, message=what).text = _words(finding, style, redactor)
    lesser = [finding for finding in findings if finding.severity is not Severity.ERROR]
    if lesser:
        titles = [_title(finding, report, style, redactor) for finding in lesser]
        told = [
            f"{finding.severity.value}[{finding.code}]: {what}\n{_words(finding, style, redactor)}"
            for finding, what in zip(lesser, titles, strict=True)
        ]
        ElementTree.SubElement(case, "system-out").text = _xml("\n".join(told))
    return "failure" if failed else ""


def render(report: Report, style: Style, redactor: Redactor) -> str:
    root = ElementTree.Element("testsuites", name="envdoctor", time=f"{report.seconds:.3f}")
    for topic in dict.fromkeys(outcome.check.topic for outcome in report.outcomes):
        outcomes = [outcome for outcome in report.outcomes if outcome.check.topic == topic]
        suite = ElementTree.SubElement(root, "testsuite", name=topic)
        ends = [_case(suite, outcome, report, style, redactor) for outcome in outcomes]
        suite.set("tests", str(len(outcomes)))
        for end, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(name, str(ends.count(end)))
    if report.unloaded:
        suite = ElementTree.SubElement(
            root, "testsuite", name="check files", tests=str(len(report.unloaded)), errors=str(len(report.unloaded))
        )
        for path, error in report.unloaded.items():
            case = ElementTree.SubElement(suite, "testcase", classname="check files", name=_xml(redactor.text(path)))
            ElementTree.SubElement(case, "error", message=_xml(redactor.text(error)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _findings_of(outcome: Outcome, report: Report) -> tuple[Finding, ...]:
    """The report's findings that this check made: they know their nodes and causes."""
    made = {(finding.code, finding.situation, *finding.evidence.items()) for finding in outcome.findings}
    return tuple(f for f in report.findings if (f.code, f.situation, *f.evidence.items()) in made)
