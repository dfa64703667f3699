"""checks/bench_versions.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SECOND

FILE = CHECKS / "bench_versions.py"
THIRD = replace(SECOND, index=2, node="gpu03", host="gpu03|c|3", torch="2.12.1+cu126", nccl="2.27.5")
THIRD_TOO = replace(THIRD, index=3)  # another rank of that machine

CASES = [
    Case("the same on all", (FINE,)),
    Case("nobody came far enough to tell", (replace(FINE, members=(replace(FIRST, torch="", nccl=""), SECOND)),)),
    Case(
        "one node is behind",
        (replace(FINE, per="process", members=(FIRST, SECOND, THIRD, THIRD_TOO)),),
        {"torch-version-mismatch": "error", "nccl-version-mismatch": "error"},
    ),
    Case(
        "the same torch finds another NCCL",
        (replace(FINE, members=(FIRST, replace(SECOND, nccl="2.18.3"))),),
        {"nccl-version-mismatch": "error"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_odd_one_out_is_named_once_and_among_equals_the_later_one() -> None:
    first, second = CASES[2].assert_holds(FILE)
    assert first.nodes == second.nodes == ("gpu03",)
    (of_two,) = CASES[3].assert_holds(FILE)
    assert of_two.nodes == ("gpu02",)
    assert of_two.evidence["usual"] == "2.29.2"
