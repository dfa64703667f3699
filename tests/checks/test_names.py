"""checks/names.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.asked import Asked
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.names import HostNames, HostsLine, NameResolution, Resolution
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "names.py"


def env(**variables: object) -> Environment:
    return Environment({name: str(value) for name, value in variables.items()})


SHELL = Environment()
TWO_NODES = env(NODE_RANK=1, NNODES=2, MASTER_ADDR="gpu01")
TORCHRUN = env(PET_NNODES=2, PET_NODE_RANK=1)
OFFLINE = Missing("name-resolution", "not-asked")
DEBIAN = HostNames("gpu02", (HostsLine(2, "127.0.1.1", ("gpu02",)),), ("files", "dns"), "10.0.0.2")
CLOUD = HostNames("gpu02", (HostsLine(2, "10.0.0.2", ("gpu02",)),), ("files", "dns"), "10.0.0.2")


def own(*addresses: str, here: bool = True, error: str = "", in_time: bool = True, name: str = "gpu02") -> Resolution:
    local = addresses if here else ()
    return Resolution(name, "", True, addresses, (), local, error=error, in_time=in_time)


def answers(*resolutions: Resolution, fully_qualified: str = "gpu02") -> NameResolution:
    return NameResolution(resolutions, fully_qualified)


GOOD = own("10.0.0.2")
MASTER = Resolution("gpu01", "MASTER_ADDR", ipv4=("10.0.0.1",))
NO_NAME = "EAI_NONAME Name or service not known"

CASES = [
    Case("Debian's 127.0.1.1 on a single machine", (DEBIAN, answers(own("127.0.1.1")), SHELL, Asked())),
    Case("the same, offline", (DEBIAN, OFFLINE, SHELL)),
    Case("two nodes with proper names", (CLOUD, answers(GOOD, MASTER), TWO_NODES, Host())),
    Case("two nodes, files say loopback and the resolver knows better", (DEBIAN, answers(GOOD), TWO_NODES)),
    Case("nsswitch does not ask the files", (HostNames("gpu02", DEBIAN.hosts_lines, ("dns",)), OFFLINE, TWO_NODES)),
    Case(
        "gloo was told its interface",
        (DEBIAN, answers(own("127.0.1.1")), env(NODE_RANK=1, NNODES=2, GLOO_SOCKET_IFNAME="eth0")),
    ),
    Case(
        "a machine called localhost", (HostNames("localhost"), answers(own("127.0.0.1", name="localhost")), TWO_NODES)
    ),
    Case(
        "MASTER_ADDR=localhost is another topic's",
        (CLOUD, answers(GOOD, Resolution("localhost", "MASTER_ADDR", ipv4=("127.0.0.1",))), TWO_NODES),
    ),
    Case("no names at all", (Missing("host-names", "failed"), OFFLINE, SHELL)),
    Case("an address is no name of digits", (CLOUD, answers(GOOD), env(MASTER_ADDR="10.0.0.1"))),
    Case(
        "asked for names on a single machine",
        (DEBIAN, OFFLINE, SHELL, Asked(topics=("rendezvous",))),
        {"hostname-loopback": "note"},
    ),
    Case("two nodes", (DEBIAN, answers(own("127.0.1.1")), TWO_NODES), {"hostname-loopback": "warning"}),
    Case("two nodes, offline", (DEBIAN, OFFLINE, TWO_NODES), {"hostname-loopback": "warning"}),
    Case(
        "two nodes, and no address to write",
        (HostNames("gpu02", DEBIAN.hosts_lines), OFFLINE, TWO_NODES),
        {"hostname-loopback": "warning"},
    ),
    Case(
        "torchrun's agents would be told localhost",
        (DEBIAN, answers(own("127.0.0.1"), fully_qualified="localhost"), TORCHRUN),
        {"hostname-loopback": "error"},
    ),
    Case(
        "a copied /etc/hosts names the master on loopback",
        (
            HostNames("gpu02", (HostsLine(2, "127.0.1.1", ("gpu01",)),)),
            answers(GOOD, Resolution("gpu01", "MASTER_ADDR", ipv4=("127.0.1.1",), local=("127.0.1.1",))),
            TWO_NODES,
        ),
        {"hostname-loopback": "error"},
    ),
    Case(
        "the master is unknown",
        (CLOUD, answers(GOOD, Resolution("gpu01", "MASTER_ADDR", error=NO_NAME)), TWO_NODES, Host()),
        {"hostname-unresolvable": "error"},
    ),
    Case(
        "the master's pod is not there yet",
        (
            CLOUD,
            answers(GOOD, Resolution("job-0", "MASTER_ADDR", error=NO_NAME)),
            TWO_NODES,
            Host(container="kubernetes"),
        ),
        {"hostname-unresolvable": "warning"},
    ),
    Case(
        "the own name is unknown, no job",
        (CLOUD, answers(own(error=NO_NAME)), SHELL),
        {"hostname-unresolvable": "warning"},
    ),
    Case(
        "the own name is unknown in a job",
        (CLOUD, answers(own(error=NO_NAME)), TORCHRUN),
        {"hostname-unresolvable": "error"},
    ),
    Case(
        "the name server is silent about the own name",
        (CLOUD, answers(own(in_time=False)), SHELL),
        {"hostname-unresolvable": "warning"},
    ),
    Case(
        "the name server is silent about the master",
        (CLOUD, answers(GOOD, Resolution("gpu01", "MASTER_ADDR", in_time=False)), TWO_NODES),
        {"hostname-unresolvable": "error"},
    ),
    Case(
        "a container named by digits",
        (HostNames("6834975"), answers(own("0.104.75.31", here=False, name="6834975")), SHELL),
        {"hostname-misresolved": "warning"},
    ),
    Case("the same in a job, offline", (HostNames("6834975"), OFFLINE, TORCHRUN), {"hostname-misresolved": "error"}),
    Case("MASTER_ADDR=12345", (CLOUD, OFFLINE, env(MASTER_ADDR="12345")), {"hostname-misresolved": "error"}),
    Case(
        "an old entry of the name server",
        (CLOUD, answers(own("10.9.9.9", here=False)), SHELL),
        {"hostname-misresolved": "warning"},
    ),
    Case(
        "an old entry of the name server, two nodes",
        (CLOUD, answers(own("10.9.9.9", here=False)), TORCHRUN),
        {"hostname-misresolved": "error"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("two nodes", "sudo sed -i '1i 10.0.0.2 gpu02' /etc/hosts"),
        ("two nodes, and no address to write", "getent ahosts $(hostname)"),
        ("a copied /etc/hosts names the master on loopback", "grep -n gpu01 /etc/hosts"),
        ("the own name is unknown in a job", "echo '10.0.0.2 gpu02' | sudo tee -a /etc/hosts"),
        ("the name server is silent about the master", "cat /etc/resolv.conf"),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.command or finding.look) == command


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((DEBIAN, None), "gpu02 is 127.0.1.1 in /etc/hosts"),
        ((DEBIAN, answers(GOOD)), "gpu02 is 10.0.0.2"),
        ((HostNames("x"), answers(own(error=NO_NAME))), "x, not in /etc/hosts"),
    ],
)
def test_the_topic_s_line(facts: tuple[HostNames, NameResolution | None], said: str) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(*facts)
    assert told is not None
    assert told[0].say("en", told[1]) == said
