"""The words for what differs between nodes, and the finding that says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts import hostlist
from envdoctor.facts.agreement import Agreement
from envdoctor.model import Finding, Problem, Scalar, Severity, Situation, Text

SPLIT = "-split"
SEEN = Text("{sides}", "各节点的值：\n{sides}")
MOST_VALUES = 3  # values in a title


def situations(
    name: str,
    what: Text,
    why: Text,
    severity: Severity | None = None,
    look: str | None = None,
    advice: Text | None = None,
) -> dict[str, Situation]:
    """Two situations: `name`, where most nodes agree and few are odd, and `name`-split, where no value has a majority.

    Args:
        what: the thing that differs, to stand at the beginning of a title.
    """
    shared = Situation(why=why, seen=SEEN, help=advice, look=look, severity=severity)
    return {
        name: replace(
            shared,
            title=Text(
                what.en + ": {odd} on {odd_nodes}, {usual} on the other {usual_count}",
                what.zh + "：{odd_nodes} 为 {odd}，其余 {usual_count} 个节点为 {usual}",
            ),
        ),
        name + SPLIT: replace(
            shared,
            title=Text(what.en + " differs between the nodes: {values}", what.zh + "在各节点间不一致：{values}"),
        ),
    }  # fmt: skip


def differs(
    problem: Problem, name: str, told: Agreement[Any], **more: Scalar
) -> list[Finding]:  # fmt: skip
    """The finding that nodes differ, on the odd nodes, or on all where no value has a majority; none where they agree.

    Args:
        name: of the situation, as given to `situations`.
        more: further evidence.
    """
    if not told.differs:
        return []
    found = problem.found(name if told.usual is not None else name + SPLIT, **evidence(told), **more)
    return [replace(found, nodes=told.odd_nodes)]


def evidence(told: Agreement[Any]) -> dict[str, Scalar]:
    """Who says what, as the texts of `situations` want it."""
    usual, odd = told.usual, told.odd
    left = f", ... (+{len(odd) - MOST_VALUES})" if len(odd) > MOST_VALUES else ""
    return {
        "odd": ", ".join(str(side.value) for side in odd[:MOST_VALUES]) + left,
        "odd_nodes": hostlist.fold(told.odd_nodes),
        "odd_count": len(told.odd_nodes),
        "usual": None if usual is None else str(usual.value),
        "usual_count": None if usual is None else len(usual.nodes),
        "values": ", ".join(f"{side.value} ({hostlist.fold(side.nodes)})" for side in odd[:MOST_VALUES]) + left,
        "sides": told.listed(),
        "unknown": hostlist.fold(told.unknown) or None,
    }
