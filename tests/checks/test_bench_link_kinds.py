"""checks/bench_link_kinds.py"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Pair
from envdoctor.facts.nics import Address, Nic, Nics
from envdoctor.model import Finding
from envdoctor.testing import Case, checks_of, findings, topic_file
from tests import CHECKS
from tests.bench import fabrics
from tests.checks.bench_results import FINE, FIRST
from tests.facts.test_link_fit import measured

FILE = CHECKS / "bench_link_kinds.py"
NOTE = {"links-uneven": "note"}


def result(pairs: Sequence[Pair], us: dict[frozenset[int], int] | None = None) -> AllreduceResult:
    """What `bench links` measured between gpu0 and so on, with the round trips between some of them."""
    count = 1 + max(pair.a for pair in pairs)
    members = tuple(
        replace(FIRST, index=index, node=f"gpu{index}", host=f"gpu{index}", address=f"10.0.0.{index}", ranks=())
        for index in range(count)
    )
    trips = us or {}
    told = tuple(replace(pair, rtt_us=trips.get(frozenset((pair.a, pair.b)), 80)) for pair in pairs)
    return replace(FINE, op="links", sizes=(), members=members, pairs=told)


def links(count: int, rate: Callable[[int, int], float], **more: Any) -> AllreduceResult:
    return result(measured(count, rate, 1, noise=0.1), **more)


def half(a: int, b: int) -> float:
    """The second half of eight carries a third."""
    return 0.4 if max(a, b) >= 4 else 1.2


def islands(a: int, b: int) -> float:
    return 1.2 if (a < 4) == (b < 4) else 0.3


def lan(place: int, mbps: int, real: bool = True) -> Nics:
    nic = Nic("eth0", 2, speed_mbps=mbps, speed_is_real=real)
    return Nics((nic,), (Address("eth0", "eth0", f"10.0.0.{place}", 24),))


def seen_on(told: AllreduceResult, rate: Callable[[int], int], real: bool = True) -> dict[str, tuple[object, ...]]:
    """The nodes with their interfaces; the first one has the result."""
    own: dict[str, tuple[object, ...]] = {
        member.node: (lan(member.index, rate(member.index), real),) for member in told.members
    }
    return {**own, told.members[0].node: (*own[told.members[0].node], told)}


FAR = {frozenset((a, b)): 20_000 for a in range(4) for b in range(4, 8)}
FAR_3 = {frozenset((3, b)): 2_000 for b in range(8) if b != 3}
CASES = [
    Case("no links were measured", (FINE,)),
    Case("all alike", (links(8, lambda a, b: 1.2),)),
    Case("one of eight is slow", (links(8, lambda a, b: 0.2 if 2 in (a, b) else 1.0),)),
    Case("half of the nodes are slow", (links(8, half),), NOTE),
    Case("six of eight are slow", (links(8, lambda a, b: 1.2 if max(a, b) < 2 else 0.4),), NOTE),
    Case("two halves that are slow to each other", (links(8, islands),), NOTE),
    Case("two places, 20 ms apart", (links(8, islands, us=FAR),)),
    Case("two places, 20 ms apart, and slower than that", (links(8, lambda a, b: islands(a, b) / 60, us=FAR),), NOTE),
    Case("two halves, a machine of one far away", (links(8, islands, us=FAR_3),), NOTE),
    Case("half have 10 Gbit/s", nodes=seen_on(links(8, half), lambda a: 3_200 if a >= 4 else 10_000), expect=NOTE),
    Case("half are slow on 10 Gbit/s", nodes=seen_on(links(8, half), lambda place: 10_000), expect=NOTE),
    Case("one way of two", (links(2, lambda a, b: 0.2 if a else 1.0),), NOTE),
    Case("both ways alike", (links(2, lambda a, b: 1.0),)),
    Case("slow paths all over", (links(8, lambda a, b: 0.2 if (a + b) % 5 == 0 else 1.0),), NOTE),
    Case("forty machines, half of them slow", (links(40, lambda a, b: 0.3 if max(a, b) >= 20 else 1.0),), NOTE),
    Case("healthy, uplinks for a quarter", (result(fabrics.links(fabrics.oversubscribed(64, 1).fabric).result.pairs),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def finding(about: str) -> Finding:
    (found,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    return found


def test_the_slower_ones_are_named_and_what_each_kind_carries() -> None:
    found = finding("half of the nodes are slow")
    assert (found.situation, found.nodes) == (None, tuple(f"gpu{place}" for place in range(4, 8)))
    assert [line.partition(":")[0] for line in str(found.evidence["shown"]).splitlines()] == ["gpu[0-3]", "gpu[4-7]"]
    assert (found.evidence["count"], found.evidence["of"]) == (4, 8)


def test_nodes_that_are_made_otherwise_are_told_so() -> None:
    by_design, slow = finding("half have 10 Gbit/s"), finding("half are slow on 10 Gbit/s")
    assert (by_design.situation, slow.situation) == ("as-made", None)
    assert "(eth0 3.2 Gbit/s)" in str(by_design.evidence["shown"])


def test_only_a_distance_that_all_slow_paths_cross_is_the_cause() -> None:
    checks = (*checks_of(topic_file(FILE)), *checks_of(topic_file(CHECKS / "bench_latency.py")))
    slower_than_far = links(8, lambda a, b: islands(a, b) / 60, us=FAR)
    for told, because in ((slower_than_far, "latency-high"), (links(8, islands, us=FAR_3), None)):
        causes = {one.code: one.because_of for one in findings(checks, told)}
        assert causes == {"latency-high": None, "links-uneven": because}


def test_groups_paths_and_directions_are_named() -> None:
    groups, paths, direction = (
        finding(name)
        for name in ("two halves that are slow to each other", "slow paths all over", "one way of two")
    )  # fmt: skip
    assert (groups.situation, groups.evidence["count"], len(groups.nodes)) == ("islands", 2, 8)
    assert (paths.situation, len(str(paths.evidence["shown"]).splitlines())) == ("paths", 6)
    assert (direction.situation, direction.evidence["node"], direction.evidence["other"]) == (
        "one-way", "gpu1", "gpu0",
    )  # fmt: skip
