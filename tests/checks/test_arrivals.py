from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.texts import log

CASES = [
    Case("a log shows rendezvous-timeout", (log("rendezvous-timeout"),), {"rendezvous-timeout": "error"}),
    Case("a log shows rendezvous-shared", (log("rendezvous-shared"),), {"rendezvous-shared": "error"}),
    Case("a log shows stale-init-file", (log("stale-init-file"),), {"stale-init-file": "error"}),
    Case("a log shows elastic-restart-loop", (log("elastic-restart-loop"),), {"elastic-restart-loop": "error"}),
    Case("a log without errors", (log(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "arrivals.py")
