"""What the benchmarks over several nodes have in common: who takes part, and the report on how it went."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from envdoctor.bench.launching import Part
    from envdoctor.bench.running import Ran
    from envdoctor.facts.allreduce import AllreduceResult
    from envdoctor.model import Report
    from envdoctor.redact import Redactor

NodesOption = Annotated[int | None, typer.Option("--nnodes", metavar="N", help="How many nodes take part.")]
NodeRankOption = Annotated[
    int | None, typer.Option("--node-rank", metavar="I", help="Which of them this one is, from 0 on.")
]
MasterAddrOption = Annotated[
    str, typer.Option("--master-addr", metavar="A", help="Address of the node with --node-rank 0.")
]
MasterPortOption = Annotated[
    int | None, typer.Option("--master-port", metavar="P", help="Its port; else MASTER_PORT, else 29500.")
]


LAUNCHER_S = 0.5  # a launcher that has died is noticed within this


def end_with_launcher(part: Part) -> None:
    """As a rank of mpirun or srun this process ends when that is killed, and its agent with it: nobody is left to hear
    it. (The kernel's PR_SET_PDEATHSIG would act as well when a mere thread of the launcher ends.)"""
    parent = os.getppid()
    if part.per != "process" or parent == 1:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LAUNCHER_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def report_on(ran: Ran, redactor: Redactor, began: float) -> Report:
    """The report on a run that began at that `time.monotonic()`; the redactor learns what the nodes told."""
    from envdoctor import judgement, load
    from envdoctor.bench import spoken
    from envdoctor.snapshot import to_json

    for snapshot in ran.snapshots:
        redactor.learn(to_json(snapshot))
    loaded = spoken.of(load.everything(), ran.snapshots)
    return replace(judgement.judge(ran.snapshots, loaded), seconds=time.monotonic() - began)


def told_elsewhere(result: AllreduceResult) -> bool:
    """Whether rank 0's process says it all: under a launcher, which mingles what its processes say and ends every rank
    when one ends with an error, the others are silent, but for what is wrong with themselves."""
    own = any(failure.member == result.own and failure.how not in ("cut", "lost") for failure in result.failures)
    return result.per == "process" and result.own != 0 and result.concluded and not own


def exit_code(result: AllreduceResult, report: Report) -> int:
    """3 where the doctor failed, 1 for an error or a run that stopped, else 0."""
    from envdoctor.model import Severity

    if report.with_status("crashed") or report.unloaded:
        return 3
    if any(finding.severity is Severity.ERROR for finding in report.findings):
        return 1
    # It stopped, and no check knows why: that must not read as fine.
    return 0 if result.done else 1
