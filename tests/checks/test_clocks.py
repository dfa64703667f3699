"""checks/clocks.py"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.clock import Clock
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.lines import line_of
from tests.checks.texts import log

FILE = CHECKS / "clocks.py"
CODE = "clock-skew"


def clock(ahead_s: float = 0.0, waited_s: float = 0.8) -> Clock:
    """A clock that is so far ahead, read half-way between question and answer."""
    return Clock(1000.0 + waited_s / 2 + ahead_s, 1000.0, 1000.0 + waited_s)


def nodes(*clocks: Clock | Missing) -> dict[str, tuple[object, ...]]:
    return {f"gpu{number:02d}": (one,) for number, one in enumerate(clocks, 1)}


CASES = [
    Case("a log shows it", (log(CODE, severity="warning"),), {CODE: "warning"}),
    Case("a log without errors", (log(),)),
    Case("clocks that agree", nodes=nodes(clock(), clock(0.3), clock(-0.4))),
    Case("one is 37 s ahead", nodes=nodes(clock(), clock(37), clock()), expect={CODE: "warning"}),
    Case("one is 5 s behind, and was slow to answer", nodes=nodes(clock(), clock(-5, 3.0), clock()),
         expect={CODE: "warning"}),
    Case("slow answers may explain it", nodes=nodes(clock(), clock(2.0, 5.0), clock())),
    Case("two that differ", nodes=nodes(clock(), clock(10)), expect={CODE: "warning"}),
    Case("two against two", nodes=nodes(clock(), clock(10), clock(), clock(10)), expect={CODE: "warning"}),
    Case("all agree, and the doctor's is another", nodes=nodes(clock(60), clock(60)), expect={CODE: "note"}),
    Case("machines that nobody compared", nodes=nodes(Clock(1000.0), Clock(2000.0))),
    Case("one is not known", nodes=nodes(clock(), Missing("clock", "slow"), clock(0.1))),
    Case("many are off", nodes=nodes(*[clock()] * 9, *[clock(100 + n) for n in range(8)]), expect={CODE: "warning"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_odd_clock_is_named_with_what_is_certain() -> None:
    (found,) = CASES[3].assert_holds(FILE)
    assert found.nodes == ("gpu02",)
    assert 36 <= float(str(found.evidence["offset"])) <= 37
    (behind,) = CASES[4].assert_holds(FILE)
    assert -5 <= float(str(behind.evidence["offset"])) <= -3
    (both,) = CASES[6].assert_holds(FILE)
    assert both.nodes == ("gpu01", "gpu02")
    assert both.situation == "split"


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(st.floats(-9, 9), st.floats(0, 9)), min_size=1)
)
def test_the_interval_agreed_on_lies_in_as_many_as_it_says(told: dict[str, tuple[float, float]]) -> None:
    module = topic_file(FILE).module
    assert module is not None
    ahead = {name: (low, low + width) for name, (low, width) in told.items()}
    (low, high), depth = module.most_agreed(ahead)
    assert low <= high
    assert sum(a <= low and high <= b for a, b in ahead.values()) == depth
    points = [point for interval in ahead.values() for point in interval]
    assert depth == max(sum(a <= point <= b for a, b in ahead.values()) for point in points)


@pytest.mark.parametrize(
    ("clocks", "said"),
    [
        ((clock(), clock()), "2 clocks, at most 0.8 s apart"),
        ((clock(waited_s=0.004), clock(0.01, 0.004)), "2 clocks, at most 0.1 s apart"),
        ((clock(), clock(90.05)), "2 clocks, at most 90.9 s apart"),
        ((clock(), clock(), Missing("clock", "failed")), "2 clocks, at most 0.8 s apart"),
        ((clock(), Clock(1000.0)), ""),
    ],
)
def test_the_topic_s_line(clocks: tuple[Clock | Missing, ...], said: str) -> None:
    assert line_of(FILE, nodes(*clocks)) == said
