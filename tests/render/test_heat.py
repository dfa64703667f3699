"""envdoctor/render/heat.py: the darker, the slower."""

from __future__ import annotations

import pytest

from envdoctor.facts.allreduce import Pair
from envdoctor.render.heat import MOST, heat, shade


@pytest.mark.parametrize(
    ("share", "letter"), [(1.2, " "), (0.91, " "), (0.8, "░"), (0.65, "▒"), (0.5, "▓"), (0.1, "█"), (0.0, "█")]
)
def test_shades(share: float, letter: str) -> None:
    assert shade(2 * share, 2.0, unicode=True) == letter


def test_without_a_usual_rate_nothing_is_slow() -> None:
    assert shade(1.0, 0.0, unicode=True) == " "


def test_a_map() -> None:
    pairs = [Pair(0, 1, 1.0), Pair(1, 0, 0.5), Pair(0, 2, 0.1)]
    assert list(heat(pairs, {0: "a", 1: "bb", 2: "c"}, 1.0, unicode=False)) == [
        "     0  1  2",
        "a    -    ##  0",
        "bb  **  -  ?  1",
        "c    ?  ?  -  2",
    ]


def test_no_map_without_pairs_or_of_too_many() -> None:
    assert list(heat([], {0: "a"}, 1.0, unicode=True)) == []
    assert list(heat([Pair(0, 1, 1.0)], dict.fromkeys(range(MOST + 1), "n"), 1.0, unicode=True)) == []
