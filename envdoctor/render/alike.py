"""Findings of many nodes that say the same with other values, told as one."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.model import Finding, Report, Scalar, Text
from envdoctor.render.places import folded

MANY = 4  # such findings are told as one; so many of them are shown


def alike(report: Report) -> tuple[Finding, ...]:
    """The findings; of several nodes, those that say the same with other values are one with the values of each."""
    if len(report.nodes) < 2:
        return report.findings
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in report.findings:
        key = (finding.code, finding.situation, finding.severity, finding.because_of, finding.order)
        groups.setdefault(key, []).append(finding)
    return tuple(each for same in groups.values() for each in ([_one(same)] if len(same) >= MANY else same))


def _one(alike: list[Finding]) -> Finding:
    """One finding for many: what the first says, on all nodes, and the titles of the others among what was seen."""
    first, names = alike[0], [*dict.fromkeys(node for finding in alike for node in finding.nodes)]
    words = first.words
    shown: dict[str, Text] = {}
    values: dict[str, Scalar] = dict(first.evidence)
    for number, finding in enumerate(alike[1:MANY]):
        own = finding.words.title or Text("", "")
        values[f"other_{number}"] = folded(finding.nodes)
        shown[f"other_{number}"] = Text(own.say("en", finding.evidence), own.say("zh", finding.evidence))
    left = len(alike) - MANY
    lines = {
        language: "".join(
            f"\n{{{name}}}：{_literal(text.zh)}" if language == "zh" else f"\n{{{name}}}: {_literal(text.en)}"
            for name, text in shown.items()
        )
        + (f"\n... (+{left})" if left > 0 else "")
        for language in ("en", "zh")
    }
    own_seen = words.seen or words.title or Text("", "")
    seen_all = Text((own_seen.en + lines["en"]).strip(), (own_seen.zh + lines["zh"]).strip())
    situation = first.situation or "as-usual"
    problem = replace(
        first.problem, situations={**first.problem.situations, situation: replace(words, seen=seen_all)}
    )  # fmt: skip
    return replace(first, problem=problem, situation=situation, evidence=values, nodes=tuple(names))


def _literal(text: str) -> str:
    """A sentence as part of a template: its braces are no holes."""
    return text.replace("{", "{{").replace("}", "}}")
