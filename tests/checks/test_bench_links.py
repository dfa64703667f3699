"""checks/bench_links.py"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Pair
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST

FILE = CHECKS / "bench_links.py"
MEMBERS = tuple(replace(FIRST, index=index, node=f"gpu{index}", host=f"gpu{index}", ranks=()) for index in range(4))


def links(rate: Callable[[int, int], float], times: int = 2) -> AllreduceResult:
    pairs = tuple(Pair(a, b, rate(a, b), 0.1, 80, times) for a, b in itertools.permutations(range(4), 2))
    return replace(FINE, op="links", sizes=(), members=MEMBERS, pairs=pairs)


CASES = [
    Case("no links were measured", (FINE,)),
    Case("all alike", (links(lambda a, b: 1.2),)),
    Case("one machine at a fifth", (links(lambda a, b: 0.2 if 2 in (a, b) else 1.0),), {"link-slow": "warning"}),
    Case("one machine at a fiftieth", (links(lambda a, b: 0.02 if 2 in (a, b) else 1.0),), {"link-slow": "error"}),
    Case("one path", (links(lambda a, b: 0.3 if {a, b} == {1, 3} else 1.0),), {"link-slow": "warning"}),
    Case("one path one way", (links(lambda a, b: 0.3 if (a, b) == (3, 1) else 1.0),), {"link-slow": "warning"}),
    Case("slow once", (links(lambda a, b: 0.2 if 2 in (a, b) else 1.0, times=1),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(("case", "nodes"), [(2, ("gpu2",)), (4, ("gpu1", "gpu3")), (5, ("gpu3", "gpu1"))])
def test_the_culprits_are_named(case: int, nodes: tuple[str, ...]) -> None:
    (found,) = CASES[case].assert_holds(FILE)
    assert found.nodes == nodes
