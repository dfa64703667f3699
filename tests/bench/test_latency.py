"""Hosts that are far from each other: who is farther than the others is named, and distance alone is no fault."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests import ROOT, needs
from tests.bench.nodes import Ended, Node
from tests.bench.switched import several, switch_of
from tests.bench.test_links import RATE, links
from tests.lab.away import Relay, away
from tests.lab.hosts import Lab

FAR_S = 0.010
ACROSS_S = 0.080
HALF_THE_WORLD_S = 0.150


def loud(done: Ended) -> list[tuple[str, list[str]]]:
    return [(one["code"], one["nodes"]) for one in done.document["findings"] if one["severity"] != "note"]


def to_far(node: Node) -> Relay:
    return Relay(switch_of(node), f"p{node.interface}", "br0", rtt_s=FAR_S)


def test_one_of_four_that_is_far_away_is_named() -> None:
    with several(4, RATE) as nodes, to_far(nodes[3]):
        first = links(nodes, "--json")[0]
    assert first.document["stage"] == "done"
    assert loud(first) == [("latency-high", [nodes[3].name])]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(2) as found:
        yield found


@pytest.mark.torch
def test_two_hosts_across_a_continent_are_told_what_that_costs(lab: Lab) -> None:
    needs.distribution("torch")
    with away(lab, 1, rtt_s=ACROSS_S):
        done = lab[0].run(
            sys.executable, "-m", "envdoctor", "bench", "allreduce", "--hosts", "node0,node1", "--nproc-per-node", "1",
            "--sizes", "8:128", "--timeout", "40", "--json", PYTHONPATH=str(ROOT),
        )  # fmt: skip
    assert (done.status, done.document["stage"], loud(done)) == (0, "done", []), done.out + done.err
    (note,) = [one for one in done.document["findings"] if one["code"] == "latency-high"]
    assert note["evidence"]["slow"] >= 1e3 * ACROSS_S
    assert all(row["time_us"]["median"] >= 1e6 * ACROSS_S for row in done.document["sizes"])
    assert not lab.orphans()


def test_the_clock_of_a_host_far_away_is_not_taken_for_wrong(lab: Lab) -> None:
    with away(lab, 1, rtt_s=HALF_THE_WORLD_S):
        done = lab[0].run(
            sys.executable, "-m", "envdoctor", "check", "--quick", "--json", "--hosts", "node0,node1",
            PYTHONPATH=str(ROOT),
        )  # fmt: skip
    assert done.status in (0, 1), done.err
    codes = [one["code"] for one in done.document["findings"]]
    assert not {"clock-skew", "node-hung", "node-unreachable"} & set(codes)
    assert [node["name"] for node in done.document["nodes"]] == ["node0", "node1"]
