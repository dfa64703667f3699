"""envdoctor/render/bench_links.py and the links of bench_json.py: what is said of more machines than meet in pairs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.model import Language, Report
from envdoctor.redact import Redactor
from envdoctor.render import Style, bench_json, bench_links
from tests.bench import fabrics
from tests.checks.bench_results import FINE

CAME = fabrics.links(fabrics.Fabric(100, seed=1))
SHORT = fabrics.links(fabrics.Fabric(40, seed=1), budget_s=10.0)


def page(result: AllreduceResult) -> str:
    return bench_links.ending(result, Report("", "", 0.0, (), (), (), (), {}), Style(), Redactor(b"k" * 16))


def test_the_verdict_says_how_many_of_all_pairs_were_measured() -> None:
    told = bench_links.verdict(CAME.result, Style())
    found = re.search(r"; (\d+) of 4950 pairs of nodes were measured", told)
    assert found is not None and 1300 < int(found.group(1)) <= 31 * 50, told
    assert "budget" not in told


@pytest.mark.parametrize(("language", "words"), [("en", "before all rounds were run"), ("zh", "未跑完所有轮次")])
def test_where_the_budget_ended_rounds_are_spoken_of(language: Language, words: str) -> None:
    assert words in bench_links.verdict(SHORT.result, Style(language=language))


def test_up_to_32_machines_nothing_is_said_of_what_was_left_out() -> None:
    few = fabrics.links(fabrics.Fabric(32, seed=1)).result
    assert "992 streams over TCP" in bench_links.verdict(few, Style())
    assert "pairs of nodes" not in bench_links.verdict(few, Style())


def test_where_nothing_is_usual_the_verdict_names_no_usual_rate() -> None:
    half = fabrics.links(fabrics.Fabric(8, slow={(place, None): 0.3 for place in range(4)}, seed=1)).result
    told = bench_links.verdict(half, Style())
    assert re.search(r"no rate is the usual one, they carry 2\.\d+ Gbit/s \(node000\d to node000\d\) to [78]", told), (
        told
    )


def test_where_most_are_slow_they_are_dark_and_the_faster_ones_blank() -> None:
    slow = fabrics.links(fabrics.Fabric(8, slow={(place, None): 0.2 for place in range(2, 8)}, seed=1)).result
    rows = [row for row in page(slow).splitlines() if row.startswith("node000")]
    assert [row.count("██") for row in rows] == [6, 6, 7, 7, 7, 7, 7, 7]


def test_a_map_that_fits_no_screen_is_said_to_be_left_out() -> None:
    assert "a map of 100 nodes does not fit the screen; --json holds every stream" in page(CAME.result)
    assert "fit the screen" not in page(SHORT.result)


def test_each_link_stands_once_in_json() -> None:
    result = replace(CAME.result, pairs=(*CAME.result.pairs, replace(CAME.result.pairs[0], gb_s=9.0, kind="few")))
    document = bench_json.document(result, Report("", "", 0.0, (), (), (), ()), (), Style(), Redactor(b"k" * 16))
    ends = [(link["a"], link["b"]) for link in document["links"]]
    assert len(ends) == len(set(ends)) and document["links"][0]["gb_s"] == CAME.result.pairs[0].gb_s


def test_a_map_that_is_wider_than_the_screen_is_left_out() -> None:
    few = fabrics.links(fabrics.Fabric(8, seed=1)).result
    wide, narrow = (
        bench_links.ending(few, Report("", "", 0.0, (), (), (), (), {}), Style(width=width), Redactor(b"k" * 16))
        for width in (40, 30)
    )
    assert "who sends" in wide and "does not fit" not in wide
    assert "who sends" not in narrow and narrow.startswith("a map of 8 nodes does not fit")
    assert max(map(len, (wide + narrow).splitlines())) <= 40


def test_alone_the_first_line_says_so() -> None:
    assert page(FINE).startswith("one machine: there is no link to measure\n")
