from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CODES = ("clock-skew",)
CASES = [
    *(Case(f"a log shows {code}", (log(code, severity="warning"),), {code: "warning"}) for code in CODES),
    Case("a log without errors", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "clocks.py")
