"""Plans of what envdoctor does not do itself, in the words of the findings that call for it."""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor.model import Finding, Text
from envdoctor.remedy import ByHand, Plan, Said


def plan(title: Said, findings: Iterable[Finding]) -> Plan:
    """Every command that the findings name, each with what it is for and what to know beside it.

    A finding without a command that mends it shows the one to decide by. Without findings there is nothing to do.
    """
    steps: dict[str, ByHand] = {}
    for finding in findings:
        command = finding.command or finding.look
        if command:
            steps.setdefault(command, ByHand(command, _why(finding)))
    return Plan(title, by_hand=tuple(steps.values()))


def _why(finding: Finding) -> Said:
    title, help_text = finding.words.title, finding.words.help
    if title is None or help_text is None:
        return Said(title or help_text or Text(finding.code, finding.code), finding.evidence)
    return Said(Text(f"{title.en}; {help_text.en}", f"{title.zh}；{help_text.zh}"), finding.evidence)
