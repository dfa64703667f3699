"""The script that README.md gives to Slurm, in a real Slurm: as HealthCheckProgram and as Prolog."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests import recipes
from tests.lab.hosts import Host, Lab
from tests.lab.slurm import Cluster

LIMIT_S = 90.0
# A check that a site would write: its nodes have a large /dev/shm. Slurm starts the script without HOME, as root.
SITE = '''
"""Is this node as we bought it?"""
from envdoctor import Problem, Severity, Text, check
from envdoctor.facts.limits import Limits

SMALL = Problem("site-shm", Severity.ERROR, Text("/dev/shm holds {mb} MB", "/dev/shm 只有 {mb} MB"), Text("slow", "慢"))


@check(SMALL)
def site_shm(limits: Limits):
    if (limits.shm.size_bytes or 0) < 32e6:
        yield SMALL.found(mb=round((limits.shm.size_bytes or 0) / 1e6))
'''


@pytest.fixture
def slurm() -> Iterator[Cluster]:
    """node0 submits; node1 is well, and node2 has a small /dev/shm."""
    with Lab(3) as lab, Cluster(lab, nodes=(1, 2)) as cluster:
        for host in cluster.nodes:
            checks = host.home / ".config" / "envdoctor" / "checks"
            checks.mkdir(parents=True)
            (checks / "site.py").write_text(SITE)
        assert lab[2].run("mount", "-t", "tmpfs", "-o", "size=16m", "shm", "/dev/shm").status == 0
        yield cluster


def configure(slurm: Cluster, *lines: str) -> None:
    text = slurm.conf.read_text().partition("# the recipe\n")[0]
    slurm.conf.write_text("\n".join([text.rstrip(), "# the recipe", *lines, ""]))
    done = slurm.lab[0].run("scontrol", "reconfigure", **slurm.variables)
    assert done.status == 0, done.err


def script(slurm: Cluster, doctor: str = "") -> str:
    return str(recipes.slurm_script(slurm.folder, doctor, "site", True, f"export SLURM_CONF={slurm.conf}"))


def state(slurm: Cluster, host: Host) -> tuple[str, str]:
    """A node's state and the reason for it."""
    told = slurm.lab[0].run("sinfo", "-h", "-n", host.name, "-o", "%T|%E", **slurm.variables).out.strip()
    word, _, reason = told.partition("|")
    return word.strip("*"), reason


def reason_in(slurm: Cluster, host: Host, wanted: str) -> str:
    """Wait until a node is in a state; the reason it has then. A job that has ended leaves its node a while later."""
    until = time.monotonic() + LIMIT_S
    while not state(slurm, host)[0].startswith(wanted):
        assert time.monotonic() < until, f"{state(slurm, host)} {slurm.logs()}"
        time.sleep(0.2)
    return state(slurm, host)[1]


def run_on(slurm: Cluster, host: Host, *options: str) -> int:
    return (
        slurm.lab[0].run("srun", "-N1", "-w", host.name, "--immediate=60", *options, "true", **slurm.variables).status
    )


def test_a_node_with_an_error_is_drained_with_the_reason(slurm: Cluster) -> None:
    _, well, sick = slurm.lab.hosts
    configure(slurm, f"HealthCheckProgram={script(slurm)}", "HealthCheckInterval=2", "HealthCheckNodeState=ANY")
    reason = reason_in(slurm, sick, "drain")
    assert reason.startswith("ENVDOCTOR CRITICAL - site-shm: /dev/shm holds 17 MB; 1 error")
    assert "|" not in reason
    assert reason_in(slurm, well, "idle") == "none"
    assert run_on(slurm, well) == 0

    # A reason that somebody else gave stays, whatever is found later.
    update = ("scontrol", "update", f"NodeName={sick.name}", "State=DRAIN", "Reason=fan")
    assert slurm.lab[0].run(*update, **slurm.variables).status == 0
    noted = slurm.folder / "looked"
    script(slurm, f'echo x >> {noted}; echo "ENVDOCTOR CRITICAL - other | x"; exit 2')
    until = time.monotonic() + LIMIT_S
    while not noted.exists() or len(noted.read_text()) < 8:
        assert time.monotonic() < until, slurm.logs()
        time.sleep(0.2)
    assert state(slurm, sick)[1] == "fan"


def test_as_a_prolog_it_keeps_jobs_off_a_sick_node_and_the_doctors_own_failure_does_not(slurm: Cluster) -> None:
    _, well, sick = slurm.lab.hosts
    configure(slurm, f"Prolog={script(slurm)}", "PrologFlags=Alloc")
    assert run_on(slurm, well) == 0
    submitted = slurm.lab[0].run("sbatch", "-w", sick.name, "--wrap", "true", **slurm.variables)
    assert submitted.status == 0, submitted.err
    assert reason_in(slurm, sick, "drain").startswith("ENVDOCTOR CRITICAL - site-shm")
    assert reason_in(slurm, well, "idle") == "none"
    slurm.lab[0].run("scancel", "--user=root", **slurm.variables)

    for doctor in ("exit 3", "echo garbage; kill -KILL $$", "exec /nonexistent"):
        script(slurm, doctor)
        assert run_on(slurm, well) == 0, doctor
        assert reason_in(slurm, well, "idle") == "none"


def test_the_lists_of_hosts_are_files_for_srun(slurm: Cluster) -> None:
    """`--good-hosts` and `--bad-hosts` write one host a line; Slurm takes a file by a path with a slash."""
    good, bad = slurm.folder / "good", slurm.folder / "bad"
    good.write_text("node1\n")
    bad.write_text("node2\n")
    for option in (f"--nodelist={good}", f"--exclude={bad}"):
        done = slurm.lab[0].run("srun", "-N1", option, "hostname", **slurm.variables)
        assert (done.status, done.out) == (0, "node1\n"), done.err
