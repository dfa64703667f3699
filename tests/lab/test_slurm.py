"""Benchmarks in a real Slurm: one task a rank, or one command that starts every node of the allocation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.transport import srun, ssh
from envdoctor.transport.hosts import Host as Named
from tests import ROOT, needs
from tests.bench.nodes import Ended
from tests.lab.hosts import Lab
from tests.lab.slurm import DAEMONS, READY_S, Cluster

ENVDOCTOR = (sys.executable, "-m", "envdoctor")
ALLREDUCE = (*ENVDOCTOR, "bench", "allreduce", "--sizes", "8:8", "--timeout", "30", "--json")
LONG = (*ALLREDUCE, "--sizes", "64M:1G")
# What a batch script inherits from `#SBATCH` lines that are meant for its training; each is an option of srun.
SHAPED = {
    "SLURM_NTASKS_PER_NODE": "8", "SLURM_GPUS": "16", "SLURM_MEM_PER_CPU": "1", "SLURM_EXPORT_ENV": "NONE",
    "SLURM_LABELIO": "1", "SLURM_STDINMODE": "none", "SLURM_HOSTFILE": "/nonexistent",
    "SSH_CONNECTION": "192.0.2.1 5000 192.0.2.2 22",
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """node0 is where jobs are submitted; they run on node1 and node2."""
    needs.distribution("torch")
    with Lab(3) as lab, Cluster(lab, nodes=(1, 2)) as slurm:
        yield slurm


@pytest.fixture
def slurm(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, idle afterwards."""
    yield cluster
    for host in cluster.lab.hosts:
        host.mend()
    cluster.give_back()
    assert not at_work(cluster, 5.0)


def submit(slurm: Cluster, *command: str, **variables: str) -> Ended:
    """Run a command where jobs are submitted."""
    return slurm.lab[0].run(*command, PYTHONPATH=str(ROOT), **slurm.variables, **variables)


def at_work(slurm: Cluster, within_s: float) -> dict[str, str]:
    """What is left on any host after so long, the daemons and the lab's own sshd aside."""
    until = time.monotonic() + within_s
    while True:
        left = {
            f"{host.name} {pid}": words
            for host in slurm.lab.hosts
            for pid, words in host.at_work().items()
            if not any(daemon in words.partition(" ")[0] for daemon in (*DAEMONS, "slurmscriptd"))
        }
        left = {name: words for name, words in left.items() if "slurmscriptd" not in words}
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)


# A task of srun is a rank


def test_srun_starts_every_rank(slurm: Cluster) -> None:
    """One report comes of all tasks, two on one node and one on the other."""
    done = submit(slurm, "srun", "-N2", "-n3", *ALLREDUCE)
    assert (done.status, done.codes) == (0, []), done.out + done.err
    told = done.document
    assert (told["stage"], told["world_size"]) == ("done", 3)
    assert {node["name"] for node in told["nodes"]} == {"node1", "node2"}
    assert told["snapshots"][0]["facts"]["allreduce"]["master_addr"] == "node1"


def test_a_task_that_does_not_come(slurm: Cluster) -> None:
    """Rank 0 names the node on which it should be at work."""
    absent = 'test "$SLURM_PROCID" = 1 && exec sleep 20; exec "$@" --timeout 3'
    done = submit(
        slurm, "srun", "-N2", "--ntasks-per-node=1", "--kill-on-bad-exit", "sh", "-c", absent, "sh", *ALLREDUCE
    )
    assert done.status and done.codes == ["rank-missing"], done.out + done.err
    assert done.nodes_of("rank-missing") == ["node2"]


# One command starts every node


