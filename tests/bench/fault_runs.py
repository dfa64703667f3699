"""Runs of `envdoctor bench allreduce` between hosts of a lab with a fault, started in each way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.bench.lab_faults import PORT, Fault, torch_folder
from tests.lab.hosts import Host, Lab

JOIN_S = 8.0
LIMIT_S = 150.0
SWEEP_S = 60.0  # a run comes to its sweep within this, on a busy machine
GONE_S = 3.0  # within this nothing is left on any host


def document(file: Path) -> dict[str, Any]:
    """What a run wrote."""
    told = json.loads(file.read_text())
    assert isinstance(told, dict)
    return told


@dataclass
class Told:
    """One process that reports, and what it has said: (when, line) of its standard error, its document."""

    process: subprocess.Popen[str]
    file: Path
    rank: int
    began: float = field(default_factory=time.monotonic)
    lines: list[tuple[float, str]] = field(default_factory=list)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._drain)]
        for thread in self.threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line))

    def _drain(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.read()

    def wait(self) -> None:
        self.process.wait(LIMIT_S)
        self.ended = time.monotonic()
        for thread in self.threads:
            thread.join(5)

    @property
    def rungs(self) -> list[tuple[float, str]]:
        """The rungs it began, by `-v`."""
        return [
            (at, line.split()[1])
            for at, line in self.lines
            if line.startswith("envdoctor: ") and len(line.split()) == 2
        ]

    @property
    def document(self) -> dict[str, Any]:
        return document(self.file) if self.file.exists() else {}

    @property
    def said_at(self) -> float:
        """When its verdict was there, on the monotonic clock."""
        if not self.file.exists():
            return self.ended
        return self.file.stat().st_mtime - time.time() + time.monotonic()


@dataclass
class Run:
    """How a run ended: what each node's report says, and what was left."""

    reports: dict[int, dict[str, Any]]
    statuses: list[int]
    rung: str
    seconds: float
    orphans: dict[str, str]
    words: str = ""

    def missed(self, fault: Fault, way: str) -> list[str]:
        """What is wrong with what was said of a fault."""
        wrong = []
        readers: Sequence[int] = [0] if way == "ssh" else [0, 1] if fault.told_by < 0 else [fault.told_by]
        if way == "torchrun":
            # The report of rank 0 gathers all, but for what is wrong with another node itself.
            readers = sorted(self.reports)
        heard = [reader for reader in readers if _names(self.reports.get(reader, {}), fault.code, fault.host)]
        if not heard or (way != "torchrun" and len(heard) < len(readers)):
            told = {reader: _told(self.reports.get(reader, {})) for reader in readers}
            wrong.append(f"{fault.code} of {fault.host} is not named: {told} {self.words[-600:]}")
        if self.orphans:
            wrong.append(f"left behind: {self.orphans}")
        if 0 in self.statuses[:1]:
            wrong.append(f"exit codes {self.statuses}")
        return wrong


def _names(document: dict[str, Any], code: str, host: str) -> bool:
    for finding in document.get("findings", ()):
        values = [*finding["nodes"], *map(str, finding["evidence"].values())]
        if finding["code"] == code and {*values, *",".join(values).split(",")} & {*host.split("|")}:
            return True
    return False


def _told(document: dict[str, Any]) -> list[str]:
    return [f"{one['code']} {','.join(one['nodes'])}" for one in document.get("findings", ())] or [
        f"nothing, stage {document.get('stage')}"
    ]


