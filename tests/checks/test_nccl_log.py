"""checks/nccl_log.py."""

from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CASES = [
    Case("a log shows rail-cross-nic", (log("rail-cross-nic", severity="warning"),), {"rail-cross-nic": "warning"}),
    Case("a log without errors", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "nccl_log.py")
