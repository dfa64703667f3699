"""envdoctor/facts/agreement.py"""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.agreement import MOST_SIDES, about, agreement

NAMES = st.text("abn0123456789-", min_size=1, max_size=5)
TOLD = st.dictionaries(NAMES, st.none() | st.sampled_from("xyz"), max_size=12)


@given(TOLD)
def test_every_node_is_on_its_side_or_unknown(told: dict[str, str | None]) -> None:
    found = agreement(told)
    assert {node: side.value for side in found.sides for node in side.nodes} | dict.fromkeys(found.unknown) == told
    assert len({side.value for side in found.sides}) == len(found.sides)
    sizes = [len(side.nodes) for side in found.sides]
    assert sizes == sorted(sizes, reverse=True)


@given(TOLD)
def test_the_usual_side_is_that_of_more_than_half_and_the_rest_is_odd(told: dict[str, str | None]) -> None:
    found = agreement(told)
    counts = Counter(value for value in told.values() if value is not None)
    most = [value for value, count in counts.items() if 2 * count > sum(counts.values())]
    assert ([found.usual.value] if found.usual else []) == most
    assert found.differs == (len(counts) > 1)
    known = {node for node, value in told.items() if value is not None}
    usual = set(found.usual.nodes) if found.usual else set()
    assert set(found.odd_nodes) == known - usual


def test_a_value_with_a_line_break_is_one_side() -> None:
    assert agreement({"n1": "a\nn2: b", "n2": "c"}).listed().splitlines() == ["n1: a n2: b", "n2: c"]


def test_the_sides_are_listed_the_odd_ones_first() -> None:
    found = agreement({"n1": "a", "n2": "b", "n3": "a", "n4": None, "n5": "a"})
    assert found.listed() == "n2: b\nn[1,3,5]: a\nn4: ?"
    assert agreement({}).listed() == ""
    many = agreement({f"n{number}": number for number in range(20)})
    assert len(many.listed().splitlines()) == MOST_SIDES + 1
    assert "n[6-19]: ... (+14)" in many.listed()


@given(st.dictionaries(NAMES, st.none() | st.floats(1, 1e12), max_size=8), st.floats(0.01, 1))
def test_nearly_the_same_is_the_same_and_nothing_is_moved_far(told: dict[str, float | None], tolerance: float) -> None:
    near = about(told, tolerance)
    assert near.keys() == told.keys()
    for node, value in told.items():
        moved = near[node]
        assert (moved is None) == (value is None)
        if value is not None and moved is not None:
            assert moved <= value <= moved * (1 + tolerance)
    groups = sorted({value for value in near.values() if value is not None})
    assert all(b > a * (1 + tolerance) for a, b in itertools.pairwise(groups))
