"""What `bench allreduce` adds to a bare torch.distributed loop: `python -m tests.bench.overhead [--rounds N]`.

Two ranks of gloo on this machine, sizes of 4 MiB and more. Ours and the bare loop run one after the other in every
round, in turn first, with the same numbers of iterations; the figure is the median of the ratios of a round, which
means the same on a busy machine as on a quiet one, only less sharply.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Mapping

SIZES = tuple(count << 20 for count in (4, 16, 64))
BUDGET = 1.02

# As a training script sums: the sum of zeros, back to back after a barrier, each iteration timed.
BARE = """
import json, os, sys, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
slowest = {}
for size, iterations in json.loads(sys.argv[1]):
    buffer = torch.zeros(size // 4)
    for count in (3, iterations):
        dist.barrier()
        times = []
        for _ in range(count):
            began = time.perf_counter()
            dist.all_reduce(buffer)
            times.append(time.perf_counter() - began)
    longest = torch.tensor(times, dtype=torch.float64)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    slowest[size] = longest.median().item()
if dist.get_rank() == 0:
    print(json.dumps(slowest))
dist.destroy_process_group()
"""


def ours() -> dict[int, tuple[float, int]]:
    """Size -> seconds of an iteration, and how many there were, as the benchmark says."""
    found = {}
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "bench", "allreduce", "--backend", "gloo", "--json", "--nproc-per-node",
         "2", "--sizes", f"{SIZES[0]}:{SIZES[-1]}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for row in json.loads(done.stdout)["sizes"]:
        found[row["bytes"]] = (row["time_us"]["median"] / 1e6, row["iterations"])
    return found


def bare(iterations: Mapping[int, int]) -> dict[int, float]:
    """Size -> seconds of an iteration of the bare loop."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", BARE, json.dumps(sorted(iterations.items()))]
    ranks = [
        subprocess.Popen(command, env={**common, "WORLD_SIZE": "2", "RANK": str(rank)}, stdout=subprocess.PIPE)
        for rank in (0, 1)
    ]
    told = [rank.communicate()[0] for rank in ranks]
    return {int(size): seconds for size, seconds in json.loads(told[0]).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    ratios: dict[int, list[float]] = {size: [] for size in SIZES}
    counts = dict.fromkeys(SIZES, 10)
    for number in range(rounds):
        # What comes second meets a machine that has just run the first: each is second as often as the other.
        plain = bare(counts) if number % 2 else {}
        measured = ours()
        counts = {size: measured[size][1] for size in SIZES}
        plain = plain or bare(counts)
        for size in SIZES:
            ratios[size].append(measured[size][0] / plain[size])
    print(f"{rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ours over the bare loop:")
    for size, each in ratios.items():
        low, *_, high = sorted(each) if len(each) > 1 else (each[0], each[0])
        print(f"  {size >> 20:4d} MiB  {statistics.median(each):.3f}  ({low:.3f} to {high:.3f})")
    whole = statistics.median(ratio for each in ratios.values() for ratio in each)
    print(f"  all      {whole:.3f}, budget {BUDGET}")
    return 0 if whole <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
