"""envdoctor/bench/schedule.py and what it stands on: rows, peers, patterns, sizes, demands."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench import demands, patterns, schedule, sizes
from envdoctor.bench.crew import combined
from envdoctor.errors import UsageError
from tests.checks.bench_results import FINE, stopped


@given(st.integers(1, 3000), st.data())
def test_everybody_is_dialled_in_a_large_job_too(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    peers = schedule.peers_of(place, count)
    assert place not in peers and len(peers) <= 31 and len(set(peers)) == len(peers)
    assert set(peers) <= set(range(count))
    assert len(peers) == min(count - 1, len(peers)) and (count > 32 or len(peers) == count - 1)
    if count > 1:
        assert (place + 1) % count in peers, "the next one is always among them"


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=200))
def test_the_median_is_the_usual_one(times: list[float]) -> None:
    row = schedule.row(1 << 20, times, 4, {})
    assert row["time_us"]["median"] == pytest.approx(statistics.median(times) * 1e6)
    assert row["time_us"]["p5"] <= row["time_us"]["median"] * (1 + 1e-9)
    assert row["time_us"]["median"] <= row["time_us"]["p95"] * (1 + 1e-9)


def test_busbw_is_algbw_times_two_n_minus_one_over_n() -> None:
    row = schedule.row(10**9, [0.5, 0.5, 0.5], 4, {"2": {"wrong": 3}, "0": {"wrong": 4}})
    assert row["algbw_gb_s"] == pytest.approx(2.0)
    assert row["busbw_gb_s"] == pytest.approx(3.0)
    assert (row["wrong"], row["wrong_ranks"]) == (7, [0, 2])


def test_one_agent_a_machine_tries_the_paths() -> None:
    roll = [{"index": index, "host": host} for index, host in enumerate("aabbc")]
    assert [hello["index"] for hello in schedule.heads(roll)] == [0, 2, 4]


def test_what_the_ranks_of_a_node_say_together() -> None:
    assert combined("times", [1.0, 4.0], [2.0, 3.0]) == [2.0, 4.0]
    assert combined("wrong", {"0": 1}, {"1": 2}) == {"0": 1, "1": 2}
    assert combined("groups", {"0 0": 1}, {"0 0": 0, "0 1": 1}) == {"0 0": 1, "0 1": 1}
    assert (combined("torch", None, "2.13"), combined("torch", "2.12", "2.13")) == ("2.13", "2.13")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8:64M", (*(8 * 4**step for step in range(12)), 64 << 20)),
        ("1K:1K", (1024,)),
        ("4M", (4 << 20,)),
        ("8:1G", (*(8 * 4**step for step in range(14)), 1 << 30)),
        ("100:1000", (100, 400, 1000)),
        ("1KiB:2kb", (1024, 2048)),
    ],
)
def test_sizes(text: str, expected: tuple[int, ...]) -> None:
    assert sizes.sizes(text) == expected


@pytest.mark.parametrize("text", ["", ":", "8:", "64M:8", "0:8", "8:64X", "-1:8", "1:2:3", "8:99999999999999"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="--sizes"):
        sizes.sizes(text)


@pytest.mark.parametrize(
    ("text", "value", "held"),
    [
        ("min-busbw=70%", 0.1198 / 0.125, True),
        ("min-busbw=99%", 0.1198 / 0.125, False),
        ("min-busbw=0.1", 0.1198, True),
        ("max-latency=80", 50.0, True),
        ("max-latency=20", 50.0, False),
        ("max-wrong=0", 0.0, True),
    ],
)
def test_demands(text: str, value: float, held: bool) -> None:
    (told,) = demands.judge(demands.parse([text]), replace(FINE, expected_busbw_gb_s=0.125))
    assert told.value == pytest.approx(value)
    assert told.held is held


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min-busbw=99%", "--assert min-busbw=99% does not hold: 95.8%"),
        ("min-busbw=9.5", "--assert min-busbw=9.5 does not hold: 0.1198 GB/s"),
        ("max-latency=20", "--assert max-latency=20 does not hold: 50 us"),
    ],
)
def test_a_demand_that_is_not_met_is_told_in_its_unit(text: str, said: str) -> None:
    (told,) = demands.judge(demands.parse([text]), replace(FINE, expected_busbw_gb_s=0.125))
    assert demands.failed(told) == said
    (unknown,) = demands.judge(demands.parse([text]), stopped("gloo"))
    assert demands.failed(unknown) == f"--assert {text} does not hold: nothing tells"


def test_what_is_not_known_meets_no_demand() -> None:
    asked = demands.parse(["min-busbw=70%,max-wrong=0"])
    assert [one.held for one in demands.judge(asked, FINE)] == [False, True]
    assert [one.held for one in demands.judge(asked, stopped("gloo"))] == [False, False]
    assert [one.held for one in demands.judge(asked, replace(FINE, sizes=()))] == [False, False]


@pytest.mark.parametrize("text", ["", "busbw>1", "min-busbw", "max-latency=5%", "max-speed=1"])
def test_what_is_no_demand(text: str) -> None:
    with pytest.raises(UsageError, match="--assert"):
        demands.parse([text])


def test_the_streamed_patterns_need_no_torch_to_be_loaded() -> None:
    assert "torch" not in vars(patterns)
