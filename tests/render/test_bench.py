"""envdoctor/render/bench.py: rates and times in units that suit them, and what -v would show."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from envdoctor import engine
from envdoctor.facts.allreduce import AllreduceResult, Counter, Size, Way
from envdoctor.model import Language, Report
from envdoctor.redact import Redactor
from envdoctor.render import Style, bench
from envdoctor.testing import facts_by_type, topic_file
from tests import CHECKS
from tests.checks.bench_results import FINE, SIZES, stopped

REDACTOR = Redactor(b"k" * 16)
FACTORS = {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}
SENT_AGAIN = (Counter(0, "tcp", "", "OutSegs", 10_000), Counter(0, "tcp", "", "RetransSegs", 50))


def judged(result: AllreduceResult, *files: str) -> Report:
    """The report of these check files on a result."""
    checks = tuple(check for file in files for check in topic_file(CHECKS / file).checks)
    outcomes = engine.run(checks, {"gpu01": facts_by_type((result,))})
    return Report("", "", 1.0, (), engine.fold(outcomes), tuple(outcomes), (), {})


def shown(result: AllreduceResult, *files: str, verbosity: int = 0, language: Language = "en") -> str:
    return bench.ending(result, judged(result, *files), Style(language, verbosity), REDACTOR)


@pytest.mark.parametrize(
    ("gb_s", "told"),
    [
        (0.0, "0 B/s"), (5e-8, "50 B/s"), (9.994e-7, "999 B/s"), (9.9996e-7, "1.00 kB/s"), (6.4e-4, "640 kB/s"),
        (0.001, "1.00 MB/s"), (0.0123, "12.3 MB/s"), (0.1184, "118 MB/s"), (0.99996, "1.00 GB/s"), (1.25, "1.25 GB/s"),
        (387.6, "388 GB/s"), (1200.0, "1.20 TB/s"),
    ],
)  # fmt: skip
def test_a_rate_in_the_unit_that_suits_it(gb_s: float, told: str) -> None:
    assert bench.rate_of(gb_s) == told


@given(st.floats(1e-9, 900.0))
def test_a_rate_is_told_to_three_digits(gb_s: float) -> None:
    number, unit = bench.rate_of(gb_s).split()
    assert float(number) * FACTORS[unit] == pytest.approx(gb_s * 1e9, rel=0.006, abs=0.5)
    assert len(number) <= 4 and 0 <= float(number) < 1000


@pytest.mark.parametrize(
    ("us", "told"),
    [(48.3, "48 us"), (1250.0, "1.25 ms"), (999.6, "1.00 ms"), (560_000.0, "560 ms"), (5_600_000.0, "5.60 s")],
)
def test_a_time_in_the_unit_that_suits_it(us: float, told: str) -> None:
    assert bench.duration_of(us) == told


def test_no_rate_of_small_sums_is_shown_as_nothing() -> None:
    small = tuple(Size(8 << 2 * step, 3, 160_000.0, 159_000.0, 170_000.0, 5e-8 * 4**step, 5e-8 * 4**step)
                  for step in range(4))  # fmt: skip
    said = shown(replace(FINE, sizes=small, expected_busbw_gb_s=None))
    assert "0.000" not in said
    rows = [line for line in said.splitlines() if re.match(r" +(8|32|128|512) +3 ", line)]
    assert [row.split()[-3:-1] for row in rows] == [["50", "B/s"], ["200", "B/s"], ["800", "B/s"], ["3.20", "kB/s"]]
    assert re.search(r"^ +3\.20 kB/s .*█", said, re.MULTILINE)
    assert "8 bytes take 160 ms, 512 take 160 ms" in said


@pytest.mark.parametrize(("language", "words"), [("en", "8 bytes take 50 us; a sum"), ("zh", "8 字节耗时 50 us；")])
def test_the_verdict_on_one_small_sum(language: Language, words: str) -> None:
    assert words in shown(replace(FINE, sizes=SIZES[:1]), language=language)


def test_the_verdict_on_large_ones_is_their_rate() -> None:
    assert "busbw 120 MB/s at 64M; nothing to compare it with" in shown(FINE)
    told = replace(FINE, expected_busbw_gb_s=0.125, expected_by="unknown")
    assert "busbw 120 MB/s at 64M, 96% of the 125 MB/s expected" in shown(told)


def test_a_note_on_speed_is_shown_and_one_that_repeats_the_counters_waits_for_v() -> None:
    far = replace(FINE, ways=(Way(0, 1, "ok", rtt_us=20_000), Way(1, 0, "ok", rtt_us=20_000)), counters=SENT_AGAIN)
    files = ("bench_latency.py", "bench_counters.py")
    usual, more = shown(far, *files), shown(far, *files, verbosity=1)
    assert "note[latency-high]" in usual and "note[packets-lost]" not in usual
    assert usual.endswith("; -v shows the notes on these counters\n")
    assert "note[packets-lost]" in more and "-v shows" not in more
    assert shown(far, *files, language="zh").endswith("；-v 显示关于计数器的提示\n")
    assert "note[" not in shown(far, *files, verbosity=-1)


def test_what_was_not_checked_is_said_with_v() -> None:
    outcomes = tuple(engine.run(topic_file(CHECKS / "bench_speed.py").checks, {"gpu01": {}}))
    report = Report("", "", 1.0, (), (), outcomes, (), {})
    usual, more = (bench.ending(FINE, report, Style(verbosity=verbosity), REDACTOR) for verbosity in (0, 1))
    assert "1 not run (-v says why)" in usual and "Not checked, because:" not in usual
    assert "Not checked, because:" in more and "busbw_low" in more
    assert "1 not run\n" in more


def test_of_many_counters_v_shows_all() -> None:
    many = replace(FINE, counters=tuple(Counter(0, "nic", "eth0", f"rx_{number}", 1) for number in range(15)))
    assert "... (+3, -v)" in shown(many) and "rx_14 +1" not in shown(many)
    assert "rx_14 +1" in shown(many, verbosity=1)


def test_what_tcp_resends_on_healthy_links_is_one_line_for_all_nodes() -> None:
    rates = {0: 8, 1: 3, 2: 0, 3: 900}
    members = tuple(replace(FINE.members[0], index=index, node=f"gpu{index}") for index in rates)
    told = [Counter(index, "tcp", "", "OutSegs", 100_000) for index in rates]
    told += [Counter(index, "tcp", "", "RetransSegs", by) for index, by in rates.items() if by]
    result = replace(FINE, members=members, counters=tuple(told))
    usual, more = shown(result), shown(result, verbosity=1)
    assert "TCP sent at most 0.008% of its segments again meanwhile, as it does on a healthy link, on gpu[0-1]" in usual
    assert re.findall(r"counted meanwhile on (\w+): tcp RetransSegs \+(\d+) / 100000", usual) == [("gpu3", "900")]
    assert re.findall(r"counted meanwhile on (\w+):", more) == ["gpu0", "gpu1", "gpu3"] and "at most" not in more


def test_of_many_nodes_some_are_shown() -> None:
    many = tuple(Counter(index, "nic", "eth0", "rx_errors", 1) for index in range(20))
    usual = shown(replace(FINE, counters=many))
    assert usual.count("rx_errors") == 8 and "counted meanwhile on 12 more nodes (-v)" in usual
    assert shown(replace(FINE, counters=many), verbosity=1).count("rx_errors") == 20


MANY = tuple(Size(8 << 2 * step, 3, 1e6, 9e5, 1.1e6, 0.01 * 1.4**step, 0.02 * 1.4**step) for step in range(13))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("columns", [24, 32, 40, 60, 80, 132])
def test_no_line_is_wider_than_the_screen(columns: int, language: Language) -> None:
    style = Style(language, width=columns)
    result = replace(FINE, sizes=MANY, expected_busbw_gb_s=1.2, expected_by="unknown")
    lines = bench.ending(result, judged(result), style, REDACTOR).splitlines()
    opening = bench.opening(result, style, REDACTOR).splitlines()
    assert max(map(cell_len, lines)) <= columns and lines[: len(opening)] == opening
    assert sum(line.split()[:1] == ["512K"] for line in lines) == 1 and any("█" in line for line in lines)


def test_on_a_narrow_screen_the_columns_that_matter_least_are_left_out() -> None:
    heads = [bench.table_head(Style(width=columns)).split() for columns in (0, 79, 78, 40, 20)]
    assert heads[0] == heads[1] == ["size", "iter", "time", "us", "p5", "p95", "algbw", "busbw", "wrong"]
    assert heads[2] == ["size", "iter", "time", "us", "p95", "algbw", "busbw", "wrong"]
    assert heads[3:] == [["size", "time", "us", "busbw", "wrong"], ["size", "busbw"]]
    assert bench.table_row(SIZES[1], Style(width=40)).split() == ["64M", "560000.0", "120", "MB/s", "0"]


def test_below_the_plot_each_label_stands_under_its_bar() -> None:
    drawn = list(bench.plot(replace(FINE, sizes=MANY), Style(width=40)))
    assert drawn[-1].split() == ["8", "512", "32K", "2M", "128M"]
    assert [label.end() - bench.MARGIN for label in re.finditer(r"\S+", drawn[-1])] == [2, 8, 14, 20, 26]
    assert len(drawn[0]) == bench.MARGIN + 26 and drawn[0].endswith("█")


def test_a_run_that_stopped_early_begins_with_what_was_found() -> None:
    told = stopped("join", members=FINE.members[:1], missing=(1,), missing_ranks=(1,))
    assert shown(told, "bench_ranks.py").startswith("error[rank-missing]")
    printed = bench.ending(told, judged(told, "bench_ranks.py"), Style(), REDACTOR, FINE.sizes)
    assert printed.startswith("\nerror[rank-missing]")
