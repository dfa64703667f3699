"""checks/bench_stopped.py; and that no run that stopped is ever without a finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import examination, judgement, load
from envdoctor.bench import spoken
from envdoctor.facts.allreduce import RUNGS, AllreduceResult, Failure, Way
from envdoctor.facts.environment import Environment
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.model import Node, Severity
from envdoctor.snapshot import Snapshot
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SECOND, stopped

FILE = CHECKS / "bench_stopped.py"
SILENCE = stopped("stream", members=(FIRST, replace(SECOND, rung="stream"), replace(SECOND, index=2, rung="bulk")))

CASES = [
    Case("it came to its end", (FINE,)),
    Case("it stopped, and nobody said why", (SILENCE,), {"bench-stopped": "error"}),
    Case("it stopped before anybody had come", (stopped("", members=()),), {"bench-stopped": "error"}),
    Case("somebody never came", (stopped("dial", missing=(1,)),), {"bench-stopped": "error"}),
    Case(
        "a failure of a kind that no check knows",
        (stopped("locate", Failure("locate", 1, "gpu02", "raised", error="RuntimeError: x")),),
        {"bench-stopped": "error"},
    ),
    Case(
        "a way that failed in a manner of its own",
        (stopped("dial", Failure("dial", 0, "gpu01", "unreached", ways=(Way(0, 1, "ENOBUFS"),))),),
        {"bench-stopped": "error"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_those_that_are_behind_are_named() -> None:
    (found,) = Case("", (SILENCE,), {"bench-stopped": "error"}).assert_holds(FILE)
    assert found.evidence["rungs"] == "gpu01 sweep, gpu02 stream, gpu02 bulk"
    assert found.nodes == ("gpu02",)
    (found,) = Case("", (stopped("dial", missing=(1, 7)),), {"bench-stopped": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu02", "node 7")


HOWS = (
    "unresolvable", "resolver-silent", "no-route", "interface-missing", "not-here", "bind", "refused", "filtered",
    "timeout", "foreign", "ENETDOWN", "duplicate", "world-size", "unreached", "stalled", "raised", "died", "silent",
    "lost", "unheard", "no-answer", "cut", "coordinator", "not-started", "",
)  # fmt: skip
FAILURES = st.builds(
    Failure,
    rung=st.sampled_from((*RUNGS, "start", "")),
    member=st.integers(-1, 3),
    how=st.sampled_from(HOWS),
    error=st.sampled_from(("", "words")),
    signal=st.sampled_from(("", "SIGKILL", "SIGSEGV")),
    absent=st.booleans(),
    ranks=st.sampled_from(((), (1,))),
    ways=st.lists(
        st.builds(Way, a=st.integers(0, 2), b=st.integers(0, 2), outcome=st.sampled_from(("timeout", "mute", "ok", "")))
    ).map(tuple),
    seconds=st.sampled_from((None, 4.0)),
)
LOADED = load.load([CHECKS])


@given(
    result=st.builds(
        AllreduceResult,
        op=st.sampled_from(("allreduce", "links")),
        own=st.integers(0, 1),
        expected_members=st.just(3),
        per=st.sampled_from(("node", "process")),
        stage=st.sampled_from((*RUNGS, "start", "")),
        members=st.sampled_from(((), (FIRST,), (FIRST, SECOND))),
        failures=st.lists(FAILURES, max_size=3).map(tuple),
        missing=st.sampled_from(((), (0,), (1, 2))),
        lost=st.sampled_from(((), (1,))),
        concluded=st.booleans(),
    )
)
def test_a_run_that_stopped_is_never_without_an_error(result: AllreduceResult) -> None:
    node = Node("gpu01", python="/opt/env/bin/python")
    snapshot = Snapshot(node, examination.now(), examination.MADE_BY, {"allreduce": result})
    report = judgement.judge([snapshot], spoken.of(LOADED, [snapshot]))
    assert not report.with_status("crashed")
    assert any(finding.severity is Severity.ERROR for finding in report.findings)
    last = [finding for finding in report.findings if finding.problem.last_resort]
    assert not last or len({finding.code for finding in report.findings if finding.severity is Severity.ERROR}) == 1


def test_whoever_asks_for_the_benchmark_alone_is_told_why_it_stopped() -> None:
    silent = Failure("connect", 1, "gpu02", "timeout", address="10.0.0.1", seconds=30.0)
    result = AllreduceResult(expected_members=2, stage="join", members=(FIRST,), failures=(silent,), missing=(1,))
    target = Target("10.0.0.1", 29500, "--hosts", addresses=("10.0.0.1",), outcome="timeout", elsewhere="listens")
    second = {"rendezvous-reach": RendezvousReach((target,)), "environment": Environment({"NODE_RANK": "1"})}
    snapshots = [
        Snapshot(Node("gpu01"), examination.now(), examination.MADE_BY, {"allreduce": result}),
        Snapshot(Node("gpu02"), examination.now(), examination.MADE_BY, second),
    ]
    asked = spoken.asked(["allreduce"], snapshots)
    assert asked == ["allreduce", *spoken.WHY]
    report = judgement.judge(snapshots, LOADED, asked)
    errors = {finding.code for finding in report.findings if finding.severity is Severity.ERROR}
    assert "master-unreachable" in errors and "bench-stopped" not in errors
    assert {file.topic.name for file in LOADED.files}.issuperset(spoken.WHY)
    assert spoken.asked(["shm"], snapshots) == ["shm"]
    assert spoken.asked(["allreduce"], snapshots[1:]) == ["allreduce"]
    assert spoken.asked([], snapshots) == []
