"""Two nodes, or two groups of nodes, side by side: what differs of what training depends on, the likeliest first.

Each side's nodes tell values (`envdoctor.compared`). A value differs where the sides hold other values, or where most
of one side's nodes hold another than most of the other's. What one side does not know is not compared, and said.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from envdoctor import facts
from envdoctor.compared import BY_NAME, GROUPS, Aspect, Group, Told, aspects
from envdoctor.model import Finding, Language, Missing, Severity, Text, Why
from envdoctor.snapshot import Snapshot

# What an observer's end says of the node itself; a fact that was left out or came too late says nothing.
ENDS = {Why.HUNG.value: "hangs", Why.CRASHED.value: "crashes", Why.DENIED.value: "denied", Why.INVALID.value: "invalid"}
SIZES_AGREE = 1.03  # memory that firmware and kernel reserve differs by less than that among equal machines
TOKEN = re.compile(r"\*\*\*[0-9a-f]{8}\*\*\*")
HIDDEN = "***"
Letter = Literal["a", "b"]


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        name: the file or folder it was read from.
        snapshots: of its nodes, told apart by name.
        findings: what the checks find in them. judged: codes of the problems that were looked for at all.
        of_text: it was read from other people's text, where a value is often left out and a default is no value.
    """

    name: str
    snapshots: tuple[Snapshot, ...]
    findings: tuple[Finding, ...] = ()
    judged: frozenset[str] = frozenset()
    of_text: bool = False


@dataclass(frozen=True)
class Share:
    """A value of a side and the nodes that hold it."""

    value: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A value that differs.

    Attributes:
        a, b: the values of either side, the commonest first; "" is absent.
        separates: no value is on both sides.
        detail: seldom the reason.
        follows: "group.name" of another difference that explains this one, "" for none.
        gone: side -> its nodes that lack the whole thing of which this is a value: torch, a driver, RDMA.
    """

    group: Group
    name: str
    label: Text | None
    a: tuple[Share, ...]
    b: tuple[Share, ...]
    separates: bool = True
    detail: bool = False
    follows: str = ""
    gone: Mapping[Letter, frozenset[str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.group.name}.{self.name}"

    def called(self, language: Language) -> str:
        """Its name for people."""
        return self.label.say(language) if self.label else self.name

    @property
    def folded(self) -> bool:
        """Whether it needs no line of its own: it is a detail, or another difference explains it."""
        return self.detail or bool(self.follows)


@dataclass(frozen=True)
class OneSided:
    """A problem that one side has and the other has not, or has less badly or on fewer of its nodes.

    Attributes:
        side: the side that has it; nodes: of that side, those that have it as badly as the finding says.
        others: such nodes of the other side; milder: its severity there, None where that is the same.
    """

    side: Letter
    finding: Finding
    nodes: tuple[str, ...]
    others: tuple[str, ...] = ()
    milder: Severity | None = None


@dataclass(frozen=True)
class Comparison:
    """What differs.

    Attributes:
        problems: the worst first, causes before consequences.
        differences: the likeliest reason first.
        hidden: what both sides hide, and differs in hashes only; where nothing shows that these were made under one
            key, nobody can tell whether it differs.
        unknown: side -> "group.name" of what it does not tell and the other does.
        unjudged: side -> codes of the other side's problems for which it could not be examined.
    """

    a: Side
    b: Side
    problems: tuple[OneSided, ...] = ()
    differences: tuple[Difference, ...] = ()
    hidden: tuple[Difference, ...] = ()
    unknown: Mapping[Letter, tuple[str, ...]] = field(default_factory=dict)
    unjudged: Mapping[Letter, tuple[str, ...]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing differs. A note is no difference: what it is about is one, if it matters."""
        return not self.differences and all(one.finding.severity is Severity.NOTE for one in self.problems)


@dataclass
class _Value:
    """A value before it is compared: who tells it, and by side what each node tells."""

    teller: Aspect
    label: Text | None
    told: dict[Letter, dict[str, Told]]
    gone: dict[Letter, set[str]] = field(default_factory=lambda: {"a": set(), "b": set()})

    def known(self, letter: Letter) -> dict[str, Told]:
        return {node: told for node, told in self.told[letter].items() if told.value is not None}


