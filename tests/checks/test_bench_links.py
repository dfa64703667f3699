"""checks/bench_links.py"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Pair, Way
from envdoctor.model import Finding
from envdoctor.testing import Case, checks_of, findings, topic_file
from tests import CHECKS
from tests.bench import fabrics
from tests.bench.fabrics import Fabric
from tests.checks.bench_results import FINE, FIRST
from tests.checks.lines import line_of

FILE = CHECKS / "bench_links.py"
MEMBERS = tuple(replace(FIRST, index=index, node=f"gpu{index}", host=f"gpu{index}", ranks=()) for index in range(4))


def links(rate: Callable[[int, int], float], times: int = 2) -> AllreduceResult:
    pairs = tuple(Pair(a, b, rate(a, b), 0.1, 80, times) for a, b in itertools.permutations(range(4), 2))
    return replace(FINE, op="links", sizes=(), members=MEMBERS, pairs=pairs)


def on_two(rate: Callable[[int, int, int], float]) -> AllreduceResult:
    """The same with two interfaces on each."""
    pairs = tuple(
        Pair(a, b, rate(a, b, rail), 0.1, 80, 2, rail)
        for rail in (0, 1)
        for a, b in itertools.permutations(range(4), 2)
    )
    members = tuple(replace(member, nics=("eth0", "eth1")) for member in MEMBERS)
    return replace(FINE, op="links", sizes=(), members=members, pairs=pairs)


def distant(rate: float, us: int) -> AllreduceResult:
    """gpu2 is so far from the others, and carries so much."""
    told = links(lambda a, b: rate if 2 in (a, b) else 1.0)
    return replace(told, pairs=tuple(replace(one, rtt_us=us if 2 in (one.a, one.b) else 80) for one in told.pairs))


def detour() -> AllreduceResult:
    """The path of gpu1 and gpu3 is slow; that of gpu1 and gpu2 is long."""
    told = links(lambda a, b: 0.3 if {a, b} == {1, 3} else 1.0)
    pairs = tuple(replace(one, rtt_us=2_000 if {one.a, one.b} == {1, 2} else 80) for one in told.pairs)
    return replace(told, pairs=pairs)


def two_places(rate: float) -> AllreduceResult:
    """gpu0 and gpu1 are 20 ms away from gpu2 to gpu5; gpu3 carries so much to everybody, neighbours and others."""
    far = {frozenset((a, b)) for a in (0, 1) for b in range(2, 6)}
    pairs = tuple(
        Pair(a, b, rate if 3 in (a, b) else 0.12, 0.1, 20_000 if frozenset((a, b)) in far else 80, 2)
        for a, b in itertools.permutations(range(6), 2)
    )
    members = tuple(replace(FIRST, index=index, node=f"gpu{index}", host=f"gpu{index}", ranks=()) for index in range(6))
    return replace(FINE, op="links", sizes=(), members=members, pairs=pairs)


def seen(fabric: Fabric) -> AllreduceResult:
    """What `bench links` measures between more machines than meet in all pairs."""
    return fabrics.links(fabric).result


def far_away(ends: Iterable[int]) -> AllreduceResult:
    """Machines 16 to 23 have a slow uplink, and these are 20 ms away from all others."""
    told, far = seen(Fabric(40, 8, uplinks={(2, None): 0.25})), set(ends)
    return replace(
        told, pairs=tuple(replace(one, rtt_us=20_000 if (one.a in far) != (one.b in far) else 80) for one in told.pairs)
    )


CASES = [
    Case("no links were measured", (FINE,)),
    Case("all alike", (links(lambda a, b: 1.2),)),
    Case("one machine at a fifth", (links(lambda a, b: 0.2 if 2 in (a, b) else 1.0),), {"link-slow": "warning"}),
    Case("one machine at a fiftieth", (links(lambda a, b: 0.02 if 2 in (a, b) else 1.0),), {"link-slow": "error"}),
    Case("one path", (links(lambda a, b: 0.3 if {a, b} == {1, 3} else 1.0),), {"link-slow": "warning"}),
    Case("one path one way", (links(lambda a, b: 0.3 if (a, b) == (3, 1) else 1.0),), {"link-slow": "warning"}),
    Case("one interface", (on_two(lambda a, b, rail: 0.2 if rail and 2 in (a, b) else 1.0),), {"link-slow": "warning"}),
    Case("all of a machine", (on_two(lambda a, b, rail: 0.2 if 2 in (a, b) else 1.0),), {"link-slow": "warning"}),
    Case(
        "a path on a rail", (on_two(lambda a, b, r: 0.2 if r and {a, b} == {1, 3} else 1.0),), {"link-slow": "warning"}
    ),
    Case("a rail", (on_two(lambda a, b, rail: 0.2 if rail else 1.0),), {"link-slow": "warning"}),
    Case("both rails alike", (on_two(lambda a, b, rail: 1.0),)),
    Case("a machine at a third, 20 ms away", (distant(0.3, 20_000),)),
    Case("a machine at a twentieth, 20 ms away", (distant(0.05, 20_000),)),
    Case("a machine at a hundredth, 20 ms away", (distant(0.01, 20_000),), {"link-slow": "error"}),
    Case("one path, one of its ends far from a third", (detour(),), {"link-slow": "warning"}),
    Case("a machine that is slow to its neighbours too", (two_places(0.02),), {"link-slow": "warning"}),
    Case("a machine at a third, a room away", (distant(0.3, 300),), {"link-slow": "warning"}),
    Case("an uplink", (seen(Fabric(40, 8, uplinks={(2, None): 0.25})),), {"link-slow": "warning"}),
    Case(
        "an uplink of one of two rails",
        (seen(Fabric(40, 8, rails=2, uplinks={(2, 1): 0.25})),),
        {"link-slow": "warning"},
    ),
    Case(
        "an uplink of machines that are all far away",
        (far_away(range(16, 24)),),
    ),
    Case(
        "an uplink of which only the first machine is far away",
        (far_away([16]),),
        {"link-slow": "warning"},
    ),
    Case("uplinks for a quarter of the machines", (seen(Fabric(40, 8, 4.0)),)),
    Case("slow once", (links(lambda a, b: 0.2 if 2 in (a, b) else 1.0, times=1),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(("case", "nodes"), [(2, ("gpu2",)), (4, ("gpu1", "gpu3")), (5, ("gpu3", "gpu1"))])
def test_the_culprits_are_named(case: int, nodes: tuple[str, ...]) -> None:
    (found,) = CASES[case].assert_holds(FILE)
    assert found.nodes == nodes


def finding(name: str) -> Finding:
    (found,) = next(case for case in CASES if str(case) == name).assert_holds(FILE)
    return found


def test_of_several_interfaces_the_slow_one_is_named() -> None:
    nic, machine, rail = finding("one interface"), finding("all of a machine"), finding("a rail")
    assert (nic.situation, nic.nodes, nic.evidence["interface"]) == ("nic", ("gpu2",), "eth1")
    assert (machine.situation, machine.nodes) == (None, ("gpu2",))
    assert (rail.situation, rail.nodes, rail.evidence["interface"]) == (
        "rail",
        ("gpu0", "gpu1", "gpu2", "gpu3"),
        "eth1",
    )
    assert finding("a path on a rail").evidence["direction"] == "gpu1 eth1 <-> gpu3 eth1"


def test_only_a_distance_that_it_crosses_is_its_cause() -> None:
    checks = (*checks_of(topic_file(FILE)), *checks_of(topic_file(CHECKS / "bench_latency.py")))
    for told, because in ((distant(0.01, 20_000), "latency-high"), (detour(), None), (two_places(0.01), None)):
        causes = {one.code: one.because_of for one in findings(checks, told)}
        assert causes == {"latency-high": None, "link-slow": because}


def test_the_machines_behind_a_slow_uplink_are_named_together() -> None:
    found = finding("an uplink")
    assert (found.situation, found.nodes) == ("group", tuple(f"node00{place}" for place in range(16, 24)))
    assert (found.evidence["hosts"], found.evidence["count"]) == ("node[0016-0023]", 8)
    of_rail = finding("an uplink of one of two rails")
    assert (of_rail.evidence["hosts"], of_rail.evidence["interface"]) == ("node[0016-0023] eth1", "eth1")


def test_the_topic_s_line() -> None:
    stream = Pair(0, 1, gb_s=1.0)
    assert line_of(FILE, {"a": (FINE,)}) == "not measured; `envdoctor bench links` does"
    assert line_of(FILE, {"a": (replace(FINE, ways=(Way(gb_s=1.0),)),)}) == "1 stream over TCP, 8 Gbit/s"
    pairs = replace(FINE, pairs=(stream, replace(stream, gb_s=1.25)))
    assert line_of(FILE, {"a": (pairs,), "b": ()}) == "2 streams over TCP, 8-10 Gbit/s"
