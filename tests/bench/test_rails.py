"""Nodes with two interfaces that both carry data: the one that is slow is named, by links and by the all-reduce."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from envdoctor.bench import rails, schedule
from tests import needs
from tests.bench.nodes import Ended, Node, ended, two
from tests.bench.switched import second_nic, several, shape

RATE = "100mbit"


@pytest.fixture
def nodes() -> Iterator[tuple[Node, ...]]:
    with several(3, RATE) as found:
        second_nic(found, RATE)
        yield found


def both(nodes: tuple[Node, ...], *command: str) -> Ended:
    """Start it on each with both interfaces named; how the first one ended."""
    started = [
        node.start(sys.executable, "-m", "envdoctor", "bench", *command, "--nnodes", str(len(nodes)), "--timeout", "30",
                   "--master-addr", nodes[0].address, "--node-rank", str(place), "--json",
                   GLOO_SOCKET_IFNAME=f"w{place},v{place}")
        for place, node in enumerate(nodes)
    ]  # fmt: skip
    first, *_ = [ended(process) for process in started]
    return first


def slow(done: Ended) -> list[tuple[list[str], str]]:
    return [
        (one["nodes"], one["evidence"]["interface"]) for one in done.document["findings"] if one["code"] == "link-slow"
    ]


def test_links_measures_every_pair_of_interfaces(nodes: tuple[Node, ...]) -> None:
    shape(replace(nodes[1], interface="v1"), "15mbit")
    done = both(nodes, "links")
    assert slow(done) == [([nodes[1].name], "v1")]
    assert {(link["a"], link["b"], link["interface"]) for link in done.document["links"]} == {
        (a.name, b.name, f"{letter}{place}")
        for place, a in enumerate(nodes)
        for b in nodes
        for letter in "wv"
        if a is not b
    }


@pytest.mark.torch
def test_an_all_reduce_over_two_gloo_devices_names_the_interface_that_is_slow(nodes: tuple[Node, ...]) -> None:
    needs.distribution("torch")
    shape(replace(nodes[2], interface="v2"), "10mbit")
    done = both(nodes, "allreduce", "--nproc-per-node", "1", "--sizes", "64K:256K")
    assert done.document["stage"] == "done", done.out + done.err
    assert slow(done) == [([nodes[2].name], "v2")]
    assert all(row["wrong"] == 0 for row in done.document["sizes"])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, []),
        ({"GLOO_SOCKET_IFNAME": "eth0"}, []),
        ({"GLOO_SOCKET_IFNAME": "eth1,eth0"}, ["eth1", "eth0"]),
        ({"GLOO_SOCKET_IFNAME": "eth1,absent"}, []),
        ({"NCCL_SOCKET_IFNAME": "eth"}, ["eth0", "eth1"]),
        ({"NCCL_SOCKET_IFNAME": "=eth0,ib0"}, ["eth0", "ib0"]),
        ({"NCCL_SOCKET_IFNAME": "=eth"}, []),
        ({"NCCL_SOCKET_IFNAME": "^docker,lo"}, []),
        ({"NCCL_SOCKET_IFNAME": "eth", "GLOO_SOCKET_IFNAME": "ib0"}, ["eth0", "eth1"]),
    ],
)
def test_over_which_interfaces_data_is_spread(variables: dict[str, str], expected: list[str]) -> None:
    assert rails.named(variables, ["lo", "eth0", "eth1", "ib0", "docker0"]) == expected


def test_one_round_of_all_devices_is_one_measurement() -> None:
    assert schedule.in_turn([1.0, 3.0, 1.0, 5.0, 9.0], 2) == [2.0, 3.0]
    assert schedule.in_turn([1.0, 3.0], 1) == [1.0, 3.0]
    assert schedule.spread_over([{"rails": [["a", "1"], ["b", "2"]]}, {"rails": []}]) == 1
    assert schedule.spread_over([{"rails": [["a", "1"], ["b", "2"]]}] * 3) == 2


def test_the_loopback_has_an_address() -> None:
    assert rails.address_of("lo") == "127.0.0.1"
    assert rails.address_of("absent") == ""


DOCKER0 = "172.17.0.1"


@pytest.mark.torch
def test_gloo_that_works_over_docker0_by_luck_is_told() -> None:
    needs.distribution("torch")
    with two() as nodes:
        nodes[1].ip("link add docker0 up type bridge")
        nodes[1].ip(f"addr add {DOCKER0}/16 dev docker0")
        common = ("--nnodes", "2", "--master-addr", nodes[0].address, "--sizes", "8:32")
        started = [
            node.bench(*common, "--node-rank", str(place), GLOO_SOCKET_IFNAME=name)
            for place, (node, name) in enumerate(zip(nodes, (nodes[0].interface, "docker0"), strict=True))
        ]
        first, second = (ended(process) for process in started)
    loud = [one for one in first.document["findings"] if one["severity"] != "note"]
    assert (first.document["stage"], first.status, second.status) == ("done", 0, 0)
    assert [(one["code"], one["nodes"], one["evidence"]["address"]) for one in loud] == [
        ("gloo-interfaces-differ", [nodes[1].name], DOCKER0)
    ]


def test_what_gloo_gives_to_the_others() -> None:
    loopback = rails.of_gloo({"GLOO_SOCKET_IFNAME": "lo"})
    assert loopback == ["lo", "127.0.0.1/8"]
    assert rails.of_gloo({"GLOO_SOCKET_IFNAME": "lo,eth7"}) == loopback
    assert rails.of_gloo({"GLOO_SOCKET_IFNAME": "no-such-one"}) == []
    assert rails.of_gloo({"GLOO_SOCKET_IFNAME": "eth\udcff"}) == []
    own = rails.of_gloo({})
    assert own == [] or (own[0] in rails._present() and "/" in own[1])
