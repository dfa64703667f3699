"""envdoctor/render/nagios.py"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.model import Finding, Node, Outcome, Problem, Report, Severity, Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, nagios
from tests.render.reports import CAUSE, NOTE, WARNING, check_for, report

REDACTOR = Redactor(b"k" * 16)
# 'label'=value[unit];[warn];[crit];[min];[max], as the guidelines for plugins have it.
NUMBER = re.compile(r"[a-z]+=-?\d+(\.\d+)?(s|%|B|c)?(;-?[\d.]*){0,4}")
RAN = Outcome(check_for("fine", "disk"), "ran")


def of(*findings: Finding, nodes: int = 1, outcomes: tuple[Outcome, ...] = (RAN,)) -> Report:
    named = tuple(Node(f"gpu-{number:02d}") for number in range(1, nodes + 1))
    return Report("envdoctor 0.1.0", "2026-11-20T12:00:00Z", 1.25, named, findings, outcomes, ())


def said(told: Report, **style: object) -> str:
    return nagios.render(told, Style(**style), REDACTOR)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (of(), nagios.State.OK),
        (of(Finding(NOTE, {})), nagios.State.OK),
        (of(Finding(WARNING, {"url": "x"}), Finding(NOTE, {})), nagios.State.WARNING),
        (of(Finding(WARNING, {"url": "x"}), Finding(CAUSE, {})), nagios.State.CRITICAL),
        (of(outcomes=(replace(RAN, status="skipped"),)), nagios.State.UNKNOWN),
        (of(Finding(WARNING, {}), outcomes=(RAN, replace(RAN, status="crashed"))), nagios.State.UNKNOWN),
        (of(Finding(CAUSE, {}), outcomes=(RAN, replace(RAN, status="crashed"))), nagios.State.CRITICAL),
        (replace(of(), unloaded={"x.py": "SyntaxError"}), nagios.State.UNKNOWN),
    ],
)
def test_the_state_is_the_word_and_the_exit_code(told: Report, state: nagios.State) -> None:
    assert nagios.state(told) is state
    assert nagios.exit_code(told) == {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}[state.name]
    assert said(told).startswith(f"ENVDOCTOR {state.name} - ")


def test_the_first_line_names_the_worst_finding_and_its_nodes() -> None:
    many = of(Finding(CAUSE, {"driver": "535", "cuda": "13.0"}, nodes=("gpu-01", "gpu-02", "gpu-03")), nodes=4)
    first, _, numbers = said(many).splitlines()[0].partition(" | ")
    assert first == (
        "ENVDOCTOR CRITICAL - driver-too-old: the driver 535 is too old for CUDA 13.0 [gpu-[01-03]]; "
        "1 error on 3 nodes; 1 check in 1.2 s"
    )
    assert numbers.startswith("errors=1;;0;0 warnings=0;0;;0 notes=0;;;0 nodes=4;;;0 ")
    assert "错误" in said(many, language="zh")


def test_the_long_text_holds_what_follows_and_what_mends_it() -> None:
    lines = said(report()).splitlines()
    assert "error[driver-too-old]: the driver 535.104.05 is too old for CUDA 13.0" in lines
    assert "  pip install torch==2.10.0" in lines
    assert any(line.startswith("the check odd crashed") for line in lines)
    assert not any("persistence" in line for line in lines)
    assert any("persistence" in line for line in said(report(), verbosity=1).splitlines())


def test_a_thousand_findings_fit_what_a_server_keeps() -> None:
    findings = [Finding(replace(CAUSE, code=f"code-{number}"), {"driver": "中" * 40}) for number in range(1000)]
    page = said(of(*findings))
    assert len(page.encode()) < 8192
    assert re.search(r"^\.\.\. \d{3}$", page, re.M)


def test_a_run_that_failed_is_unknown() -> None:
    assert nagios.unknown("a | b\nc") == "ENVDOCTOR UNKNOWN - a / b c\n"


@given(st.text(max_size=300), st.integers(0, 3))
def test_no_value_ends_the_text_or_begins_the_numbers(value: str, nodes: int) -> None:
    odd = Problem("odd", Severity.ERROR, Text("{v}", "{v}"), Text("so {v}", "{v}"), command="do {v}")
    told = of(Finding(odd, {"v": value}, nodes=(value,)), nodes=nodes)
    first, *rest = said(told).split("\n")
    text, _, numbers = first.partition("|")
    assert text.startswith("ENVDOCTOR CRITICAL - ")
    assert all(NUMBER.fullmatch(number) for number in numbers.split())
    assert not any("|" in line for line in rest)
