"""How long the examination of many hosts takes, against the processor time that one of them needs.

    python -m tests.bench.nodes_check [--hosts 16] [--runs 3]

Prints, for hosts of a lab on this machine: wall time of `check --quick --hosts` over (hosts x processor time of one
host / processors), medians; the same with one host that is down and one that hangs, against the deadline; bytes that
go to a host. Processor time is that of the whole machine: it has to be quiet.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import sys
import time

from envdoctor.transport import local, streamed
from tests import ROOT
from tests.bench.nodes import Ended
from tests.lab.hosts import Lab

TIMEOUT_S = 15.0


def check(lab: Lab, spec: str, *more: str) -> Ended:
    return lab[0].run(
        sys.executable, "-m", "envdoctor", "check", "--quick", "--json", "--hosts", spec, *more, PYTHONPATH=str(ROOT)
    )


def processor_s(lab: Lab, spec: str) -> tuple[float, float]:
    """Wall and processor time of a check, seconds: of all that it starts anywhere, for the lab is of this machine."""
    before = _used()
    began = time.monotonic()
    done = check(lab, spec)
    assert done.status in (0, 1), done.err
    return time.monotonic() - began, _used() - before


def _used() -> float:
    """Processor time of all of this machine, but for what idles, seconds."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, soft = (int(word) for word in file.readline().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    print(f"bytes that go to a host: {len(streamed.program(local.Request(), streamed.cookie(), {})) / 1000:.0f} kB")
    with Lab(asked.hosts) as lab:
        every = f"node[0-{asked.hosts - 1}]"
        check(lab, every)
        alone = statistics.median(processor_s(lab, "node1")[1] for _ in range(asked.runs))
        walls = [processor_s(lab, every) for _ in range(asked.runs)]
        wall, used = statistics.median(wall for wall, _ in walls), statistics.median(used for _, used in walls)
        cores = os.cpu_count() or 1
        bound = asked.hosts * alone / cores
        print(
            f"{asked.hosts} hosts: {wall:.2f} s, {used:.1f} s of processor; one host alone {alone:.2f} s of processor: "
            f"{wall / bound:.2f} x ({asked.hosts} x {alone:.2f} / {cores})"
        )
        lab[1].fault("drop-ssh")
        (lab[2].home / ".bashrc").write_text("sleep 120\n")
        began = time.monotonic()
        done = check(lab, every, "--timeout", str(TIMEOUT_S))
        took = time.monotonic() - began
        told = {finding["code"]: finding["nodes"] for finding in done.document["findings"]}
        lost = {name for names in (told.get("node-unreachable", []), told.get("node-hung", [])) for name in names}
        whole = len(done.document["nodes"]) - len(lost)
        print(f"one down and one hung: {took:.1f} s at a deadline of {TIMEOUT_S:.0f} s; {whole} hosts whole")
        for pid in lab[2].at_work():
            os.kill(pid, signal.SIGKILL)
    print(f"largest process here: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()
