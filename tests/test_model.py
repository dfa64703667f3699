"""envdoctor/model.py"""

from __future__ import annotations

import pytest

import envdoctor
from envdoctor.model import Finding, Problem, Severity, Situation, Text

PROBLEM = Problem(
    code="tea-cold",
    severity=Severity.WARNING,
    title=Text("the tea has {degrees:.0f} degrees", "茶只有 {degrees:.0f} 度"),
    why=Text("sad", "难过"),
    command="heat --to {goal}",
    situations={"iced": Situation(title=Text("iced tea", "冰茶"), command="enjoy", severity=Severity.NOTE)},
)


def test_a_text_takes_values_in_both_languages_and_shows_unknown_ones() -> None:
    assert PROBLEM.title.say("en", {"degrees": 21.4}) == "the tea has 21 degrees"
    assert PROBLEM.title.say("zh", {"degrees": None}) == "茶只有 ? 度"
    assert PROBLEM.title.say("en") == "the tea has ? degrees"


def test_values_are_never_templates() -> None:
    assert Text("{a}", "{a}").say("en", {"a": "{b.__class__}"}) == "{b.__class__}"


def test_a_finding_speaks_in_its_situation() -> None:
    plain, iced = PROBLEM.found(degrees=20.0, goal=70), PROBLEM.found("iced", degrees=2.0)
    assert (plain.severity, plain.command) == (Severity.WARNING, "heat --to 70")
    assert (iced.severity, iced.command) == (Severity.NOTE, "enjoy")
    assert iced.words.title == Text("iced tea", "冰茶")
    assert iced.words.why == PROBLEM.why
    with pytest.raises(KeyError, match="knows no situation 'boiling'"):
        PROBLEM.found("boiling")


def test_a_finding_may_have_its_own_severity_and_command() -> None:
    finding = PROBLEM.found(degrees=1.0, goal=2).at(Severity.ERROR).mended_by("throw it away")
    assert (finding.severity, finding.command) == (Severity.ERROR, "throw it away")
    assert Finding(Problem("x", Severity.NOTE, PROBLEM.why, PROBLEM.why)).command is None


def test_the_public_words_are_there_and_no_others() -> None:
    for name in envdoctor.__all__:
        assert getattr(envdoctor, name) is not None
    with pytest.raises(AttributeError, match="no_such_word"):
        envdoctor.no_such_word  # noqa: B018


def test_a_look_shows_more_where_no_command_mends() -> None:
    iced = Situation(look="taste {goal}")
    problem = Problem("x", Severity.NOTE, PROBLEM.why, PROBLEM.why, command="heat", situations={"iced": iced})
    finding = problem.found("iced", goal=3)
    assert (finding.command, finding.look) == (None, "taste 3")
    assert (problem.found().command, problem.found().look) == ("heat", None)
    assert finding.mended_by("drink").look is None
