"""envdoctor/watched.py: what was read decides whether another node's facts are judged alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.environment import Environment
from envdoctor.model import Finding, Missing, Problem, Severity, Text
from envdoctor.watched import TRIES, Memory, Parts, Reads, watch

SEEN = Problem("seen", Severity.NOTE, Text("seen", "看到"), Text("so", "因此"))


@dataclass(frozen=True)
class Leaf:
    name: str = ""
    load: int = 0


@dataclass(frozen=True)
class Box:
    label: str = ""
    size: int | None = None
    leaves: tuple[Leaf, ...] = ()
    lid: Leaf = field(default_factory=Leaf)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(leaf.name for leaf in self.leaves)


def counting(judge: Callable[..., Iterable[Finding]]) -> tuple[Memory, list[int]]:
    """A memory of a check, and a list that grows whenever the check is really asked."""
    asked: list[int] = []

    def counted(*arguments: Any) -> Iterable[Finding]:
        asked.append(1)
        return judge(*arguments)

    return Memory(counted), asked


def names(box: Box) -> Iterable[Finding]:
    yield SEEN.found(names=", ".join(box.names), lid=box.lid.name)


def test_fields_that_were_not_read_may_differ() -> None:
    memory, asked = counting(names)
    first = memory.ask([Box("a", 1, (Leaf("x", 1), Leaf("y", 2)), Leaf("l", 3), {"k": "v"})])
    assert memory.ask([Box("b", 2, (Leaf("x", 8), Leaf("y", 9)), Leaf("l", 7))]) is first
    assert len(asked) == 1
    assert memory.ask([Box("a", 1, (Leaf("x", 1), Leaf("z", 2)), Leaf("l"))]) is not first
    assert memory.ask([Box("a", 1, (Leaf("x", 1),), Leaf("l"))])[0].evidence["names"] == "x", "the length was read"
    assert memory.ask([Box(leaves=(), lid=Leaf("l"))])[0].evidence["names"] == ""
    assert len(asked) == 4


def test_what_is_compared_or_hashed_as_a_whole_was_read_as_a_whole() -> None:
    def same(box: Box) -> Iterable[Finding]:
        if box.lid in (*box.leaves, Leaf("none")) and len({*box.leaves}) and box.leaves[0] is box.leaves[0]:
            yield SEEN.found(like=str(replace(box.lid, name="")))

    memory, _ = counting(same)
    assert memory.ask([Box(leaves=(Leaf("x", 1),), lid=Leaf("x", 1))])
    assert not memory.ask([Box(leaves=(Leaf("x", 1),), lid=Leaf("x", 2))])
    assert not memory.ask([Box(leaves=(Leaf("x", 2),), lid=Leaf("x", 1))])


def test_a_watched_fact_passes_for_what_it_is() -> None:
    box = Box("a", 1, (Leaf("x"),), Leaf("y"), {"k": "v"})
    seen = watch(box, Reads())
    assert isinstance(seen, Box) and seen == box and box == seen
    assert seen.__class__ is Box and repr(seen) == repr(box) and vars(seen) == vars(box)
    assert replace(seen, label="b") == replace(box, label="b")
    match seen:
        case Box(label="a", size=size):
            assert size == 1


def test_of_the_environment_single_variables_are_read() -> None:
    def asks(environment: Environment) -> Iterable[Finding]:
        yield SEEN.found(rank=environment.get("RANK"), nccl=len(environment.among(frozenset({"X"}), ("NCCL_",))))

    memory, asked = counting(asks)
    first = memory.ask([Environment({"RANK": "0", "NCCL_ALGO": "Ring", "HOSTNAME": "a"})])
    assert memory.ask([Environment({"HOSTNAME": "b", "RANK": "0", "NCCL_ALGO": "Ring"})]) is first
    assert memory.ask([Environment({"RANK": "1", "NCCL_ALGO": "Ring"})])[0].evidence["rank"] == "1"
    assert memory.ask([Environment({"RANK": "0", "X": "1", "NCCL_ALGO": "Ring"})])[0].evidence["nccl"] == 2
    assert len(asked) == 3


def test_absent_facts_are_told_apart() -> None:
    def judges(box: Box | Missing | None, leaf: Leaf) -> Iterable[Finding]:
        yield SEEN.found(reason=box.reason if isinstance(box, Missing) else None, there=box is not None)

    memory, asked = counting(judges)
    hung, denied = Missing("box", "hung"), Missing("box", "denied")
    told = [
        memory.ask([box, Leaf(str(n))])[0].evidence for n, box in enumerate([hung, denied, None, Box(), hung, None])
    ]
    assert [one["reason"] for one in told] == ["hung", "denied", None, None, "hung", None]
    assert [one["there"] for one in told] == [True, True, False, True, True, False]
    assert len(asked) == 4


def test_a_value_that_was_worked_out_before_stands_for_all_fields() -> None:
    box = Box("a")
    object.__setattr__(box, "kept", len(box.label))
    reads = Reads()
    assert watch(box, reads).kept == 1
    assert set(reads.fields) == {"label", "size", "leaves", "lid", "notes"}


def test_a_check_that_looks_at_what_is_unique_is_no_longer_watched() -> None:
    kinds: list[bool] = []

    def unique(box: Box) -> Iterable[Finding]:
        kinds.append(type(box) is Box)
        yield SEEN.found(label=box.label)

    memory = Memory(unique)
    told = [memory.ask([Box(str(number))])[0].evidence["label"] for number in range(TRIES + 5)]
    assert told == [str(number) for number in range(TRIES + 5)]
    assert kinds == [False] * TRIES + [True] * 5


def test_a_dictionary_is_known_by_which_one_it_is() -> None:
    def notes(box: Box) -> Iterable[Finding]:
        yield SEEN.found(notes=str(box.notes))

    memory, asked = counting(notes)
    shared = {"a": "b"}
    assert memory.ask([Box("1", notes=shared)]) is memory.ask([Box("2", notes=shared)])
    memory.ask([Box("3", notes={"a": "b"})])
    assert len(asked) == 2


BOXES = st.builds(
    Box,
    st.sampled_from("ab"),
    st.sampled_from((None, 0, 1)),
    st.lists(st.builds(Leaf, st.sampled_from("xy"), st.integers(0, 1)), max_size=2).map(tuple),
    st.builds(Leaf, st.sampled_from("xy"), st.integers(0, 1)),
)


def odd_ways(box: Box) -> Iterable[Finding]:
    """Reads one thing or another, by what it has read."""
    if box.size is None:
        yield SEEN.found(label=box.label)
    elif box.size:
        yield SEEN.found(load=max((leaf.load for leaf in box.leaves), default=-1))
    elif box.lid in box.leaves:
        yield SEEN.found(lid=box.lid.name, first=box.leaves[0].name)


@given(st.lists(BOXES, max_size=30))
def test_memory_says_what_the_check_would_say(boxes: list[Box]) -> None:
    memory = Memory(odd_ways)
    assert [memory.ask([box]) for box in boxes] == [list(odd_ways(box)) for box in boxes]


@given(BOXES, BOXES)
def test_the_same_projection_means_the_same_answer(one: Box, other: Box) -> None:
    reads = Reads()
    told = list(odd_ways(watch(one, reads)))
    parts = Parts().read(reads, one)
    try:
        alike = all(part.of(one) == part.of(other) for part in parts)
    except (AttributeError, TypeError):
        alike = False
    assert not alike or told == list(odd_ways(other))