def compare(a: Side, b: Side) -> Comparison:
    """What differs between two sides, of each at least one node."""
    sides: tuple[tuple[Letter, Side], ...] = (("a", a), ("b", b))
    values: dict[tuple[str, str], _Value] = {}
    for letter, side in sides:
        for snapshot in side.snapshots:
            for one, told in _all_told(snapshot, side.of_text):
                value = values.setdefault((one.group, told.name), _Value(one, told.label, {"a": {}, "b": {}}))
                value.told[letter][snapshot.node.name] = told
    for letter, side in sides:
        if not side.of_text:
            _fill_absent(values, letter, side)
    one_key = bool(_tokens(values.values(), "a") & _tokens(values.values(), "b")) or _one_key(a, b)
    found: list[Difference] = []
    hidden: list[Difference] = []
    unknown: dict[Letter, tuple[str, ...]] = {"a": (), "b": ()}
    for (group, name), value in values.items():
        known_a, known_b = value.known("a"), value.known("b")
        if known_a and known_b:
            difference = _difference(name, value, known_a, known_b)
            if difference is not None:
                (hidden if not one_key and _may_be_equal(difference) else found).append(difference)
        elif any(told.value for told in (known_a or known_b).values()):
            silent: Letter = "b" if known_a else "a"
            unknown[silent] = (*unknown[silent], f"{group}.{name}")
    problems, unjudged = _one_sided(a, b)
    return Comparison(a, b, problems, _ranked(found), tuple(hidden), unknown, unjudged)


@functools.cache
def _section(fact: type) -> str:
    """The section that decodes into a fact: under its name a report says why it is missing."""
    return next(name for name in facts.KINDS if facts.kind(name) is fact)


def _all_told(snapshot: Snapshot, of_text: bool) -> Iterator[tuple[Aspect, Told]]:
    """All that a node tells. How the observer of a fact ended is told as well: a call that hangs is no unknown."""
    known = snapshot.facts
    for one in aspects():
        fact = known.get(one.fact)
        if isinstance(fact, Missing) and fact.reason in ENDS:
            yield one, Told(_section(one.fact), ENDS[fact.reason])
        elif isinstance(fact, one.fact):
            if not of_text:
                yield one, Told(_section(one.fact), "works")
            defaults = {told.name: told.value for told in one.values(one.fact(), {})} if of_text else {}
            for told in _values(one, fact, known):
                if not of_text or (told.value and defaults.get(told.name) != told.value):
                    yield one, told


def _values(one: Aspect, fact: object, known: Mapping[type, object]) -> Sequence[Told]:
    """What a fact tells. One that makes no sense, from a file that may come from anywhere, tells nothing."""
    try:
        return tuple(one.values(fact, known))
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return ()


def _fill_absent(values: Mapping[tuple[str, str], _Value], letter: Letter, side: Side) -> None:
    """A value that another node tells is absent on a node that was looked at for it, or that has no such thing."""
    for snapshot in side.snapshots:
        known = snapshot.facts
        for (_, name), value in values.items():
            fact = known.get(value.teller.fact)
            gone = isinstance(fact, Missing) and fact.reason == Why.NOT_HERE.value
            if gone:
                value.gone[letter].add(snapshot.node.name)
            if snapshot.node.name not in value.told[letter] and (gone or isinstance(fact, value.teller.fact)):
                ends = name == _section(value.teller.fact)
                value.told[letter][snapshot.node.name] = Told(name, "works" if ends else "")


def _difference(name: str, value: _Value, a: Mapping[str, Told], b: Mapping[str, Told]) -> Difference | None:
    told = (*a.values(), *b.values())
    same = _same_sizes(told)
    shares_a, shares_b = _shares(a, same), _shares(b, same)
    values_a, values_b = ({share.value for share in shares} for shares in (shares_a, shares_b))
    if values_a == values_b and _commonest(shares_a) == _commonest(shares_b):
        return None
    present = [one for one in told if one.value]
    reasons = {one.follows for one in present}
    return Difference(
        BY_NAME[value.teller.group], name, value.label, shares_a, shares_b,
        separates=not values_a & values_b,
        detail=all(one.detail for one in present),
        follows=reasons.pop() if len(reasons) == 1 else "",
        gone={letter: frozenset(nodes) for letter, nodes in value.gone.items()},
    )  # fmt: skip


def _same_sizes(told: Iterable[Told]) -> dict[str, str]:
    """Value -> the value it counts as: sizes within a few per cent of the next one are one size."""
    sizes = sorted({(one.size, one.value) for one in told if one.size is not None and one.value})
    counts_as: dict[str, str] = {}
    first, last = "", 0.0
    for size, value in sizes:
        if not first or size > last * SIZES_AGREE:
            first = value
        counts_as.setdefault(value, first)
        last = size
    return counts_as


