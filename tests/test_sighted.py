"""envdoctor/sighted.py: lines of a text as findings of the problems that checks declare."""

from __future__ import annotations

import pytest

from envdoctor import sighted
from envdoctor.facts.log import Log
from envdoctor.model import Severity
from envdoctor.testing import speak
from tests.checks.texts import log
from tests.readers.texts import LOADED, findings

SHM = "RuntimeError: DataLoader worker (pid {}) is killed by signal: Bus error. It is possible that\n"
CODES = sorted(LOADED.problems)


@pytest.mark.parametrize("code", CODES)
def test_every_problem_can_be_told_of_a_line(code: str) -> None:
    problem = LOADED.problems[code]
    (finding,) = sighted.found(problem, log(code))
    speak(finding)
    assert finding.severity is Severity.ERROR
    assert finding.command is None
    assert finding.evidence["line"] == 1
    assert sighted.found(problem, Log()) == []


def test_ranks_and_times_stand_behind_the_quote() -> None:
    text = "".join(f"[rank{rank}]: " + SHM.format(7) for rank in (0, 1, 2, 5, 5))
    (finding,) = findings(text)
    assert str(finding.evidence["seen"]).endswith("(5x, ranks 0-2, 5)")
    assert finding.evidence["times"] == 5


def test_the_words_of_the_row_are_said() -> None:
    (finding,) = findings(SHM.format(1))
    assert finding.words.title is not None
    assert finding.words.title.en == "a DataLoader worker died for want of shared memory"
