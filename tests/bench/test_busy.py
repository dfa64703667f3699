"""envdoctor/bench/busy.py"""

from __future__ import annotations

from envdoctor.bench.busy import in_use
from envdoctor.facts.gpu import Gpu, GpuProcess, Gpus

GB = 10**9


def test_others_are_named_and_own_processes_are_not_others() -> None:
    gpus = Gpus(
        gpus=(
            Gpu(index=0, memory_used_bytes=41 * GB, processes=(GpuProcess(pid=7, user="ada", memory_bytes=40 * GB),)),
            Gpu(index=1, memory_used_bytes=9 * GB, processes=(GpuProcess(pid=8, own=True, memory_bytes=9 * GB),)),
            Gpu(index=2, memory_used_bytes=GB),
        )
    )
    assert in_use(gpus) == ("GPU 0 is in use, 41.0 GB (pid 7 of ada)",)


def test_memory_whose_owner_is_hidden_counts_as_well() -> None:
    assert in_use(Gpus(gpus=(Gpu(index=3, memory_used_bytes=30 * GB),))) == ("GPU 3 is in use, 30.0 GB",)
