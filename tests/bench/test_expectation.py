"""envdoctor/bench/expectation.py: what a fabric allows, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.bench import expectation
from envdoctor.bench.launching import Part
from envdoctor.bench.observed import Observed
from envdoctor.facts.allreduce import AllreduceResult, Way
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus, NvLink
from envdoctor.facts.nics import Address, Nic, Nics
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.knowledge import fabric
from envdoctor.testing import holes_of
from tests.checks.bench_results import FINE, FIRST, SECOND

NIC = Nic("eth0", 2, speed_mbps=1000)
NICS = Nics((NIC,), (Address("eth0", "eth0", "10.0.0.1", 24),))
VIRTUAL = replace(NICS, nics=(replace(NIC, kind="veth", speed_mbps=10000, speed_is_real=False),))
EIGHT = tuple(range(8))
TWO_BY_EIGHT = replace(
    FINE, backend="nccl", world_size=16,
    members=(replace(FIRST, ranks=EIGHT), replace(SECOND, ranks=tuple(range(8, 16)))),
)  # fmt: skip
ONE_BY_EIGHT = replace(TWO_BY_EIGHT, world_size=8, members=TWO_BY_EIGHT.members[:1])


def seen(nics: Nics, **more: object) -> dict[int, dict[str, object]]:
    return {0: {"nics": nics, "environment": Environment({}), **more}}


def gpus(links: int, capability: str = "9.0") -> Gpus:
    one = Gpu(compute_capability=capability, nvlinks=tuple(NvLink(index, True) for index in range(links)))
    return Gpus(count=8, gpus=(one,) * 8)


def hcas(count: int, rate: float) -> Rdma:
    return Rdma(tuple(RdmaDevice(f"mlx5_{number}", (Port(rate_gbps=rate),)) for number in range(count)))


def streams(*told: float, busy: float = 0.1) -> AllreduceResult:
    return replace(
        FINE, ways=tuple(Way(place, place + 1, "ok", gb_s=rate, busy=busy) for place, rate in enumerate(told))
    )


@pytest.mark.parametrize(
    ("result", "places", "gb_s", "by"),
    [
        (FINE, seen(NICS), 0.125, "link"),
        (streams(0.2, 0.21), seen(VIRTUAL), 0.21, "stream"),
        (streams(0.2, 0.02, 0.02, 0.2), seen(VIRTUAL), 0.2, "stream"),  # one slow node does not lower it for all
        (streams(0.7, 0.7, busy=1.4), seen(VIRTUAL), 0.5, "processor"),
        (FINE, seen(VIRTUAL), None, "unknown"),
        (FINE, {}, None, "unknown"),
        (streams(2.5), seen(replace(NICS, nics=(replace(NIC, speed_mbps=100_000),))), 2.5, "connection"),
        (replace(FINE, members=FINE.members[:1]), seen(NICS), None, "memory"),
        (ONE_BY_EIGHT, seen(NICS, gpu=gpus(18)), 450.0, "nvlink"),
        (ONE_BY_EIGHT, seen(NICS, gpu=gpus(12, "8.0")), 300.0, "nvlink"),
        (ONE_BY_EIGHT, seen(NICS, gpu=gpus(0)), None, "memory"),
        # The bounds that cluster benchmarks were compared with: 2 x p4de 93.8, 8 x H100 NDR capped by NVLink.
        (TWO_BY_EIGHT, seen(NICS, rdma=hcas(4, 100.0), gpu=gpus(12, "8.0")), 93.75, "ports"),
        (TWO_BY_EIGHT, seen(NICS, rdma=hcas(8, 400.0), gpu=gpus(18)), 450.0, "nvlink"),
        (TWO_BY_EIGHT, seen(NICS, gpu=gpus(0)), 0.234375, "ports"),
    ],
)  # fmt: skip
def test_what_is_expected(
    result: AllreduceResult, places: dict[int, dict[str, object]], gb_s: float | None, by: str
) -> None:
    expected = expectation.expect(result, places)
    assert (expected.gb_s, expected.by) == (pytest.approx(gb_s) if gb_s else None, by)
    filled = expectation.filled(result, places)
    assert "?" not in expectation.said(filled, "en") and "?" not in expectation.said(filled, "zh")


def test_the_slowest_node_that_is_known_decides() -> None:
    slow = replace(NICS, nics=(replace(NIC, speed_mbps=100),), addresses=(Address("eth0", "eth0", "10.0.0.2", 24),))
    expected = expectation.expect(FINE, {**seen(NICS), 1: seen(slow)[0]})
    assert (expected.gb_s, expected.values["node"]) == (0.0125, "gpu02")


def test_a_run_that_measured_nothing_expects_nothing() -> None:
    assert expectation.filled(AllreduceResult(), {}) == AllreduceResult()
    assert expectation.said(AllreduceResult(), "en") == ""


def test_both_languages_tell_the_same_values() -> None:
    assert all(holes_of(text.en) == holes_of(text.zh) for text in fabric.SENTENCES.values())


def meet(*hellos: tuple[str, str, int]) -> AllreduceResult:
    observed = Observed(Part(members=len(hellos)), "gloo", "float32")
    for index, (kernel, cpus, nproc) in enumerate(hellos):
        hello = {"name": f"n{index}", "host": f"h{index}", "kernel": kernel, "cpus": cpus, "nproc": nproc}
        observed.take({"node": index, "hello": hello})
    return observed.result


@pytest.mark.parametrize(
    ("hellos", "crowded"),
    [
        ((("a", "f", 2), ("b", "f", 4)), False),
        ((("a", "f", 5), ("b", "f", 4)), True),
        ((("a", "f", 2), ("a", "f", 3)), True),  # containers of one kernel
        ((("a", "f", 3), ("a", "f0", 4)), False),  # with processors of their own
        ((("", "", 900), ("", "zz", 4)), False),  # it does not tell
    ],
)
def test_more_ranks_than_cores(hellos: tuple[tuple[str, str, int], ...], crowded: bool) -> None:
    assert meet(*hellos).oversubscribed is crowded