def test_a_batch_script_starts_every_node(slurm: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(
        "#!/bin/sh\n" + "".join(f"export {name}='{value}'\n" for name, value in SHAPED.items())
        + f"exec {' '.join(ALLREDUCE)} --slurm\n"
    )  # fmt: skip
    out = tmp_path / "out"
    job = submit(slurm, "sbatch", "--parsable", "-N2", f"--output={out}", f"--error={out}.err", str(script)).out.strip()
    state = slurm.ended(job)
    told = Ended(0, out.read_text(), Path(f"{out}.err").read_text(), 0.0)
    assert (state, told.codes) == ("COMPLETED", []), told.out + told.err
    assert (told.document["stage"], told.document["world_size"]) == ("done", 2)
    assert all(row["wrong"] == 0 for row in told.document["sizes"])
    first, second = told.document["snapshots"]
    assert first["facts"]["allreduce"]["master_addr"] == "node1"
    assert [(host["way"], host["outcome"]) for host in first["facts"]["reached"]["hosts"]] == [("srun", "ok")] * 2
    # The patient went there too, and sees the job and no step of one task.
    assert [one["facts"]["host"]["name"] for one in (first, second)] == ["node1", "node2"]
    seen = second["facts"]["environment"]["variables"]
    assert seen["SLURM_JOB_NODELIST"] == "node[1-2]" and "SLURM_PROCID" not in seen


def test_links_from_a_host_that_only_submits(slurm: Cluster) -> None:
    done = submit(slurm, "salloc", "-N2", *ENVDOCTOR, "bench", "links", "--slurm", "--budget", "4", "--json")
    assert done.status == 0, done.out + done.err
    assert {(pair["a"], pair["b"]) for pair in done.document["links"]} >= {("node1", "node2")}


def test_nodes_that_cannot_take_part(slurm: Cluster) -> None:
    """One is none of the allocation's, and the daemon of another is gone: each is told, beside the one that answers."""
    job = slurm.allocate("-N2")
    slurm.kill_slurmd(slurm.nodes[1])
    try:
        done = submit(slurm, *ALLREDUCE, "--slurm", SLURM_JOB_ID=job, SLURM_JOB_NODELIST="node[0-2]")
    finally:
        slurm.start_slurmd(slurm.nodes[1])
    assert (done.status, set(done.codes)) == (1, {"node-unreachable"}), done.out + done.err
    found = [finding for finding in done.document["findings"] if finding["code"] == "node-unreachable"]
    assert sorted(name for finding in found for name in finding["nodes"]) == ["node0", "node2"]
    reached = done.document["snapshots"][0]["facts"]["reached"]["hosts"]
    assert [host["outcome"] for host in reached] == ["not-allocated", "ok", "no-slurmd"]


def test_the_nodes_cannot_reach_each_other(slurm: Cluster, tmp_path: Path) -> None:
    """What each has seen comes by way of srun, and the network under test is not asked to carry it."""
    rules = tmp_path / "rules"
    drop = f"chain i {{ type filter hook input priority 0; ip saddr {slurm.nodes[0].address} drop; }}"
    rules.write_text(f"table inet fault {{\n{drop}\n}}\n")
    assert slurm.nodes[1].run("nft", "-f", str(rules)).status == 0
    done = submit(slurm, "salloc", "-N2", *ALLREDUCE, "--slurm", "--timeout", "8")
    assert (done.status, done.codes) == (1, ["master-unreachable"]), done.out + done.err
    assert done.nodes_of("master-unreachable") == ["node2"]
    reached = done.document["snapshots"][0]["facts"]["reached"]["hosts"]
    assert [host["outcome"] for host in reached] == ["ok", "ok"]


def test_an_allocation_that_is_over(slurm: Cluster) -> None:
    job = slurm.allocate("-N2")
    slurm.give_back(job)
    done = submit(slurm, *ALLREDUCE, "--slurm", SLURM_JOB_ID=job, SLURM_JOB_NODELIST="node[1-2]")
    assert (done.status, set(done.codes)) == (1, {"node-unreachable"}), done.out + done.err
    reached = done.document["snapshots"][0]["facts"]["reached"]["hosts"]
    assert [host["outcome"] for host in reached] == ["job-over", "job-over"]


def test_resources_that_another_step_holds(slurm: Cluster) -> None:
    """srun's own words where a step may not share them; ours may, and waits for nobody."""
    job = slurm.allocate("-N2", "--exclusive")
    holding = slurm.lab[0].start(
        "srun", f"--jobid={job}", "-N1", "-wnode1", "-n1", "-c4", "--exact", "sleep", "60", **slurm.variables
    )
    until = time.monotonic() + READY_S
    while not any("sleep" in words for words in slurm.nodes[0].at_work().values()):
        assert time.monotonic() < until and holding.poll() is None, holding.communicate()
        time.sleep(0.05)
    told = submit(slurm, "srun", f"--jobid={job}", "-N1", "-wnode1", "-n1", "--immediate=1", "true")
    assert srun.reach(Named("node1"), told.status, told.err, told.out, heard=False).outcome == "busy", told.err
    ours = submit(slurm, *srun.argv(Named("node1"), "exec hostname"), SLURM_JOB_ID=job)
    assert (ours.status, ours.out) == (0, "node1\n"), ours.err


# Whatever ends it, nothing is left behind


@pytest.fixture
def job(slurm: Cluster) -> str:
    return slurm.allocate("-N2")


@pytest.fixture
def running(slurm: Cluster, job: str) -> Iterator[subprocess.Popen[str]]:
    """A benchmark on both nodes, in the midst of it and far from its end."""
    process = slurm.lab[0].start(
        *LONG, "--slurm", PYTHONPATH=str(ROOT), SLURM_JOB_ID=job, SLURM_JOB_NODELIST="node[1-2]", **slurm.variables
    )
    wait_for_ranks(slurm, process)
    yield process
    process.communicate(timeout=60)


def wait_for_ranks(slurm: Cluster, process: subprocess.Popen[str]) -> None:
    """Wait until each node has a rank at work: nothing else there loads torch."""
    until = time.monotonic() + READY_S
    while not all(any(map(loads_torch, host.at_work())) for host in slurm.nodes):
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.05)


