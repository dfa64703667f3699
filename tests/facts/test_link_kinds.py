"""envdoctor/facts/link_kinds.py: what is told where too many are slow for anybody to be blamed, else silence."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts import links
from envdoctor.facts.allreduce import Pair
from envdoctor.facts.link_kinds import Uneven, uneven
from tests.bench import fabrics
from tests.facts.test_link_fit import measured, on_rails


def groups(one: Uneven) -> list[tuple[int, ...]]:
    return [group.ends for group in one.groups]


@pytest.mark.parametrize("count", [2, 3, 4, 8, 31, 32, 33, 100])
def test_nothing_is_said_of_equals(count: int) -> None:
    for seed in range(20):
        assert uneven(measured(count, lambda a, b: 1.0, seed)) == ()


def test_nothing_is_said_where_somebody_is_to_blame() -> None:
    one = measured(8, lambda a, b: 0.2 if 3 in (a, b) else 1.0, 1)
    path = measured(8, lambda a, b: 0.2 if {a, b} == {3, 5} else 1.0, 1)
    rail = on_rails(4, 2, lambda a, b, rail: 0.2 if rail else 1.0, 1)
    for pairs in (one, path, rail):
        assert links.blamed(pairs) and uneven(pairs) == ()


@pytest.mark.parametrize(
    ("count", "slow"),
    [(4, 2), (6, 4), (8, 3), (8, 4), (8, 5), (8, 6), (32, 11), (32, 30), (40, 15), (40, 20), (40, 30)],
)
def test_many_slow_machines(count: int, slow: int) -> None:
    for seed in range(10):
        bad = set(random.Random(seed).sample(range(count), slow))
        pairs = measured(count, lambda a, b, bad=bad: 0.3 if {a, b} & bad else 1.0, seed)  # type: ignore[misc]
        (one,) = uneven(pairs)
        assert (one.kind, groups(one)) == ("kinds", [tuple(sorted(set(range(count)) - bad)), tuple(sorted(bad))])
        assert one.gb_s == pytest.approx(0.3, rel=0.3) and one.usual == pytest.approx(1.0, rel=0.3)


def test_three_kinds() -> None:
    rates = [1.0, 1.0, 1.0, 0.4, 0.4, 0.1, 0.1, 0.1]
    (one,) = uneven(measured(8, lambda a, b: min(rates[a], rates[b]), 1))
    assert groups(one) == [(0, 1, 2), (3, 4), (5, 6, 7)]


def test_a_machine_each_of_its_own_kind_is_told_as_four() -> None:
    (one,) = uneven(measured(8, lambda a, b: 0.5 ** max(a, b), 1, noise=0.0))
    assert len(one.groups) == 4 and sorted(end for group in groups(one) for end in group) == list(range(8))


@pytest.mark.parametrize(("count", "cut"), [(4, 2), (8, 4), (8, 3), (12, 6), (32, 16)])
def test_islands(count: int, cut: int) -> None:
    for seed in range(10):
        (one,) = uneven(measured(count, lambda a, b: 1.0 if (a < cut) == (b < cut) else 0.2, seed))
        assert (one.kind, sorted(groups(one))) == ("islands", [tuple(range(cut)), tuple(range(cut, count))])
        assert one.gb_s == pytest.approx(0.2, rel=0.3)


def test_many_slow_paths_without_a_pattern() -> None:
    slow = {frozenset(pair) for pair in ((0, 3), (1, 4), (2, 6), (5, 7), (1, 6), (0, 5))}
    (one,) = uneven(measured(8, lambda a, b: 0.2 if {a, b} in slow else 1.0, 1))
    assert (one.kind, one.count, one.of, len(one.paths)) == ("paths", 12, 56, 6)
    assert all(frozenset(path[:2]) in slow for path in one.paths)


def test_two_machines_of_which_one_direction_is_slow() -> None:
    (one,) = uneven(measured(2, lambda a, b: 0.2 if (a, b) == (1, 0) else 1.0, 1))
    assert (one.kind, groups(one)) == ("one-way", [(1,), (0,)])


def two_kinds(a: int, b: int) -> float:
    return 0.2 if min(a, b) < 4 else 1.0


def one_sends(a: int, b: int) -> float:
    return 0.2 if a else 1.0


def two_islands(a: int, b: int) -> float:
    return 1.0 if (a < 4) == (b < 4) else 0.2


def test_what_was_seen_once_or_with_busy_processors_is_not_told() -> None:
    once = [Pair(0, 1, 1.0, 0.1), Pair(1, 0, 0.2, 0.1)]
    assert uneven(once) == ()
    few = [replace(pair, times=1) for pair in measured(8, lambda a, b: 0.2 if 3 in (a, b) else 1.0, 1)]
    assert not links.blamed(few) and uneven(few) == ()
    for rate in (two_kinds, one_sends, two_islands):
        assert uneven(measured(8, rate, 1, busy=0.9)) == ()
    for rate in (two_kinds, two_islands):
        assert len(uneven(measured(8, rate, 1, busy=0.7))) == 1, "all waited alike, and not long enough"
    assert uneven(measured(2, one_sends, 1, busy=0.9)) == ()


def test_rails_that_differ_are_told_apart_and_those_that_are_alike_together() -> None:
    both = on_rails(4, 2, lambda a, b, rail: 0.3 if {a, b} & {2, 3} else 1.0, 1)
    second = on_rails(4, 2, lambda a, b, rail: 0.3 if rail and {a, b} & {2, 3} else 1.0, 1)
    assert [(one.rail, groups(one)) for one in uneven(both)] == [(None, [(0, 1), (2, 3)])]
    assert [(one.rail, groups(one)) for one in uneven(second)] == [(1, [(0, 1), (2, 3)])]


@pytest.mark.parametrize("name", [name for name in fabrics.CASES if "healthy" in name])
@pytest.mark.parametrize("count", [33, 64, 128, 256])
def test_healthy_fabrics_are_even(name: str, count: int) -> None:
    for seed in range(3):
        assert uneven(fabrics.links(fabrics.CASES[name](count, seed).fabric).result.pairs) == ()


@given(st.lists(st.builds(
    Pair, st.integers(0, 5), st.integers(0, 5), st.floats(0, 10), st.floats(0, 2), times=st.integers(1, 3),
    rail=st.integers(0, 1), kind=st.sampled_from(["", "", "ring", "near", "far", "few"]),
), max_size=40))  # fmt: skip
def test_whatever_was_measured_is_no_reason_to_fail(pairs: list[Pair]) -> None:
    apart = [pair if pair.a != pair.b else replace(pair, b=(pair.b + 1) % 6) for pair in pairs]
    for one in uneven(apart):
        assert one.kind in ("kinds", "islands", "paths", "one-way")
        assert one.gb_s < one.usual or one.kind == "paths"
