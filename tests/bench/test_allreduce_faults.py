"""Faults between hosts of a lab, one run of each: what test_by_hand and test_over_ssh do not show.

All of them, as often as is wished: `python -m tests.bench.allreduce_faults`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from tests import ROOT, needs
from tests.bench.allreduce_faults import allowed_s
from tests.bench.fault_runs import Runs, document
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


@pytest.mark.parametrize("backend", ["etcd-v2", "c10d"])
def test_where_torchrun_meets_the_benchmark_meets(runs: Runs, backend: str) -> None:
    """Two nodes whose rendezvous gives out the ranks; through a real etcd in the one case."""
    lab = runs.lab
    endpoint = f"{lab[0].address}:{29400 if backend == 'c10d' else 2379}"
    if backend == "etcd-v2":
        needs.distribution("python-etcd")
        etcd = lab[0].start(
            needs.program("etcd", "etcd-server"), "--enable-v2", "--data-dir", str(lab.folder / "etcd"),
            "--listen-client-urls", f"http://{endpoint}", "--advertise-client-urls", f"http://{endpoint}",
            "--listen-peer-urls", "http://127.0.0.1:29401", "--log-level", "error",
        )  # fmt: skip
        until = time.monotonic() + 30
        while lab[1].run("curl", "-sf", "-m", "3", f"http://{endpoint}/version").status:
            assert time.monotonic() < until and etcd.poll() is None
    file = lab.folder / backend
    bench = f"{sys.executable} -m envdoctor bench allreduce --sizes 8:8 --json -o {file}.$RANK"
    command = (
        sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend",
        backend, "--rdzv-endpoint", endpoint, "--rdzv-id", "lab", "--no-python", "sh", "-c", f"exec {bench}",
    )  # fmt: skip
    started = [lab[place].start(*command, PYTHONPATH=str(ROOT)) for place in (0, 1)]
    ends = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], ends
    told = document(file.with_suffix(".0"))
    errors = [finding for finding in told["findings"] if finding["severity"] == "error"]
    assert (told["stage"], told["world_size"], errors) == ("done", 2, [])
    assert sorted(node["name"] for node in told["nodes"]) == ["node0", "node1"]
    runs.heal()
