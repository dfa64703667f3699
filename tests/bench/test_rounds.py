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


@pytest.mark.parametrize("count", [33, 34, 39, 64, 100, 1001, 4096])
def test_above_32_everybody_meets_its_neighbours_its_group_and_others_far_away(count: int) -> None:
    chosen = rounds.chosen(list(range(count)))
    assert len(chosen) == 31
    partners: dict[str, dict[int, set[int]]] = {}
    for kind, pairs in chosen:
        assert len({end for pair in pairs for end in pair}) == 2 * len(pairs)
        for a, b in pairs:
            partners.setdefault(kind, {}).setdefault(a, set()).add(b)
            partners[kind].setdefault(b, set()).add(a)
    assert all(partners["ring"][place] == {(place - 1) % count, (place + 1) % count} for place in range(count))
    assert min(len(others) for others in partners["near"].values()) >= 5
    assert max(abs(place - other) for place, others in partners["near"].items() for other in others) < 16
    assert min(len(others) for others in partners["far"].values()) >= 19
    assert [len(each) for each in partners.values()] == [count] * 3


def test_however_soon_the_budget_ends_something_of_each_kind_was_measured() -> None:
    kinds = [kind for kind, _ in rounds.chosen(list(range(64)))]
    assert kinds[:8] == ["ring", "ring", "near", "far", "near", "far", "near", "far"]


def test_up_to_32_nothing_is_left_out() -> None:
    for count in (2, 3, 8, 32):
        every = [("", rounds.circle(count, turn)) for turn in range(rounds.turns(count))]
        assert rounds.chosen(list(range(count))) == every


@given(st.integers(1, 200))
def test_in_halves_spreads_all_numbers(count: int) -> None:
    told = rounds.in_halves(count)
    assert sorted(told) == list(range(count))
    assert count < 8 or max(told[:4]) - min(told[:4]) >= count // 2


def test_groups_are_of_machines_whose_addresses_are_close() -> None:
    addresses = ["10.0.10.2", "10.0.9.7", "fe80::1%eth0", "10.0.10.1", "", "10.0.9.70"]
    order = rounds.by_address([{"address": address} for address in addresses])
    assert [addresses[place] for place in order] == [
        "", "10.0.9.7", "10.0.9.70", "10.0.10.1", "10.0.10.2", "fe80::1%eth0",
    ]  # fmt: skip
