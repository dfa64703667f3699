"""checks/shm.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS

FILE = CHECKS / "shm.py"
GIB = 1 << 30

CASES = [
    Case(
        "docker's default",
        (Limits(shm=SharedMemory(64 << 20, 60 << 20)), Host(container="docker")),
        {"shm-too-small": "warning"},
    ),
    Case(
        "a pod",
        (Limits(shm=SharedMemory(64 << 20, 64 << 20)), Host(container="kubernetes")),
        {"shm-too-small": "warning"},
    ),
    Case("bare metal, full", (Limits(shm=SharedMemory(32 * GIB, 1 << 20)), Host()), {"shm-too-small": "warning"}),
    Case("plenty", (Limits(shm=SharedMemory(32 * GIB, 30 * GIB)), Host())),
    Case("unreadable is neither fine nor an error", (Limits(shm=SharedMemory(error="Permission denied")), Host())),
    Case("no limits on this platform", (Missing("limits", "not-supported"), Host())),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.hold(FILE)


def test_a_full_shm_asks_to_look_at_what_is_left() -> None:
    (finding,) = CASES[2].hold(FILE)
    assert finding.command == "ls -l /dev/shm"
