"""envdoctor/facts/clock.py"""

from __future__ import annotations

from envdoctor.facts.clock import Clock


def test_the_node_read_its_clock_between_the_doctors_two_readings() -> None:
    assert Clock(1003.0, 1000.0, 1000.5).ahead_s == (2.5, 3.0)
    assert Clock(990.0, 1000.0, 1001.0).ahead_s == (-11.0, -10.0)


def test_without_both_readings_nothing_is_known() -> None:
    assert Clock(1003.0).ahead_s is None
    assert Clock(None, 1000.0, 1001.0).ahead_s is None
    assert Clock(1003.0, 1000.0).ahead_s is None
    assert Clock(1003.0, 1001.0, 1000.0).ahead_s is None, "a doctor's clock that was set back meanwhile"
