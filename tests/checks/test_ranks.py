from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import Failure
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, stopped
from tests.checks.lines import line_of
from tests.checks.texts import log

LOST = Failure("sweep", 1, "gpu02", "lost")
KILLED = Failure("sweep", 1, "gpu02", "died", ranks=(1,), signal="SIGKILL", status=-9)
CUT = Failure("first", 1, "gpu02", "cut")

SILENT = Failure("stream", 1, "gpu02", "unheard", seconds=12.2)

CASES = [
    Case("a node fell silent", (stopped("stream", SILENT),), {"peer-died": "error"}),
    Case("it was killed while it imported", (stopped("torch", replace(KILLED, rung="torch")),), {"peer-died": "error"}),
    Case("the import itself ended it", (stopped("torch", replace(KILLED, rung="torch", signal="SIGSEGV")),)),
    Case("a log shows peer-died", (log("peer-died"),), {"peer-died": "error"}),
    Case("a log shows rank-out-of-memory", (log("rank-out-of-memory"),), {"rank-out-of-memory": "error"}),
    Case(
        "a log shows collective-timeout-desync",
        (log("collective-timeout-desync"),),
        {"collective-timeout-desync": "error"},
    ),
    Case("a log without errors", (log(),)),
    Case("a benchmark came to its end", (FINE,)),
    Case("a rank was killed", (stopped("sweep", LOST, KILLED),), {"peer-died": "error"}),
    Case("a node went away", (stopped("sweep", LOST),), {"peer-died": "error"}),
    Case("rank 0's node went away", (stopped("first", CUT),), {"peer-died": "error"}),
    Case("of a member that never said who it is", (stopped("gloo", LOST, members=()),), {"peer-died": "error"}),
    Case("others raised", (stopped("gloo", replace(LOST, how="raised")),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "ranks.py")


def test_all_nodes_that_fell_silent_are_named() -> None:
    two = stopped("stream", SILENT, replace(SILENT, member=0, node="gpu01"))
    case = Case("", (two,), {"peer-died": "error"})
    assert [found.nodes for found in case.assert_holds(CHECKS / "ranks.py")] == [("gpu02",), ("gpu01",)]
    (cut,) = Case("", (stopped("first", replace(CUT, seconds=12.0)),), {"peer-died": "error"}).assert_holds(
        CHECKS / "ranks.py"
    )
    assert (cut.situation, cut.nodes) == ("silent", ("gpu01",))


def test_the_process_that_ended_is_named_not_those_that_noticed() -> None:
    (found,) = Case("", (stopped("sweep", LOST, KILLED),), {"peer-died": "error"}).assert_holds(CHECKS / "ranks.py")
    assert (found.evidence["who"], found.evidence["how"], found.nodes) == ("rank 1", "SIGKILL", ("gpu02",))
    (cut,) = Case("", (stopped("first", CUT),), {"peer-died": "error"}).assert_holds(CHECKS / "ranks.py")
    assert cut.nodes == ("gpu01",)


def test_the_topic_s_line() -> None:
    assert line_of(CHECKS / "ranks.py", {"a": (FINE,), "b": ()}) == "2 ranks, none died"
    assert line_of(CHECKS / "ranks.py", {"a": (replace(FINE, stage="gloo"),)}) == ""
