"""checks/firewall.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Failure, Way
from envdoctor.facts.environment import Environment
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, stopped

FILE = CHECKS / "firewall.py"
SILENT = Target("gpu01", 29500, "MASTER_ADDR", addresses=("10.0.0.1",), outcome="timeout", elsewhere="connected")
NODE_0 = Environment({"MASTER_ADDR": "gpu01", "NODE_RANK": "0", "NNODES": "2"})
NODE_1 = Environment({"MASTER_ADDR": "gpu01", "NODE_RANK": "1", "NNODES": "2"})
THERE = Failure("dial", 0, "gpu01", "unreached", ways=(Way(0, 1, "timeout"),))
BACK = Failure("dial", 1, "gpu02", "unreached", ways=(Way(1, 0, "refused"),))


def reach(**changes: object) -> RendezvousReach:
    return RendezvousReach((replace(SILENT, **changes),))  # type: ignore[arg-type]


CASES = [
    Case("the master answers", (reach(outcome="connected"), NODE_1)),
    Case("nothing answers there at all", (reach(elsewhere="timeout"), NODE_1)),
    Case("etcd is told elsewhere", (reach(kind="etcd"), NODE_1)),
    Case("rank 0 is here: the address is wrong, no firewall", (reach(), NODE_0)),
    Case("sshd answers, the port does not", (reach(), NODE_1), {"firewall-blocks-ports": "error"}),
    Case("port 22 is closed, the port is silent", (reach(elsewhere="refused"),), {"firewall-blocks-ports": "error"}),
    Case(
        "both ports are silent to whom it has logged in to",
        (reach(elsewhere="login"),),
        {"firewall-blocks-ports": "error"},
    ),
    Case("reset, though rank 0 listens", (reach(outcome="reset"), NODE_1), {"firewall-blocks-ports": "error"}),
    Case("an ICMP message refuses", (reach(outcome="filtered"), NODE_1), {"firewall-blocks-ports": "error"}),
    Case("a benchmark that came through", (FINE,)),
    Case("the data ports are dropped one way", (stopped("dial", THERE),), {"firewall-blocks-ports": "error"}),
    Case("the data ports are closed both ways", (stopped("dial", THERE, BACK),), {"firewall-blocks-ports": "error"}),
    Case("the other node went away meanwhile", (stopped("dial", THERE, replace(THERE, member=1, how="lost")),)),
    Case("rank 0's node went away meanwhile", (stopped("dial", BACK, replace(BACK, how="cut", ways=())),)),
    Case("no route is no firewall", (stopped("dial", replace(THERE, ways=(Way(0, 1, "EHOSTUNREACH"),))),)),
    Case("of a member nothing is known", (stopped("dial", THERE, members=()),), {"firewall-blocks-ports": "error"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_direction_is_told() -> None:
    (one_way,) = Case("", (stopped("dial", THERE),), {"firewall-blocks-ports": "error"}).assert_holds(FILE)
    assert (one_way.evidence["outcome"], one_way.evidence["back"]) == ("timeout", "connected")
    assert one_way.nodes == ("gpu02", "gpu01")
    (both,) = Case("", (stopped("dial", THERE, BACK),), {"firewall-blocks-ports": "error"}).assert_holds(FILE)
    assert both.evidence["back"] == "refused"


def among_four(*blocked: tuple[int, int]) -> AllreduceResult:
    """Four nodes that dial each other; these ways time out."""
    members = tuple(replace(FIRST, index=place, node=f"gpu{place}", host=f"gpu{place}") for place in range(4))
    ways = {place: tuple(Way(a, b, "timeout") for a, b in blocked if a == place) for place, _ in blocked}
    failures = [Failure("dial", place, f"gpu{place}", "unreached", ways=own) for place, own in sorted(ways.items())]
    return stopped("dial", *failures, members=members)


@pytest.mark.parametrize(
    ("blocked", "told"),
    [
        ([(0, 2), (1, 2), (3, 2)], [("data-ports-of-one", ("gpu2",), "gpu[0-1,3]")]),
        ([(0, 2), (1, 2), (3, 2), (2, 0), (2, 1), (2, 3)], [("data-ports-of-one", ("gpu2",), "gpu[0-1,3]")]),
        ([(2, 0), (2, 1), (2, 3)], [("data-ports-from-one", ("gpu2",), "gpu[0-1,3]")]),
        ([(0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (3, 2)],
         [("data-ports-of-one", ("gpu2",), "gpu[0-1]"), ("data-ports-of-one", ("gpu3",), "gpu[0-1]")]),
        ([(0, 2)], [("data-ports", ("gpu2", "gpu0"), None)]),
        ([(a, b) for a in range(3) for b in range(3) if a != b],
         [("data-ports", ("gpu1", "gpu0"), None), ("data-ports", ("gpu2", "gpu0"), None),
          ("data-ports", ("gpu2", "gpu1"), None)]),
    ],
)  # fmt: skip
def test_one_firewall_is_told_once(
    blocked: list[tuple[int, int]], told: list[tuple[str, tuple[str, ...], str | None]]
) -> None:
    found = Case("", (among_four(*blocked),), {"firewall-blocks-ports": "error"}).assert_holds(FILE)
    assert [(one.situation, one.nodes, one.evidence.get("nodes")) for one in found] == told
