"""The facts of many nodes, kind by kind, and what a function says of each node, asked once for all that are alike.

Thousands of nodes times hundreds of functions are many meetings, and nearly all of them end as one before did. So
nothing is done meeting by meeting that can be done for a column: a part of a fact is compared for all nodes in one go,
whoever reads it, and nodes that agree in all parts that a function reads (envdoctor.watched) fall into one group.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from envdoctor import facts, watched
from envdoctor.model import Missing, Why
from envdoctor.watched import Reads

Answer = TypeVar("Answer")

# The facts of one node: fact type -> the fact, or why it is missing.
Facts = Mapping[type, object]

# A function that has not met its like among so many nodes looks at what no two nodes share.
TRIES = 12
MOST_WAYS = 8  # through a function, by what is read on it
MANY_NODES = 64


@functools.cache
def _absent(kind: type) -> Missing:
    return Missing(kind.__name__.lower(), Why.NOT_HERE.value)


@functools.cache
def of_jobs() -> frozenset[str]:
    """How facts that belong to a job are called where they are missing: one of its nodes has them for all."""
    names = (*facts.OF_BENCHES, *facts.OF_TEXTS)
    return frozenset((*names, *(_absent(facts.kind(name)).fact for name in names)))


class Column(dict[str, Any]):
    """One kind of fact of many nodes: node -> the fact, or what stands for it.

    Attributes:
        facts: each once, though nodes share it.
        places: for each node, in order, where its fact is among these.
    """

    def __init__(self, told: Mapping[str, object]) -> None:
        super().__init__(told)
        places: dict[int, int] = {}
        self.places = [places.setdefault(id(fact), len(places)) for fact in told.values()]
        self.facts = list({id(fact): fact for fact in told.values()}.values())
        self.kinds = set(map(type, self.facts))
        self._numbers: dict[Hashable, list[int]] = {}

    @functools.cached_property
    def types(self) -> list[int]:
        """A number for each of the facts, the same where they are of one type: what is missing is of another."""
        seen: dict[type, int] = {}
        return [seen.setdefault(type(fact), len(seen)) for fact in self.facts]

    @functools.cached_property
    def known_only(self) -> Column:
        """The same with None for what is missing."""
        if Missing not in self.kinds:
            return self  # what was compared of the facts need not be compared again
        return Column({node: None if isinstance(fact, Missing) else fact for node, fact in self.items()})

    def numbers(self, part: Hashable, kind: type, get: Callable[[Any], Hashable]) -> list[int]:
        """A number for each of the facts, the same where a part of them is the same.

        Args:
            part: name of the part among those of facts of this kind.
            get: how it is had. What is of another kind or shaped otherwise, and what cannot be looked up, is like
                nothing else.
        """
        known = self._numbers.get((part, kind))
        if known is None:
            known = self._numbers[part, kind] = self._compared(kind, get)
        return known

    def _compared(self, kind: type, get: Callable[[Any], Hashable]) -> list[int]:
        seen: dict[Hashable, int] = {}
        unlike = (AttributeError, TypeError, IndexError)
        if self.kinds == {kind}:
            with contextlib.suppress(*unlike):
                return [seen.setdefault(value, len(seen)) for value in map(get, self.facts)]
        numbers: list[int] = []
        for place, fact in enumerate(self.facts):
            try:
                number = seen.setdefault(get(fact), len(seen)) if type(fact) is kind else -1 - place
            except unlike:
                number = -1 - place
            numbers.append(number)
        return numbers


class Crowd(dict[str, Facts]):
    """The facts of many nodes: node -> its facts."""

    def __init__(self, node_facts: Mapping[str, Facts]) -> None:
        super().__init__(node_facts)
        self._columns: dict[type, Column] = {}

    @classmethod
    def of(cls, node_facts: Mapping[str, Facts]) -> Crowd:
        """These nodes; what was compared of a crowd before is kept."""
        return node_facts if isinstance(node_facts, cls) else cls(node_facts)

    def column(self, kind: type) -> Column:
        """One kind of fact of all nodes; of a node that says nothing of it, that it is not there."""
        if kind not in self._columns:
            absent = _absent(kind)
            self._columns[kind] = Column({node: own.get(kind) or absent for node, own in self.items()})
        return self._columns[kind]


class Rows:
    """What nodes have in several columns of the same nodes: each combination once, though nodes share it.

    Attributes:
        places: of each combination, the places in the columns.
        of_node: for each node, in order, which combination it has.
    """

    def __init__(self, columns: Sequence[Column], nodes: int) -> None:
        every = [column.places for column in columns]
        combined = zip(*every, strict=True) if every else itertools.repeat((), nodes)
        numbers: dict[tuple[int, ...], int] = {}
        self.columns = columns
        self.of_node = [numbers.setdefault(places, len(numbers)) for places in combined]
        self.places = list(numbers)

    def facts(self, row: int) -> list[Any]:
        return [column.facts[place] for column, place in zip(self.columns, self.places[row], strict=True)]


class _Way:
    """One way through a function: what is read on it, and which rows are alike in that."""

    def __init__(self, reads: Sequence[Reads | None], facts: Sequence[Any], rows: Rows, left: Sequence[int]) -> None:
        """Sort the rows that are left by what was read of the facts of one of them."""
        self.reads = reads
        keys: list[list[int]] = []
        for number, (column, fact, read) in enumerate(zip(rows.columns, facts, reads, strict=True)):
            places = [rows.places[row][number] for row in left]
            if len(column.kinds) > 1:
                # What a fact is shows without anything of it being read.
                keys.append([column.types[place] for place in places])
            for part, get in watched.parts(fact, read):
                numbers = column.numbers(part, type(fact), get)
                keys.append([numbers[place] for place in places])
        groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, key in zip(left, zip(*keys, strict=True) if keys else itertools.repeat((), len(left)), strict=True):
            groups[key].append(row)
        self.like = {row: group for group in groups.values() for row in group}


def ask(function: Callable[..., Iterable[Answer]], rows: Rows, without: Container[int] = ()) -> dict[int, list[Answer]]:
    """What a function of facts answers of each row, asked in order, and once of those that are alike in all it reads.

    Args:
        without: rows that it is not to be asked about.
    """
    answers: dict[int, list[Answer]] = {}
    left = [row for row in range(len(rows.places)) if row not in without]
    ways: dict[tuple[type, ...], list[_Way]] = {}
    tries = TRIES if len(left) > 1 else 0
    for row in left:
        if row in answers:
            continue
        facts = rows.facts(row)
        if not tries:
            answers[row] = list(function(*facts))
            continue
        reads = [watched.reads(fact) for fact in facts]
        shown = [fact if read is None else watched.watch(fact, read) for fact, read in zip(facts, reads, strict=True)]
        answer = list(function(*shown))
        known = ways.setdefault(tuple(map(type, facts)), [])
        way = next((way for way in known if way.reads == reads), None)
        if way is None and len(known) < MOST_WAYS:
            way = _Way(reads, facts, rows, [one for one in left if one not in answers])
            known.append(way)
        alike = [row] if way is None else way.like[row]
        answers.update(dict.fromkeys(alike, answer))
        tries = TRIES if len(alike) > 1 else tries - 1
    return answers


def each(function: Callable[..., Answer], first: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Answer]:
    """What a function says of the facts of each node, for checks that compare many of them.

    It is asked once for all nodes that agree in what it reads, so what it says must follow from that, and must be a
    value of its own: no fact, nor a part of one that is a fact.

    Args:
        first, others: node -> fact, as a check is given them as `PerNode`; None stands for what others do not have.

    Returns:
        Node -> what was said, for all nodes of `first`.
    """
    nodes = list(first)
    columns = [
        told if isinstance(told, Column) and list(told) == nodes else Column({node: told.get(node) for node in nodes})
        for told in (first, *others)
    ]
    rows = Rows(columns, len(nodes))
    answers = ask(lambda *facts: [function(*facts)], rows)
    return {node: answers[row][0] for node, row in zip(nodes, rows.of_node, strict=True)}


@contextlib.contextmanager
def uncollected(nodes: int) -> Iterator[None]:
    """Of many nodes all that is made is kept: a collector that looks through it again and again finds nothing."""
    if nodes < MANY_NODES or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
