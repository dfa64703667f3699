"""Every fault of a rendezvous or a network, put into hosts of a lab: is it named, where, how soon, is all gone then?

    python -m tests.bench.allreduce_faults                      # each fault once, started in each way
    python -m tests.bench.allreduce_faults --runs 20 --only mtu --way hand

As root. A hit names the code and the host, ends within the deadline of the rung on which it stopped and 3 s, and leaves
nothing behind on any host. Ways: by hand on node0 and node1; over ssh from node2; under torchrun on node0 and node1,
which can show only what arises once its workers run.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from envdoctor.bench import rungs
from tests.bench.fault_runs import JOIN_S, Run, Runs
from tests.bench.lab_faults import FAULTS, Fault
from tests.lab.hosts import Lab

SLACK_S = 3.0
WAYS = ("hand", "ssh", "torchrun")


def allowed_s(fault: Fault, rung: str) -> float:
    """How long a run may take from the beginning of the rung on which it stops, or from when it was struck."""
    if fault.within_s:
        return fault.within_s
    waits = rung in ("connect", "join")
    return (JOIN_S if waits else rungs.LIMITS.get(rung, 0.0)) + SLACK_S


@dataclass
class Tally:
    """What became of the runs of one fault in one way."""

    hits: int = 0
    runs: int = 0
    seconds: list[float] = field(default_factory=list)
    rungs: set[str] = field(default_factory=set)
    orphans: int = 0
    misses: list[str] = field(default_factory=list)

    def take(self, fault: Fault, way: str, run: Run) -> None:
        self.runs += 1
        self.seconds.append(run.seconds)
        self.rungs.add(run.rung)
        self.orphans += len(run.orphans)
        wrong = run.missed(fault, way)
        allowed = allowed_s(fault, run.rung)
        if run.seconds > allowed:
            wrong.append(f"{run.seconds:.1f} s on {run.rung}, {allowed:.0f} s are allowed")
        if wrong:
            self.misses.append("; ".join(wrong))
        else:
            self.hits += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1, help="of each fault in each way")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--way", choices=WAYS, help="started so only")
    asked = parser.parse_args()
    chosen = [fault for fault in FAULTS if asked.only in fault.name]
    if not chosen:
        parser.error(f"--only {asked.only}: one of {', '.join(fault.name for fault in FAULTS)}")
    began = time.monotonic()
    missed = 0
    print(f"{'fault':<28} {'way':<9} {'hits':>7} {'median s':>9} {'max s':>6} {'orphans':>8}  stopped on")
    with Lab(3) as lab:
        runs = Runs(lab)
        for fault in chosen:
            for way in WAYS if asked.way is None else (asked.way,):
                if way not in fault.ways:
                    continue
                tally = Tally()
                for _ in range(asked.runs):
                    try:
                        tally.take(fault, way, runs.run(fault, way))
                    except (AssertionError, subprocess.TimeoutExpired) as error:
                        tally.runs += 1
                        tally.misses.append(f"it did not come to that: {error}")
                missed += tally.runs - tally.hits
                middle, longest = statistics.median(tally.seconds or [0.0]), max(tally.seconds or [0.0])
                print(
                    f"{fault.name:<28} {way:<9} {tally.hits:>3}/{tally.runs:<3} {middle:>9.1f} {longest:>6.1f} "
                    f"{tally.orphans:>8}  {', '.join(sorted(tally.rungs))}",
                    flush=True,
                )
                for miss in tally.misses:
                    print(f"    missed: {miss}", flush=True)
    print(f"seconds from the beginning of that rung to the end of the command; {time.monotonic() - began:.0f} s in all")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
