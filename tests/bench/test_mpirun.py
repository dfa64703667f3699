"""`mpirun envdoctor bench allreduce`: real Open MPI, on one host and over ssh between hosts of a lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from envdoctor.bench import mpirun
from envdoctor.errors import UsageError
from envdoctor.facts.launch import Launch
from tests import ROOT, needs
from tests.bench.nodes import Ended
from tests.lab.hosts import Lab

ALLREDUCE = (sys.executable, "-m", "envdoctor", "bench", "allreduce", "--sizes", "8:8", "--timeout", "30", "--json")
# Open MPI refuses root, and a host with fewer cores than ranks, unless it is told otherwise.
ALLOWED = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PYTHONPATH": str(ROOT),
}  # fmt: skip


@pytest.fixture(scope="module")
def hosts() -> Iterator[Lab]:
    needs.distribution("torch")
    needs.program("mpirun.openmpi", "openmpi-bin")
    with Lab(3) as lab:
        yield lab


@pytest.fixture
def lab(hosts: Lab) -> Iterator[Lab]:
    yield hosts
    left = hosts.orphans(10.0)
    for host in hosts.hosts:
        for pid in host.at_work():
            os.kill(pid, signal.SIGKILL)
    assert not left


def run(lab: Lab, ranks: int, *words: str) -> Ended:
    return lab[0].run("mpirun.openmpi", "-np", str(ranks), *words, **ALLOWED)


def test_on_one_host(lab: Lab) -> None:
    done = run(lab, 2, *ALLREDUCE)
    assert (done.status, done.codes) == (0, []), done.out + done.err
    assert done.document["world_size"] == 2
    assert done.document["snapshots"][0]["facts"]["allreduce"]["master_addr"] == "127.0.0.1"


def test_on_two_hosts_rank_0_is_beside_mpirun(lab: Lab) -> None:
    done = run(lab, 3, "--host", "node0:2,node1:1", *ALLREDUCE)
    assert (done.status, done.codes) == (0, []), done.out + done.err
    told = done.document
    assert (told["stage"], told["world_size"]) == ("done", 3)
    assert {node["name"] for node in told["nodes"]} == {"node0", "node1"}
    assert told["snapshots"][0]["facts"]["allreduce"]["master_addr"] == lab[0].address


def test_rank_0_elsewhere_must_be_named(lab: Lab) -> None:
    done = run(lab, 2, "--host", "node1,node2", *ALLREDUCE)
    assert done.status == 2 and "-x MASTER_ADDR=HOST" in done.err, done.out + done.err


@pytest.mark.parametrize(("how", "where"), [(signal.SIGINT, "node0,node1"), (signal.SIGKILL, "node0:2")])
def test_whatever_ends_mpirun_nothing_is_left(lab: Lab, how: signal.Signals, where: str) -> None:
    process = lab[0].start("mpirun.openmpi", "-np", "2", "--host", where, *ALLREDUCE, "--sizes", "64M:1G", **ALLOWED)
    until = time.monotonic() + 60
    # Each agent has started its rank.
    while sum("boot" in words for host in lab.hosts for words in host.at_work().values()) < 4:
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(conductor(lab), how)
    process.communicate(timeout=60)
    assert not lab.orphans(20.0)


def conductor(lab: Lab) -> int:
    return next(pid for pid, words in lab[0].at_work().items() if words.startswith("mpirun"))


HERE = "77.0;tcp://127.0.0.1:59457"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        (HERE, "127.0.0.1"),
        ("77.0;tcp://192.0.2.7,127.0.0.1:59457;tcp6://[2001:db8::1]:43289", "127.0.0.1"),
        ("77.0;tcp6://[2001:db8::1,::1]:43289", "::1"),
        ("", ""),
        ("77.0;usock", ""),
    ],
)
def test_the_nearest_address_of_mpirun_counts(uri: str, address: str) -> None:
    environ = {mpirun.FIRST: uri, mpirun.OWN: "77.1;tcp://127.0.0.1:1"}
    assert mpirun.address(environ, Launch(launcher="open-mpi", rank=1), ()) == address


def test_rank_0_knows_whether_mpirun_runs_beside_it() -> None:
    first = Launch(launcher="open-mpi", rank=0)
    assert mpirun.address({mpirun.FIRST: HERE, mpirun.OWN: HERE}, first, ()) == "127.0.0.1"
    with pytest.raises(UsageError, match="-x MASTER_ADDR=HOST"):
        mpirun.address({mpirun.FIRST: HERE, mpirun.OWN: "77.1;tcp://127.0.0.1:1"}, first, ())


def test_in_an_allocation_rank_0_is_on_its_first_node() -> None:
    """Whatever srun says of the step in which it has started mpirun's daemons on the others."""
    environ = {mpirun.FIRST: HERE, "SLURM_JOB_NODELIST": "node[0-2]", "SLURM_STEP_NODELIST": "node[1-2]"}
    assert mpirun.address(environ, Launch(launcher="open-mpi", rank=3), ()) == "node0"
    job = Launch(launcher="pbs", per="job", hosts=("gpu01", "gpu02"))
    assert mpirun.address({mpirun.FIRST: HERE}, Launch(launcher="open-mpi", rank=3), (job,)) == "gpu01"


def test_each_launcher_hands_a_variable_on_in_its_own_way() -> None:
    environ = {
        "PMI_RANK": "1",
        "PMI_SIZE": "2",
        "MPI_LOCALRANKID": "0",
        "MPI_LOCALNRANKS": "1",
        "PATH": os.environ["PATH"],
    }
    told = subprocess.run([*ALLREDUCE], capture_output=True, text=True, cwd=ROOT, env=environ)
    assert told.returncode == 2 and "mpiexec -genv MASTER_ADDR HOST" in told.stderr
