"""envdoctor/bench/rounds.py: every pair once, in rounds whose number stays bounded."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench import rounds


@given(st.integers(0, 80))
def test_every_pair_meets_once_in_the_fewest_rounds(count: int) -> None:
    every = [rounds.circle(count, turn) for turn in range(rounds.turns(count))]
    met = Counter(tuple(sorted(pair)) for pairs in every for pair in pairs)
    assert met == Counter(itertools.combinations(range(count), 2))
    assert len(every) == (0 if count < 2 else count - 1 + count % 2)
    assert all(len({end for pair in pairs for end in pair}) == 2 * len(pairs) for pairs in every)


@pytest.mark.parametrize("count", [33, 64, 100, 1001, 4096])
def test_above_32_everybody_meets_its_neighbours_and_a_spread_of_others(count: int) -> None:
    chosen = rounds.chosen(count)
    assert len(chosen) == 31
    partners: dict[int, set[int]] = {}
    for a, b in itertools.chain(*chosen):
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    assert len(partners) == count
    assert min(len(others) for others in partners.values()) >= 26
    assert all({(place - 1) % count, (place + 1) % count} <= others for place, others in partners.items())
    assert all(len({end for pair in pairs for end in pair}) == 2 * len(pairs) for pairs in chosen)


def test_up_to_32_nothing_is_left_out() -> None:
    assert [len(rounds.chosen(count)) for count in (2, 3, 8, 32)] == [1, 3, 7, 31]
