"""envdoctor/watched.py: what was read decides whether another node's facts are judged alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from envdoctor.model import Finding, Missing, Problem, Severity, Text
from envdoctor.watched import Reads, parts, watch
from envdoctor.watched import reads as watched_reads
from tests.boxes import Box, Leaf

SEEN = Problem("seen", Severity.NOTE, Text("seen", "看到"), Text("so", "因此"))


def test_a_watched_fact_passes_for_what_it_is() -> None:
    box = Box("a", 1, (Leaf("x"),), Leaf("y"), {"k": "v"})
    seen = watch(box, Reads())
    assert isinstance(seen, Box) and seen == box and box == seen
    assert seen.__class__ is Box and repr(seen) == repr(box) and vars(seen) == vars(box)
    assert replace(seen, label="b") == replace(box, label="b")
    match seen:
        case Box(label="a", size=size):
            assert size == 1


def test_a_value_that_was_worked_out_before_stands_for_all_fields() -> None:
    box = Box("a")
    object.__setattr__(box, "kept", len(box.label))
    reads = Reads()
    assert watch(box, reads).kept == 1
    assert set(reads.fields) == {"label", "size", "leaves", "lid", "notes"}


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


@given(BOXES, BOXES)
def test_the_same_projection_means_the_same_answer(one: Box, other: Box) -> None:
    reads = Reads()
    told = list(odd_ways(watch(one, reads)))
    try:
        alike = all(get(one) == get(other) for _, get in parts(one, reads))
    except (AttributeError, TypeError):
        alike = False
    assert not alike or told == list(odd_ways(other))


def test_parts_are_named_by_the_way_to_them() -> None:
    reads = Reads()
    box = Box("a", leaves=(Leaf("x"),), notes={"k": "v"})
    shown = watch(box, reads)
    assert shown.label and shown.leaves[0].name and shown.lid.load == 0 and shown.notes
    named = {
        name: get(Box("b", leaves=(Leaf("p"), Leaf("q")))) for name, get in parts(box, reads) if name[-1] is not id
    }
    assert named == {((), "label"): "b", ((("leaves", True),), "name"): ("p", "q"), ((("lid", False),), "load"): 0}
    assert [name for name, _ in parts(box, reads) if name[-1] is id] == [((), "notes", id)]


def test_what_is_no_dataclass_or_missing_is_not_looked_into() -> None:
    assert watched_reads(Box()) == Reads()
    for other in (None, "text", Missing("box", "hung")):
        assert watched_reads(other) is None
        assert [get(other) for _, get in parts(other, None)] == [other]


def test_what_a_class_names_as_a_part_is_noted_as_such() -> None:
    reads = Reads()
    box = Box(leaves=(Leaf("x", 1), Leaf("y", 2)))
    shown = watch(box, reads)
    assert shown.heaviest is not None and shown.heaviest.name == "y" and shown.holds("x") and not shown.holds(name="z")
    assert set(reads.fields) == {"heaviest"} and reads.calls == {("holds", ("x",)), ("holds", ("z",))}
    told = {name: get(Box(leaves=(Leaf("z"),))) for name, get in parts(box, reads)}
    assert told == {
        ((("heaviest", False),), "name"): "z",
        ((), "holds", ("x",)): False,
        ((), "holds", ("z",)): True,
    }  # fmt: skip
    none = Reads()
    assert watch(Box(), none).heaviest is None and none.fields == {"heaviest": None}
