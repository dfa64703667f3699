from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CASES = [
    Case(
        "a log shows launch-command-malformed",
        (log("launch-command-malformed"),),
        {"launch-command-malformed": "error"},
    ),
    Case("a log shows launch-deprecated", (log("launch-deprecated"),), {"launch-deprecated": "error"}),
    Case("a log shows local-rank-argument", (log("local-rank-argument"),), {"local-rank-argument": "error"}),
    Case("a log shows duplicate-gpu", (log("duplicate-gpu"),), {"duplicate-gpu": "error"}),
    Case("a log without errors", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "launch_line.py")
