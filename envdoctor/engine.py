"""Runs checks over facts: what ran, what was skipped and why, what crashed; and which finding causes which."""

from __future__ import annotations

import functools
import sys
import time
import traceback
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from envdoctor.columns import Crowd, Facts, Rows, ask, of_jobs, uncollected
from envdoctor.model import Check, Finding, Missing, Outcome, PerNode, Severity, Why


@dataclass(frozen=True)
class Need:
    """One parameter of a check and the fact it asks for."""

    parameter: str
    fact: type
    kind: str  # "required", "judged" (Missing is passed), "optional" (None is passed), "per-node"


@functools.lru_cache(4096)  # checks made for one text are forgotten with it
def needs(function: Any) -> tuple[Need, ...]:
    """The facts a check or summary needs, read from its signature, once: the annotations are evaluated for it.

    Raises:
        TypeError: a parameter is not annotated with a fact type.
    """
    annotations = {name: value for name, value in function.__annotations__.items() if name != "return"}
    namespace = vars(sys.modules[function.__module__]) if function.__module__ in sys.modules else function.__globals__
    parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
    found = []
    for parameter in parameters:
        if parameter not in annotations:
            raise TypeError(f"parameter {parameter!r} of {function.__name__} says not which fact it is")
        annotation = annotations[parameter]
        if isinstance(annotation, str):
            annotation = eval(annotation, namespace)
        found.append(_need(parameter, annotation, function.__name__))
    return tuple(found)


def _need(parameter: str, annotation: Any, function: str) -> Need:
    origin = typing.get_origin(annotation)
    if origin is PerNode:
        return Need(parameter, typing.get_args(annotation)[0], "per-node")
    if origin in (types.UnionType, typing.Union):
        members = typing.get_args(annotation)
        kinds = [member for member in members if member not in (Missing, type(None))]
        if len(kinds) == 1 and isinstance(kinds[0], type):
            return Need(parameter, kinds[0], "judged" if Missing in members else "optional")
    elif origin is None and isinstance(annotation, type):
        return Need(parameter, annotation, "required")
    raise TypeError(f"parameter {parameter!r} of {function} is {annotation!r}, which is no fact")


def rows_of(wanted: Sequence[Need], crowd: Crowd) -> tuple[Rows, dict[int, Missing]]:
    """What the nodes have of these needs; and the rows that lack a needed fact, with the first one that they lack."""
    columns = [crowd.column(need.fact) for need in wanted]
    rows = Rows(
        [
            column.known_only if need.kind == "optional" else column
            for need, column in zip(wanted, columns, strict=True)
        ],
        len(crowd),
    )
    needed = [number for number, need in enumerate(wanted) if need.kind == "required"]
    lacking: dict[int, Missing] = {}
    if any(Missing in columns[number].kinds for number in needed):
        for row, places in enumerate(rows.places):
            held = (columns[number].facts[places[number]] for number in needed)
            missing = next((fact for fact in held if isinstance(fact, Missing)), None)
            if missing is not None:
                lacking[row] = missing
    return rows, lacking


def _over_each(check: Check, crowd: Crowd) -> Outcome:
    """Judge node by node; nodes that have in common all that the check looks at are judged once."""
    start = time.perf_counter()
    try:
        outcome = _declared(_outcome(check, crowd))
    except Exception as error:
        outcome = _crashed(check, error)
    return replace(outcome, seconds=time.perf_counter() - start)


def _outcome(check: Check, crowd: Crowd) -> Outcome:
    rows, lacking = rows_of(needs(check.judge), crowd)
    told = ask(check.judge, rows, lacking)
    found: list[Finding] = []
    skipped: dict[Missing, list[str]] = {}
    if lacking or any(told.values()):
        for node, row in zip(crowd, rows.of_node, strict=True):
            if row in lacking and told and lacking[row].fact in of_jobs():
                continue
            if row in lacking:
                skipped.setdefault(lacking[row], []).append(node)
            else:
                found += [replace(finding, nodes=finding.nodes or (node,)) for finding in told[row]]
    left = tuple((missing, tuple(nodes)) for missing, nodes in skipped.items())
    if told:
        return Outcome(check, "ran", tuple(found), skipped_on=left)
    return Outcome(check, "skipped", missing=left[0][0] if left else None, skipped_on=left)


