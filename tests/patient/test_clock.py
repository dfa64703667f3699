"""envdoctor/patient/clock.py"""

from __future__ import annotations

import time

from envdoctor.patient.clock import clock
from envdoctor.patient.sections import Ask


def test_it_says_what_time_it_is_here() -> None:
    before = time.time()
    told = clock(Ask({}))["time_s"]
    assert before - 0.001 <= told <= time.time() + 0.001
