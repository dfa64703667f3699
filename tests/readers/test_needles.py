"""envdoctor/readers/needles.py: which lines are worth a look, and how long."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.readers import needles
from envdoctor.readers.lines import LONGEST
from envdoctor.readers.needles import Needles


def found(search: Needles, piece: bytes) -> list[tuple[bytes, set[str]]]:
    return [(piece[start:end], set(held)) for start, end, held in search.candidates(piece)]


def test_a_line_with_a_literal_is_found_whole_with_all_it_holds() -> None:
    search = Needles({"error": 9, "rror: out": 9, "warning": 9})
    assert found(search, b"fine\nan error: out of it\nwarning") == [
        (b"an error: out of it\n", {"error", "rror: out"}),
        (b"warning", {"warning"}),
    ]


def test_literals_beyond_ascii() -> None:
    assert found(Needles({"找不到": 9}), "好\n找不到模块\n".encode()) == [("找不到模块\n".encode(), {"找不到"})]


def test_a_literal_has_told_enough_after_so_many_lines_and_others_have_not() -> None:
    search = Needles({"often": 3, "rare": 3})
    piece = b"often\n" * 5 + b"often rare\n"
    assert found(search, piece) == [(b"often\n", {"often"})] * 3 + [(b"often rare\n", {"rare"})]
    assert found(search, piece) == [(b"often rare\n", {"rare"})]


@pytest.mark.parametrize("wasted", [0, 10**9])
def test_what_is_searched_for_next_is_the_same_by_either_search(monkeypatch: pytest.MonkeyPatch, wasted: int) -> None:
    monkeypatch.setattr(needles, "WASTED", wasted)
    monkeypatch.setattr(needles, "SMALL", 100)
    search = Needles({f"word{number}x": 2 for number in range(50)})
    piece = b"".join(b"word%dx word%dx\n" % (number % 50, number * 7 % 50) for number in range(100))
    told = [len(found(search, piece)) for _ in range(3)]
    # Each line is counted against both of its words.
    assert told[0] > 40
    assert told[1:] == [0, 0]


def test_nothing_is_looked_for_when_all_has_been_told() -> None:
    search = Needles({"one": 1})
    text = b"one\n" * needles.WASTED + b"one\n" * 2
    assert len(found(search, text)) == 1
    assert found(search, text) == []
    assert found(Needles({}), text) == []


def test_where_everything_matters_each_literal_is_looked_at_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needles, "MANY", 100)
    monkeypatch.setattr(needles, "MOST_MORE", 7)
    search = Needles({"often": 4000, "rare": 3, "late": 4000})
    assert 100 < len(found(search, b"often\n" * 500)) < 110
    assert len(found(search, b"rare\nlate\n" * 500)) == 3 + 7


def test_a_long_line_is_looked_at_around_each_literal() -> None:
    search = Needles({"error": 9, "late": 9})
    line = b"[rank1]: error " + "é".encode() * 20_000 + b" late" + b"x" * 20_000 + b" late!\n"
    parts = found(search, b"fine\n" + line + b"error\n")
    assert [held for _, held in parts] == [{"error"}, {"late"}, {"late"}, {"error"}]
    assert parts[0][0].startswith(b"[rank1]: error ")
    assert parts[3][0] == b"error\n"
    for part, held in parts:
        assert len(part) <= LONGEST + 3
        assert all(name in part.decode()[:LONGEST] for name in held)  # no character is cut


@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(["x", "é", "找", "\n"])), min_size=1, max_size=9))
def test_every_literal_is_in_what_is_looked_at(parts: list[tuple[int, str]]) -> None:
    text = "it".join(letter * times for times, letter in parts) + "it"
    piece = text.encode()
    shown = list(Needles({"it": 10**6}).candidates(piece))
    assert [piece[start:end].decode() for start, end, _ in shown]
    covered = set().union(*(range(start, min(end, start + 4 * LONGEST)) for start, end, _ in shown))
    at = -1
    while (at := piece.find(b"it", at + 1)) >= 0:
        assert at in covered
    assert all(one[1] <= two[1] for one, two in itertools.pairwise(shown))
