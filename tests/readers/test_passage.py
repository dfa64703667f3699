"""envdoctor/readers/passage.py: a line and its neighbours of the same rank."""

from __future__ import annotations

import pytest

from envdoctor.readers import passage
from envdoctor.readers.passage import Passage, Window

RANKS = 3


def at(number: int, lines: list[str]) -> Passage:
    """The passage of a line, counted from one."""
    text = [line.encode() for line in lines]
    start = sum(len(line) for line in text[: number - 1])
    return Passage(Window("a.log", b"".join(text)), start, start + len(text[number - 1]), number)


def interleaved(each: int) -> list[str]:
    return [f"[rank{rank}]: {number}\n" for number in range(each) for rank in range(RANKS)]


def test_neighbours_are_those_of_the_same_rank() -> None:
    one = at(8, interleaved(6))  # rank 1, its third line
    assert [line.text for line in one.after(2)] == ["3", "4"]
    assert [line.text for line in one.after(9)] == ["3", "4", "5"]
    assert [line.text for line in one.before(9)] == ["0", "1"]
    assert [(line.rank, line.number) for line in one.before(1)] == [(1, 5)]
    assert [line.text for line in one.after(3, same_stream=False)] == ["2", "3", "3"]


def test_numbers_fit_the_lines_whoever_asks_first() -> None:
    lines = interleaved(6)
    window = Window("a.log", "".join(lines).encode())
    size = len(lines[0])
    forth = {line.number: line for line in window.following(0, 0)}
    back = {line.number: line for line in window.preceding(size * len(lines), len(lines) + 1)}
    assert forth == back
    assert sorted(forth) == list(range(1, len(lines) + 1))


def test_the_first_and_the_last_line_have_neighbours_on_one_side() -> None:
    lines = ["a\n", "b\n", "c"]
    assert [line.text for line in at(1, lines).after(5)] == ["b", "c"]
    assert at(1, lines).before(5) == []
    assert [line.text for line in at(3, lines).before(5)] == ["a", "b"]
    assert at(3, lines).after(5) == []


def test_a_rank_that_says_nothing_more_is_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "MOST_PASSED", 10)
    lines = ["[rank1]: it\n", *["[rank2]: x\n"] * 9, "[rank1]: near\n", "[rank2]: x\n", "[rank1]: far\n"]
    assert [line.text for line in at(1, lines).after(5)] == ["near"]
    assert [line.text for line in at(13, lines).before(5)] == ["near"]


def test_lines_are_split_once_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window("a.log", b"x\n" * 100)
    assert window.line(2, 4, 2) is window.line(2, 4, 2)
    monkeypatch.setattr(passage, "MOST_SPLIT", 10)
    assert len(list(window.following(0, 0))) == 100
    assert len(window._split) <= 10


def test_numbers_fit_where_a_stretch_of_a_long_line_was_looked_at() -> None:
    window = Window("a.log", b"one\ntwo and its end\nthree\n")
    stretch = Passage(window, 8, 11, 2)
    assert [(line.text, line.number) for line in stretch.after(5)] == [(" its end", 2), ("three", 3)]
    assert [(line.text, line.number) for line in stretch.before(5)] == [("one", 1), ("two ", 2)]
