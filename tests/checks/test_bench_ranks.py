"""checks/bench_ranks.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Failure, Size
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SECOND, stopped

FILE = CHECKS / "bench_ranks.py"
ALONE = stopped("join", members=(FIRST,), expected_members=4, missing=(1, 2, 3), missing_ranks=(8, 9, 10, 11, 14))
TASKS = replace(
    ALONE, per="process", launcher="Slurm (srun)", missing=(1, 3), missing_ranks=(1, 3),
    members=(FIRST, replace(SECOND, index=2)), started=(("gpu01.cluster", 1), ("gpu02", 2), ("gpu03", 1)),
)  # fmt: skip
TWICE = Failure(
    "join", 1, "gpu03", "duplicate", address="10.0.0.3", other="gpu02", other_address="10.0.0.2",
)  # fmt: skip
RAISED = Failure(
    "gloo", 1, "gpu02", "raised", kind="RuntimeError", error="connect [127.0.0.1]:4711\nConnection refused"
)
SILENT = Failure("large", 0, "gpu01", "silent", ranks=(0,), seconds=60.0)

CASES = [
    Case("all came and all held", (FINE,)),
    Case("three nodes never came", (ALONE,), {"rank-missing": "error"}),
    Case(
        "a rank of mpirun never came", (replace(ALONE, per="process", launcher="Open MPI"),), {"rank-missing": "error"}
    ),
    Case("a rank of srun never came", (TASKS,), {"rank-missing": "error"}),
    Case("rank 0's own agent did not get through", (stopped("join", missing=(0, 1), members=(FIRST,)),)),
    Case(
        "the one that never came has told itself what kept it",
        (stopped("join", replace(TWICE, rung="connect", how="timeout"), missing=(1,), members=(FIRST,)),),
    ),
    Case("two nodes with one number", (stopped("join", TWICE),), {"rank-duplicate": "error"}),
    Case("another contradiction is told elsewhere", (stopped("join", replace(TWICE, how="world-size")),)),
    Case("two ranks with one number", (stopped("join", TWICE, per="process"),), {"rank-duplicate": "error"}),
    Case(
        "one is there twice, so another is missing",
        (stopped("join", TWICE, missing=(2,), missing_ranks=(2,), expected_members=3),),
        {"rank-duplicate": "error"},
    ),
    Case("gloo raises", (stopped("gloo", RAISED),), {"collective-fails": "error"}),
    Case("a rank gives no answer", (stopped("large", SILENT),), {"collective-fails": "error"}),
    Case(
        "an error without words",
        (stopped("store", replace(RAISED, rung="store", error="")),),
        {"collective-fails": "error"},
    ),
    Case(
        "a member that never said hello",
        (stopped("store", Failure("store", 7, how="no-answer")),),
        {"collective-fails": "error"},
    ),
    Case(
        "gloo raises because another ended",
        (stopped("gloo", RAISED, Failure("gloo", 0, "gpu01", "died", ranks=(0,), signal="SIGKILL")),),
    ),
    Case("a rung below torch is not told here", (stopped("dial", Failure("dial", 1, how="unreached")),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_who_is_missing_is_said_in_ranges() -> None:
    (found,) = Case("", (ALONE,), {"rank-missing": "error"}).assert_holds(FILE)
    assert found.evidence["missing"] == "node 1-3"
    assert found.evidence["ranks"] == "8-11, 14"
    assert found.evidence["names"] == "gpu01"


def test_under_srun_the_nodes_that_lack_a_rank_are_named() -> None:
    (found,) = Case("", (TASKS,), {"rank-missing": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu02", "gpu03")
    assert found.evidence["missing"] == "rank 1, 3" and found.evidence["nodes"] == "gpu02, gpu03"


def test_both_that_claim_a_number_are_named() -> None:
    (found,) = Case("", (stopped("join", TWICE),), {"rank-duplicate": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu03", "gpu02")


def test_words_of_an_exception_count_more_than_a_silence() -> None:
    (found,) = Case("", (stopped("gloo", SILENT, RAISED),), {"collective-fails": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu02",)
    assert found.evidence["error"] == "connect [127.0.0.1]:4711"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (FINE, "2 ranks, gloo: busbw 0.12 GB/s"),
        (
            replace(FINE, sizes=(Size(bytes=8, iterations=3, median_us=212.4),)),
            "2 ranks exchange data over gloo; 8 bytes take 212 us",
        ),
        (stopped("gloo", RAISED), "stopped at gloo"),
        (replace(FINE, members=(FIRST, SECOND), sizes=()), "stopped at done"),
    ],
)
def test_the_topic_s_line(result: AllreduceResult, said: str) -> None:
    summary = topic_file(FILE).summary
    assert summary is not None
    told = summary.line(result)
    assert told is not None
    assert told[0].say("en", told[1]) == said
