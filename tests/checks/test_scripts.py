from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CODES = ("script-rank-wrong", "script-device-unset", "script-visible-devices-late", "determinism-slow")
CASES = [
    *(Case(f"a script shows {code}", (log(code, severity="warning"),), {code: "warning"}) for code in CODES),
    Case("a script without faults", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "scripts.py")
