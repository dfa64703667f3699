"""checks/bench_path.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import Failure, Way
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SECOND, stopped

FILE = CHECKS / "bench_path.py"
STALLED = Way(0, 1, "stalled", sent=1 << 20, unacknowledged=900_000, mss=8948)
BACK = replace(STALLED, a=1, b=0)
THERE = Failure("bulk", 0, ways=(STALLED,))
JUMBO = replace(SECOND, mtus={"lo": 65536, "eth0": 9000})

CASES = [
    Case("a bulk passes", (FINE,)),
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
    (found,) = CASES[1].assert_holds(FILE)
    assert found.nodes == ("gpu01", "gpu02")
    assert (found.evidence["mtus"], found.evidence["other_mtus"]) == ("eth0 1500", "eth0 9000")
