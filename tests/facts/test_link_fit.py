"""envdoctor/facts/link_fit.py: simulated clusters of up to 4096 machines, and who is blamed."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.bench import rounds
from envdoctor.facts import link_fit as fit
from envdoctor.facts import links
from envdoctor.facts.allreduce import Pair

Rate = Callable[[int, int], float]
RailRate = Callable[[int, int, int], float]


def measured(count: int, rate: Rate, seed: int, noise: float = 0.25, busy: float = 0.05) -> list[Pair]:
    """What a run would have measured on one rail."""
    return on_rails(count, 1, lambda a, b, rail: rate(a, b), seed, noise, busy)


def on_rails(count: int, rails: int, rate: RailRate, seed: int, noise: float = 0.25, busy: float = 0.05) -> list[Pair]:
    """What a run would have measured: all rounds, then what is to be measured again."""
    luck = random.Random(seed)
    found: dict[tuple[int, int, int, str], Pair] = {}

    def measure(a: int, b: int, rail: int, kind: str) -> None:
        for one, other in ((a, b), (b, a)):
            known = found.get((one, other, rail, kind), Pair(one, other, times=0))
            best = max(known.gb_s, rate(one, other, rail) * (1 - noise * luck.random()))
            found[one, other, rail, kind] = Pair(one, other, best, busy, times=known.times + 1, rail=rail, kind=kind)

    for (kind, pairs), rail in itertools.product(rounds.chosen(list(range(count))), range(rails)):
        for a, b in pairs:
            measure(a, b, rail, kind)
    few = count <= links.ALL_PAIRS
    left = rounds.MOST_AGAIN if few else rounds.MOST_ASKED
    for _ in range(1 if few else rounds.MOST_QUESTIONS):
        asked = links.again(list(found.values()))[:left]
        left -= len(asked)
        for rail, again, kind in asked:
            for a, b in again:
                measure(a, b, rail, kind)
    return list(found.values())


def told(pairs: list[Pair]) -> list[tuple[int, int | None]]:
    return [(one.a, one.b) for one in links.blamed(pairs)]


@pytest.mark.parametrize("count", [2, 3, 4, 8, 31, 32, 33, 100, 4096])
def test_nobody_is_blamed_among_equals(count: int) -> None:
    for seed in range(1 if count > 1000 else 20):
        assert told(measured(count, lambda a, b: 1.0, seed)) == []


@pytest.mark.parametrize("count", [3, 4, 7, 8, 32, 33, 512, 4096])
def test_one_slow_machine(count: int) -> None:
    for seed in range(1 if count > 1000 else 20):
        slow = random.Random(seed).randrange(count)
        pairs = measured(count, lambda a, b, slow=slow: 0.3 if slow in (a, b) else 1.0, seed)  # type: ignore[misc]
        assert told(pairs) == [(slow, None)]


@pytest.mark.parametrize("count", [4, 8, 32])
def test_one_slow_path(count: int) -> None:
    for seed in range(20):
        a, b = sorted(random.Random(seed).sample(range(count), 2))
        pairs = measured(count, lambda x, y, bad={a, b}: 0.3 if {x, y} == bad else 1.0, seed)  # type: ignore[misc]
        assert told(pairs) == [(a, b)]


def test_a_path_that_is_slow_one_way() -> None:
    (one,) = links.blamed(measured(8, lambda a, b: 0.2 if (a, b) == (5, 2) else 1.0, 1))
    assert (one.a, one.b, one.both_ways) == (5, 2, False)


def test_a_machine_that_only_sends_slowly() -> None:
    (one,) = links.blamed(measured(8, lambda a, b: 0.2 if a == 3 else 1.0, 1))
    assert (one.a, one.b, one.sends, one.receives) == (3, None, True, False)


def test_two_slow_machines_of_eight() -> None:
    assert told(measured(8, lambda a, b: 0.2 if {a, b} & {1, 6} else 1.0, 1)) == [(1, None), (6, None)]


def test_half_of_the_machines_slow_has_no_usual() -> None:
    assert told(measured(8, lambda a, b: 0.2 if min(a, b) < 4 else 1.0, 1)) == []


@pytest.mark.parametrize("count", [3, 4, 8, 33])
@pytest.mark.parametrize("rails", [2, 8])
def test_one_slow_interface(count: int, rails: int) -> None:
    for seed in range(10):
        luck = random.Random(seed)
        slow, bad = luck.randrange(count), luck.randrange(rails)
        of = (slow, bad)
        pairs = on_rails(count, rails, lambda a, b, r, of=of: 0.3 if of in ((a, r), (b, r)) else 1.0, seed)  # type: ignore[misc]
        assert [(one.a, one.b, one.rail) for one in links.blamed(pairs)] == [(slow, None, bad)]


def test_a_machine_that_is_slow_on_all_rails_is_slow_itself() -> None:
    (one,) = links.blamed(on_rails(6, 3, lambda a, b, rail: 0.3 if 4 in (a, b) else 1.0, 1))
    assert (one.a, one.b, one.rail) == (4, None, None)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_rail_that_is_slow_everywhere(count: int) -> None:
    """Between two machines nobody can say whose interface it is."""
    (one,) = links.blamed(on_rails(count, 2, lambda a, b, rail: 0.3 if rail else 1.0, 1))
    assert (one.a, one.b, one.rail) == (-1, None, 1)


def test_a_path_that_is_slow_on_one_rail() -> None:
    (one,) = links.blamed(on_rails(8, 2, lambda a, b, rail: 0.3 if rail and {a, b} == {2, 5} else 1.0, 1))
    assert (one.a, one.b, one.rail) == (2, 5, 1)


@settings(deadline=None, max_examples=12)
@given(st.integers(33, 1024), st.sampled_from((1, 2)), st.data())
def test_of_up_to_1024_machines_the_slow_ones_are_located_in_bounded_rounds(
    count: int, rails: int, data: st.DataObject
) -> None:
    """One to three machines or neighbours in the ring; a ring uses no other path."""
    slow = set(data.draw(st.lists(st.integers(0, count - 1), max_size=3, unique=True)))
    drawn = data.draw(st.lists(st.integers(0, count - 1), min_size=0 if slow else 1, max_size=3 - len(slow)))
    paths = {(min(a, (a + 1) % count), max(a, (a + 1) % count)) for a in drawn}
    paths = {path for path in paths if not slow & set(path)}

    def rate(a: int, b: int, rail: int) -> float:
        return 0.3 if slow & {a, b} or (min(a, b), max(a, b)) in paths else 1.0

    chosen = rounds.chosen(list(range(count)))
    pairs = on_rails(count, rails, rate, data.draw(st.integers(0, 99)))
    assert len(chosen) <= rounds.MOST_ROUNDS
    assert set(told(pairs)) == {(end, None) for end in slow} | paths


def test_a_suspected_path_between_the_others_leaves_partners_to_measure_with() -> None:
    """Of three machines one is slow, and a stream between the other two was slow once."""
    pairs = [Pair(a, b, 0.1 if 1 in (a, b) else 1.0, rail=1) for a, b in itertools.permutations(range(3), 2)]
    pairs += [Pair(a, b, 0.4 if {a, b} == {0, 2} else 1.0) for a, b in itertools.permutations(range(3), 2)]
    assert {(one.a, one.b, one.rail) for one in fit.suspects(pairs)} == {(1, None, 1), (0, 2, 0)}
    measured_again = [(rail, *pair) for rail, each in fit.again(pairs) for pair in each]
    assert {(rail, a) for rail, a, b in measured_again} == {(1, 1), (0, 0)}


def slow_and_busy(own: float, others: float) -> list[Pair]:
    """Machine 3 is slow; how many processors its streams and those of the others kept busy."""
    return [
        replace(pair, busy=own if 3 in (pair.a, pair.b) else others)
        for pair in measured(8, lambda a, b: 0.2 if 3 in (a, b) else 1.0, 1)
    ]


def test_busy_processors_are_no_slow_link() -> None:
    assert told(slow_and_busy(0.9, 0.1)) == []
    assert told(slow_and_busy(0.9, 0.7)) == []


def test_what_processors_cannot_explain_is_a_slow_link() -> None:
    rate = 0.1
    assert not fit.held_back(rate, busy=0.4, usual=1.0), "hardly anybody waited"
    assert not fit.held_back(rate, busy=0.6, usual=1.0), "in two fifths of the time others carry 0.4"
    assert fit.held_back(rate, busy=0.9, usual=1.0) and fit.held_back(rate, busy=1.7, usual=1.0)
    assert not fit.held_back(rate, busy=0.9, usual=1.0, others=0.8), "others carry ten times as much in twice the time"
    assert fit.held_back(0.15, busy=0.91, usual=1.0, others=0.8), "others may have needed theirs"
    assert fit.held_back(0.35, busy=0.98, usual=1.0, others=0.97)
    assert fit.held_back(rate, busy=1.7, usual=1.0, others=1.6), "no time was left to anybody"


def test_where_all_are_busy_the_one_that_waits_less_has_a_slow_link() -> None:
    assert told(slow_and_busy(0.6, 0.9)) == [(3, None)]


def test_what_was_slow_once_and_never_again_is_not_blamed() -> None:
    once = [Pair(a, b, 0.2 if 3 in (a, b) else 1.0) for a, b in itertools.permutations(range(8), 2)]
    assert [(one.a, one.b) for one in fit.suspects(once)] == [(3, None)]
    assert fit.blamed(once) == ()


def test_the_suspects_are_measured_with_good_partners_in_disjoint_pairs() -> None:
    pairs = [Pair(a, b, 0.2 if {a, b} & {1, 6} else 1.0) for a, b in itertools.permutations(range(8), 2)]
    again = fit.again(pairs)
    for _, each in again:
        ends = [end for pair in each for end in pair]
        assert len(ends) == len(set(ends))
    tried = [tuple(pair) for _, each in again for pair in each]
    assert {a for a, _ in tried} == {1, 6} and not {b for _, b in tried} & {1, 6}
    assert fit.again([]) == []


def test_4096_machines_are_judged_within_seconds() -> None:
    began = time.process_time()
    pairs = measured(4096, lambda a, b: 0.3 if 77 in (a, b) else 1.0, 5)
    assert told(pairs) == [(77, None)]
    assert time.process_time() - began < 20
