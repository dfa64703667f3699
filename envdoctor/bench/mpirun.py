"""Where rank 0 is under mpirun, which tells its processes everything but that."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from envdoctor.bench import ways
from envdoctor.errors import UsageError
from envdoctor.facts import hostlist
from envdoctor.facts.launch import Launch

# How each launcher hands a variable to all its processes.
HANDS_ON = {
    "open-mpi": "mpirun -x MASTER_ADDR=HOST ...",
    "hydra": "mpiexec -genv MASTER_ADDR HOST ...",
    "mvapich": "mpirun_rsh -np N MASTER_ADDR=HOST ...",
    "pals": "mpiexec --env MASTER_ADDR=HOST ...",
    "flux": "flux run --env=MASTER_ADDR=HOST ...",
    "jsrun": "jsrun -E MASTER_ADDR=HOST ...",
}
# Open MPI up to 4 names mpirun's own daemon and the one above each process, as
# "1562378240.0;tcp://10.0.0.1,192.168.0.1:59457;tcp6://[fd00::1]:43289" (orte/mca/oob/tcp/oob_tcp.c).
FIRST, OWN = "OMPI_MCA_orte_hnp_uri", "OMPI_MCA_orte_local_daemon_uri"
CONTACT = re.compile(r"tcp6?://(?P<hosts>\[[^\]]*\]|[^;:]*):\d+")


def address(variables: Mapping[str, str], own: Launch, told: tuple[Launch, ...]) -> str:
    """Where rank 0 is: on the first node of the job's allocation; else, under Open MPI, where mpirun itself runs, for
    that is usually the first host of its list. "" where the variables tell neither.

    Args:
        own: this process among the ranks. told: all that the variables tell.

    Raises:
        UsageError: this is rank 0, and it was started elsewhere than mpirun.
    """
    if named := _first_of_job(variables, told):
        return named
    first, above = variables.get(FIRST, ""), variables.get(OWN, "")
    if not first:
        return ""
    if own.rank == 0 and above and above.partition(";")[0] != first.partition(";")[0]:
        raise UsageError(
            f"mpirun does not run beside rank 0, and its variables do not tell the others where that is; "
            f"name its host: {HANDS_ON['open-mpi']}",
            f"mpirun 不与 rank 0 在同一处运行，其变量没有说明 rank 0 在哪里；请指定其主机：{HANDS_ON['open-mpi']}",
        )
    return max(_contacts(first), key=_nearness, default="")


def _first_of_job(variables: Mapping[str, str], told: tuple[Launch, ...]) -> str:
    # mpirun starts its daemons by srun, on the other nodes: what that says of its step is not of the job.
    try:
        nodes = hostlist.expand(variables.get("SLURM_JOB_NODELIST", ""))
    except ValueError:
        nodes = ()
    return next((hosts[0] for hosts in (nodes, *(one.hosts for one in told if one.per == "job")) if hosts), "")


def _contacts(uri: str) -> list[str]:
    """The addresses of a daemon, those of IPv4 first."""
    return [
        host.strip()
        for found in CONTACT.finditer(uri)
        for host in found["hosts"].strip("[]").split(",")
        if host.strip()
    ]


def _nearness(address: str) -> int:
    """Leading bits that an address shares with the one from which packets to it would start; -1 without a route."""
    source = ways.source_to(address)
    try:
        here, there = ipaddress.ip_address(source), ipaddress.ip_address(address)
    except ValueError:
        return -1
    return here.max_prefixlen - (int(here) ^ int(there)).bit_length() if here.version == there.version else -1
