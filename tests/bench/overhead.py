"""What the ranks of `bench allreduce` add to a bare torch.distributed loop: sizes of 4 MiB and more, two ranks of gloo.

Both are alive at the same time and take turns, a short batch each, first in turn: the ranks as an agent starts and
leads them (`envdoctor.bench.crew`), and two processes that sum as a training script does. Each turn gives a ratio, and
the figure is their median: what disturbs the machine for longer than a turn disturbs both.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from envdoctor.bench import conducting, crew

# Bytes of a buffer -> iterations of a batch.
BATCHES = {4 << 20: 30, 16 << 20: 10, 64 << 20: 4}
BUDGET = 1.02
LIMIT_S = 120.0

# As a training script sums: back to back after a barrier, each iteration timed.
BARE = """
import json, os, sys, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
for line in sys.stdin:
    size, iterations = json.loads(line)
    buffer = torch.zeros(size // 4)
    for count in (3, iterations):
        dist.barrier()
        times = []
        for _ in range(count):
            began = time.perf_counter()
            dist.all_reduce(buffer)
            times.append(time.perf_counter() - began)
    print(json.dumps(times), flush=True)
"""
# Bytes, iterations -> seconds of each iteration, the longer of the two ranks.
Loop = Callable[[int, int], list[float]]


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def bare() -> Iterator[Loop]:
    """The bare loop."""
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_port()), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", BARE], env={**common, "WORLD_SIZE": "2", "RANK": str(rank)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip

    def loop(size: int, iterations: int) -> list[float]:
        told = []
        for rank in ranks:
            assert rank.stdin is not None
            print(json.dumps([size, iterations]), file=rank.stdin, flush=True)
        for rank in ranks:
            assert rank.stdout is not None
            told.append(json.loads(rank.stdout.readline()))
        return [max(pair) for pair in zip(*told, strict=True)]

    try:
        yield loop
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()


@contextmanager
def ours() -> Iterator[Loop]:
    """The ranks of the benchmark, told what its coordinator tells them."""
    request: dict[str, Any] = {
        "cookie": "00" * 12, "nproc": 2, "local_rank": None, "dtype": "float32", "master_addr": "127.0.0.1",
        "master_port": _port(), "backend": "gloo", "agents": 1,
    }  # fmt: skip
    ranks = crew.Crew(request, conducting.whole())
    ranks.start()

    def do(rung: str, **told: Any) -> dict[str, Any]:
        return ranks.do({"go": rung, "limit_s": LIMIT_S, **told})

    def loop(size: int, iterations: int) -> list[float]:
        do("sweep", bytes=size, iterations=3)
        told = do("sweep", bytes=size, iterations=iterations)
        assert not told["wrong"]
        return [float(seconds) for seconds in told["times"]]

    try:
        do("torch", first_rank=0, world_size=2)
        do("store", open=True)
        do("store", open=False)
        do("gloo")
        yield loop
    finally:
        ranks.end()


def ratios(turns: int) -> dict[int, list[float]]:
    """Size -> ours over the bare loop, in each turn."""
    found: dict[int, list[float]] = {size: [] for size in BATCHES}
    with ours() as own, bare() as plain:
        for turn in range(turns):
            for size, iterations in BATCHES.items():
                loops = (own, plain) if turn % 2 else (plain, own)
                medians = {loop: statistics.median(loop(size, iterations)) for loop in loops}
                found[size].append(medians[own] / medians[plain])
    return found
