"""envdoctor/facts/link_fit.py: simulated clusters of up to 4096 machines, and who is blamed."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable

import pytest

from envdoctor.bench import rounds
from envdoctor.facts import link_fit as fit
from envdoctor.facts.allreduce import Pair

Rate = Callable[[int, int], float]


def measured(count: int, rate: Rate, seed: int, noise: float = 0.25, busy: float = 0.05) -> list[Pair]:
    """What a run would have measured: all rounds, then what is to be measured again."""
    luck = random.Random(seed)

    def stream(a: int, b: int) -> float:
        return rate(a, b) * (1 - noise * luck.random())

    found: dict[tuple[int, int], Pair] = {}
    for a, b in itertools.chain(*rounds.chosen(count)):
        for one, other in ((a, b), (b, a)):
            found[one, other] = Pair(one, other, stream(one, other), busy)
    for pairs in fit.again(list(found.values()))[: rounds.MOST_AGAIN]:
        for a, b in pairs:
            for one, other in ((a, b), (b, a)):
                known = found.get((one, other), Pair(one, other, times=0))
                best = max(known.gb_s, stream(one, other))
                found[one, other] = Pair(one, other, best, busy, times=known.times + 1)
    return list(found.values())


def told(pairs: list[Pair]) -> list[tuple[int, int | None]]:
    return [(one.a, one.b) for one in fit.blamed(pairs)]


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
    (one,) = fit.blamed(measured(8, lambda a, b: 0.2 if (a, b) == (5, 2) else 1.0, 1))
    assert (one.a, one.b, one.both_ways) == (5, 2, False)


def test_a_machine_that_only_sends_slowly() -> None:
    (one,) = fit.blamed(measured(8, lambda a, b: 0.2 if a == 3 else 1.0, 1))
    assert (one.a, one.b, one.sends, one.receives) == (3, None, True, False)


def test_two_slow_machines_of_eight() -> None:
    assert told(measured(8, lambda a, b: 0.2 if {a, b} & {1, 6} else 1.0, 1)) == [(1, None), (6, None)]


def test_half_of_the_machines_slow_has_no_usual() -> None:
    assert told(measured(8, lambda a, b: 0.2 if min(a, b) < 4 else 1.0, 1)) == []


def test_busy_processors_are_no_slow_link() -> None:
    assert told(measured(8, lambda a, b: 0.2 if 3 in (a, b) else 1.0, 1, busy=0.9)) == []


def test_what_was_slow_once_and_never_again_is_not_blamed() -> None:
    once = [Pair(a, b, 0.2 if 3 in (a, b) else 1.0) for a, b in itertools.permutations(range(8), 2)]
    assert [(one.a, one.b) for one in fit.suspects(once)] == [(3, None)]
    assert fit.blamed(once) == ()


def test_the_suspects_are_measured_with_good_partners_in_disjoint_pairs() -> None:
    pairs = [Pair(a, b, 0.2 if {a, b} & {1, 6} else 1.0) for a, b in itertools.permutations(range(8), 2)]
    again = fit.again(pairs)
    for each in again:
        ends = [end for pair in each for end in pair]
        assert len(ends) == len(set(ends))
    tried = [tuple(pair) for each in again for pair in each]
    assert {a for a, _ in tried} == {1, 6} and not {b for _, b in tried} & {1, 6}
    assert fit.again([]) == []


def test_4096_machines_are_judged_within_seconds() -> None:
    began = time.perf_counter()
    pairs = measured(4096, lambda a, b: 0.3 if 77 in (a, b) else 1.0, 5)
    assert told(pairs) == [(77, None)]
    assert time.perf_counter() - began < 20
