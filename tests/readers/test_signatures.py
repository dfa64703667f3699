"""The catalogue of error lines, and its reader."""

from __future__ import annotations

import importlib
import re
import time

import pytest

from envdoctor import knowledge
from envdoctor.knowledge import signatures
from envdoctor.knowledge.signatures import Signature
from envdoctor.model import Severity
from envdoctor.readers.signatures import expression
from tests.readers.texts import LOADED, codes, read

ROWS = [pytest.param(row, id=row.id) for row in signatures.rows()]
TOLD = [pytest.param(row, id=row.id) for row in signatures.rows() if row.code and row.kind != "noise"]


def test_ids_are_given_once() -> None:
    ids = [row.id for row in signatures.rows()]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("row", ROWS)
def test_examples_are_found_through_the_needles(row: Signature) -> None:
    assert row.example
    for example in row.example:
        seen = [one for one in signatures.rows() if one.id == row.id and expression(one.pattern).search(example)]
        assert seen, example
        assert any(needle in example for needle in row.needles), example
    for text in row.none:
        assert not expression(row.pattern).search(text), text


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_what_exists(row: Signature) -> None:
    assert not row.code or row.code in LOADED.problems, row.code
    assert row.kind in ("root", "symptom", "noise")
    assert Severity(row.severity)
    assert row.source
    for cause in row.consequence_of:
        assert cause in LOADED.problems or cause in signatures.by_id(), cause
    if row.decide:
        module, _, function = row.decide.rpartition(".")
        assert callable(getattr(importlib.import_module(f"envdoctor.readers.decisions.{module}"), function))


@pytest.mark.parametrize("row", TOLD)
def test_a_row_speaks_both_languages(row: Signature) -> None:
    groups = set(re.compile(row.pattern).groupindex)
    for words in (row.title, row.why, row.help):
        if words.en or words is row.title:
            assert words.en and re.search("[\u4e00-\u9fff]", words.zh), words
            holes = set(re.findall(r"\{(\w+)", words.en))
            assert holes == set(re.findall(r"\{(\w+)", words.zh))
            assert holes <= groups | {"file", "line", "rank", "node", "times"}, holes - groups


@pytest.mark.parametrize("row", ROWS)
def test_every_pattern_takes_time_in_proportion_to_the_line(row: Signature) -> None:
    def seconds(unit: str, length: int) -> float:
        text, best = (unit * length)[:length], 9.0
        for _ in range(3):
            began = time.perf_counter()
            expression(row.pattern).search(text)
            best = min(best, time.perf_counter() - began)
        return best

    for unit in (*row.needles, *row.example, "0", " ", "a.", "[1", "/x", "("):
        long = seconds(unit, 8192)
        if long > 0.1:
            # Twice as long, twice the time; four times it where the pattern is quadratic.
            assert long < 3 * seconds(unit, 4096), f"{row.id}: {long:.2f} s for 8192 characters of {unit[:40]!r}"


def test_the_first_line_speaks_and_says_where() -> None:
    text = "".join(f"epoch {number}\n" for number in range(100))
    text += "[rank5]: RuntimeError: No CUDA GPUs are available\n" * 3
    (seen,) = read(text).log.sightings
    assert (seen.code, seen.place.line, seen.place.rank) == ("gpu-not-visible", 101, 5)
    assert (seen.times, seen.ranks) == (3, (5,))
    assert seen.quote == "RuntimeError: No CUDA GPUs are available"


def test_a_text_without_errors_says_nothing() -> None:
    assert codes("epoch 1 loss 2.5\n" * 1000) == {}


def test_remedies_speak_both_languages_and_fit_a_problem() -> None:
    rows = knowledge.rows("signatures/remedies", "remedy", signatures.Remedy)
    assert len({row.code for row in rows}) == len(rows)
    for row in rows:
        assert row.code in LOADED.problems, row.code
        assert re.search("[\u4e00-\u9fff]", row.zh)
        assert not re.search("[\u4e00-\u9fff]", row.en)
        assert "{" not in row.en + row.zh, "braces are holes"
        assert not row.en.endswith(".")
        assert not row.zh.endswith("。")


@pytest.mark.parametrize("row", TOLD)
def test_every_line_that_is_known_comes_with_a_remedy(row: Signature) -> None:
    problem = LOADED.problems[row.code]
    assert row.help.en or signatures.remedy(row.code) or (problem.help and not problem.situations), row.code