def _shares(told: Mapping[str, Told], counts_as: Mapping[str, str]) -> tuple[Share, ...]:
    nodes: dict[str, list[str]] = {}
    for node, one in told.items():
        value = one.value or ""
        nodes.setdefault(counts_as.get(value, value), []).append(node)
    ordered = sorted(nodes.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Share(value, tuple(who)) for value, who in ordered)


def _commonest(shares: Sequence[Share]) -> set[str]:
    most = max(len(share.nodes) for share in shares)
    return {share.value for share in shares if len(share.nodes) == most}


def _tokens(values: Iterable[_Value], letter: Letter) -> set[str]:
    """The hashes that stand for hidden values on a side. One that is on both shows that both have one key."""
    told = (one.value for value in values for one in value.told[letter].values() if one.value and HIDDEN in one.value)
    return {token for value in told for token in TOKEN.findall(value)}


def _one_key(a: Side, b: Side) -> bool:
    """Whether all of both sides says that it was redacted under the same key."""
    marks = {snapshot.redacted_under for side in (a, b) for snapshot in side.snapshots}
    return len(marks) == 1 and "" not in marks


def _may_be_equal(difference: Difference) -> bool:
    """Whether the sides differ in hashes only."""
    values = [{share.value for share in shares} for shares in (difference.a, difference.b)]
    plain = [{TOKEN.sub(HIDDEN, value) for value in side} for side in values]
    return plain[0] == plain[1] and any(TOKEN.search(value) for side in values for value in side)


def _ranked(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """What separates the sides first, then in the order of the groups; details and what follows from others last."""
    keys = {one.key for one in found}
    first: dict[str, Difference] = {}
    for one in found:
        if one.gone.get("a") or one.gone.get("b"):
            first.setdefault(one.group.name, one)
    told = []
    for one in found:
        anchor = first.get(one.group.name, one)
        follows = one.follows if one.follows in keys else ""
        told.append(replace(one, follows=anchor.key if _goes_with(one, anchor) else follows))
    order = [group.name for group in GROUPS]
    return tuple(sorted(told, key=lambda one: (one.folded, not one.separates, order.index(one.group.name))))


def _goes_with(one: Difference, anchor: Difference) -> bool:
    """Whether it differs only where the whole thing is absent: without torch there is no CUDA of torch either."""
    gone_a, gone_b = one.gone.get("a", frozenset()), one.gone.get("b", frozenset())
    if one is anchor or not (gone_a or gone_b):
        return False
    rest_a = {share.value for share in one.a if set(share.nodes) - gone_a}
    rest_b = {share.value for share in one.b if set(share.nodes) - gone_b}
    return rest_a == rest_b or not rest_a or not rest_b


def _one_sided(a: Side, b: Side) -> tuple[tuple[OneSided, ...], dict[Letter, tuple[str, ...]]]:
    """The problems that tell the sides apart, and those for which the other side could not be examined."""
    found: list[OneSided] = []
    unjudged: dict[Letter, tuple[str, ...]] = {"a": (), "b": ()}
    sides: tuple[tuple[Letter, Letter, Side, Side], ...] = (("b", "a", b, a), ("a", "b", a, b))
    for letter, opposite, own, other in sides:
        own_worst, other_worst = _worst(own), _worst(other)
        for code, finding in own_worst.items():
            theirs = other_worst.get(code)
            if theirs is None and code not in other.judged:
                unjudged[opposite] = (*unjudged[opposite], code)
                continue
            nodes, others = _nodes(own, code, finding.severity), _nodes(other, code, finding.severity)
            worse = theirs is None or theirs.severity.rank > finding.severity.rank
            alike = theirs is not None and theirs.severity is finding.severity
            more = len(nodes) * 2 > len(own.snapshots) and len(others) * 2 <= len(other.snapshots)
            if worse or (alike and more):
                milder = theirs.severity if theirs is not None and worse else None
                found.append(OneSided(letter, finding, nodes, others, milder))
    return tuple(sorted(found, key=lambda one: one.finding.severity.rank)), unjudged


def _worst(side: Side) -> dict[str, Finding]:
    """Code -> its worst finding, in the order of the report."""
    worst: dict[str, Finding] = {}
    for finding in side.findings:
        known = worst.setdefault(finding.code, finding)
        if finding.severity.rank < known.severity.rank:
            worst[finding.code] = finding
    return worst


def _nodes(side: Side, code: str, severity: Severity) -> tuple[str, ...]:
    """The nodes that have a problem as badly as that, or worse."""
    found = [one for one in side.findings if one.code == code and one.severity.rank <= severity.rank]
    return tuple(dict.fromkeys(node for finding in found for node in finding.nodes))
