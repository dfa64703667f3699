"""envdoctor/readers/network_listing.py: interfaces and adapters as tools list them."""

from __future__ import annotations

import pytest

from envdoctor.facts.network_listing import ListedAdapter, NetworkListing
from tests.readers.texts import codes, read

IP = """1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
2: eth0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default
    inet 10.0.0.4/24 brd 10.0.0.255 scope global eth0
"""
BRIEF = "lo               UNKNOWN        127.0.0.1/8 ::1/128\neth0@if7         UP             10.0.0.4/24\n"
OLD = "eth0      Link encap:Ethernet  HWaddr 02:42:aa:bb:cc:dd\nlo        Link encap:Local Loopback\n"
NEW = "eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500\nlo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536\n"
PORT = """CA '{0}'
\tCA type: MT4129
\tNumber of ports: 1
\tPort 1:
\t\tState: {1}
\t\tPhysical state: LinkUp
\t\tRate: {2}
\t\tLink layer: InfiniBand
"""
STATUS = """Infiniband device 'mlx5_bond_0' port 1 status:
        state:           4: ACTIVE
        phys state:      5: LinkUp
        rate:            25 Gb/sec (1X EDR)
        link_layer:      Ethernet
"""


GIDS = """DEV     PORT    INDEX   GID                                     IPv4            VER     DEV
mlx5_0  1       0       fe80:0000:0000:0000:0212:34ff:fe56:789a                 v1      ens1
mlx5_0  1       1       fe80:0000:0000:0000:0212:34ff:fe56:789a                 v2      ens1
mlx5_0  1       2       0000:0000:0000:0000:0000:ffff:0a00:0048 10.0.0.72       v1      ens1
mlx5_0  1       3       0000:0000:0000:0000:0000:ffff:0a00:0048 10.0.0.72       v2      ens1
"""


def told(text: str) -> NetworkListing:
    fact = read(text).sections["network-listing"]
    assert isinstance(fact, NetworkListing)
    return fact


@pytest.mark.parametrize("text", [IP, BRIEF, OLD, NEW], ids=["ip", "brief", "ifconfig", "ifconfig 2"])
def test_interfaces_are_listed_by_every_tool(text: str) -> None:
    assert set(told(text).interfaces) == {"lo", "eth0"}


def test_adapters_are_listed_with_what_stands_below_them() -> None:
    assert told(PORT.format("mlx5_0", "Active", 400)).adapters == (
        ListedAdapter("mlx5_0", "MT4129", True, 400.0, "InfiniBand"),
    )
    assert told(STATUS).adapters == (ListedAdapter("mlx5_bond_0", "", True, 25.0, "Ethernet"),)


def test_a_name_that_is_not_listed_is_missing() -> None:
    assert codes("export NCCL_SOCKET_IFNAME=ens3\n" + IP) == {"interface-missing": "warning"}
    assert codes("export GLOO_SOCKET_IFNAME=eth\n" + IP) == {"interface-missing": "warning"}
    for fine in (
        "NCCL_SOCKET_IFNAME=eth",
        "NCCL_SOCKET_IFNAME==eth0",
        "NCCL_SOCKET_IFNAME=^docker",
        "GLOO_SOCKET_IFNAME=eth0",
    ):
        assert codes(f"export {fine}\n" + IP) == {}, fine
    assert codes("export NCCL_SOCKET_IFNAME=ens3\n") == {}


def test_a_port_that_is_slower_than_its_siblings() -> None:
    rates = (400, 400, 200, 400)
    text = "".join(PORT.format(f"mlx5_{number}", "Active", rate) for number, rate in enumerate(rates))
    assert codes(text) == {"ib-rate-degraded": "warning"}
    assert codes(text.replace("Rate: 200", "Rate: 400")) == {}
    two = "".join(PORT.format(f"mlx5_{number}", "Active", rate) for number, rate in enumerate((400, 200)))
    assert codes(two) == {}


def test_the_slot_that_is_named_must_hold_a_routed_gid() -> None:
    assert [(gid.index, gid.link_local) for gid in told(GIDS).gids] == [(0, True), (1, True), (2, False), (3, False)]
    for index in (0, 1, 7):
        assert codes(f"export NCCL_IB_GID_INDEX={index}\n" + GIDS) == {"ib-gid-wrong": "warning"}, index
    assert codes("export NCCL_IB_GID_INDEX=3\n" + GIDS) == {}
    assert codes("export NCCL_IB_GID_INDEX=1\n") == {}
