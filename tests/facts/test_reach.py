"""envdoctor/facts/reach.py and several_nodes.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.names import NameResolution, Resolution
from envdoctor.facts.nics import Nic, Nics, Route
from envdoctor.facts.reach import barrier, best
from envdoctor.facts.several_nodes import scale
from tests.checks.interfaces import COMPOSE, DOCKER0, ETH0, LO, VETH, nics

MACHINE = nics(
    LO,
    ETH0,
    DOCKER0,
    COMPOSE,
    VETH,
    (Nic("ens4", 10, running=False), ("10.4.0.1/24",)),
    (Nic("bmc0", 11), ("169.254.1.2/16",)),
    (Nic("nodelocaldns", 12, "dummy"), ("169.254.20.10/32",)),
    (Nic("wg0", 13, "wireguard"), ("10.9.0.2/24",)),
    (Nic("flannel.1", 14, "vxlan"), ("10.244.0.0/32",)),
    (Nic("vmbr0", 15, "bridge"), ("10.6.0.1/24",)),
    (Nic("bond0", 16, "bond", master="vmbr0"), ()),
    (Nic("ib0", 17, "ipoib"), ("10.10.0.1/24",)),
    (Nic("cali7", 18, "veth"), ("fe80::18/64",)),
    (Nic("eth9", 19), ("10.5.0.1/24", "fe80::19/64")),
)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("lo", "loopback"),
        ("eth0", ""),
        ("docker0", "bridge"),
        ("br-4f2a9100aabb", "bridge"),
        ("veth7", "veth"),
        ("cali7", "veth"),
        ("ens4", "down"),
        ("bmc0", "link-local"),
        ("nodelocaldns", "nowhere"),
        ("wg0", "vpn"),
        ("flannel.1", "overlay"),
        ("vmbr0", ""),
        ("ib0", ""),
        ("eth9", ""),
        ("nothing", ""),
    ],
)
def test_barrier(name: str, word: str) -> None:
    assert barrier(MACHINE, name) == word


def test_of_one_family_only() -> None:
    assert barrier(MACHINE, "eth9", 6) == "link-local"
    assert barrier(MACHINE, "eth9", 4) == ""


def test_where_packets_go_there_is_no_barrier() -> None:
    assert barrier(replace(MACHINE, source="10.9.0.2"), "wg0") == ""
    assert barrier(replace(MACHINE, master="10.9.0.1", source_to_master="10.9.0.2"), "wg0") == ""


def test_bridges_in_a_circle() -> None:
    ring = Nics((Nic("br0", 1, "bridge", master="br1"), Nic("br1", 2, "bridge", master="br0")))
    assert barrier(ring, "br0") == "bridge"


def test_best() -> None:
    found = best(MACHINE)
    assert found is not None and found.name == "eth0"
    to_master = best(replace(MACHINE, master="10.10.0.9", source_to_master="10.10.0.1"))
    assert to_master is not None and to_master.name == "ib0"
    only = best(nics(LO, (ETH0[0], ETH0[1]), DOCKER0, source=""))
    assert only is not None and only.name == "eth0"
    assert best(nics(LO, ETH0, (Nic("eth1", 9), ("10.1.0.1/24",)), source="")) is None
    assert best(nics(LO, source="")) is None


def test_the_default_route_by_the_table() -> None:
    told = replace(nics(LO, ETH0, source=""), routes=(Route("eth0", "0.0.0.0", 0, "10.0.0.1", 100),))
    assert told.default == ETH0[0]
    assert replace(told, routes=()).default is None


@pytest.mark.parametrize(
    ("variables", "several"),
    [
        ({}, None),
        ({"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8", "RANK": "0", "LOCAL_RANK": "0"}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_NNODES": "2"}, True),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "1", "SLURM_NNODES": "1"}, False),
        ({"MASTER_ADDR": "127.0.0.1"}, False),
        ({"MASTER_ADDR": "gpu-a01"}, None),
    ],
)
def test_scale(variables: dict[str, str], several: bool | None) -> None:
    told = scale(Environment(variables))
    assert told.several is several
    assert bool(told.shown_by) is (several is not None)


def test_a_master_by_name_elsewhere_means_several_nodes() -> None:
    environment = Environment({"MASTER_ADDR": "gpu-a01"})
    there = NameResolution((Resolution("gpu-a01", "MASTER_ADDR", ipv4=("10.0.0.99",)),))
    here = NameResolution((Resolution("gpu-a01", "MASTER_ADDR", ipv4=("10.0.0.11",), local=("10.0.0.11",)),))
    lost = NameResolution((Resolution("gpu-a01", "MASTER_ADDR", error="EAI_NONAME"),))
    assert scale(environment, MACHINE, there).several is True
    assert scale(environment, MACHINE, here).several is None
    assert scale(environment, MACHINE, lost).several is None


def test_a_master_elsewhere_means_several_nodes() -> None:
    environment = Environment({"MASTER_ADDR": "10.0.0.99"})
    assert scale(environment, replace(MACHINE, master="10.0.0.99")).several is True
    assert scale(environment, replace(MACHINE, master="10.0.0.11")).several is None
    told = scale(Environment({"SLURM_JOB_ID": "7", "SLURM_NNODES": "1"}), replace(MACHINE, master="10.0.0.99"))
    assert told.several is True and "10.0.0.99" in told.shown_by
