"""checks/bench_data.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import Size
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE

FILE = CHECKS / "bench_data.py"
BAD = Size(4096, 20, 100.0, 90.0, 110.0, 0.04, 0.04, wrong=14, wrong_ranks=(0, 1))
LOCATED = replace(FINE, sizes=(BAD,), suspects=(1,))

CASES = [
    Case("every sum is right", (FINE,)),
    Case("the groups point at one rank", (LOCATED,), {"data-corrupt": "error"}),
    Case("the groups point at nobody", (replace(LOCATED, suspects=()),), {"data-corrupt": "error"}),
    Case("the groups point at two", (replace(LOCATED, suspects=(0, 1)),), {"data-corrupt": "error"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_rank_and_its_node_are_named_only_where_they_are_known() -> None:
    (found,) = CASES[1].assert_holds(FILE)
    assert (found.evidence["suspects"], found.nodes) == ("1", ("gpu02",))
    (unknown,) = CASES[2].assert_holds(FILE)
    assert (unknown.evidence["suspects"], unknown.nodes) == (None, ("here",))


def test_who_alone_sees_it_wrong_receives_badly() -> None:
    result = replace(LOCATED, sizes=(replace(BAD, wrong_ranks=(0,)),), suspects=())
    (found,) = Case("", (result,), {"data-corrupt": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu01",)
