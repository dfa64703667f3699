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

from envdoctor.model import (
    Check,
    Finding,
    Missing,
    Outcome,
    PerNode,
    Scalar,
    Severity,
    Summary,
    Text,
    Topic,
    TopicFile,
    TopicLine,
    Why,
)

# The facts of one node: fact type -> the fact, or why it is missing.
Facts = Mapping[type, object]


@dataclass(frozen=True)
class Need:
    """One parameter of a check and the fact it asks for."""

    parameter: str
    fact: type
    kind: str  # "required", "judged" (Missing is passed), "optional" (None is passed), "per-node"


@functools.cache
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


@functools.cache
def _absent(fact: type) -> Missing:
    return Missing(fact.__name__.lower(), Why.NOT_HERE.value)


def _arguments(wanted: Sequence[Need], facts: Facts) -> list[object] | Missing:
    """The arguments for a function with these needs, or the first needed fact that is missing."""
    arguments: list[object] = []
    for need in wanted:
        fact = facts.get(need.fact) or _absent(need.fact)
        if isinstance(fact, Missing):
            if need.kind == "required":
                return fact
            arguments.append(fact if need.kind == "judged" else None)
        else:
            arguments.append(fact)
    return arguments


def _on_each(check: Check, wanted: Sequence[Need], node_facts: Mapping[str, Facts]) -> Outcome:
    """Judge node by node. What is said of facts depends on them alone: nodes that hold the very same ones, as a reader
    of many snapshots makes them (`envdoctor.folder`), are judged once."""
    known: dict[tuple[int, ...], list[Finding] | Missing] = {}
    found: list[Finding] = []
    skipped: dict[Missing, list[str]] = {}
    ran = False
    for node, facts in node_facts.items():
        same = tuple([id(facts.get(need.fact)) for need in wanted])
        told = known.get(same)
        if told is None:
            arguments = _arguments(wanted, facts)
            told = arguments if isinstance(arguments, Missing) else list(check.judge(*arguments))
            known[same] = told
        if isinstance(told, Missing):
            skipped.setdefault(told, []).append(node)
            continue
        ran = True
        found += [replace(finding, nodes=finding.nodes or (node,)) for finding in told]
    left = tuple((missing, tuple(nodes)) for missing, nodes in skipped.items())
    if not ran:
        return Outcome(check, "skipped", missing=left[0][0] if left else None, skipped_on=left)
    return Outcome(check, "ran", tuple(found), skipped_on=left)


def _over_all(check: Check, wanted: Sequence[Need], node_facts: Mapping[str, Facts]) -> Outcome:
    """Judge all nodes at once. What it asks for first may be unknown of some: what does not exist there is known."""
    every = [
        {node: facts.get(need.fact) or _absent(need.fact) for node, facts in node_facts.items()} for need in wanted
    ]
    found = tuple(check.judge(*every))
    unknown: dict[Missing, list[str]] = {}
    for node, fact in every[0].items() if len(node_facts) > 1 else ():
        if isinstance(fact, Missing) and fact.reason != Why.NOT_HERE.value:
            unknown.setdefault(fact, []).append(node)
    return Outcome(check, "ran", found, skipped_on=tuple((missing, tuple(nodes)) for missing, nodes in unknown.items()))


def _judge(check: Check, node_facts: Mapping[str, Facts]) -> Outcome:
    start = time.perf_counter()
    try:
        wanted = needs(check.judge)
        over_all = any(need.kind == "per-node" for need in wanted)
        outcome = (_over_all if over_all else _on_each)(check, wanted, node_facts)
        undeclared = {finding.code for finding in outcome.findings} - {problem.code for problem in check.problems}
        if undeclared:
            raise ValueError(f"reports {', '.join(sorted(undeclared))}, which it does not declare")
    except Exception as error:
        # A check is other people's code as well: whatever it raises is its outcome, and the others go on.
        told = f"{type(error).__name__}: {error}"
        outcome = Outcome(check, "crashed", error=told, traceback=traceback.format_exc())
    return replace(outcome, seconds=time.perf_counter() - start)


def run(checks: Iterable[Check], node_facts: Mapping[str, Facts]) -> list[Outcome]:
    """Judge every node's facts with every check.

    Args:
        node_facts: node name -> its facts.

    Returns:
        One outcome per check, in order. On several nodes a check "ran" if it ran on any of them; the outcome says on
        which it was skipped all the same.
    """
    return [_judge(check, node_facts) for check in checks]


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


def summarise(files: Iterable[TopicFile], facts: Facts) -> tuple[TopicLine, ...]:
    """What was seen of each topic, in the order of the files; files may share a topic, the first to speak is heard.

    A topic whose summary fails or lacks a fact has a line without words.
    """
    lines: dict[str, TopicLine] = {}
    for file in files:
        known = lines.get(file.topic.name)
        if known is None or known.text is None:
            lines[file.topic.name] = _summary_line(file, known.topic if known else file.topic, facts)
    return tuple(lines.values())


def _summary_line(file: TopicFile, topic: Topic, facts: Facts) -> TopicLine:
    said: tuple[Text, Mapping[str, Scalar]] | None = None
    if isinstance(file.summary, Summary):
        try:
            arguments = _arguments(needs(file.summary.line), facts)
            said = None if isinstance(arguments, Missing) else file.summary.line(*arguments)
            if said is not None:
                said[0].say("en", said[1])  # a value that does not fit its hole shows here
        except Exception:
            # A summary is an adornment; the checks below it still speak.
            said = None
    return TopicLine(topic) if said is None else TopicLine(topic, said[0], said[1])
