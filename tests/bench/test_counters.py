"""envdoctor/bench/counters.py: what machines count of losses, and that a benchmark shows what moved."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.bench import counters
from envdoctor.bench.launching import Part
from envdoctor.bench.observed import Observed
from envdoctor.facts.allreduce import Counter
from tests.bench.nodes import Node, ended, two

DOCTOR = (sys.executable, "-m", "envdoctor")


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    with two() as pair:
        yield pair


def test_lost_packets_show_in_tcp_and_are_told(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    second.nft("  ip protocol tcp meta length > 1000 numgen random mod 100 < 3 drop")
    common = ("bench", "links", "--nnodes", "2", "--master-addr", first.address, "--timeout", "30")
    one = first.start(*DOCTOR, *common, "--node-rank", "0", "--json")
    other = second.start(*DOCTOR, *common, "--node-rank", "1")
    done = ended(one)
    assert ended(other).status == 0
    assert (done.status, done.document["stage"]) == (0, "done"), done.out + done.err
    told = {row["name"]: row["by"] for row in done.document["counters"] if row["node"] == first.name}
    assert told["RetransSegs"] > 0 and told["OutSegs"] > told["RetransSegs"]
    (finding,) = [one for one in done.document["findings"] if one["nodes"] == [first.name]]
    assert (finding["code"], finding["severity"]) == ("packets-lost", "note")
    assert "RetransSegs" in finding["evidence"]["counted"]


def test_every_port_and_interface_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write("proc/self/net/snmp", "Ip: A\nIp: 1\nTcp: OutSegs RetransSegs InErrs\nTcp: 1000 7 0\n")
    write("proc/self/net/netstat", "TcpExt: TCPTimeouts TCPSynRetrans\nTcpExt: 2 x\n")
    write("sys/class/net/eth0/statistics/rx_dropped", "5\n")
    write("sys/class/net/eth0/statistics/rx_bytes", "5\n")
    write("sys/class/net/eth0/carrier_down_count", "1\n")
    write("sys/class/net/lo/statistics/rx_dropped", "9\n")
    write("sys/class/infiniband/mlx5_0/ports/1/counters/symbol_error", "3\n")
    write("sys/class/infiniband/mlx5_0/ports/1/hw_counters/np_cnp_sent", "4\n")
    write("sys/class/infiniband/mlx5_0/ports/1/hw_counters/lifespan", "10\n")
    write("sys/class/infiniband/mlx5_0/ports/1/hw_counters/packet_seq_err", "Invalid argument\n")
    monkeypatch.setattr(counters, "ROOT", str(tmp_path))
    monkeypatch.setattr(counters, "gpus", lambda: [("gpu", "0", "nvlink_replay", 2)])
    assert counters.count({"network": True})["counters"] == {
        "tcp||OutSegs": 1000, "tcp||RetransSegs": 7, "tcp||TCPTimeouts": 2, "nic|eth0|rx_dropped": 5,
        "nic|eth0|carrier_down": 1, "rdma|mlx5_0/1|symbol_error": 3, "rdma|mlx5_0/1|np_cnp_sent": 4,
        "gpu|0|nvlink_replay": 2,
    }  # fmt: skip


def test_what_stays_on_a_machine_is_not_counted_on_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "gpus", lambda: [("gpu", "0", "nvlink_replay", 2)])
    assert counters.count({"network": False})["counters"] == {"gpu|0|nvlink_replay": 2}


def test_a_machine_that_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "ROOT", str(tmp_path))
    assert counters.count({"network": True}) == {"counters": {}}


def test_what_moved_is_kept_and_what_was_reset_is_not() -> None:
    observed = Observed(Part(), "gloo", "float32")
    before = {"nic|eth0|rx_dropped": 5, "tcp||OutSegs": 10, "nic|eth0|tx_dropped": 1}
    after = {"nic|eth0|rx_dropped": 8, "tcp||OutSegs": 4, "nic|eth0|tx_dropped": 1, "nic|eth1|rx_dropped": 7}
    for values in (before, after):
        observed.take({"node": 1, "end": "count", "values": {"counters": values}})
    assert observed.result.counters == (Counter(1, "nic", "eth0", "rx_dropped", 3),)
