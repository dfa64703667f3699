"""checks/node_mtu.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import Failure, Way
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SECOND, stopped
from tests.checks.interfaces import ETH0, LO, nics

FILE = CHECKS / "node_mtu.py"
STALLED = Way(0, 1, "stalled", sent=1 << 20, unacknowledged=900_000, mss=8948)
BACK = replace(STALLED, a=1, b=0)
THERE = Failure("bulk", 0, ways=(STALLED,))
JUMBO = replace(SECOND, mtus={"lo": 65536, "eth0": 9000})
ROCE = Rdma((RdmaDevice("mlx5_0", (Port(link_layer="Ethernet"),), netdevs=("eth0",)),))


def lan(mtu: int) -> Nics:
    return nics(LO, (replace(ETH0[0], mtu=mtu), ETH0[1]))


def wide(mtu: int) -> Nics:
    """Another interface carries the sockets."""
    return nics(LO, (Nic("eno1", 1), ("10.1.0.1/24",)), (replace(ETH0[0], mtu=mtu), ETH0[1]))


CASES = [
    Case("a bulk passes", (FINE,)),
    Case("the same MTUs", nodes={"a": (lan(1500),), "b": (lan(1500),), "c": (Missing("nics", "failed"),)}),
    Case(
        "one of three has jumbo frames",
        nodes={"gpu1": (lan(1500),), "gpu2": (lan(9000),), "gpu3": (lan(1500),)},
        expect={"mtu-mismatch": "warning"},
    ),
    Case(
        "one of two RoCE ports sends smaller packets",
        nodes={"gpu1": (wide(9000), ROCE), "gpu2": (wide(1500), ROCE)},
        expect={"mtu-mismatch": "error"},
    ),
    Case("4200 and 9000 hold the same packet", nodes={"gpu1": (wide(4200), ROCE), "gpu2": (wide(9000), ROCE)}),
    Case("nothing but the loopback", nodes={"gpu1": (nics(LO, source=""),), "gpu2": (lan(1500),)}),
    Case("ranks count more than settings", nodes={"gpu01": (FINE, lan(1500)), "gpu02": (lan(9000),)}),
    Case(
        "a bulk stalls both ways",
        (
            stopped(
                "bulk", Failure("bulk", 0, ways=(STALLED,)), Failure("bulk", 1, ways=(BACK,)), members=(FIRST, JUMBO)
            ),
        ),
        {"mtu-mismatch": "error"},
    ),
    Case(
        "nobody knows the members' interfaces",
        (stopped("bulk", Failure("bulk", 0, ways=(STALLED,)), members=()),),
        {"mtu-mismatch": "error"},
    ),
    Case(
        "the other node went away meanwhile", (stopped("bulk", THERE, replace(THERE, member=1, how="lost", ways=())),)
    ),
    Case("rank 0's node went away meanwhile", (stopped("bulk", THERE, replace(THERE, how="cut", ways=())),)),
    Case("a connection was reset", (stopped("bulk", Failure("bulk", 0, ways=(replace(STALLED, outcome="reset"),))),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_both_ends_and_their_interfaces_are_named() -> None:
    (found,) = next(case for case in CASES if case.about == "a bulk stalls both ways").assert_holds(FILE)
    assert found.nodes == ("gpu01", "gpu02")
    assert (found.evidence["mtus"], found.evidence["other_mtus"]) == ("eth0 1500", "eth0 9000")


def test_of_examined_nodes_the_odd_one_is_named() -> None:
    (found,) = CASES[2].assert_holds(FILE)
    assert (found.nodes, found.evidence["odd"], found.evidence["usual"]) == (("gpu2",), "9000", "1500")
    (packets,) = CASES[3].assert_holds(FILE)
    assert (packets.situation, packets.evidence["values"]) == ("roce-split", "4096 (gpu1), 1024 (gpu2)")
