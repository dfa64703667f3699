"""Nodes that have IPv6 between them and nothing else: by hand, by name and by address, and over ssh; and jump hosts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT, needs
from tests.bench.nodes import Node, by_hand, gone, two
from tests.lab.hosts import Lab

pytestmark = pytest.mark.torch


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    needs.distribution("torch")
    with two() as pair:
        hosts = "127.0.0.1 localhost\n" + "".join(
            f"fd00:9::{place + 1} {node.name}\n" for place, node in enumerate(pair)
        )
        for place, node in enumerate(pair):
            node.ip(f"addr flush dev {node.interface}")
            node.ip(f"addr add fd00:9::{place + 1}/64 dev {node.interface} nodad")
            node.address = f"fd00:9::{place + 1}"
            (Path("/etc/netns") / node.name / "hosts").write_text(hosts)
        yield pair


def test_by_hand(nodes: tuple[Node, Node]) -> None:
    first, second = by_hand(*nodes)
    assert (first.status, second.status, first.document["stage"]) == (0, 0, "done"), first.out + first.err
    assert [node["address"] for node in first.document["nodes"]] == ["fd00:9::1", "fd00:9::2"]
    assert all(row["wrong"] == 0 for row in first.document["sizes"])
    assert all(gone(node) for node in nodes)


def check_allreduce(lab: Lab, spec: str) -> None:
    """All-reduce over ssh comes to its end, at an address that the first host has for the others."""
    done = lab[0].run(
        sys.executable, "-m", "envdoctor", "bench", "allreduce", "--hosts", spec, "--nproc-per-node", "1", "--sizes",
        "8:64K", "--timeout", "30", "--json", PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert (done.status, done.codes, done.document["stage"]) == (0, [], "done"), done.out + done.err
    assert not lab.orphans()


def test_over_ssh() -> None:
    needs.distribution("torch")
    with Lab(2) as lab:
        table = "127.0.0.1 localhost\n" + "".join(f"fd00:8::{place + 1} node{place}\n" for place in range(2))
        for place, host in enumerate(lab.hosts):
            host.ip(f"addr flush dev {host.interface}")
            host.ip(f"addr add fd00:8::{place + 1}/64 dev {host.interface} nodad")
            (host.folder / "hosts").write_text(table)  # in place: it is bound to /etc/hosts there
        check_allreduce(lab, "node0,node1")


def test_through_a_jump_host() -> None:
    """Only ssh jumps: the data goes from host to host."""
    needs.distribution("torch")
    with Lab(3) as lab:
        (lab[0].home / ".ssh" / "config").write_text("Host node2\n  ProxyJump node1\n")
        # node2 takes logins from the jump host alone.
        strangers = f"tcp dport 22 ip saddr != {lab[1].address} drop;"
        lab[2].nft("chain i { type filter hook input priority 0; " + strangers + " }")
        check_allreduce(lab, "node0,node2")
