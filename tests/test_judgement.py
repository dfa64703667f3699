"""envdoctor/judgement.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import engine, host_lists, judgement, load
from envdoctor.errors import UsageError
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.facts.nics import Nics
from envdoctor.facts.python import Python
from envdoctor.facts.reached import Reach, Reached
from envdoctor.model import Check, Missing, Node, Topic, TopicFile
from envdoctor.snapshot import Snapshot
from tests import CHECKS

LOADED = load.load([load.bundled()])


def small(name: str, address: str = "") -> Snapshot:
    sections: dict[str, object] = {"limits": Limits(shm=SharedMemory(1 << 20, 1 << 20)), "host": Host(name=name)}
    return Snapshot(Node(name, address), "2026-11-20T12:00:00Z", "envdoctor 0.1.0", sections)


def test_nodes_of_one_name_are_told_apart() -> None:
    report = judgement.judge([small("node"), small("node"), small("node", "10.0.0.3"), small("other")], LOADED, ["shm"])
    assert [node.name for node in report.nodes] == ["node", "node #2", "node (10.0.0.3)", "other"]
    (finding,) = [finding for finding in report.findings if finding.code == "shm-too-small"]
    assert finding.nodes == ("node", "node #2", "node (10.0.0.3)", "other")


def test_a_thousand_nodes_of_one_name_are_told_apart_at_once() -> None:
    names = [node.name for node in judgement.judge([small("vm")] * 1000 + [small("vm #2")], LOADED, ["shm"]).nodes]
    assert names[:3] == ["vm", "vm #2", "vm #3"]
    assert len(set(names)) == 1001


def test_names_choose_topics_checks_and_codes() -> None:
    files, checks = judgement.chosen(LOADED, ["shm"])
    assert {file.topic.name for file in files} == {"shm"}
    assert judgement.chosen(LOADED, ["shm-too-small"])[1]
    assert judgement.chosen(LOADED, []) == (LOADED.files, LOADED.checks)
    assert judgement.chosen(LOADED, ["shm", "shm-too-small"])[1] == checks


def test_a_machine_that_was_not_reached_is_told_whatever_was_asked_for() -> None:
    lost = Reached((Reach("gpu02", outcome="unresolvable", said="ssh: Could not resolve hostname gpu02"),))
    there = Reached((Reach("gpu01", outcome="ok"),))
    unheard = Snapshot(Node("gpu02", "gpu02"), "2026-11-20T12:00:00Z", "envdoctor 0.1.0", {"reached": lost})
    well = replace(small("gpu01", "gpu01"), sections={**small("gpu01").sections, "reached": there})
    report = judgement.judge([well, unheard], LOADED, ["shm"])
    assert {finding.code: finding.nodes for finding in report.findings} == {
        "node-unreachable": ("gpu02",),
        "shm-too-small": ("gpu01",),
    }
    assert host_lists.sort(report) == host_lists.HostLists(("gpu01",), ("gpu02",))
    assert {finding.code for finding in judgement.judge([well], LOADED, ["shm"]).findings} == {"shm-too-small"}
    assert {one.check.topic for one in judgement.judge([well], LOADED, ["shm"]).outcomes} == {"shm"}


def test_a_python_that_does_not_start_is_told_where_what_was_asked_for_stands_on_it() -> None:
    broken = Python(executable="/e/bin/python", failure="No such file or directory", failure_kind="absent")
    sections: dict[str, object] = {"python": broken, "torch-install": Missing("torch-install", "not-here")}
    snapshot = replace(small("gpu01"), sections={**small("gpu01").sections, **sections})
    for asked in ("torch", "packages", "pip"):
        first, *_ = judgement.judge([snapshot], LOADED, [asked]).findings
        assert (first.code, first.severity.value) == ("python-does-not-start", "error"), asked
    # A prolog that looks at the machine alone drains no node for it.
    for asked in ("shm", "driver", "gpu", "gpu-health", "nvlink", "rdma", "disk"):
        found = {finding.code for finding in judgement.judge([snapshot], LOADED, [asked]).findings}
        assert "python-does-not-start" not in found, asked


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'driver-too-old'"):
        judgement.chosen(LOADED, ["driver-to-old"])
    with pytest.raises(UsageError, match=r"neither a topic nor a code; `envdoctor list`"):
        judgement.chosen(LOADED, ["zzzzzz"])


def test_the_facts_of_a_file_are_those_of_its_checks_and_summary() -> None:
    file = next(file for file in LOADED.files if file.path.endswith("shm.py"))
    assert Limits in judgement.facts_of(file)


def test_a_check_without_readable_needs_does_not_stop_the_others() -> None:
    def odd(fact):  # type: ignore[no-untyped-def]
        return []

    file = TopicFile(Topic("odd"), (Check("odd", (), odd, "odd"),), (), None, "odd.py")
    assert judgement.facts_of(file) == set()
    (outcome,) = engine.run(file.checks, {"a": {}})
    assert outcome.status == "crashed"
    assert "says not which fact" in outcome.error


def test_topics_of_benchmarks_are_silent_where_none_was_run() -> None:
    """Also those that judge a benchmark beside what every examination has."""
    loaded = load.load([CHECKS])
    benches = {file.topic.name for file in loaded.files if file.topic.bench} | {"ranks"}
    examined = Snapshot(Node("gpu01"), "2026-11-20T12:00:00Z", "", {"nics": Nics(), "host": Host()})
    measured = Snapshot(Node("gpu01"), "2026-11-20T12:00:00Z", "", {"allreduce": AllreduceResult(), "nics": Nics()})
    assert "allreduce" in benches
    assert not benches & {line.topic.name for line in judgement.judge([examined], loaded).topics}
    assert "allreduce" in {line.topic.name for line in judgement.judge([measured], loaded).topics}