def _crashed(check: Check, error: Exception) -> Outcome:
    """A check is other people's code as well: whatever it raises is its outcome, and the others go on."""
    return Outcome(check, "crashed", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _declared(outcome: Outcome) -> Outcome:
    """The outcome of a check that reports nothing but what it declares; else that it crashed."""
    undeclared = {finding.code for finding in outcome.findings} - {problem.code for problem in outcome.check.problems}
    if not undeclared:
        return outcome
    told = f"ValueError: reports {', '.join(sorted(undeclared))}, which it does not declare"
    return Outcome(outcome.check, "crashed", error=told, traceback=told)


def _over_all(check: Check, crowd: Crowd) -> Outcome:
    """Judge all nodes at once. What it asks for first may be unknown of some: what does not exist there is known."""
    start = time.perf_counter()
    try:
        every = [crowd.column(need.fact) for need in needs(check.judge)]
        found = tuple(check.judge(*every))
        unknown: dict[Missing, list[str]] = {}
        for node, fact in every[0].items() if len(crowd) > 1 and Missing in every[0].kinds else ():
            if isinstance(fact, Missing) and fact.reason != Why.NOT_HERE.value:
                unknown.setdefault(fact, []).append(node)
        left = tuple((missing, tuple(nodes)) for missing, nodes in unknown.items())
        outcome = _declared(Outcome(check, "ran", found, skipped_on=left))
    except Exception as error:
        outcome = _crashed(check, error)
    return replace(outcome, seconds=time.perf_counter() - start)


def _is_over_all(check: Check) -> bool:
    try:
        return any(need.kind == "per-node" for need in needs(check.judge))
    except Exception:
        return False  # what is wrong with it shows where it meets a node


def run(checks: Iterable[Check], node_facts: Mapping[str, Facts]) -> list[Outcome]:
    """Judge every node's facts with every check.

    Args:
        node_facts: node name -> its facts; what was compared of a `Crowd` is kept for the next who judges it.

    Returns:
        One outcome per check, in order. On several nodes a check "ran" if it ran on any of them; the outcome says on
        which it was skipped all the same.
    """
    crowd = Crowd.of(node_facts)
    with uncollected(len(crowd)):
        return [_over_all(check, crowd) if _is_over_all(check) else _over_each(check, crowd) for check in checks]


def _causes(findings: Sequence[Finding]) -> list[Finding]:
    """Each finding with the first of its declared causes that is present on one of its nodes."""
    present: dict[str, set[str]] = {}
    for finding in findings:
        for node in finding.nodes:
            present.setdefault(node, set()).add(finding.code)
    told = []
    for finding in findings:
        here = set[str]().union(*(present.get(node, set()) for node in finding.nodes))
        known = (finding.because_of,) if finding.because_of else ()
        causes = (*known, *finding.problem.caused_by)
        cause = next((code for code in causes if code in here and code != finding.code), None)
        told.append(replace(finding, because_of=cause))
    return told


def _merge(findings: Iterable[Finding]) -> list[Finding]:
    """The same finding on many nodes is one finding."""
    merged: dict[Any, tuple[Finding, dict[str, None]]] = {}
    for finding in findings:
        key = (finding.code, finding.situation, finding.severity, finding.because_of, tuple(finding.evidence.items()))
        _, nodes = merged.setdefault(key, (finding, {}))
        nodes.update(dict.fromkeys(finding.nodes))
    return [replace(finding, nodes=tuple(nodes)) for finding, nodes in merged.values()]


def _unexplained(findings: list[Finding]) -> list[Finding]:
    """Without those of a last resort where another error explains what they stand for."""
    explained = any(one.severity is Severity.ERROR and not one.problem.last_resort for one in findings)
    return [one for one in findings if not (explained and one.problem.last_resort)]


def _time(finding: Finding) -> float:
    """When it showed: what is known to have happened comes before what was found to be so at no known time."""
    return float("inf") if finding.order is None else finding.order


def fold(outcomes: Iterable[Outcome]) -> tuple[Finding, ...]:
    """All findings: a cause before its consequences, and the chain with the worst member first.

    Among equals the earliest comes first where times are known; else the order is that of the checks, so that it does
    not change from run to run.
    """
    findings = _merge(_causes(_unexplained([finding for outcome in outcomes for finding in outcome.findings])))
    by_code: dict[str, Finding] = {}
    for finding in findings:
        by_code.setdefault(finding.code, finding)

    def root(finding: Finding) -> str:
        seen = [finding.code]
        while finding.because_of and finding.because_of in by_code and finding.because_of not in seen:
            finding = by_code[finding.because_of]
            seen.append(finding.code)
        # Two problems that blame each other: the chain is known by its alphabetically first member.
        return min(seen[seen.index(finding.because_of) :]) if finding.because_of in seen else finding.code

    def depth(finding: Finding) -> int:
        steps, seen = 0, {finding.code}
        while finding.because_of and finding.because_of in by_code and finding.because_of not in seen:
            finding = by_code[finding.because_of]
            seen.add(finding.code)
            steps += 1
        return steps

    chains: dict[str, list[Finding]] = {}
    for finding in findings:
        chains.setdefault(root(finding), []).append(finding)
    ordered = sorted(
        chains.values(), key=lambda chain: (min(finding.severity.rank for finding in chain), min(map(_time, chain)))
    )
    return tuple(finding for chain in ordered for finding in sorted(chain, key=lambda f: (depth(f), f.severity.rank)))
