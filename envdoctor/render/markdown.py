"""The report as Markdown, to paste into an issue or a chat."""

from __future__ import annotations

import re

from envdoctor.model import Finding, Report, Severity, Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, clean, line
from envdoctor.render.alike import alike
from envdoctor.render.places import folded, places
from envdoctor.render.words import SEVERITIES, seen, sentence, summed_up, tally, title, why_missing

FIX = Text("Fix", "修复")
NOT_CHECKED = Text("Not checked", "未检查")


def _escaped(text: str) -> str:
    """Text that Markdown would take for markup, shown as it is; backticks stay, they mark literals in our sentences."""
    return re.sub(r"([\\*_\[\]<>|#])", r"\\\1", text)


def _literal(text: str) -> str:
    """A value of the machine as a code span, which no backtick in it can end."""
    return "`" + line(text).replace("`", "'") + "`"


def _prose(text: str) -> str:
    """A sentence whose `literals` stay literal and whose rest cannot be markup."""
    pieces = re.split(r"(`[^`\n]+`)", text)
    return "".join(piece if piece.startswith("`") and len(piece) > 1 else _escaped(piece) for piece in pieces)


def _nodes(report: Report, redactor: Redactor) -> list[str]:
    """Who was examined, a line for all nodes whose Python is at the same place and of the same version."""
    alike: dict[tuple[str, str], list[str]] = {}
    for node in report.nodes:
        alike.setdefault((node.python, node.python_version), []).append(line(redactor.text(node.name)))
    lines = []
    for (python, version), names in alike.items():
        # A text has no Python, and neither has a node that was not reached.
        shown = f", Python {_literal(redactor.text(python))} {_escaped(line(version))}" if python else ""
        lines.append(f"- {_literal(folded(names))}{shown}".rstrip())
    return lines


def _block(finding: Finding, report: Report, style: Style, redactor: Redactor) -> list[str]:
    language = style.language
    where = places(finding, report, redactor)
    what = title(finding, language, redactor)
    lines = [f"### {SEVERITIES[finding.severity].say(language)} `{finding.code}`: {_prose(what)}{_escaped(where)}", ""]
    lines += [f"- {_prose(told)}" for told in seen(finding, language, redactor)]
    lines += ["", _prose(sentence(finding.words.why, finding, language, redactor)), ""]
    if finding.because_of:
        lines += [f"← `{finding.because_of}`", ""]
    help_text = sentence(finding.words.help, finding, language, redactor)
    if finding.command:
        lines += [
            f"{FIX.say(language)}:",
            "",
            "```sh",
            clean(redactor.text(finding.command)).replace("```", "'''"),
            "```",
            "",
        ]
    if help_text:
        lines += [_prose(help_text), ""]
    if finding.look:
        lines += ["```sh", clean(redactor.text(finding.look)).replace("```", "'''"), "```", ""]
    return lines


def render(report: Report, style: Style, redactor: Redactor) -> str:
    lines = [f"## {report.made_by}: {tally(report, style)}", ""]
    lines += [*_nodes(report, redactor), ""]
    for finding in alike(report):
        if finding.severity is not Severity.NOTE or style.verbosity >= 1:
            lines += _block(finding, report, style, redactor)
    topics = [(one.topic.name, summed_up(one, style.language, redactor)) for one in report.topics if one.text]
    if topics:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {name} | {_escaped(said)} |" for name, said in topics] + [""]
    skipped = [outcome for outcome in report.with_status("skipped") if outcome.missing]
    if skipped and style.verbosity >= 1:
        lines += [f"### {NOT_CHECKED.say(style.language)}", ""]
        reasons = dict.fromkeys(
            why_missing(outcome.missing, style.language, redactor) for outcome in skipped if outcome.missing
        )
        lines += [f"- {_escaped(reason)}" for reason in reasons] + [""]
    for outcome in report.with_status("crashed"):
        lines += [f"- `{outcome.check.name}` crashed: {_escaped(line(redactor.text(outcome.error)))}"]
    return "\n".join(lines).rstrip() + "\n"
