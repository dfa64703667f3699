"""`envdoctor bench links` between four nodes, and the all-reduce that looks by itself for who is slow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from envdoctor.bench import blame
from envdoctor.bench.launching import Part
from envdoctor.bench.observed import Observed
from envdoctor.facts.allreduce import AllreduceResult, Way
from tests import needs
from tests.bench.nodes import Ended, Node, ended, gone
from tests.bench.switched import several, shape, slow_path
from tests.checks.bench_results import FINE

RATE = "100mbit"


@pytest.fixture
def nodes() -> Iterator[tuple[Node, ...]]:
    with several(4, RATE) as found:
        yield found


def links(nodes: tuple[Node, ...], *options: str) -> list[Ended]:
    """Start it on each, as in the manual, and wait for all."""
    command = (sys.executable, "-m", "envdoctor", "bench", "links", "--nnodes", str(len(nodes)), "--timeout", "20")
    started = [
        node.start(*command, "--master-addr", nodes[0].address, "--node-rank", str(place), *options)
        for place, node in enumerate(nodes)
    ]
    return [ended(process) for process in started]


def test_healthy_links_draw_no_finding(nodes: tuple[Node, ...]) -> None:
    first, *others = links(nodes, "--json")
    document = first.document
    assert (first.status, document["stage"], document["op"]) == (0, "done", "links")
    # A rate limit drops packets until TCP has found it, which is said.
    assert {one["severity"] for one in document["findings"]} <= {"note"}
    assert {(link["a"], link["b"]) for link in document["links"]} == {
        (a.name, b.name) for a in nodes for b in nodes if a is not b
    }
    assert all(0 < link["gb_s"] < 0.0135 for link in document["links"])
    assert [one.status for one in others] == [0, 0, 0]
    assert all(gone(node) for node in nodes)


def test_a_slow_machine_is_named(nodes: tuple[Node, ...]) -> None:
    shape(nodes[2], "15mbit")
    first = links(nodes, "--json")[0]
    loud = [one for one in first.document["findings"] if one["severity"] != "note"]
    assert [(one["code"], one["nodes"]) for one in loud] == [("link-slow", [nodes[2].name])]


def test_where_half_of_the_machines_are_slow_it_is_told_and_nobody_blamed(nodes: tuple[Node, ...]) -> None:
    for node in nodes[2:]:
        shape(node, "15mbit")
    first = links(nodes, "--json")[0]
    assert (first.status, {one["severity"] for one in first.document["findings"]}) == (0, {"note"})
    (told,) = [one for one in first.document["findings"] if one["code"] == "links-uneven"]
    assert told["nodes"] == [node.name for node in nodes[2:]]
    assert told["evidence"]["usual"] > 2 * told["evidence"]["gbit"]


def test_a_slow_path_is_named_and_drawn() -> None:
    with several(4) as nodes:
        for place, other in enumerate((1, 3, 0, 1)):
            slow_path(nodes[place], nodes[other], RATE, "15mbit" if place in (1, 3) else RATE)
        first = links(nodes, "--color", "never")[0]
    told = f"warning[link-slow]: the path between {nodes[1].name} and {nodes[3].name} is slow"
    assert told in first.out, first.out + first.err
    rows = [line.split(" ", 3)[-1] for line in first.out.splitlines() if line.strip().startswith(nodes[1].name)]
    assert rows and "█" in rows[0]
    assert "12 streams over TCP" in first.out


@pytest.mark.torch
@pytest.mark.parametrize("options", [(), ("--no-blame",)])
def test_an_all_reduce_looks_for_who_is_slow(nodes: tuple[Node, ...], options: tuple[str, ...]) -> None:
    needs.distribution("torch")
    shape(nodes[1], "10mbit")
    started = [
        node.bench("--nnodes", "4", "--master-addr", nodes[0].address, "--node-rank", str(place), "--timeout", "30",
                   "--sizes", "64K:256K", *options)
        for place, node in enumerate(nodes)
    ]  # fmt: skip
    first, *_ = [ended(process) for process in started]
    named = [one["nodes"] for one in first.document["findings"] if one["code"] == "link-slow"]
    assert named == ([] if options else [[nodes[1].name]])


def test_alone_there_is_no_link() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "bench", "links", "--master-port", "0"], capture_output=True, text=True
    )
    assert (done.returncode, "no link to measure" in done.stdout) == (0, True), done.stdout + done.stderr


def waiting(busy: float, others: float) -> tuple[Way, ...]:
    """The way from 2 to 3 carries a twelfth; how many processors its stream and those of the others waited for."""
    slow = Way(2, 3, gb_s=0.01, busy=busy)
    return (slow, *(Way(place, (place + 1) % 8, gb_s=0.12, busy=others) for place in (0, 1, 3, 4, 5, 6, 7)))


@pytest.mark.parametrize(
    ("result", "worth"),
    [
        (FINE, False),
        (replace(FINE, ways=(Way(0, 1, gb_s=0.12, busy=0.1), Way(1, 0, gb_s=0.12, busy=0.1))), False),
        (replace(FINE, ways=(Way(0, 1, gb_s=0.3, busy=0.1), Way(1, 0, gb_s=0.3, busy=0.1))), True),
        (replace(FINE, ways=(Way(0, 1, gb_s=0.3, busy=0.9), Way(1, 0, gb_s=0.3, busy=0.9))), False),
        (replace(FINE, ways=waiting(0.92, others=0.9)), True),
        (replace(FINE, ways=waiting(0.92, others=0.1)), False),
        (replace(FINE, backend="nccl", ways=(Way(0, 1, gb_s=0.3, busy=0.1),)), False),
        (replace(FINE, oversubscribed=True, ways=(Way(0, 1, gb_s=0.3, busy=0.1),)), False),
        (replace(FINE, ways=(Way(0, 1, gb_s=0.1), Way(1, 2, gb_s=0.1), Way(2, 0, gb_s=0.01, busy=0.1))), True),
    ],
)
def test_when_it_is_worth_looking(result: AllreduceResult, worth: bool) -> None:
    assert blame.answer("blame", result) == {"go": worth}


def test_of_several_measurements_the_best_counts() -> None:
    observed = Observed(Part(), "tcp", "float32", "links")
    for rate in (0.5, 0.9, 0.7):
        observed.take({"node": 0, "pair": {"a": 0, "b": 1, "gb_s": rate, "busy": 0.1}})
    observed.take({"node": 0, "pair": {"a": 0}})
    (pair,) = observed.result.pairs
    assert (pair.gb_s, pair.times) == (0.9, 3)


def test_of_streams_that_carried_alike_the_one_that_waited_least_tells_of_the_processors() -> None:
    observed = Observed(Part(), "tcp", "float32", "links")
    for rate, busy in ((0.5, 0.9), (0.48, 0.2), (0.2, 0.1)):
        observed.take({"node": 0, "pair": {"a": 0, "b": 1, "gb_s": rate, "busy": busy}})
    (pair,) = observed.result.pairs
    assert (pair.gb_s, pair.busy, pair.times) == (0.5, 0.2, 3)