def loads_torch(pid: int) -> bool:
    try:
        return "libtorch" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False  # it has ended


def conductor(slurm: Cluster) -> int:
    return next(pid for pid, words in slurm.lab[0].at_work().items() if "-m envdoctor" in words)


def test_ctrl_c(slurm: Cluster, running: subprocess.Popen[str]) -> None:
    os.kill(conductor(slurm), signal.SIGINT)
    assert running.wait(20) == 130
    assert not at_work(slurm, 10.0)


def test_the_conductor_is_killed(slurm: Cluster, running: subprocess.Popen[str]) -> None:
    os.kill(conductor(slurm), signal.SIGKILL)
    assert not at_work(slurm, ssh.CUT_S + 10.0)


def test_the_job_is_cancelled(slurm: Cluster, job: str, running: subprocess.Popen[str]) -> None:
    slurm.give_back(job)
    out, err = running.communicate(timeout=60)
    done = Ended(running.returncode, out, err, 0.0)
    assert (done.status, "node-unreachable" in done.codes) == (1, True), out + err
    assert not at_work(slurm, 10.0)


def test_the_tasks_of_srun_are_cancelled(slurm: Cluster) -> None:
    process = slurm.lab[0].start("srun", "-N2", "--ntasks-per-node=1", *LONG, PYTHONPATH=str(ROOT), **slurm.variables)
    wait_for_ranks(slurm, process)
    slurm.give_back()
    process.communicate(timeout=60)
    assert not at_work(slurm, 10.0)


# What cannot be


def test_without_an_allocation() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    done = subprocess.run([*ALLREDUCE, "--slurm"], capture_output=True, text=True, cwd=ROOT, env=environ)
    assert done.returncode == 2 and "salloc -N 2" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", [("--hosts", "a,b"), ("--nnodes", "2"), ("--master-addr", "10.0.0.1")])
def test_what_contradicts_slurm_is_refused(option: tuple[str, str]) -> None:
    done = subprocess.run([*ALLREDUCE, "--slurm", *option], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and option[0] in done.stderr and "leave" in done.stderr


# The examination of an allocation


def test_the_nodes_of_an_allocation_are_examined(slurm: Cluster) -> None:
    """By one command in the shell of the allocation."""
    done = submit(slurm, "salloc", "-N2", *ENVDOCTOR, "check", "--slurm", "--quick", "--json")
    assert done.status in (0, 1), done.out + done.err
    assert [node["name"] for node in done.document["nodes"]] == ["node1", "node2"]
    assert all(node["python"] for node in done.document["nodes"])
    assert not [one for one in done.document["findings"] if one["topic"] == "nodes"]
