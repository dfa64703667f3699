"""checks/bench_latency.py"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Pair, Way
from envdoctor.model import Finding
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SIZES
from tests.checks.lines import line_of

FILE = CHECKS / "bench_latency.py"
WARNING, NOTE = {"latency-high": "warning"}, {"latency-high": "note"}


def ways(count: int, us: Callable[[int, int], int], **changes: Any) -> AllreduceResult:
    """Nodes with the round trips between them."""
    members = tuple(
        replace(FIRST, index=index, node=f"gpu{index}", host=f"gpu{index}", address=f"10.0.0.{index}", ranks=(index,))
        for index in range(count)
    )
    found = tuple(Way(a, b, "ok", rtt_us=us(a, b)) for a, b in itertools.permutations(range(count), 2))
    return replace(FINE, **{"world_size": count, "members": members, "ways": found, **changes})


def apart(*ends: int, us: int = 10_000) -> Callable[[int, int], int]:
    """Those are so far from the rest."""
    return lambda a, b: us + a if (a in ends) != (b in ends) else 80 + a + b


def alone(*ends: int, us: int = 10_000) -> Callable[[int, int], int]:
    """Those are so far from everybody."""
    return lambda a, b: us if a in ends or b in ends else 80 + a + b


# A shortest way of two counts: one end had to wait for a processor.
WAITED = replace(
    ways(4, lambda a, b: 9_000 if a == 3 else 90),
    pairs=tuple(Pair(a, b, 1.0, 0.1, 85) for a, b in itertools.permutations(range(4), 2)),
)
SMALL = replace(SIZES[0], median_us=62_000.0)
CASES = [
    Case("no way was measured", (FINE,)),
    Case("all ways alike", (ways(4, lambda a, b: 70 + 5 * a + 3 * b),)),
    Case("two nodes in a room", (ways(2, lambda a, b: 120),)),
    Case("one of three is far away", (ways(3, apart(2)),), WARNING),
    Case("one of four is far away", (ways(4, apart(3)),), WARNING),
    Case("one of eight is far away", (ways(8, apart(5)),), WARNING),
    Case("one is half a millisecond away", (ways(4, apart(3, us=500)),)),
    Case("some way and three times it", (ways(4, lambda a, b: 900 if 3 in (a, b) else 300),)),
    Case("seen longer from one end only", (WAITED,)),
    Case("more ranks than cores, some wait for them", (ways(4, apart(3, us=3_000), oversubscribed=True),)),
    Case("more ranks than cores, one is far away", (ways(4, apart(3), oversubscribed=True),), WARNING),
    Case("two of six are far away", (ways(6, apart(1, 4)),), WARNING),
    Case("three of nine, each by itself", (ways(9, alone(2, 5, 7)),), WARNING),
    Case("two rooms", (ways(6, apart(3, 4, 5)),), WARNING),
    Case("one path goes a detour", (ways(4, lambda a, b: 9_000 if {a, b} == {1, 3} else 80),), WARNING),
    Case("all far from each other", (ways(4, lambda a, b: 20_000 + a, sizes=()),), NOTE),
    Case("two nodes far from each other", (ways(2, lambda a, b: 20_000, sizes=()),), NOTE),
    Case("and measured", (ways(4, lambda a, b: 20_000, sizes=(SMALL,), expected_busbw_gb_s=0.125),), NOTE),
    Case("three places, all different", (ways(3, lambda a, b: 5_000 if 0 in (a, b) else 80_000),), WARNING),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def finding(name: str) -> Finding:
    (found,) = next(case for case in CASES if str(case) == name).assert_holds(FILE)
    return found


def test_one_of_four_is_named_with_its_distance() -> None:
    found = finding("one of four is far away")
    assert (found.situation, found.nodes) == (None, ("gpu3",))
    assert found.evidence["slow"] == pytest.approx(10, rel=0.01)
    assert found.evidence["usual"] == pytest.approx(0.081, rel=0.05)


def test_places_and_detours_are_told_apart() -> None:
    two, three, rooms, path = (
        finding(name)
        for name in ("two of six are far away", "three of nine, each by itself", "two rooms", "one path goes a detour")
    )
    assert (two.situation, two.nodes) == ("nodes", ("gpu1", "gpu4"))
    assert (three.situation, three.nodes) == ("nodes", ("gpu2", "gpu5", "gpu7"))
    assert (rooms.situation, rooms.evidence["places"]) == ("places", "gpu[0-2]; gpu[3-5]")
    assert (path.situation, path.nodes, path.evidence["address"]) == ("path", ("gpu1", "gpu3"), "10.0.0.3")


def test_what_a_long_way_costs() -> None:
    found = finding("and measured")
    assert (found.evidence["steps"], found.evidence["least"], found.evidence["took"]) == (6, 60.0, 62.0)
    # 60 ms at 0.125 GB/s of bus bandwidth, which moves 3/2 of a buffer.
    assert found.evidence["half"] == pytest.approx(5.0)


def test_what_shows_the_way_leads_from_one_place_to_another_and_holds_names_as_words() -> None:
    def us(a: int, b: int) -> int:
        return 60 if len({a, b} & {0, 1}) != 1 and len({a, b} & {2, 3, 4}) != 1 else 9_000

    result = ways(7, us)
    named = tuple(replace(member, node=f"gpu{member.index}; reboot") for member in result.members)
    (found,) = Case("three places", (replace(result, members=named),), WARNING).assert_holds(FILE)
    assert found.situation == "places"
    assert found.look == "traceroute -n 'gpu0; reboot'   # on gpu2; reboot"


def test_the_topic_s_line() -> None:
    near, far = Way(0, 1, rtt_us=120), Way(0, 2, rtt_us=4100)
    assert line_of(FILE, {"a": (replace(FINE, ways=(near, far)),)}) == "shortest round trips 0.12-4.1 ms"
    assert line_of(FILE, {"a": (replace(FINE, ways=(near,)),)}, "zh") == "最短往返 0.12 毫秒"
    around = Way(0, 1, rtt_us=152_300)
    assert line_of(FILE, {"a": (replace(FINE, ways=(around,)),)}) == "shortest round trips 152 ms"
    assert line_of(FILE, {"a": (replace(FINE, ways=()),)}) == ""
