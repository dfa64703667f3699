"""checks/rdma_gid.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.rdma import Gid, Port, Rdma, RdmaDevice
from envdoctor.facts.torch import Pin, TorchInstall
from envdoctor.model import Finding
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.interfaces import NOTHING, SIXTEEN, with_variables

FILE = CHECKS / "rdma_gid.py"
GID = "ib-gid-wrong"
OLD = TorchInstall(version="2.2.0+cu121", pins=(Pin("nvidia-nccl-cu12", "2.19.3"),))
NEW = TorchInstall(version="2.6.0+cu124", pins=(Pin("nvidia-nccl-cu12", "2.21.5"),))

LINK_LOCAL = Gid(0, "fe80:0000:0000:0000:0e42:a1ff:fe00:0001", "IB/RoCE v1", "eth0")
LINK_LOCAL_2 = Gid(1, "fe80:0000:0000:0000:0e42:a1ff:fe00:0001", "RoCE v2", "eth0")
FOUR_1 = Gid(2, "0000:0000:0000:0000:0000:ffff:0a00:000b", "IB/RoCE v1", "eth0")
FOUR_2 = Gid(3, "0000:0000:0000:0000:0000:ffff:0a00:000b", "RoCE v2", "eth0")
SIX_2 = Gid(4, "2001:0db8:0000:0000:0000:0000:0000:000b", "RoCE v2", "eth0")
TABLE = (LINK_LOCAL, LINK_LOCAL_2, FOUR_1, FOUR_2)


def roce(*gids: Gid) -> Rdma:
    return Rdma((RdmaDevice("mlx5_0", (Port(1, link_layer="Ethernet", rate_gbps=100.0, gids=gids),)),))


INFINIBAND = Rdma((RdmaDevice("mlx5_0", (Port(),)),))

CASES = [
    Case("RoCE, left to NCCL", (roce(*TABLE), SIXTEEN, NEW)),
    Case("RoCE, the good index", (roce(*TABLE), with_variables(SIXTEEN, NCCL_IB_GID_INDEX="3"), NEW)),
    Case("an empty slot", (roce(*TABLE), with_variables(SIXTEEN, NCCL_IB_GID_INDEX="7"), NEW), {GID: "error"}),
    Case("v1 by index", (roce(*TABLE), with_variables(SIXTEEN, NCCL_IB_GID_INDEX="2"), NEW), {GID: "warning"}),
    Case("link-local by index", (roce(*TABLE), with_variables(SIXTEEN, NCCL_IB_GID_INDEX="1"), OLD), {GID: "warning"}),
    Case("index 0 of an old NCCL", (roce(*TABLE), SIXTEEN, OLD), {GID: "warning"}),
    Case("v1 by version", (roce(*TABLE), with_variables(SIXTEEN, NCCL_IB_ROCE_VERSION_NUM="1"), NEW)),
    Case("IPv6 only", (roce(LINK_LOCAL, LINK_LOCAL_2, SIX_2), SIXTEEN, NEW), {GID: "warning"}),
    Case(
        "IPv6 only, and said so",
        (roce(LINK_LOCAL, LINK_LOCAL_2, SIX_2), with_variables(SIXTEEN, NCCL_IB_ADDR_FAMILY="AF_INET6"), NEW),
    ),
    Case("one segment with nothing but link-local", (roce(LINK_LOCAL, LINK_LOCAL_2), SIXTEEN, NEW)),
    Case("an empty slot and nothing better", (roce(replace(LINK_LOCAL, index=5)), SIXTEEN, OLD), {GID: "error"}),
    Case("a table this container does not show", (roce(), with_variables(SIXTEEN, NCCL_IB_GID_INDEX="3"))),
    Case("an index on InfiniBand is ignored", (INFINIBAND, with_variables(SIXTEEN, NCCL_IB_GID_INDEX="3"), NEW)),
    Case("the same kind on all nodes", nodes={"a": (roce(*TABLE), NOTHING), "b": (roce(*TABLE), NOTHING)}),
    Case(
        "IPv6 on one of three",
        nodes={
            "a": (roce(*TABLE), NOTHING),
            "b": (
                roce(LINK_LOCAL, LINK_LOCAL_2, replace(SIX_2, index=3)),
                with_variables(NCCL_IB_ADDR_FAMILY="AF_INET6"),
            ),
            "c": (roce(*TABLE), with_variables(NCCL_IB_GID_INDEX="3")),
        },
        expect={GID: "error"},
    ),
    Case("nothing of RoCE", nodes={"a": (INFINIBAND, NOTHING), "b": (roce(*TABLE), NOTHING), "c": (roce(), NOTHING)}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def found(about: str) -> Finding:
    return next(case for case in CASES if case.about == about).assert_holds(FILE)[0]


def test_the_way_to_a_good_gid() -> None:
    assert found("an empty slot").command == "unset NCCL_IB_GID_INDEX"
    assert found("an empty slot").evidence["usable"] == "3 (10.0.0.11)"
    assert found("index 0 of an old NCCL").command == "export NCCL_IB_GID_INDEX='3'"
    assert found("link-local by index").command == "export NCCL_IB_GID_INDEX='3'"
    assert found("IPv6 only").command == "export NCCL_IB_ADDR_FAMILY='AF_INET6'"
    assert found("an empty slot and nothing better").command is None


def test_the_odd_kind_is_named() -> None:
    odd = found("IPv6 on one of three")
    assert (odd.nodes, odd.evidence["odd"], odd.evidence["usual"]) == (("b",), "RoCE v2 IPv6", "RoCE v2 IPv4")
