"""envdoctor/render/places.py"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.hostlist import expand
from envdoctor.model import Finding, Node
from envdoctor.redact import Redactor
from envdoctor.render.places import folded, places
from tests.render.reports import CAUSE, report

REDACTOR = Redactor(b"k" * 16)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["gpu-a01", "gpu-a02", "gpu-a03"], "gpu-a[01-03]"),
        (["n1", "n2", "n4", "login"], "n[1-2,4],login"),
        (["n7"], "n7"),
        (["rack1-n08", "rack1-n09", "rack1-n10"], "rack1-n[08-10]"),
        (["a", "a"], "a"),
        ([], ""),
    ],
)
def test_names_in_few_characters(names: list[str], told: str) -> None:
    assert folded(names) == told


@given(
    st.lists(st.integers(0, 40), unique=True, max_size=8),
    st.sampled_from(["n", "gpu-", "a1b"]),
    st.sampled_from(["", "-ib"]),
)
def test_what_is_folded_expands_to_the_same_hosts(numbers: list[int], before: str, after: str) -> None:
    names = [f"{before}{number:02d}{after}" for number in sorted(numbers)]
    assert sorted(expand(folded(names))) == names


def test_many_names_are_a_number() -> None:
    told = folded(f"{letter}-node" for letter in "abcdefghijklmnop")
    assert told.startswith("a-node,b-node,") and "8" in told.rpartition("...")[2]
    assert len(folded(f"n{number}" for number in range(0, 4000, 2))) < 200


def test_places_are_named_in_a_report_on_several_nodes_only() -> None:
    found = Finding(CAUSE, {}, nodes=("n1", "n2"))
    assert places(found, report(), REDACTOR) == ""
    several = replace(report(), nodes=(Node("n1"), Node("n2"), Node("n3")))
    assert places(found, several, REDACTOR) == " [n[1-2]]"
    assert places(replace(found, nodes=()), several, REDACTOR) == ""
    assert "\n" not in places(replace(found, nodes=("n1\nerror[fake]",)), several, REDACTOR)
