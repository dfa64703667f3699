"""envdoctor/testing.py: the words that users test their own checks with do fail when a check is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.facts.host import Host
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file

FILE = """
from envdoctor import Finding, Problem, Severity, Text, check
from envdoctor.facts.host import Host
ODD = Problem("odd-cpus", Severity.NOTE, Text("{n} processors", "{n} 个处理器"), Text("odd", "奇数"))
@check(ODD)
def odd_cpus(host: Host):
    if host.cpus == 13:
        raise ValueError("unlucky")
    if host.cpus == 11:
        yield ODD.found()
    elif host.cpus % 2:
        yield ODD.found(n=host.cpus)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(FILE, encoding="utf-8")
    return tmp_path / "own.py"


def test_a_case_holds_or_says_what_was_found(path: Path) -> None:
    (finding,) = Case("three", (Host(cpus=3),), {"odd-cpus": "note"}).assert_holds(path)
    assert finding.evidence == {"n": 3}
    Case("two", (Host(cpus=2),)).assert_holds(path)
    with pytest.raises(AssertionError, match=r"found \{'odd-cpus': 'note'\}, expected \{\}"):
        Case("three is fine", (Host(cpus=3),)).assert_holds(path)


def test_a_crash_and_a_sentence_without_its_value_are_failures(path: Path) -> None:
    with pytest.raises(AssertionError, match="unlucky"):
        Case("thirteen", (Host(cpus=13),)).assert_holds(path)
    with pytest.raises(AssertionError, match=r"lacks the values \['n'\]"):
        Case("eleven", (Host(cpus=11),), {"odd-cpus": "note"}).assert_holds(path)


def test_a_case_passes_a_problem_only_if_the_check_ran(path: Path) -> None:
    file = topic_file(path)
    (problem,) = file.problems
    assert Case("two", (Host(cpus=2),)).passes(problem, file)
    assert not Case("three", (Host(cpus=3),), {"odd-cpus": "note"}).passes(problem, file)
    assert not Case("unknown", (Missing("host", "failed"),)).passes(problem, file)


def test_a_file_that_does_not_load_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nothing_such")
    with pytest.raises(AssertionError, match=r"bad.py does not load: ModuleNotFoundError"):
        topic_file(tmp_path / "bad.py")


def test_a_case_may_describe_several_nodes(path: Path) -> None:
    nodes = {"a": (Host(cpus=3),), "b": (Host(cpus=2),), "c": (Host(cpus=3),)}
    (finding,) = Case("two of three", expect={"odd-cpus": "note"}, nodes=nodes).assert_holds(path)
    assert finding.nodes == ("a", "c")
