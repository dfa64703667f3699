"""envdoctor/facts/hostlist.py: names in few characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.hostlist import expand, fold

NAMES = st.lists(st.from_regex(r"[a-z]{1,2}-?[0-9]{0,3}(\.x)?", fullmatch=True), max_size=30)


@given(NAMES)
def test_what_was_folded_unfolds_to_the_same_names(names: list[str]) -> None:
    assert sorted(expand(fold(names, most=0))) == sorted(set(names))


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], ""),
        (["login"], "login"),
        (["gpu07"], "gpu07"),
        (["gpu02", "gpu01", "gpu03", "gpu07"], "gpu[01-03,07]"),
        ([f"node{number:02d}" for number in range(1, 65)], "node[01-64]"),
        ([f"node{number}" for number in range(8, 12)], "node[8-11]"),
        ([f"n{number:02d}" for number in range(98, 102)], "n[98-101]"),
        (["n09", "n9"], "n[09,9]"),
        (["a1-ib", "b1", "a2-ib"], "a[1-2]-ib,b1"),
        (["10.0.0.9", "10.0.0.10"], "10.0.0.[9-10]"),
        (["vm", "vm #2", "vm #3"], "vm,vm #[2-3]"),
    ],
)
def test_names_stand_together_by_their_last_number(names: list[str], folded: str) -> None:
    assert fold(names) == folded


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert fold([f"n{number}" for number in range(0, 100, 2)], most=3) == "n[0,2,4,...]"
    assert fold([f"{letter}x" for letter in "abcdefghij"]) == "ax,bx,cx,dx,ex,fx,gx,hx,... (+2)"
