"""checks/addressing.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.nccl import ConfFile, NcclSettings, Row
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.interfaces import DOCKER0, EIGHT, ETH0, LO, NOTHING, SIXTEEN, nics, with_variables

FILE = CHECKS / "addressing.py"
MISSING = "interface-missing"
PLAIN = nics(LO, ETH0, DOCKER0)
IDLE = nics(LO, ETH0, (Nic("ens3", 3, running=False), ("10.1.0.1/24",)))
BARE = nics(LO, ETH0, (Nic("ens3", 3), ()))
DOWN = nics(LO, ETH0, (Nic("ens3", 3, up=False), ()))
SIX = nics(LO, (ETH0[0], ("2001:db8::b/64", "fe80::b/64")), source="", source6="2001:db8::b")
LOGIN_NODE = PciDevices()
GPU_NODE = PciDevices((PciDevice("0000:1b:00.0", "0x10de", kind="gpu"),))
CONF = NcclSettings((ConfFile("/etc/nccl.conf", "system", rows=(Row("NCCL_SOCKET_IFNAME", "ens", 1),)),))


def names(**variables: str) -> object:
    return with_variables(SIXTEEN, **variables)


CASES = [
    Case("a name nobody has", (PLAIN, names(NCCL_SOCKET_IFNAME="ens3")), {MISSING: "error"}),
    Case("a beginning is enough", (PLAIN, names(NCCL_SOCKET_IFNAME="eth"))),
    Case("not with =", (PLAIN, names(NCCL_SOCKET_IFNAME="=eth")), {MISSING: "error"}),
    Case("everything excluded", (PLAIN, names(NCCL_SOCKET_IFNAME="^lo,eth,docker")), {MISSING: "error"}),
    Case("an exclusion of what is not there", (PLAIN, names(NCCL_SOCKET_IFNAME="^ens3"))),
    Case("one of two", (PLAIN, names(NCCL_SOCKET_IFNAME="=eth0,ens3")), {MISSING: "note"}),
    Case("one character is ignored", (PLAIN, names(NCCL_SOCKET_IFNAME="x", GLOO_SOCKET_IFNAME="x"))),
    Case("in a file", (PLAIN, SIXTEEN, CONF), {MISSING: "error"}),
    Case("no carrier", (IDLE, names(NCCL_SOCKET_IFNAME="ens3")), {MISSING: "error"}),
    Case("no address", (BARE, names(NCCL_SOCKET_IFNAME="ens3")), {MISSING: "error"}),
    Case("down", (DOWN, names(GLOO_SOCKET_IFNAME="ens3")), {MISSING: "error"}),
    Case("gloo knows no beginnings", (PLAIN, names(GLOO_SOCKET_IFNAME="eth")), {MISSING: "error"}),
    Case("gloo knows no signs", (PLAIN, names(GLOO_SOCKET_IFNAME="^lo,docker")), {MISSING: "error"}),
    Case("gloo takes the name", (PLAIN, names(GLOO_SOCKET_IFNAME="eth0"))),
    Case("a blank is part of a name", (PLAIN, names(GLOO_SOCKET_IFNAME="eth0, eth0")), {MISSING: "error"}),
    Case(
        "a login node with the compute nodes' start-up files",
        (PLAIN, with_variables(NCCL_SOCKET_IFNAME="ib0"), LOGIN_NODE),
        {MISSING: "warning"},
    ),
    Case(
        "a GPU machine outside of a job",
        (PLAIN, with_variables(NCCL_SOCKET_IFNAME="ib0"), GPU_NODE),
        {MISSING: "error"},
    ),
    Case("nothing set", (PLAIN, NOTHING, LOGIN_NODE)),
    Case("IPv6 wanted where there is none", (nics(ETH0), names(NCCL_SOCKET_FAMILY="AF_INET6")), {MISSING: "error"}),
    Case("IPv4 wanted", (nics(ETH0), names(NCCL_SOCKET_FAMILY="AF_INET"))),
    Case(
        "no interface left, and none better known",
        (nics(LO, source=""), names(NCCL_SOCKET_IFNAME="eth0")),
        {MISSING: "error"},
    ),
    Case("IPv6 only", (SIX, NOTHING), {"ipv6-only": "note"}),
    Case("IPv6 only, two nodes", (SIX, SIXTEEN), {"ipv6-only": "warning"}),
    Case("IPv6 only, the master is IPv4", (replace(SIX, master="10.0.0.1"), SIXTEEN), {"ipv6-only": "error"}),
    Case("IPv6 only, the master is IPv6", (replace(SIX, master="2001:db8::a"), EIGHT), {"ipv6-only": "note"}),
    Case("both", (nics(LO, (ETH0[0], ("10.0.0.11/24", "2001:db8::b/64"))), SIXTEEN)),
    Case("a loopback and nothing else", (nics(LO, source=""), EIGHT)),
    Case("no interface at all", (Nics(), NOTHING)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def evidence(about: str) -> tuple[str | None, str | None, dict[str, object]]:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    return finding.situation, finding.command, dict(finding.evidence)


def test_the_command_names_an_interface_that_is_there() -> None:
    assert evidence("a name nobody has")[1] == "export NCCL_SOCKET_IFNAME='=eth0'"
    assert evidence("gloo knows no beginnings")[1] == "export GLOO_SOCKET_IFNAME='eth0'"
    assert evidence("in a file")[1] == "sed -i '1s/=.*/==eth0/' /etc/nccl.conf"
    assert evidence("no interface left, and none better known")[1] == "ip -br address"
    assert evidence("IPv6 wanted where there is none")[:2] == ("family", "unset NCCL_SOCKET_FAMILY")


@pytest.mark.parametrize(
    ("about", "state"), [("no carrier", "no carrier"), ("no address", "no address"), ("down", "down")]
)
def test_an_interface_that_is_there_but_of_no_use(about: str, state: str) -> None:
    situation, _, values = evidence(about)
    assert (situation, values["name"], values["state"]) == ("idle", "ens3", state)


def test_the_name_that_gloo_meets_first_is_told() -> None:
    assert evidence("a blank is part of a name")[2]["name"] == " eth0"
