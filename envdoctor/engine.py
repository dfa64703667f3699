"""Runs checks over facts: what ran, what was skipped and why, what crashed; and which finding causes which."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
import time
import traceback
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from envdoctor.watched import Memory, Parts

MANY_NODES = 64

# The facts of one node: fact type -> the fact, or why it is missing.
Facts = Mapping[type, object]


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


class _Course:
    """A check on its way from node to node. Nodes that have in common all that it looks at are judged once."""

    def __init__(self, check: Check, parts: Parts | None) -> None:
        """A check, and the parts of facts that all checks look at; None for a single node."""
        self._check = check
        self._ask = Memory(check.judge, parts).ask if parts else lambda arguments: check.judge(*arguments)
        self._wanted: tuple[Need, ...] | None = None
        self._found: list[Finding] = []
        self._skipped: dict[Missing, list[str]] = {}
        self._ran = False
        self._crashed: Outcome | None = None
        self._seconds = 0.0

    def meet(self, node: str, facts: Facts) -> None:
        """Judge one node."""
        if self._crashed is not None:
            return
        start = time.perf_counter()
        try:
            if self._wanted is None:
                self._wanted = needs(self._check.judge)
            arguments = _arguments(self._wanted, facts)
            if isinstance(arguments, Missing):
                self._skipped.setdefault(arguments, []).append(node)
            else:
                self._ran = True
                for finding in self._ask(arguments):
                    self._found.append(replace(finding, nodes=finding.nodes or (node,)))
        except Exception as error:
            self._crashed = _crashed(self._check, error)
        self._seconds += time.perf_counter() - start

    def outcome(self) -> Outcome:
        """What became of the check on all nodes it met."""
        left = tuple((missing, tuple(nodes)) for missing, nodes in self._skipped.items())
        if self._crashed is not None:
            told = self._crashed
        elif self._ran:
            told = _declared(Outcome(self._check, "ran", tuple(self._found), skipped_on=left))
        else:
            told = Outcome(self._check, "skipped", missing=left[0][0] if left else None, skipped_on=left)
        return replace(told, seconds=self._seconds)


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


def _over_all(check: Check, wanted: Sequence[Need], node_facts: Mapping[str, Facts]) -> Outcome:
    """Judge all nodes at once. What it asks for first may be unknown of some: what does not exist there is known."""
    start = time.perf_counter()
    try:
        every = [
            {node: facts.get(need.fact) or _absent(need.fact) for node, facts in node_facts.items()} for need in wanted
        ]
        found = tuple(check.judge(*every))
        unknown: dict[Missing, list[str]] = {}
        for node, fact in every[0].items() if len(node_facts) > 1 else ():
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
        node_facts: node name -> its facts.

    Returns:
        One outcome per check, in order. On several nodes a check "ran" if it ran on any of them; the outcome says on
        which it was skipped all the same.
    """
    with _uncollected(len(node_facts)):
        return _run(list(checks), node_facts)


@contextlib.contextmanager
def _uncollected(nodes: int) -> Iterator[None]:
    """Of many nodes all that is made is kept: a collector that looks through it again and again finds nothing."""
    if nodes < MANY_NODES or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _run(checks: Sequence[Check], node_facts: Mapping[str, Facts]) -> list[Outcome]:
    parts = Parts() if len(node_facts) > 1 else None
    courses = {id(check): _Course(check, parts) for check in checks if not _is_over_all(check)}
    for course in courses.values():
        for node, facts in node_facts.items():
            course.meet(node, facts)
    return [
        courses[id(check)].outcome() if id(check) in courses else _over_all(check, needs(check.judge), node_facts)
        for check in checks
    ]


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


def summarise(files: Iterable[TopicFile], node_facts: Mapping[str, Facts]) -> tuple[TopicLine, ...]:
    """What was seen of each topic, in the order of the files; files may share a topic, the first to speak is heard.

    Of several nodes it is what most of them show. A topic whose summary fails or lacks a fact everywhere has a line
    without words.
    """
    lines: dict[str, TopicLine] = {}
    for file in files:
        known = lines.get(file.topic.name)
        if known is None or known.text is None:
            lines[file.topic.name] = _summary_line(file, known.topic if known else file.topic, node_facts)
    return tuple(lines.values())


def _summary_line(file: TopicFile, topic: Topic, node_facts: Mapping[str, Facts]) -> TopicLine:
    if not isinstance(file.summary, Summary):
        return TopicLine(topic)
    line = file.summary.line
    memory = Memory(lambda *arguments: [line(*arguments)])
    told: dict[Any, tuple[Text, Mapping[str, Scalar], int]] = {}
    for facts in node_facts.values():
        try:
            arguments = _arguments(needs(line), facts)
            said = None if isinstance(arguments, Missing) else memory.ask(arguments)[0]
            if said is not None:
                said[0].say("en", said[1])  # a value that does not fit its hole shows here
                key = said[0].en, tuple(said[1].items())
                told[key] = said[0], said[1], told[key][2] + 1 if key in told else 1
        except Exception:
            # A summary is an adornment; the checks below it still speak.
            continue
    if not told:
        return TopicLine(topic)
    return _common_line(topic, list(told.values()), len(node_facts))


def _common_line(topic: Topic, told: list[tuple[Text, Mapping[str, Scalar], int]], nodes: int) -> TopicLine:
    """The line that most nodes share; where none is, that of the most common form, with its values from least to most
    or as far as they begin alike."""
    text, values, same = max(told, key=lambda one: one[2])
    if 2 * same > nodes or len(told) == 1:
        return TopicLine(topic, text, values, same, nodes)
    forms = Counter[str]()
    for each, _, times in told:
        forms[each.en] += times
    form = forms.most_common(1)[0][0]
    alike = [(own, times) for each, own, times in told if each.en == form]
    text = next(each for each, _, _ in told if each.en == form)
    shown: dict[str, Scalar] = {}
    usual: dict[str, Scalar] = {}
    for name in alike[0][0]:
        counted = Counter[Scalar]()
        for own, times in alike:
            counted[own.get(name)] += times
        value, times = counted.most_common(1)[0]
        if 2 * times > forms[form]:
            usual[name] = value
        shown[name] = value if name in usual else spread(list(counted))
    same = sum(times for own, times in alike if all(own.get(name) == value for name, value in usual.items()))
    return TopicLine(topic, text, shown, same, nodes)


class Span(str):
    """Numbers from least to most, each shown as the hole in the text asks: "34-38", and "75" where that is both."""

    def __new__(cls, low: float, high: float) -> Span:
        made = super().__new__(cls, f"{low}-{high}")
        made.ends = low, high
        return made

    ends: tuple[float, float]

    def __format__(self, spec: str) -> str:
        return "-".join(dict.fromkeys(format(end, spec) for end in self.ends))


def spread(values: Sequence[Scalar]) -> Scalar:
    """One value that stands for several: the same one, "least-most" of numbers, the common beginning of texts."""
    known = [value for value in values if value is not None]
    if not known or all(value == known[0] for value in known):
        return known[0] if known else None
    if all(isinstance(value, (int, float)) for value in known):
        numbers = [value for value in known if isinstance(value, (int, float))]
        return Span(min(numbers), max(numbers))
    # Characters are meant: "10.0.0" of two addresses.
    return os.path.commonprefix([str(value) for value in known]).rstrip(".") + "..."  # noqa: RUF071
