"""checks/bench_counters.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Counter
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE

FILE = CHECKS / "bench_counters.py"


def moved(*counters: Counter) -> AllreduceResult:
    return replace(FINE, counters=counters)


def tcp(sent: int, again: int) -> AllreduceResult:
    return moved(Counter(1, "tcp", "", "OutSegs", sent), Counter(1, "tcp", "", "RetransSegs", again))


CASES = [
    Case("nothing moved", (FINE,)),
    Case("a damaged packet", (moved(Counter(1, "nic", "eth0", "rx_crc_errors", 3)),), {"packets-lost": "warning"}),
    Case("a port fell", (moved(Counter(0, "rdma", "mlx5_0/1", "link_downed", 1)),), {"packets-lost": "warning"}),
    Case("RDMA sent again", (moved(Counter(0, "rdma", "mlx5_0/1", "packet_seq_err", 9)),), {"packets-lost": "warning"}),
    Case("marks of congestion", (moved(Counter(0, "rdma", "mlx5_0/1", "np_cnp_sent", 9)),), {"packets-lost": "note"}),
    Case("a full ring", (moved(Counter(0, "nic", "eth0", "rx_missed_errors", 9)),), {"packets-lost": "note"}),
    Case("a protocol that nobody speaks", (moved(Counter(0, "nic", "eth0", "rx_dropped", 9)),)),
    Case("TCP sent one of a hundred again", (tcp(10_000, 100),), {"packets-lost": "note"}),
    Case("TCP sent one of a hundred thousand again", (tcp(1_000_000, 10),)),
    Case("clocks held down are no loss", (moved(Counter(0, "gpu", "0", "throttled_power_ns", 10**9)),)),
    Case("ports wait now and then", (moved(Counter(0, "rdma", "mlx5_0/1", "port_xmit_wait", 10**6)),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_counter_and_its_node_are_named() -> None:
    (found,) = CASES[1].assert_holds(FILE)
    assert (found.nodes, found.evidence["counted"]) == (("gpu02",), "eth0 rx_crc_errors +3")
    (found,) = CASES[7].assert_holds(FILE)
    assert (found.nodes, found.evidence["share"]) == (("gpu02",), 0.01)
