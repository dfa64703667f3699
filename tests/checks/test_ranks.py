from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CASES = [
    Case("a log shows peer-died", (log("peer-died"),), {"peer-died": "error"}),
    Case("a log shows rank-out-of-memory", (log("rank-out-of-memory"),), {"rank-out-of-memory": "error"}),
    Case(
        "a log shows collective-timeout-desync",
        (log("collective-timeout-desync"),),
        {"collective-timeout-desync": "error"},
    ),
    Case("a log without errors", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "ranks.py")
