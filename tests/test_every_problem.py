"""What holds for every Problem: words in both languages, a failing case, a passing case, known causes."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from envdoctor import load
from envdoctor.filling import pieces
from envdoctor.model import Problem, Situation, Text, TopicFile
from envdoctor.testing import Case, checks_of
from tests import CHECKS, SHARED

LOADED = load.load([CHECKS])
PROBLEMS = [pytest.param(problem, file, id=problem.code) for file in LOADED.files for problem in file.problems]


def cases_of(file: TopicFile) -> list[Case]:
    module = importlib.import_module(f"tests.checks.test_{Path(file.path).stem}")
    cases: list[Case] = module.CASES
    return cases


def texts_of(problem: Problem) -> list[Text]:
    words: list[Problem | Situation] = [problem, *problem.situations.values()]
    return [text for own in words for text in (own.title, own.why, own.seen, own.help) if text]


def shown_by(template: str) -> set[str]:
    """The values that a sentence shows; Chinese has no words that go with a number."""
    return {name for _, name in pieces(template) if name}


def test_all_files_load() -> None:
    assert LOADED.broken == {}
    assert LOADED.files


@pytest.mark.parametrize(("problem", "file"), PROBLEMS)
def test_speaks_both_languages(problem: Problem, file: TopicFile) -> None:
    for text in texts_of(problem):
        assert text.en.strip() and text.zh.strip()
        assert re.search("[\u4e00-\u9fff]", text.zh), f"no Chinese in {text.zh!r}"
        assert not re.search("[\u4e00-\u9fff]", text.en), f"Chinese in {text.en!r}"
        assert shown_by(text.en) == shown_by(text.zh), f"{text.en!r} and its Chinese show different values"
    assert not problem.title.en.endswith("."), "a title has no final stop"


@pytest.mark.parametrize(("problem", "file"), PROBLEMS)
def test_has_a_failing_and_a_passing_case(problem: Problem, file: TopicFile) -> None:
    cases = cases_of(file)
    assert any(problem.code in case.expect for case in cases), f"no case shows {problem.code}"
    assert any(case.passes(problem, file) for case in cases), f"no case shows a machine without {problem.code}"


@pytest.mark.parametrize(("problem", "file"), PROBLEMS)
def test_is_reported_by_a_check_and_names_causes_that_exist(problem: Problem, file: TopicFile) -> None:
    assert any(problem in check.problems for check in checks_of(file))
    assert set(problem.caused_by) <= set(LOADED.problems), set(problem.caused_by) - set(LOADED.problems)
    assert problem.code not in problem.caused_by


def test_codes_are_those_of_the_vocabulary_or_new() -> None:
    page = SHARED / "findings.md"
    if not page.exists():
        pytest.skip("the vocabulary of findings is not beside this checkout")
    known = set(re.findall(r"^\| ([a-z0-9-]+) \|", page.read_text(), re.M)) - {"code"}
    # A code that is almost one of the vocabulary is a misspelling.
    from difflib import get_close_matches

    for code in set(LOADED.problems) - known:
        assert not get_close_matches(code, known, n=1, cutoff=0.9), code
