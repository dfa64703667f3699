"""Faults between hosts of a lab, one run of each: what test_by_hand and test_over_ssh do not show.

All of them, as often as is wished: `python -m tests.bench.allreduce_faults`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import needs
from tests.bench.allreduce_faults import allowed_s
from tests.bench.fault_runs import Runs
from tests.bench.lab_faults import FAULTS
from tests.lab.hosts import Lab

BY_NAME = {fault.name: fault for fault in FAULTS}
BUSY_S = 25.0  # beside other tests; the benchmark holds each to its deadline


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    needs.distribution("torch")
    with Lab(3) as lab:
        yield Runs(lab)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("firewall-refused", "hand"),
        ("etcd-unreachable", "hand"),
        ("torch-import-fails", "ssh"),
        ("master-unreachable-routed", "ssh"),
        ("hostname-loopback", "ssh"),
        ("mtu-mismatch", "ssh"),
        ("firewall-data-one-way", "torchrun"),
        ("peer-died", "torchrun"),
    ],
)
def test_it_is_named_in_time_and_nothing_is_left(runs: Runs, name: str, way: str) -> None:
    fault = BY_NAME[name]
    run = runs.run(fault, way)
    assert not run.missed(fault, way)
    assert run.seconds < allowed_s(fault, run.rung) + BUSY_S
