"""envdoctor/facts/link_groups.py: whom a whole run blames on simulated fabrics above 32 machines."""

from __future__ import annotations

import pytest

from envdoctor.bench import rounds
from envdoctor.facts import links
from tests.bench import fabrics


def assert_held(name: str, count: int, seed: int) -> fabrics.Came:
    """A case of a size, and that exactly those are blamed who are to be."""
    case = fabrics.CASES[name](count, seed)
    came = fabrics.links(case.fabric)
    assert fabrics.named(came.result) == case.culprits, f"{name}, {count} machines, seed {seed}"
    return came


@pytest.mark.parametrize("name", [name for name in fabrics.CASES if name not in fabrics.BEYOND])
@pytest.mark.parametrize("count", [33, 64, 100])
def test_exactly_the_culprits_are_blamed(name: str, count: int) -> None:
    assert_held(name, count, 7)


@pytest.mark.parametrize("name", sorted(fabrics.BEYOND))
def test_what_cannot_always_be_found_is_no_reason_to_blame_another(name: str) -> None:
    for count in (64, 128):
        case = fabrics.CASES[name](count, 7)
        assert fabrics.named(fabrics.links(case.fabric).result) <= case.culprits


@pytest.mark.parametrize("name", ["a slow uplink (a quarter), uplinks 4:1", "three slow nodes"])
def test_of_1024_machines_rounds_time_and_answers_stay_bounded(name: str) -> None:
    came = assert_held(name, 1024, 3)
    assert came.rounds <= rounds.MOST_ROUNDS + rounds.MOST_ASKED
    assert came.asked <= rounds.MOST_QUESTIONS and came.seconds <= 60
    assert came.answer_bytes < 64_000


def test_where_the_budget_ends_soon_the_suspects_are_still_measured_again() -> None:
    case = fabrics.CASES["one slow node"](64, 1)
    came = fabrics.links(case.fabric, budget_s=20.0, round_s=1.0)
    assert came.seconds <= 20 and came.result.cut_short
    assert fabrics.named(came.result) == case.culprits


def test_a_group_says_what_it_carries_inside_and_what_one_stream_alone_does() -> None:
    came = assert_held("a slow uplink (a quarter)", 128, 1)
    (one,) = links.blamed(came.result.pairs)
    assert one.inside is not None and one.alone is not None
    assert one.gb_s == pytest.approx(0.25, rel=0.15)
    assert one.inside == pytest.approx(1.0, rel=0.15) and one.alone == pytest.approx(1.0, rel=0.15)
