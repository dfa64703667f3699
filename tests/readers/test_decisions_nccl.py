"""envdoctor/readers/decisions/nccl.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes

WARN = "gpu-a01:88:120 [0] misc/socket.cc:484 NCCL WARN socketStartConnect: Connect to {}<43717> failed : {}\n"
COMPLETION = (
    "gpu-a01:88:120 [0] transport/net_ib.cc:7 NCCL WARN NET/IB: Got completion from peer 10.0.0.3<1> with status={} "
    "opcode=0 len=0 vendor err 81 (Send)\n"
)
MODIFY = "gpu-a01:88:120 [0] misc/ibvwrap.cc:7 NCCL WARN Call to ibv_modify_qp failed with error Invalid argument\n"
USING = "gpu-a01:88:120 [0] NCCL INFO NET/IB : Using [0]mlx5_0:1/{} [1]mlx5_1:1/{} ; OOB eth0:10.0.0.18<0>\n"


@pytest.mark.parametrize(
    ("address", "error", "code", "severity"),
    [
        ("172.17.0.1", "Connection refused", "wrong-interface", "error"),
        ("127.0.0.1", "Connection timed out", "wrong-interface", "error"),
        ("10.1.0.4", "No route to host", "firewall-blocks-ports", "error"),
        ("10.1.0.4", "Connection timed out", "firewall-blocks-ports", "error"),
        ("10.1.0.4", "Connection refused", "peer-died", "warning"),
    ],
)
def test_a_failed_connection(address: str, error: str, code: str, severity: str) -> None:
    assert codes(WARN.format(address, error)) == {code: severity}


def test_a_virtual_interface_that_nccl_took_explains_the_failed_connection() -> None:
    using = (
        "gpu-a01:88:120 [0] NCCL INFO NET/Socket : Using [0]eno1:10.1.0.3<0> [1]veth1a2b3c4:fe80::1%veth1a2b3c4<0>\n"
    )
    assert codes(using + WARN.format("10.1.0.4", "Connection timed out")) == {"wrong-interface": "error"}


@pytest.mark.parametrize(("status", "code"), [(4, "p2p-acs-iommu"), (5, "peer-died"), (12, "ib-gid-wrong")])
def test_the_status_of_a_completion(status: int, code: str) -> None:
    assert list(codes(COMPLETION.format(status))) == [code]


def test_ports_of_two_fabrics() -> None:
    assert codes(USING.format("IB", "IB")) == {}
    assert codes(USING.format("IB", "RoCE")) == {"ib-hca-wrong": "note"}
    assert next(iter(codes(USING.format("RoCE", "IB") + MODIFY).items())) == ("ib-hca-wrong", "error")
    assert next(iter(codes(USING.format("RoCE", "RoCE") + MODIFY).items())) == ("ib-gid-wrong", "error")
