"""What the ranks of `bench allreduce` add to a bare torch.distributed loop: sizes of 4 MiB and more, two ranks of gloo.

Three pairs of processes are alive at the same time and take turns, a short batch each, first in turn: the ranks as an
agent starts and leads them (`envdoctor.bench.crew`), two that sum as a training script does, and two more of those as a
control. Each turn gives a ratio, and the figure is their median: what disturbs the machine for longer than a turn
disturbs all. Two bare loops that were started alike differ by up to a tenth for as long as they live, by where their
memory came to lie: so all are started anew many times, and the control says how sharp the figure is.
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
BATCHES = {4 << 20: 10, 16 << 20: 5, 64 << 20: 3}
TURNS = 3  # of each start
BUDGET = 1.02
LIMIT_S = 120.0

# As a training script sums: back to back after a barrier, each iteration timed.
BARE = """
import json, os, sys, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
print("ready", flush=True)
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


def _pin(pids: list[int]) -> None:
    """A core for each rank, as it begins: where the scheduler puts two ranks and their threads makes more of a
    difference than what is measured here."""
    cores = sorted(os.sched_getaffinity(0))
    for place, pid in enumerate(pids):
        os.sched_setaffinity(pid, {cores[place % len(cores)]})


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

    _pin([rank.pid for rank in ranks])
    for rank in ranks:
        assert rank.stdout is not None
        # While these import torch they take both cores from whoever is measured.
        assert rank.stdout.readline() == "ready\n"

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
    _pin([rank.process.pid for rank in ranks.ranks])

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


def ratios(starts: int) -> dict[str, dict[int, list[float]]]:
    """ "ours" and "control", another bare loop -> size -> seconds of an iteration over those of the bare loop, in each
    turn of each start."""
    found: dict[str, dict[int, list[float]]] = {name: {size: [] for size in BATCHES} for name in ("ours", "control")}
    for _ in range(starts):
        with ours() as own, bare() as control, bare() as plain:
            loops = {"ours": own, "control": control, "": plain}
            for turn in range(TURNS):
                order = [*loops][turn % 3 :] + [*loops][: turn % 3]
                for size, iterations in BATCHES.items():
                    medians = {name: statistics.median(loops[name](size, iterations)) for name in order}
                    for name, each in found.items():
                        each[size].append(medians[name] / medians[""])
    return found
