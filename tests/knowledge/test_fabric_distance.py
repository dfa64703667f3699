"""What envdoctor/knowledge/fabric.py says of distance."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench import ways
from envdoctor.knowledge import fabric


@given(st.floats(1e-5, 1.0))
def test_a_stream_lasts_as_long_as_is_reckoned_with(rtt_s: float) -> None:
    lasts = min(fabric.LONGEST_STREAM_S, max(fabric.STREAM_S, fabric.STREAM_TRIPS * rtt_s))
    assert ways.rate_s(rtt_s) == pytest.approx(lasts)


@given(st.floats(1e-5, 1.0), st.floats(1.0, 10.0))
def test_a_longer_way_carries_no_more(rtt_s: float, times: float) -> None:
    near, far = fabric.over_distance(rtt_s), fabric.over_distance(times * rtt_s)
    assert 0 < far <= near * (1 + 1e-9)
    assert near <= fabric.WINDOW / rtt_s / 1e9


def test_without_a_known_way_there_is_no_limit() -> None:
    assert fabric.over_distance(0.0) == math.inf


def test_half_of_the_rate_is_reached_where_waiting_takes_as_long_as_the_data() -> None:
    wait_s = fabric.least_s(4, 0.020)
    assert wait_s == pytest.approx(0.060)
    half = fabric.half_at(0.125, 4, wait_s)
    assert fabric.of_size(0.125, int(half), 4, wait_s) == pytest.approx(0.0625)
    assert fabric.of_size(0.125, 1 << 40, 4, wait_s) == pytest.approx(0.125, rel=1e-3)
    assert fabric.of_size(0.125, 1 << 20, 4, 0.0) == pytest.approx(0.125)
