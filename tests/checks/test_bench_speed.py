"""checks/bench_speed.py"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envdoctor.facts.allreduce import AllreduceResult, Pair, Way
from envdoctor.facts.nics import Address, Nic, Nics
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, SIZES

FILE = CHECKS / "bench_speed.py"
LINK = {"node": "gpu01", "interface": "eth0", "gbit": 1.0}
STREAM = {"interface": "veth0", "gbit": 1.0}
PORTS = {"node": "gpu01", "interface": "mlx5_0:1", "gbit": 400.0, "ranks": 8, "nodes": 2}
NIC = Nic("eth0", 2, speed_mbps=1000)
NICS = Nics((NIC,), (Address("eth0", "eth0", "10.0.0.1", 24),))
VIRTUAL = replace(NICS, nics=(replace(NIC, kind="veth", speed_mbps=10000, speed_is_real=False),))


def fast(share: float, by: str = "link", **changes: Any) -> AllreduceResult:
    """A run that reaches this share of 0.125 GB/s."""
    sizes = (SIZES[0], replace(SIZES[1], busbw_gb_s=0.125 * share))
    known: dict[str, Any] = {"link": LINK, "stream": STREAM, "ports": PORTS, "processor": {"gbit": 1.0}}
    told = replace(FINE, sizes=sizes, expected_busbw_gb_s=0.125, expected_by=by, expected_values=known.get(by, {}))
    return replace(told, **changes)


def far(size: int, share: float, us: int) -> AllreduceResult:
    """Two nodes so far from each other, where larger sizes were left out."""
    largest = replace(SIZES[1], bytes=size, busbw_gb_s=0.125 * share)
    return fast(share, sizes=(SIZES[0], largest), ways=(Way(0, 1, "ok", rtt_us=us),))


def stream(gb_s: float, busy: float = 0.1, rtt_us: int | None = None) -> AllreduceResult:
    return replace(FINE, ways=(Way(0, 1, "ok", gb_s=gb_s, busy=busy, rtt_us=rtt_us),))


LOW = {"busbw-low": "warning"}
BOTH = replace(NICS, nics=(NIC, replace(NIC, name="eth1", speed_mbps=10_000)))


def second_slow() -> AllreduceResult:
    """Data is spread over two interfaces; a stream over each."""
    own, *others = FINE.members
    told = (Way(0, 1, "ok", gb_s=0.117, busy=0.1), Way(0, 1, "ok", gb_s=0.00125, busy=0.1, rail=1))
    return replace(FINE, members=(replace(own, nics=("eth0", "eth1")), *others), ways=told)


CASES = [
    Case("96% of the link", (fast(0.96), NICS)),
    Case("just good", (fast(0.76), NICS)),
    Case("60% of the link", (fast(0.6), NICS), LOW),
    Case("20% of the measured stream", (fast(0.2, "stream"), VIRTUAL), LOW),
    Case("more than what was expected", (fast(1.3, "stream"), VIRTUAL)),
    Case("the processors decide", (fast(0.3, "processor"), VIRTUAL)),
    Case("more ranks than cores", (fast(0.1, oversubscribed=True), NICS)),
    Case("nothing to expect", (replace(fast(0.1), expected_busbw_gb_s=None), NICS)),
    Case("stopped before", (fast(0.1, stage="sweep"), NICS)),
    Case("small sizes at 60%", (replace(fast(0.6), sizes=(replace(fast(0.6).sizes[1], bytes=4096),)), NICS)),
    Case("NCCL, 64 MiB only, at 60%", (fast(0.6, "ports", backend="nccl"), NICS)),
    Case("NCCL, 64 MiB only, at 30%", (fast(0.3, "ports", backend="nccl"), NICS), {"busbw-low": "note"}),
    Case("a gigabit link carries it", (stream(0.117), NICS)),
    Case("a gigabit link that carries 10 Mbit/s", (stream(0.00125), NICS), {"network-slow": "warning"}),
    Case("the second interface carries 10 Mbit/s", (second_slow(), BOTH), {"network-slow": "warning"}),
    Case("a virtual interface has no rate", (stream(0.00125), VIRTUAL)),
    Case("the processor was busy", (stream(0.01, busy=0.9), NICS)),
    Case("one connection on 100 Gbit/s", (stream(2.2), replace(NICS, nics=(replace(NIC, speed_mbps=100_000),)))),
    Case("a gigabit link over 80 ms at 5 % of its rate", (stream(0.006, rtt_us=80_000), NICS)),
    Case("over 80 ms at 0.5 %", (stream(0.0006, rtt_us=80_000), NICS), {"network-slow": "warning"}),
    Case("over 0.5 ms at 5 %", (stream(0.006, rtt_us=500), NICS), {"network-slow": "warning"}),
    Case("64 MiB at 60 % over a room", (fast(0.6, ways=(Way(0, 1, "ok", rtt_us=500),)), NICS), LOW),
    Case("2 MiB at 40 % over 30 ms", (far(2 << 20, 0.4, 30_000), NICS)),
    Case("2 MiB at 15 % over 30 ms", (far(2 << 20, 0.15, 30_000), NICS), LOW),
    Case("2 MiB at 40 % over a room", (far(2 << 20, 0.4, 100), NICS), LOW),
]  # fmt: skip


def test_the_interface_that_is_slow_is_named() -> None:
    (found,) = next(case for case in CASES if "second interface" in str(case)).assert_holds(FILE)
    assert (found.evidence["interface"], found.evidence["link"]) == ("eth1", 10.0)


def lan(place: int) -> Nics:
    return Nics((NIC,), (Address("eth0", "eth0", f"10.0.0.{place}", 24),))


def test_of_nodes_that_were_all_looked_at_each_is_judged() -> None:
    rates = {(0, 1): 0.117, (1, 0): 0.001}
    ring = replace(FINE, ways=tuple(Way(a, b, "ok", gb_s=rate, busy=0.1) for (a, b), rate in rates.items()))
    pairs = replace(FINE, op="links", sizes=(), pairs=tuple(Pair(a, b, rate) for (a, b), rate in rates.items()))
    for told in (ring, pairs):
        nodes = {"gpu01": (told, lan(1)), "gpu02": (lan(2),)}
        (found,) = Case("one of two", nodes=nodes, expect={"network-slow": "warning"}).assert_holds(FILE)
        assert found.nodes == ("gpu02",)


def test_of_streams_to_many_the_best_tells_what_an_interface_does() -> None:
    members = (*FINE.members, replace(FINE.members[1], index=2, node="gpu03", host="gpu03"))
    to_one, to_all = [(Pair(0, 1, 0.001), Pair(0, 2, rate)) for rate in (0.117, 0.001)]
    for pairs, expect in ((to_one, {}), (to_all, {"network-slow": "warning"})):
        told = replace(FINE, op="links", sizes=(), members=members, pairs=pairs)
        assert len(Case("two others", (told, NICS), expect).assert_holds(FILE)) == len(expect)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)
