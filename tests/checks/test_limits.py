"""checks/limits.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.limits import Limit, Limits
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "limits.py"
GIB = 1 << 30

INFINIBAND = Rdma((RdmaDevice("mlx5_0", ports=(Port(),)),))
CLOSED = Rdma((RdmaDevice("mlx5_0", ports=(Port(),), node_error="absent"),))
ROCE = Rdma((RdmaDevice("mlx5_0", ports=(Port(link_layer="Ethernet"),)),))
UNUSED = Rdma((RdmaDevice("mlx5_0", ports=(Port(state="DOWN"),)),))
ETHERNET = Missing("rdma", "not-here")
UBUNTU = Limit(1024, 1048576)
ENDLESS = Limit()
METAL = Host()
DOCKER = Host(container="docker", memory_limit_bytes=8 * GIB)
ONE_NODE = Environment({"NODE_RANK": "0", "NNODES": "1"})
TWO_NODES = Environment({"NODE_RANK": "0", "NNODES": "2"})


def locked(soft: int | None, hard: int | None = 8 << 20, capable: bool = False) -> Limits:
    return Limits(memlock_bytes=Limit(soft, hard), may_lock_memory=capable)


def killed(process: str, seconds_ago: float | None, out: str = "Out") -> KernelLog:
    text = f"{out} of memory: Killed process 4711 ({process})"
    return KernelLog(
        "/dev/kmsg", 1e6, (KernelMessage("oom-kill", process=process, seconds_ago=seconds_ago, text=text),)
    )


CASES = [
    Case("everything unlimited", (Limits(oom_kills=0), INFINIBAND, METAL, Environment())),
    Case("8 MiB of locked memory, and no RDMA", (locked(8 << 20), ETHERNET, METAL)),
    Case("8 MiB, and the adapter is not connected", (locked(8 << 20), UNUSED, METAL)),
    Case("8 MiB, and CAP_IPC_LOCK", (locked(8 << 20, capable=True), INFINIBAND, METAL)),
    Case("systemd's 8 MiB", (locked(8 << 20), INFINIBAND, METAL, TWO_NODES), {"memlock-limit": "error"}),
    Case(
        "64 KiB of which a user may take more",
        (locked(65536, None), INFINIBAND, METAL, TWO_NODES),
        {"memlock-limit": "error"},
    ),
    Case(
        "an eighth of the memory",
        (locked(8 * GIB, 8 * GIB), INFINIBAND, METAL, TWO_NODES),
        {"memlock-limit": "warning"},
    ),
    Case("64 KiB in docker", (locked(65536), INFINIBAND, DOCKER, TWO_NODES), {"memlock-limit": "error"}),
    Case(
        "64 KiB in a pod",
        (locked(65536), INFINIBAND, Host(container="kubernetes"), TWO_NODES),
        {"memlock-limit": "error"},
    ),
    Case(
        "64 KiB in a job of Slurm",
        (locked(65536), INFINIBAND, Host(scheduler=Scheduler("slurm", "1", "")), TWO_NODES),
        {"memlock-limit": "error"},
    ),
    Case("host unknown", (locked(8 << 20), INFINIBAND, Missing("host", "failed")), {"memlock-limit": "warning"}),
    Case("8 MiB, nothing tells of nodes", (locked(8 << 20), INFINIBAND, METAL), {"memlock-limit": "warning"}),
    Case("8 MiB on one node", (locked(8 << 20), INFINIBAND, METAL, ONE_NODE), {"memlock-limit": "note"}),
    Case("8 MiB, and a server's Ethernet", (locked(8 << 20), ROCE, METAL), {"memlock-limit": "note"}),
    Case("an eighth of the memory, nothing tells of nodes", (locked(8 * GIB), INFINIBAND), {"memlock-limit": "note"}),
    Case("64 KiB, and the adapters are closed to the container", (locked(65536), CLOSED, DOCKER, TWO_NODES)),
    Case("what Ubuntu gives", (Limits(open_files=UBUNTU), METAL, Environment()), {"too-many-open-files": "note"}),
    Case(
        "what Ubuntu gives, for two nodes",
        (Limits(open_files=UBUNTU), METAL, TWO_NODES),
        {"too-many-open-files": "note"},
    ),
    Case(
        "what Ubuntu gives, for eight nodes",
        (Limits(open_files=UBUNTU), METAL, Environment({"NODE_RANK": "0", "NNODES": "8"})),
        {"too-many-open-files": "warning"},
    ),
    Case(
        "what Ubuntu gives, for 64 ranks",
        (Limits(open_files=UBUNTU), METAL, Environment({"RANK": "0", "WORLD_SIZE": "64", "TORCHELASTIC_RUN_ID": "1"})),
        {"too-many-open-files": "warning"},
    ),
    Case("256, as macOS gives", (Limits(open_files=Limit(256, None)), METAL), {"too-many-open-files": "warning"}),
    Case("4096 for good", (Limits(open_files=Limit(4096, 4096)), METAL), {"too-many-open-files": "note"}),
    Case("1024 in docker", (Limits(open_files=Limit(1024, 1024)), DOCKER), {"too-many-open-files": "note"}),
    Case(
        "plenty of files",
        (Limits(open_files=Limit(65536, 65536), system_open_files=10, system_open_files_limit=100), METAL),
    ),
    Case(
        "the machine nears its limit",
        (Limits(system_open_files=85, system_open_files_limit=100), METAL),
        {"too-many-open-files": "warning"},
    ),
    Case(
        "the machine is at its limit",
        (Limits(system_open_files=99, system_open_files_limit=100), METAL),
        {"too-many-open-files": "error"},
    ),
    Case(
        "killed in this container",
        (Limits(oom_kills=3, oom_kills_source="/x"), DOCKER),
        {"host-out-of-memory": "warning"},
    ),
    Case(
        "killed in this user's session",
        (Limits(oom_kills=3, oom_kills_source="/x"), METAL),
        {"host-out-of-memory": "note"},
    ),
    Case(
        "a worker was killed just now",
        (Limits(), METAL, killed("pt_data_worker", 120.0)),
        {"host-out-of-memory": "warning"},
    ),
    Case(
        "a worker was killed at the limit of its container",
        (Limits(), METAL, killed("pt_data_worker", 120.0, "Memory cgroup out")),
        {"host-out-of-memory": "warning"},
    ),
    Case("another program was killed", (Limits(), METAL, killed("java", 120.0)), {"host-out-of-memory": "note"}),
    Case("killed yesterday", (Limits(oom_kills=0), METAL, killed("python", 86400.0))),
    Case("killed at an unknown time", (Limits(), METAL, killed("python", None))),
    Case("no limits on this platform", (Missing("limits", "not-supported"), METAL)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("systemd's 8 MiB", "echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/90-memlock.conf"),
        ("64 KiB of which a user may take more", "ulimit -l unlimited"),
        ("64 KiB in docker", "docker run --ulimit memlock=-1 --cap-add=IPC_LOCK ..."),
        ("64 KiB in a pod", "securityContext: {capabilities: {add: [IPC_LOCK]}}"),
        ("64 KiB in a job of Slurm", "sudo systemctl edit slurmd   # [Service] LimitMEMLOCK=infinity"),
        ("what Ubuntu gives", "ulimit -n 65536"),
        ("1024 in docker", "docker run --ulimit nofile=65536:65536 ..."),
        ("the machine nears its limit", "sudo sysctl -w fs.file-max=200"),
        ("killed in this container", "cat /x"),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.command or finding.look) == command


@pytest.mark.parametrize(
    ("about", "title", "help_says"),
    [
        ("a worker was killed just now", "for want of memory 2 minutes ago", "fewer DataLoader workers, a smaller"),
        (
            "a worker was killed at the limit of its container",
            "the kernel killed pt_data_worker at the memory limit of its container, job or service 2 minutes ago",
            "the machine itself has memory left: ask for more",
        ),
    ],
)
def test_what_ran_out_of_memory_is_said(about: str, title: str, help_says: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    words = finding.words
    assert words.title and title in words.title.say("en", finding.evidence)
    assert words.help and help_says in words.help.say("en", finding.evidence)


def test_the_fix_has_the_findings_own_words() -> None:
    file = topic_file(FILE)
    (the_fix,) = (fix for fix in file.fixes if fix.name == "limits")
    cases = [case for case in CASES if case.about in ("1024 in docker", "64 KiB in docker", "what Ubuntu gives")]
    assert len(cases) == 3
    for case in cases:
        (finding,) = case.assert_holds(FILE)
        known = {type(fact): fact for fact in case.facts}
        plan = the_fix.make(known.get(Limits, Limits()), known.get(Rdma), known.get(Host), known.get(Environment))
        (step,) = plan.by_hand
        assert step.command == finding.command
        assert finding.words.title is not None
        assert step.why.say("zh").startswith(finding.words.title.say("zh", finding.evidence))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(), "unlimited open files, unlimited locked memory"),
        (Limits(memlock_bytes=Limit(8 << 20, None), open_files=UBUNTU), "1024 open files, 8 MB locked memory"),
    ],
)
def test_the_topic_s_line(limits: Limits, said: str) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(limits)
    assert told is not None
    assert told[0].say("en", told[1]) == said


def test_kills_within_a_minute_are_told_alike() -> None:
    """What is printed alike on two nodes is one finding."""
    ages = (119.8, 121.3)
    told = [Case("", (Limits(), METAL, killed("python", age)), {"host-out-of-memory": "warning"}) for age in ages]
    assert [finding.evidence["minutes"] for case in told for finding in case.assert_holds(FILE)] == [2, 2]
