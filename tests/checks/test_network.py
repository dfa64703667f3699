"""checks/network.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.host import Host
from envdoctor.facts.names import HostNames, HostsLine
from envdoctor.facts.nccl import ConfFile, NcclSettings, Row
from envdoctor.facts.nics import Nic, Nics, Route
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.facts.torch import Pin, TorchInstall
from envdoctor.model import Finding, Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.interfaces import (
    COMPOSE,
    DOCKER0,
    EIGHT,
    ETH0,
    LO,
    NOTHING,
    SIXTEEN,
    VETH,
    nics,
    with_variables,
)

FILE = CHECKS / "network.py"
WRONG = "wrong-interface"
EARLY_BRIDGE = nics(LO, (replace(COMPOSE[0], index=2), COMPOSE[1]), ETH0)
WORKSTATION = nics(LO, ETH0, DOCKER0, COMPOSE, VETH)
DEBIAN = HostNames("gpu-a01", (HostsLine(2, "127.0.1.1", ("gpu-a01",)),), ("files", "dns"))
GOOD_NAME = HostNames("gpu-a01", (HostsLine(2, "10.0.0.11", ("gpu-a01",)),), ("files", "dns"))
OLD_NCCL = TorchInstall(version="2.6.0+cu124", pins=(Pin("nvidia-nccl-cu12", "2.21.5"),))
NEW_NCCL = TorchInstall(version="2.13.0+cu130", pins=(Pin("nvidia-nccl-cu13", "2.29.7"),))
IDLE_BRIDGE = nics(LO, (replace(COMPOSE[0], index=2, running=False), COMPOSE[1]), ETH0)
TAILSCALE = (Nic("tailscale0", 2, "tun", speed_is_real=False), ("100.101.102.103/32",))
BMC = (Nic("bmc_redfish0", 2, "physical", driver="cdc_ether"), ("169.254.0.18/16",))
DUMMY = (Nic("nodelocaldns", 2, "dummy", speed_is_real=False), ("169.254.20.10/32",))
CONTAINER = nics(LO, (Nic("eth0", 7, "veth", speed_is_real=False), ("172.17.0.3/16",)), source="172.17.0.3")
IB = Rdma((RdmaDevice("mlx5_0", (Port(1, rate_gbps=200.0),)),))
HYPERVISOR = nics(
    LO,
    (Nic("eno1", 2, "physical", master="vmbr0", speed_mbps=10000), ()),
    (Nic("vmbr0", 3, "bridge"), ("10.0.0.11/24",)),
    source="",
)


def lan(address: str) -> Nics:
    return nics(LO, (ETH0[0], (f"{address}/24",)), source=address)


def both(address: str, other: str) -> Nics:
    """A machine in two networks."""
    eth9 = Nic("eth9", 9, "physical", speed_mbps=1000)
    return nics(LO, (ETH0[0], (f"{address}/24",)), (eth9, (f"{other}/24",)), source=address)


def island(address: str) -> Nics:
    """A machine with a route to its own network and no other."""
    own = Route("eth0", address.rsplit(".", 1)[0] + ".0", 24)
    return replace(nics(LO, (ETH0[0], (f"{address}/24",)), source=""), routes=(own,))


CASES = [
    Case("a bridge before the real interface, two nodes", (EARLY_BRIDGE, SIXTEEN), {WRONG: "error"}),
    Case("the same without a job", (EARLY_BRIDGE, NOTHING), {WRONG: "note"}),
    Case(
        "docker0 by variable, no job",
        (nics(LO, ETH0, DOCKER0), with_variables(NOTHING, NCCL_SOCKET_IFNAME="docker0")),
        {WRONG: "warning"},
    ),
    Case("a tunnel first, no job", (nics(LO, TAILSCALE, ETH0), NOTHING), {WRONG: "note"}),
    Case("the same on one node", (EARLY_BRIDGE, EIGHT), {WRONG: "note"}),
    Case("a workstation with docker", (WORKSTATION, NOTHING, DEBIAN)),
    Case("the same in a job of one node", (WORKSTATION, EIGHT, DEBIAN)),
    Case("a laptop without a network", (nics(LO, source=""), NOTHING, DEBIAN)),
    Case("no network, yet two nodes", (nics(LO, source=""), SIXTEEN), {WRONG: "error"}),
    Case("an idle bridge: NCCL before 2.28 takes it", (IDLE_BRIDGE, SIXTEEN, OLD_NCCL), {WRONG: "error"}),
    Case("an idle bridge: NCCL since 2.28 does not", (IDLE_BRIDGE, SIXTEEN, NEW_NCCL, GOOD_NAME)),
    Case(
        "docker0 by variable",
        (nics(LO, ETH0, DOCKER0), with_variables(SIXTEEN, NCCL_SOCKET_IFNAME="docker0"), GOOD_NAME),
        {WRONG: "error"},
    ),
    Case(
        "lo by variable on one node is how some run",
        (nics(LO, ETH0), with_variables(EIGHT, NCCL_SOCKET_IFNAME="lo")),
        {WRONG: "note"},
    ),
    Case(
        "docker0 by /etc/nccl.conf",
        (
            nics(LO, ETH0, DOCKER0),
            SIXTEEN,
            NcclSettings((ConfFile("/etc/nccl.conf", "system", rows=(Row("NCCL_SOCKET_IFNAME", "docker0", 3),)),)),
        ),
        {WRONG: "error"},
    ),
    Case("a tunnel first", (nics(LO, TAILSCALE, ETH0), SIXTEEN, GOOD_NAME), {WRONG: "warning"}),
    Case("a tunnel first, on one node", (nics(LO, TAILSCALE, ETH0), EIGHT), {WRONG: "note"}),
    Case(
        "a tunnel by choice",
        (nics(LO, TAILSCALE, ETH0), with_variables(SIXTEEN, NCCL_SOCKET_IFNAME="=tailscale0"), GOOD_NAME),
    ),
    Case("a tunnel that is the default route", (nics(LO, TAILSCALE, source="100.101.102.103"), SIXTEEN)),
    Case("the management controller's link-local interface first", (nics(LO, BMC, ETH0), SIXTEEN), {WRONG: "error"}),
    Case("a dummy first", (nics(LO, DUMMY, ETH0), SIXTEEN), {WRONG: "error"}),
    Case("a bridge second, data over sockets", (nics(LO, ETH0, COMPOSE), SIXTEEN, GOOD_NAME), {WRONG: "warning"}),
    Case("a bridge second, data over InfiniBand", (nics(LO, ETH0, COMPOSE), SIXTEEN, GOOD_NAME, IB)),
    Case("cables of containers, data over sockets", (nics(LO, ETH0, VETH), SIXTEEN, GOOD_NAME), {WRONG: "warning"}),
    Case(
        "services of Kubernetes on an idle dummy, NCCL before 2.28",
        (
            nics(LO, ETH0, (Nic("kube-ipvs0", 9, "dummy", running=False), ("10.96.0.1/32",))),
            SIXTEEN,
            GOOD_NAME,
            OLD_NCCL,
        ),
        {WRONG: "warning"},
    ),
    Case("a tunnel second", (nics(LO, ETH0, (replace(TAILSCALE[0], index=9), TAILSCALE[1])), SIXTEEN, GOOD_NAME)),
    Case("a bridge with a cable in it", (HYPERVISOR, SIXTEEN)),
    Case("gloo on Debian's 127.0.1.1, two nodes", (nics(LO, ETH0), SIXTEEN, DEBIAN), {WRONG: "error"}),
    Case(
        "gloo on docker0 by variable, no job",
        (nics(LO, ETH0, DOCKER0), with_variables(GLOO_SOCKET_IFNAME="docker0")),
        {WRONG: "warning"},
    ),
    Case(
        "gloo on a fine interface by variable",
        (nics(LO, ETH0), with_variables(SIXTEEN, GLOO_SOCKET_IFNAME="eth0"), DEBIAN),
    ),
    Case("no address and no interface", (Nics(), SIXTEEN)),
    Case("interfaces unknown", (Missing("nics", "not-supported"), SIXTEEN, Host())),
    Case(
        "docker's first network, two nodes",
        (CONTAINER, SIXTEEN, Host(container="docker")),
        {"container-bridge-network": "error"},
    ),
    Case(
        "a network of docker compose, two nodes",
        (
            nics(LO, (Nic("eth0", 7, "veth"), ("172.20.0.3/16",)), source="172.20.0.3"),
            SIXTEEN,
            Host(container="docker"),
        ),
        {"container-bridge-network": "warning"},
    ),
    Case(
        "containers of one host that talk to each other",
        (replace(CONTAINER, master="172.17.0.2", source_to_master="172.17.0.3"), SIXTEEN, Host(container="docker")),
        {"container-bridge-network": "warning"},
    ),
    Case(
        "a rootless container of podman",
        (nics(LO, (Nic("tap0", 2, "tun"), ("10.0.2.100/24",)), source="10.0.2.100"), SIXTEEN, Host(container="podman")),
        {"container-bridge-network": "error"},
    ),
    Case("a pod", (CONTAINER, SIXTEEN, Host(container="kubernetes"))),
    Case("a container that trains alone", (CONTAINER, EIGHT, Host(container="docker"))),
    Case("a container with the host's network", (WORKSTATION, NOTHING, Host(container="docker"))),
    Case(
        "a container with IPv6 only",
        (
            nics(LO, (Nic("eth0", 7, "veth"), ("2001:db8::3/64",)), source="", source6="2001:db8::3"),
            SIXTEEN,
            Host(container="docker"),
        ),
    ),
    Case(
        "an overlay network of docker swarm",
        (nics(LO, (Nic("eth0", 7, "veth"), ("10.0.1.3/24",)), source="10.0.1.3"), SIXTEEN, Host(container="docker")),
    ),
    Case("nodes of one network", nodes={"a": (lan("10.0.0.1"),), "b": (lan("10.0.0.2"),)}),
    Case("nodes of routed networks", nodes={"a": (lan("10.0.0.1"),), "b": (lan("10.0.1.2"),)}),
    Case(
        "docker's bridge on all",
        nodes={"a": (nics(LO, DOCKER0, source=""), NOTHING), "b": (nics(LO, DOCKER0, source=""), NOTHING)},
        expect={WRONG: "error"},
    ),
    Case(
        "one of three takes another network",
        nodes={
            "a": (both("10.0.0.1", "10.9.0.1"),),
            "b": (both("10.0.0.2", "10.9.0.2"), with_variables(NCCL_SOCKET_IFNAME="eth9")),
            "c": (both("10.0.0.3", "10.9.0.3"),),
        },
        expect={WRONG: "warning"},
    ),
    Case(
        "no route to one of three",
        nodes={"a": (island("10.0.0.1"),), "b": (island("10.5.0.2"),), "c": (island("10.0.0.3"),)},
        expect={WRONG: "error"},
    ),
    Case(
        "one machine that was looked at twice",
        nodes={"a": (lan("10.0.0.1"), Host(boot_id="1")), "a #2": (lan("10.0.0.1"), Host(boot_id="1"))},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_the_finding_names_the_way_out() -> None:
    (finding,) = case("a bridge before the real interface, two nodes").assert_holds(FILE)
    assert finding.evidence["interface"] == "br-4f2a9100aabb"
    assert finding.evidence["better"] == "eth0"
    assert finding.evidence["scale"] == "WORLD_SIZE=16, LOCAL_WORLD_SIZE=8"
    assert finding.command == "export NCCL_SOCKET_IFNAME='=eth0'"


def test_a_configuration_file_is_mended_where_it_is() -> None:
    (finding,) = case("docker0 by /etc/nccl.conf").assert_holds(FILE)
    assert finding.evidence["decided"] == "NCCL_SOCKET_IFNAME=docker0 (/etc/nccl.conf:3)"
    assert finding.command == "sed -i '3s/=.*/==eth0/' /etc/nccl.conf"


def test_gloo_is_mended_with_its_own_variable() -> None:
    (finding,) = case("gloo on Debian's 127.0.1.1, two nodes").assert_holds(FILE)
    assert finding.command == "export GLOO_SOCKET_IFNAME=eth0"
    assert finding.evidence["decided"] == "GLOO_SOCKET_IFNAME unset; hostname -> 127.0.1.1"


def test_without_a_better_one_the_addresses_are_looked_at() -> None:
    (finding,) = case("no network, yet two nodes").assert_holds(FILE)
    assert finding.command == "ip -br address"
    (finding,) = Case(
        "gloo too", (nics(LO, source=""), with_variables(SIXTEEN, NCCL_SOCKET_IFNAME="=x"), DEBIAN), {WRONG: "error"}
    ).assert_holds(FILE)
    assert (finding.situation, finding.command) == ("gloo", "ip -br address")


def summary_of(*facts: object) -> str:
    from envdoctor import summaries
    from envdoctor.testing import facts_by_type

    (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type(facts)})
    assert line.text is not None
    assert line.text.say("zh", line.values)
    return line.text.say("en", line.values)


def test_summary() -> None:
    assert summary_of(nics(LO, ETH0), NOTHING, GOOD_NAME) == "eth0 10.0.0.11/24 25 Gb/s; NCCL and gloo will use eth0"
    assert summary_of(nics(LO, ETH0), NOTHING, DEBIAN) == "eth0 10.0.0.11/24 25 Gb/s; NCCL will use eth0, gloo lo"
    assert summary_of(EARLY_BRIDGE, NOTHING) == "eth0 10.0.0.11/24 25 Gb/s; NCCL will use br-4f2a9100aabb"
    assert summary_of(Nics(), NOTHING) == "0 interfaces"
    assert summary_of(nics(LO, source=""), NOTHING) == "1 interface; NCCL will use lo"


def test_what_keeps_examined_nodes_apart_is_named() -> None:
    def found(about: str) -> Finding:
        return next(case for case in CASES if case.about == about).assert_holds(FILE)[0]

    assert found("docker's bridge on all").evidence["address"] == "172.17.0.1"
    stray = found("one of three takes another network")
    assert (stray.nodes, stray.command) == (("b",), "export NCCL_SOCKET_IFNAME='=eth0'")
    cut_off = found("no route to one of three")
    assert (cut_off.nodes, cut_off.evidence["others"]) == (("a", "c"), "b")
