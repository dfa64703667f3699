"""checks/master.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import engine
from envdoctor.columns import Facts
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.names import HostNames, NameResolution, Resolution
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.model import Missing
from envdoctor.testing import Case, speak, topic_file
from tests import CHECKS

FILE = CHECKS / "master.py"


def env(**variables: object) -> Environment:
    return Environment({name: str(value) for name, value in variables.items()})


TARGET = Target("gpu01", 29500, "MASTER_ADDR", addresses=("10.0.0.1",))
NODE_1 = env(MASTER_ADDR="gpu01", NODE_RANK=1, NNODES=2)
NODE_0 = env(MASTER_ADDR="gpu01", NODE_RANK=0, NNODES=2)
WORKER = env(TORCHELASTIC_RUN_ID="none", RANK=8, WORLD_SIZE=16, GROUP_RANK=1, GROUP_WORLD_SIZE=2, MASTER_ADDR="gpu01")
C10D = {"PET_RDZV_BACKEND": "c10d", "PET_RDZV_ENDPOINT": "10.0.0.1:29400"}
ENDPOINT = Target("10.0.0.1", 29400, "PET_RDZV_ENDPOINT", addresses=("10.0.0.1",))
NAMES = HostNames("gpu01", outward_address="10.0.0.1")
DEBIAN = NameResolution((Resolution("gpu01", own=True, ipv4=("127.0.1.1",), local=("127.0.1.1",)),))
NAMED_RIGHT = NameResolution((Resolution("gpu01", own=True, ipv4=("10.0.0.1",), local=("10.0.0.1",)),))
ETCD = Target("etcd", 2379, "PET_RDZV_ENDPOINT", "etcd", ("10.0.0.9",), outcome="refused")

ITSELF = Target("127.0.0.1", 0, "--master-addr", addresses=("127.0.0.1",), outcome="EHOSTUNREACH")
DOWN = Nics((Nic("lo", 1, "loopback", up=False, running=False),))
UP = Nics((Nic("lo", 1, "loopback"),))


def reach(target: Target, **changes: object) -> RendezvousReach:
    return RendezvousReach((replace(target, **changes),))  # type: ignore[arg-type]


CASES = [
    Case("no endpoint is named", (RendezvousReach(), Environment(), NAMES, DEBIAN)),
    Case("offline", (Missing("rendezvous-reach", "not-asked"), NODE_1)),
    Case("the master answers", (reach(TARGET, outcome="connected"), NODE_1)),
    Case("the master is this machine", (reach(TARGET, local=True), NODE_0)),
    Case("a name that does not resolve is told by another topic", (reach(TARGET, outcome="unresolvable"), NODE_1)),
    Case(
        "resolving took too long, which says nothing of the master",
        (reach(TARGET, outcome="unresolved-in-time"), NODE_1),
    ),
    Case("localhost on one node", (RendezvousReach(), env(RANK=0, WORLD_SIZE=8, MASTER_ADDR="localhost", NNODES=1))),
    Case("etcd is told by another file", (RendezvousReach((ETCD,)), env(PET_RDZV_BACKEND="etcd-v2"))),
    Case("silence", (reach(TARGET, outcome="timeout", elsewhere="timeout"), NODE_1), {"master-unreachable": "error"}),
    Case(
        "rank 0 listens",
        (reach(TARGET, outcome="timeout", elsewhere="listens"), NODE_1),
        {"master-unreachable": "error"},
    ),
    Case("a login from there works", (reach(TARGET, outcome="timeout", elsewhere="login"), NODE_1)),
    Case("no route", (reach(TARGET, outcome="EHOSTUNREACH"), NODE_1), {"master-unreachable": "error"}),
    Case("no way to itself without lo", (reach(ITSELF), Environment(), DOWN), {"master-unreachable": "error"}),
    Case("lo is there, and yet no way", (reach(ITSELF), Environment(), UP), {"master-unreachable": "error"}),
    Case("refused before the start", (reach(TARGET, outcome="refused"), NODE_1), {"master-unreachable": "note"}),
    Case(
        "refused to a worker of torchrun", (reach(TARGET, outcome="refused"), WORKER), {"master-unreachable": "error"}
    ),
    Case("a firewall is told by another file", (reach(TARGET, outcome="timeout", elsewhere="connected"), NODE_1)),
    Case(
        "something else answers a benchmark there",
        (reach(TARGET, outcome="foreign", error="HTTP/1.0 400"), NODE_1),
        {"master-unreachable": "error"},
    ),
    Case(
        "node 0 of a benchmark got nowhere, in a container",
        (reach(TARGET, outcome="not-here", waited_s=4.0), NODE_0, NAMES, Host(container="docker")),
        {"master-unreachable": "error"},
    ),
    Case(
        "refused for as long as a benchmark waited",
        (reach(TARGET, outcome="refused", waited_s=60.0), NODE_1),
        {"master-unreachable": "error"},
    ),
    Case(
        "node 0 was given another machine's address",
        (reach(TARGET, outcome="refused"), NODE_0, NAMES, Host()),
        {"master-unreachable": "error"},
    ),
    Case(
        "a pod behind a service's address",
        (reach(TARGET, outcome="refused"), NODE_0, NAMES, Host(container="kubernetes")),
        {"master-unreachable": "warning"},
    ),
    Case(
        "localhost on two nodes",
        (RendezvousReach(), env(MASTER_ADDR="localhost", NODE_RANK=1, NNODES=2)),
        {"master-unreachable": "error"},
    ),
    Case(
        "127.0.0.1 on the nodes of a Slurm job",
        (
            env(
                MASTER_ADDR="127.0.0.1",
                RANK=3,
                WORLD_SIZE=8,
                SLURM_JOB_ID=1,
                SLURM_NNODES=2,
                SLURM_JOB_NODELIST="n[1-2]",
            ),
        ),
        {"master-unreachable": "error"},
    ),
    Case("torchrun knows its own name's address", (reach(ENDPOINT, local=True), NAMES, NAMED_RIGHT, env(**C10D))),
    Case(
        "the static backend goes by node rank",
        (reach(ENDPOINT, local=True), NAMES, DEBIAN, env(PET_RDZV_ENDPOINT="10.0.0.1:29400")),
    ),
    Case(
        "told outright who is the host",
        (reach(ENDPOINT, local=True), NAMES, DEBIAN, env(**C10D, PET_RDZV_CONF="is_host=true")),
    ),
    Case("c10d without an endpoint", (RendezvousReach(), NAMES, DEBIAN, env(PET_RDZV_BACKEND="c10d"))),
    Case(
        "Debian's 127.0.1.1 hides the address from torchrun",
        (reach(ENDPOINT, local=True), NAMES, DEBIAN, env(**C10D, PET_NNODES=2)),
        {"rdzv-host-not-local": "error"},
    ),
    Case(
        "a single node with a distant endpoint",
        (reach(ENDPOINT, outcome="connected"), NAMES, NAMED_RIGHT, env(**C10D, PET_NNODES=1)),
        {"rdzv-host-not-local": "error"},
    ),
    Case("a proxy on one node", (env(http_proxy="http://p:3128", RANK=0, WORLD_SIZE=2, MASTER_ADDR="gpu01"),)),
    Case(
        "a proxy that leaves the nodes alone",
        (
            env(
                http_proxy="http://p:3128",
                no_proxy="localhost,10.0.0.0/8",
                NODE_RANK=1,
                NNODES=2,
                MASTER_ADDR="10.0.0.1",
            ),
        ),
    ),
    Case(
        "a proxy for everything",
        (
            env(
                http_proxy="http://p:3128",
                no_proxy="localhost,,.example.org",
                NODE_RANK=1,
                NNODES=2,
                MASTER_ADDR="gpu01",
            ),
        ),
        {"proxy-interferes": "note"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_where_lo_is_down_that_is_said_and_mended() -> None:
    said = {}
    for name in ("no way to itself without lo", "lo is there, and yet no way"):
        (found,) = next(case for case in CASES if case.about == name).assert_holds(FILE)
        said[name] = found.situation, found.command
    assert list(said.values()) == [("lo-down", "ip link set lo up"), ("no-route", None)]


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("node 0 was given", "export MASTER_ADDR=10.0.0.1"),
        ("127.0.0.1 on the nodes", 'export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'),
        ("localhost on two nodes", "hostname -I   # on the first node; export MASTER_ADDR to it on all nodes"),
        ("a single node", "torchrun --standalone ..."),
        ("no route", "ip route get 10.0.0.1"),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about.startswith(about)).assert_holds(FILE)
    assert (finding.command or finding.look) == command


def test_nodes_name_one_master() -> None:
    def over(*environments: Environment) -> list[tuple[str | None, tuple[str, ...]]]:
        node_facts: dict[str, Facts] = {
            f"n{number}": {Environment: environment} for number, environment in enumerate(environments)
        }
        outcomes = engine.run(topic_file(FILE).checks, node_facts)
        assert not [outcome.traceback for outcome in outcomes if outcome.status == "crashed"]
        found = engine.fold(outcomes)
        for finding in found:
            speak(finding)
        return [(finding.situation, finding.nodes) for finding in found]

    def node(rank: int, address: str, port: int) -> Environment:
        return env(NODE_RANK=rank, NNODES=2, MASTER_ADDR=address, MASTER_PORT=port)

    assert over(node(0, "gpu01", 29500), node(1, "gpu01", 29500), Environment()) == []
    assert over(node(0, "gpu01", 29500), node(1, "gpu02", 29500)) == [("nodes-disagree", ("n0", "n1"))]
    assert over(node(0, "gpu01", 29501), node(1, "gpu01", 29502)) == [("nodes-disagree", ("n0", "n1"))]


@pytest.mark.parametrize(
    ("host", "no_proxy", "covered"),
    [
        ("gpu01.lab.org", ".lab.org", True),
        ("gpu01.lab.org", "lab.org", True),
        ("gpu01.lab.org", "*.lab.org", True),
        ("gpu01.lab.org", "01.lab.org", False),
        ("gpu01", "*", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.2.0.0/16", False),
        ("gpu01", "", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, covered: bool) -> None:
    module = topic_file(FILE).module
    assert module is not None
    assert module.excepted(host, no_proxy) is covered


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (RendezvousReach(), "no endpoint is named"),
        (reach(TARGET, local=True), "gpu01 is this machine"),
        (reach(TARGET, outcome="refused"), "gpu01:29500 refused"),
    ],
)
def test_the_topic_s_line(fact: RendezvousReach, said: str) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(fact)
    assert told is not None
    assert told[0].say("en", told[1]) == said