class Runs:
    """Starts runs between the hosts of a lab, and makes the hosts healthy again after each."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._hosts = {host.name: (host.folder / "hosts").read_text() for host in lab.hosts}
        self._number = 0

    def run(self, fault: Fault, way: str) -> Run:
        """One run with this fault, started in this way."""
        lab = self.lab
        self._number += 1
        try:
            fault.put(lab)
            variables = {"PYTHONPATH": str(ROOT), **fault.variables}
            sizes = ("--sizes", "8M:1G") if fault.strike in ("kill", "cut") else ("--sizes", "8:64K")
            common = ("-v", "--json", "--timeout", str(JOIN_S), *sizes)
            told = {"hand": self._hand, "ssh": self._ssh, "torchrun": self._torchrun}[way](fault, common, variables)
            struck = self._strike(fault, way, told) if fault.strike else None
            for one in told:
                one.wait()
            return self._ended(told, struck, way)
        finally:
            self.heal()

    # The ways

    def _file(self, rank: int | str) -> Path:
        return self.lab.folder / f"run{self._number}.{rank}"

    def _hand(self, fault: Fault, common: Sequence[str], variables: dict[str, str]) -> list[Told]:
        nodes = 3 if fault.twice else 2
        places = [0] if fault.alone else [0, 1, 1][:nodes]
        told = []
        for number, rank in enumerate(places):
            host = self.lab[number]
            own = ("--nnodes", str(nodes), "--node-rank", str(rank), "--master-addr", self.lab[0].address)
            told.append(
                self._start(host, number, (*self._bench(*own, *common), *fault.options.get(number, ())), variables)
            )
        return told

    def _ssh(self, fault: Fault, common: Sequence[str], variables: dict[str, str]) -> list[Told]:
        port = ("--master-port", str(PORT))
        return [self._start(self.lab[2], 0, self._bench("--hosts", "node0,node1", *port, *common), variables)]

    def _torchrun(self, fault: Fault, common: Sequence[str], variables: dict[str, str]) -> list[Told]:
        told = []
        words = " ".join(self._bench(*common)[2:])
        for rank in (0, 1):
            own = f"exec {sys.executable} -m {words} -o {self._file('')}$RANK"
            command = (
                sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank),
                "--master-addr", self.lab[0].address, "--master-port", str(PORT), "--nproc-per-node", "1",
                "--no-python", "sh", "-c", own,
            )  # fmt: skip
            process = self.lab[rank].start(*command, **variables)
            told.append(Told(process, self._file(rank), rank))
        return told

    def _bench(self, *words: str) -> tuple[str, ...]:
        nproc = () if "--hosts" not in words and "--nnodes" not in words else ("--nproc-per-node", "1")
        return (sys.executable, "-m", "envdoctor", "bench", "allreduce", *nproc, *words)

    def _start(self, host: Host, rank: int, command: Sequence[str], variables: dict[str, str]) -> Told:
        process = host.start(*command, "-o", str(self._file(rank)), **variables)
        return Told(process, self._file(rank), rank)

    # What happens in the midst of it

    def _strike(self, fault: Fault, way: str, told: list[Told]) -> float:
        """Put the fault in once all are at work. When that was."""
        first, victim = told[0], self.lab[1]
        if fault.strike == "freeze":
            return self._freeze(way, victim)
        until = time.monotonic() + SWEEP_S
        while not any(rung == "sweep" for _, rung in first.rungs):
            assert time.monotonic() < until and first.process.poll() is None, first.lines[-5:]
            time.sleep(0.02)
        at = time.monotonic()
        if fault.strike == "cut":
            victim.fault("cut")
        else:
            os.kill(self._rank_of(victim), signal.SIGKILL)
        return at

    def _freeze(self, way: str, victim: Host) -> float:
        """node1's agent stands still before it reaches rank 0: it cannot, until then, for its packets are dropped."""
        from tests.bench.lab_faults import rule

        rule(self.lab[0], f"ip saddr {victim.address} tcp dport {PORT} drop")
        until = time.monotonic() + SWEEP_S
        listening = f":{PORT:04X} "
        while True:
            agents = [pid for pid, words in victim.at_work().items() if "boot" in words and " -I " in words]
            if agents and any(listening in line and " 0A " in line for line in self._sockets(self.lab[0])):
                break
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(agents[0], signal.SIGSTOP)
        return time.monotonic()

    def _sockets(self, host: Host) -> list[str]:
        return [
            line for name in ("tcp", "tcp6") for line in Path(f"/proc/{host.pid}/net/{name}").read_text().splitlines()
        ]

    def _rank_of(self, host: Host) -> int:
        """The process that imports torch: it has no option -I, which its agent has."""
        return next(pid for pid, words in host.at_work().items() if "boot" in words and " -I " not in words)

    # How it ended, and afterwards

    def _ended(self, told: list[Told], struck: float | None, way: str) -> Run:
        reports = {one.rank: document for one in told if (document := one.document)}
        # What was frozen cannot end; thawed, it must.
        for host in self.lab.hosts:
            for pid in host.at_work():
                os.kill(pid, signal.SIGCONT)
        orphans = {} if way == "torchrun" and not reports else self._orphans()
        one = next((one for one in told if one.document.get("findings")), told[0])
        begun = one.rungs
        rung = begun[-1][1] if begun else "start"
        since = struck if struck is not None else begun[-1][0] if begun else one.began
        words = "".join(line for each in told for _, line in each.lines[-6:]) if not reports else ""
        statuses = [each.process.returncode for each in told]
        return Run(reports, statuses, rung, one.said_at - since, orphans, words)

    def _orphans(self) -> dict[str, str]:
        left = self.lab.orphans(GONE_S)
        return {where: words for where, words in left.items() if "http.server" not in words}

    def heal(self) -> None:
        """Make the hosts what they were."""
        for host in self.lab.hosts:
            for pid in host.at_work():
                os.kill(pid, signal.SIGKILL)
            host.mend()
            (host.folder / "hosts").write_text(self._hosts[host.name])
            host.run("umount", "-l", str(torch_folder() / "version.py"))
            subprocess.run(["ip", "-n", host.namespace, "link", "delete", "docker0"], capture_output=True)
            if (
                subprocess.run(["ip", "-n", host.namespace, "link", "show", "eth1"], capture_output=True).returncode
                == 0
            ):
                for words in ("eth1 down", "eth1 name eth0", "eth0 up"):
                    host.ip(f"link set {words}")
