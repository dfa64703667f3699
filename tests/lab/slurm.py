"""A Slurm cluster on the hosts of a lab: slurmctld on the first, slurmd and munged on each.

    with Lab(3) as lab, Cluster(lab, nodes=[1, 2]) as slurm:
        lab[0].run("srun", "-N2", "hostname", **slurm.variables)

No systemd, no cgroups, no accounting. Everything it writes is in the lab's folder; everything it starts ends with its
host.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests import needs
from tests.lab.hosts import LIMIT_S, Host, Lab
from tests.lab.made import Made

READY_S = 60.0
CORES = 4  # of each node, as Slurm counts; more than one step of a job fits on a node
DAEMONS = ("munged", "slurmctld", "slurmd")
CONF = """
ClusterName=lab
SlurmctldHost={first}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=2
SlurmdTimeout=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName={nodes} CPUs={cores} RealMemory=1000 State=UNKNOWN
PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
"""
# slurmd looks for a control group file system whether or not anything uses one; only v1 is content without.
CGROUP = "CgroupPlugin=cgroup/v1\n"


class Cluster(Made):
    """Slurm on a lab; ended by closing it, or with its hosts.

    Args:
        nodes: places of the hosts on which jobs run; all by default.

    Attributes:
        variables: what every client command needs.
    """

    def __init__(self, lab: Lab, nodes: Sequence[int] = ()) -> None:
        for program, package in (
            ("munged", "munge"), ("slurmctld", "slurmctld"), ("slurmd", "slurmd"), ("srun", "slurm-client"),
        ):  # fmt: skip
            needs.program(program, package)
        self.lab = lab
        self.nodes: list[Host] = [lab[place] for place in nodes or range(len(lab))]
        self.folder = lab.folder / "slurm"
        self.conf = self.folder / "slurm.conf"
        self.variables = {"SLURM_CONF": str(self.conf)}

    def make(self) -> None:
        (self.folder / "state").mkdir(parents=True)
        names = ",".join(host.name for host in self.nodes)
        self.conf.write_text(CONF.format(first=self.lab[0].name, folder=self.folder, nodes=names, cores=CORES).lstrip())
        (self.folder / "cgroup.conf").write_text(CGROUP)
        key = self.folder / "munge.key"
        key.touch(0o400)
        key.chmod(0o600)
        key.write_bytes(os.urandom(128))
        for host in self.lab.hosts:
            assert host.run("mkdir", "-p", "/run/munge").status == 0
            host.start(
                "munged", "--foreground", "--force", f"--key-file={key}", f"--log-file={self._log('munged', host)}",
                "--pid-file=/run/munge/pid", "--seed-file=/run/munge/seed", "--num-threads=2",
            )  # fmt: skip
        self.lab[0].start("slurmctld", "-D", **self.variables)
        for host in self.nodes:
            (self.folder / f"spool-{host.name}").mkdir()
            self.start_slurmd(host)
        self.wait_for("idle")

    def _log(self, daemon: str, host: Host) -> Path:
        return self.folder / f"{daemon}-{host.name}.log"

    def start_slurmd(self, host: Host) -> None:
        """Start the daemon of a node."""
        host.start("slurmd", "-D", **self.variables)

    def kill_slurmd(self, host: Host) -> None:
        """Kill the daemon of a node, as a crash would; jobs there go on."""
        for pid in host.processes():
            if _program(pid) == "slurmd":
                os.kill(pid, signal.SIGKILL)

    def wait_for(self, state: str) -> None:
        """Wait until all nodes are in a state of sinfo's."""
        until = time.monotonic() + READY_S
        while True:
            told = self.lab[0].run("sinfo", "-h", "-N", "-o", "%N %T", **self.variables)
            states = dict(line.split() for line in told.out.splitlines())
            if told.status == 0 and states and set(states.values()) == {state}:
                return
            assert time.monotonic() < until, f"{states} {told.err}\n{self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        """The last words of all daemons."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.folder.glob("*.log")))

    def allocate(self, *options: str) -> str:
        """Have an allocation that nobody works in; its job id. It must be given back."""
        told = self.lab[0].run("salloc", "--no-shell", *options, **self.variables)
        assert told.status == 0, told.err
        return next(word for word in told.err.split() if word.isdigit())

    def give_back(self, job: str = "") -> None:
        """Cancel a job, or all, and wait until their nodes are free."""
        self.lab[0].run("scancel", job or "--user=root", **self.variables)
        self.wait_for("idle")

    def ended(self, job: str) -> str:
        """Wait until a job has ended; its state, as squeue names it."""
        until = time.monotonic() + LIMIT_S
        while True:
            told = self.lab[0].run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", **self.variables)
            state = told.out.strip()
            if told.status == 0 and state not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
                return state
            assert time.monotonic() < until, f"{state} {told.err}"
            time.sleep(0.1)

    def close(self) -> None:
        """End all daemons."""
        for host in self.lab.hosts:
            for pid in host.processes():
                if _program(pid) in DAEMONS:
                    os.kill(pid, signal.SIGKILL)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # it has ended
