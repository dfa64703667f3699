"""checks/rendezvous.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import Failure
from envdoctor.facts.asked import Asked
from envdoctor.facts.environment import Environment
from envdoctor.facts.rendezvous import Binding, PortHolder, RendezvousPort, RendezvousReach, Target
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.bench_results import stopped

FILE = CHECKS / "rendezvous.py"

FREE = Binding("", "")
BUSY = Binding("EADDRINUSE", "EADDRINUSE")
DENIED = Binding("EACCES", "EACCES")
RANGE = (32768, 60999)
INTRUDER = PortHolder("0.0.0.0", pid=4711, user="eve", command="python train.py")
HIDDEN = PortHolder("0.0.0.0", user="eve")
AGENT = PortHolder("::", pid=4711, user="me", command="torchrun train.py", own=True)
SHELL = Environment()
AT_BIND = Failure("bind", 0, "gpu01", "bind", port=29500, error="EADDRINUSE")
AT_STORE = Failure("store", 0, "gpu01", "raised", error="port: 29777, code: -98, message: address already in use\n...")
TAKEN = stopped("store", AT_STORE)
REMOTE = RendezvousReach((Target("gpu01", 29500, "MASTER_ADDR", addresses=("10.0.0.1",), outcome="connected"),))
LOCAL = RendezvousReach((Target("gpu01", 29500, "MASTER_ADDR", addresses=("10.0.0.1",), local=True),))


def env(**variables: object) -> Environment:
    return Environment({name: str(value) for name, value in variables.items()})


def port(
    number: int | None = 29500,
    source: str = "",
    bind: Binding = FREE,
    *holders: PortHolder,
    free: int = 0,
    given: str = "",
) -> RendezvousPort:
    return RendezvousPort(number, given or str(number), source, bind, holders, free, RANGE)


CASES = [
    Case("29500 is free", (port(), SHELL, Asked())),
    Case(
        "rank 0 of a benchmark could not open its store, and nobody holds it", (TAKEN, port()), {"port-in-use": "error"}
    ),
    Case("nor open its roll call", (stopped("bind", AT_BIND),), {"port-in-use": "error"}),
    Case("the store failed for another reason", (stopped("store", replace(AT_STORE, error="timed out")), port())),
    Case("a benchmark, and who holds the port is seen", (TAKEN, port(bind=BUSY), SHELL), {"port-in-use": "warning"}),
    Case("IPv6 is off and IPv4 is free", (port(bind=Binding("", "EAFNOSUPPORT")), SHELL)),
    Case("only [::1] is held, which TCPStore gets around", (port(bind=Binding("", "EADDRINUSE")), SHELL)),
    Case("torchrun's own agent holds it", (port(29500, "MASTER_PORT", BUSY, AGENT), SHELL)),
    Case(
        "the master is another machine, so its port here does not matter",
        (port(29500, "MASTER_PORT", BUSY, INTRUDER), SHELL, REMOTE),
    ),
    Case(
        "a later node, offline",
        (
            port(29500, "MASTER_PORT", BUSY, INTRUDER),
            env(NODE_RANK=1, NNODES=2),
            Missing("rendezvous-reach", "not-asked"),
        ),
    ),
    Case("nothing is known of the port", (Missing("rendezvous-port", "failed"), SHELL)),
    Case("a usual port", (port(29500, "MASTER_PORT"), env(MASTER_ADDR="gpu01.example.com"))),
    Case("any port, for torchrun", (port(0, "PET_MASTER_PORT"), SHELL)),
    Case("an IPv6 master", (port(), env(MASTER_ADDR="fe80::1%eth0"))),
    Case("an underscore, as compose names hosts", (port(), env(MASTER_ADDR="trainer_0"))),
    Case(
        "another's training, and none of ours is under way",
        (port(29500, "", BUSY, INTRUDER, free=29501), SHELL, Asked()),
        {"port-in-use": "warning"},
    ),
    Case(
        "the same, asked by topic",
        (port(29500, "", BUSY, INTRUDER, free=29501), SHELL, Asked(topics=("rendezvous",))),
        {"port-in-use": "error"},
    ),
    Case(
        "asked with --port",
        (port(23456, "--port", BUSY, INTRUDER, free=23457), SHELL, Asked()),
        {"port-in-use": "error"},
    ),
    Case(
        "MASTER_PORT, and the master is here",
        (port(22, "MASTER_PORT", BUSY, HIDDEN, free=23), env(MASTER_ADDR="gpu01"), LOCAL),
        {"port-in-use": "error"},
    ),
    Case("nobody is seen holding it", (port(29500, "", BUSY), SHELL), {"port-in-use": "warning"}),
    Case("a port of the client range", (port(40000, "--port"), SHELL), {"port-in-ephemeral-range": "note"}),
    Case("no number", (port(None, "MASTER_PORT", given="http"), SHELL), {"master-port-invalid": "error"}),
    Case(
        "a platform's list of ports",
        (port(None, "MASTER_PORT", given="9001,9002"), SHELL),
        {"master-port-invalid": "error"},
    ),
    Case("a port for root", (port(80, "MASTER_PORT", DENIED), SHELL), {"master-port-invalid": "error"}),
    Case("a port for root, asked", (port(80, "--port", DENIED), SHELL), {"master-port-invalid": "error"}),
    Case("MASTER_PORT=0", (port(0, "MASTER_PORT"), SHELL), {"master-port-invalid": "warning"}),
    Case("a URL", (port(), env(MASTER_ADDR="tcp://10.0.0.1:29500")), {"master-addr-malformed": "error"}),
    Case("a trailing blank", (port(), env(MASTER_ADDR="gpu01 ")), {"master-addr-malformed": "error"}),
    Case("brackets", (port(), env(PET_MASTER_ADDR="[fe80::1]")), {"master-addr-malformed": "error"}),
    Case("a placeholder", (port(), env(MASTER_ADDR="<ip of node 0>")), {"master-addr-malformed": "error"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("another's training", "torchrun --master-port=29501 ..."),
        ("MASTER_PORT, and", "export MASTER_PORT=23"),
        ("nobody is seen", 'ss -ltnp "sport = :29500"'),
        ("a platform's list", "export MASTER_PORT=${MASTER_PORT%%,*}"),
        ("a port for root, asked", "envdoctor check rendezvous --port 29500"),
        ("a URL", "export MASTER_ADDR=10.0.0.1"),
        ("brackets", "export PET_MASTER_ADDR=fe80::1"),
        ("a trailing blank", "export MASTER_ADDR=gpu01"),
        ("a placeholder", "export MASTER_ADDR=$(hostname -i)"),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about.startswith(about)).assert_holds(FILE)
    assert finding.command == command


def test_reserved_ports_are_safe_within_the_client_range() -> None:
    assert not RendezvousPort(40000, ephemeral=RANGE, reserved="29400-29600,39000-40000").may_be_taken_by_a_client
    assert RendezvousPort(40000, ephemeral=RANGE, reserved="29400-29600,40001").may_be_taken_by_a_client
    assert not RendezvousPort(40000).may_be_taken_by_a_client


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (port(), "port 29500 is free"),
        (port(29500, "", BUSY, INTRUDER), "port 29500 cannot be bound"),
        (port(29500, "", BUSY, AGENT), "port 29500, held by this job"),
        (port(None, "MASTER_PORT", given="x"), "x is no port"),
    ],
)
def test_the_topic_s_line(fact: RendezvousPort, said: str) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(fact)
    assert told is not None
    assert told[0].say("en", told[1]) == said
