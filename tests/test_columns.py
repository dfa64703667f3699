"""envdoctor/columns.py: a function is asked once for all nodes whose facts agree in what it reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envdoctor.columns import MOST_WAYS, TRIES, Column, Crowd, Rows, ask, each
from envdoctor.facts.environment import Environment
from envdoctor.model import Missing
from tests.boxes import Box, Leaf


def column(*facts: object) -> Column:
    return Column({str(number): fact for number, fact in enumerate(facts)})


def asked_of(function: Callable[..., Any], *columns: Column) -> tuple[list[Any], int]:
    """What a function answers of each node, and how often it was really asked."""
    times = 0

    def counted(*facts: Any) -> list[Any]:
        nonlocal times
        times += 1
        return [function(*facts)]

    rows = Rows(columns, len(columns[0]))
    answers = ask(counted, rows)
    return [answers[row][0] for row in rows.of_node], times


def names(box: Box) -> str:
    return ", ".join(box.names) + box.lid.name


def test_fields_that_were_not_read_may_differ() -> None:
    first = Box("a", 1, (Leaf("x", 1), Leaf("y", 2)), Leaf("l", 3), {"k": "v"})
    alike = Box("b", 2, (Leaf("x", 8), Leaf("y", 9)), Leaf("l", 7))
    others = (Box(leaves=(Leaf("x"), Leaf("z")), lid=Leaf("l")), Box(leaves=(Leaf("x"),), lid=Leaf("l")), Box())
    answers, times = asked_of(names, column(first, alike, *others, first))
    assert answers == ["x, yl", "x, yl", "x, zl", "xl", "", "x, yl"]
    assert times == 4


def test_what_is_missing_is_not_like_what_is_there_though_nothing_is_read_of_it() -> None:
    def there(box: Box | Missing | None) -> str:
        return "a box" if isinstance(box, Box) else "none" if box is None else box.reason

    gone = Missing("box", "not-here")
    assert asked_of(there, column(Box("a"), gone, Box("b"), None)) == (["a box", "not-here", "a box", "none"], 3)


def test_what_is_compared_or_hashed_as_a_whole_was_read_as_a_whole() -> None:
    def same(box: Box) -> bool:
        return box.lid in (*box.leaves, Leaf("none")) and bool({*box.leaves}) and box.leaves[0] is box.leaves[0]

    boxes = [
        Box(leaves=(Leaf("x", leaf),), lid=Leaf("x", lid)) for leaf, lid in ((1, 1), (1, 2), (2, 1), (1, 1), (2, 2))
    ]
    assert asked_of(same, column(*boxes)) == ([True, False, False, True, True], 4)


def test_of_the_environment_single_variables_are_read() -> None:
    def reads(environment: Environment) -> tuple[str | None, int]:
        return environment.get("RANK"), len(environment.among(frozenset({"X"}), ("NCCL_",)))

    told = [
        {"RANK": "0", "NCCL_ALGO": "Ring", "HOSTNAME": "a"},
        {"HOSTNAME": "b", "RANK": "0", "NCCL_ALGO": "Ring"},
        {"RANK": "1", "NCCL_ALGO": "Ring"},
        {"RANK": "0", "X": "1", "NCCL_ALGO": "Ring"},
    ]
    answers, times = asked_of(reads, column(*map(Environment, told)))
    assert answers == [("0", 1), ("0", 1), ("1", 1), ("0", 2)] and times == 3


def test_how_many_there_are_and_whether_one_is_there_counts_though_nothing_of_them_is_read() -> None:
    @dataclass(frozen=True)
    class Shelf:
        leaf: Leaf | None = None
        leaves: tuple[Leaf, ...] = ()

    def how_many(shelf: Shelf) -> tuple[bool, int]:
        return shelf.leaf is not None, len(shelf.leaves)

    shelves = [Shelf(Leaf(str(n)) if n % 2 else None, (Leaf(str(n)),) * (n % 3)) for n in range(12)]
    answers, times = asked_of(how_many, column(*shelves))
    assert answers == [how_many(shelf) for shelf in shelves] and times == 6


def test_leaves_of_which_some_are_empty_are_compared_as_a_whole() -> None:
    @dataclass(frozen=True)
    class Branch:
        leaves: tuple[Leaf, ...] = ()
        fruit: Leaf | None = None

    @dataclass(frozen=True)
    class Tree:
        branches: tuple[Branch, ...] = ()

    def weight(tree: Tree) -> int:
        own = [leaf.load for branch in tree.branches for leaf in branch.leaves]
        return sum(own) + sum(branch.fruit.load for branch in tree.branches if branch.fruit)

    bare = Branch()
    loads = (1, 2, 1)
    for order in ((bare, None), (None, bare)):
        trees = [Tree(tuple(one or Branch((Leaf("x", n),), Leaf("y", n)) for one in order)) for n in loads]
        assert asked_of(weight, column(*trees))[0] == [2, 4, 2]


def test_a_field_that_counts_as_a_whole_is_not_forgotten_for_what_is_read_of_it_later() -> None:
    @dataclass(frozen=True)
    class Kept(Box):
        @functools.cached_property
        def most(self) -> int:
            return max(leaf.load for leaf in self.leaves)

    boxes = [Kept(leaves=(Leaf("x", load),)) for load in (1, 2, 3)]
    assert asked_of(lambda box: (box.most, len(box.leaves)), column(*boxes))[0] == [(1, 1), (2, 1), (3, 1)]


def test_absent_facts_are_told_apart() -> None:
    def judges(box: Box | Missing | None, leaf: Leaf) -> object:
        return box.reason if isinstance(box, Missing) else box is not None

    hung, denied = Missing("box", "hung"), Missing("box", "denied")
    boxes = column(hung, denied, None, Box(), Missing("box", "hung"), None)
    answers, times = asked_of(judges, boxes, column(*[Leaf(str(number)) for number in range(6)]))
    assert answers == ["hung", "denied", False, True, "hung", False] and times == 4


def test_what_is_missing_may_be_none_and_what_is_known_stays_the_same() -> None:
    box = Box("a")
    whole, some = column(box, box), column(box, Missing("box", "hung"))
    assert whole.known_only is whole and whole.facts == [box] and whole.places == [0, 0]
    assert list(some.known_only.values()) == [box, None]


def test_a_function_that_looks_at_what_is_unique_is_no_longer_watched() -> None:
    kinds: list[bool] = []

    def unique(box: Box) -> str:
        kinds.append(type(box) is Box)
        return box.label

    labels = [str(number) for number in range(TRIES + 5)]
    assert asked_of(unique, column(*map(Box, labels))) == (labels, TRIES + 5)
    assert kinds == [False] * TRIES + [True] * 5


def test_of_one_fact_nothing_is_watched() -> None:
    assert asked_of(lambda box: type(box) is Box, column(*[Box()] * 3)) == ([True] * 3, 1)


def test_a_dictionary_is_known_by_which_one_it_is() -> None:
    shared = {"a": "b"}
    boxes = column(Box("1", notes=shared), Box("2", notes=shared), Box("3", notes={"a": "b"}))
    assert asked_of(lambda box: str(box.notes), boxes) == ([str(shared)] * 3, 2)


def test_a_value_that_cannot_be_looked_up_is_like_nothing_else() -> None:
    boxes = column(*[Box(label, size=[1]) for label in "ab"], Box("c", size=1), Box("d", size=1))  # type: ignore[arg-type]
    assert asked_of(lambda box: str(box.size), boxes) == (["[1]", "[1]", "1", "1"], 3)


def test_of_many_ways_only_some_are_kept() -> None:
    def follows(environment: Environment) -> str | None:
        return environment.get(environment.get("WAY") or "")

    many = MOST_WAYS + 2
    told = [{"WAY": f"W{n % many}", f"W{n % many}": "x", "HOSTNAME": str(n)} for n in range(3 * many)]
    answers, times = asked_of(follows, column(*map(Environment, told)))
    assert answers == ["x"] * len(told)
    assert times == MOST_WAYS + 3 * 2, "what goes another way is asked each time"


def test_nodes_without_columns_are_all_alike() -> None:
    assert ask(lambda: [7], Rows([], 3)) == {0: [7]} and Rows([], 3).of_node == [0, 0, 0]


def test_rows_may_be_left_out() -> None:
    assert ask(lambda leaf: [leaf.name], Rows([column(Leaf("a"), Leaf("b"))], 2), without={0}) == {1: ["b"]}


def test_a_crowd_says_what_is_not_there() -> None:
    crowd = Crowd({"a": {Box: Box("x")}, "b": {}})
    assert dict(crowd.column(Box)) == {"a": Box("x"), "b": Missing("box", "not-here")}
    assert crowd.column(Box) is crowd.column(Box)


def test_each_says_it_of_every_node() -> None:
    asked: list[str] = []

    def shown(box: Box, leaf: Leaf | None) -> str:
        asked.append(box.label)
        return f"{box.label} {leaf.name if leaf else '-'}"

    boxes = {"n1": Box("a", 1), "n2": Box("a", 2), "n3": Box("b", 3)}
    assert each(shown, boxes, {"n3": Leaf("x"), "n0": Leaf("y")}) == {"n1": "a -", "n2": "a -", "n3": "b x"}
    assert len(asked) == 2
    assert each(shown, Column(boxes), Column(dict.fromkeys(boxes))) == {"n1": "a -", "n2": "a -", "n3": "b -"}
    assert each(shown, {}, boxes) == {}


LEAVES = st.builds(Leaf, st.sampled_from("xy"), st.integers(0, 1))
BOXES = st.builds(
    Box, st.sampled_from("ab"), st.sampled_from((None, 0, 1)), st.lists(LEAVES, max_size=2).map(tuple), LEAVES
)
MAYBE = st.one_of(BOXES, st.builds(Missing, st.just("box"), st.sampled_from(("hung", "denied"))), st.none())


def odd_ways(box: Box | Missing | None, leaf: Leaf) -> object:
    """Reads one thing or another, by what it has read."""
    if not isinstance(box, Box):
        return box and box.reason
    if box.size is None:
        return box.label
    if box.size:
        return max((leaf.load for leaf in box.leaves), default=leaf.load)
    return (box.leaves[0].name, box.lid.name) if box.lid in box.leaves else leaf.name


@given(st.lists(st.tuples(MAYBE, LEAVES), max_size=30))
def test_each_node_is_told_what_the_function_says_of_it_alone(facts: list[tuple[Any, Leaf]]) -> None:
    nodes: Mapping[str, tuple[Any, Leaf]] = {str(number): both for number, both in enumerate(facts)}
    told = each(odd_ways, {node: box for node, (box, _) in nodes.items()}, {n: leaf for n, (_, leaf) in nodes.items()})
    assert told == {node: odd_ways(*both) for node, both in nodes.items()}
