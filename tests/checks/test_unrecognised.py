from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CASES = [
    Case("a log shows error-unrecognised", (log("error-unrecognised"),), {"error-unrecognised": "error"}),
    Case("a log without errors", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "unrecognised.py")
