"""envdoctor/facts/rdma_choice.py: NCCL's choice of devices, ports and GIDs, after its source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.rdma import Gid, Port, Rdma, RdmaDevice
from envdoctor.facts.rdma_choice import Get, gid_index, integer, named_but_idle, taken


def reader(**variables: str) -> Get:
    return lambda name: variables.get(name)


def rdma(*names: str, ports: int = 1, **more: object) -> Rdma:
    made = tuple(Port(number) for number in range(1, ports + 1))
    return Rdma(tuple(RdmaDevice(name, made) for name in names), **more)  # type: ignore[arg-type]


TWELVE = rdma(*(f"mlx5_{n}" for n in range(12)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", [f"mlx5_{n}:1" for n in range(12)]),
        ("mlx5_1", ["mlx5_1:1", "mlx5_10:1", "mlx5_11:1"]),
        ("=mlx5_1", ["mlx5_1:1"]),
        ("=mlx5_1:1,mlx5_2:2", ["mlx5_1:1"]),
        ("^mlx5_1", [f"mlx5_{n}:1" for n in (0, 2, 3, 4, 5, 6, 7, 8, 9)]),
        ("^=mlx5_1", [f"mlx5_{n}:1" for n in (0, *range(2, 12))]),
        ("mlx4", []),
        ("^", []),  # an empty list fits everything, and is turned round
        ("=", [f"mlx5_{n}:1" for n in range(12)]),
    ],
)
def test_devices(value: str, expected: list[str]) -> None:
    assert list(map(str, taken(TWELVE, reader(NCCL_IB_HCA=value)))) == expected


def test_ports() -> None:
    assert list(map(str, taken(rdma("mlx5_0", ports=2), reader(NCCL_IB_HCA="mlx5_0:2")))) == ["mlx5_0:2"]


def test_what_cannot_be_used_is_not_taken() -> None:
    closed = Rdma((RdmaDevice("mlx5_0", (Port(),), node_error="absent"), RdmaDevice("mlx5_1", (Port(state="DOWN"),))))
    assert taken(closed, reader()) == ()
    assert taken(rdma("mlx5_0", offered=()), reader()) == ()
    assert taken(Rdma((RdmaDevice("rdmap0", (Port(link_layer="Unspecified"),)),)), reader()) == ()
    assert taken(TWELVE, reader(NCCL_IB_DISABLE="1")) == ()
    assert len(taken(TWELVE, reader(NCCL_IB_DISABLE="true"))) == 12


def test_named_but_idle() -> None:
    assert named_but_idle(TWELVE, reader(NCCL_IB_HCA="=mlx5_0,mlx4_0:1,mlx5_0:2")) == ("mlx4_0:1", "mlx5_0:2")
    assert named_but_idle(TWELVE, reader(NCCL_IB_HCA="^mlx4")) == ()
    assert named_but_idle(TWELVE, reader()) == ()


LOCAL_1 = Gid(0, "fe80:0000:0000:0000:0e42:a1ff:fe00:0001", "IB/RoCE v1")
LOCAL_2 = Gid(1, "fe80:0000:0000:0000:0e42:a1ff:fe00:0001", "RoCE v2")
FOUR_1 = Gid(2, "0000:0000:0000:0000:0000:ffff:0a00:000b", "IB/RoCE v1")
FOUR_2 = Gid(3, "0000:0000:0000:0000:0000:ffff:0a00:000b", "RoCE v2")
OTHER_1 = Gid(4, "0000:0000:0000:0000:0000:ffff:0a01:000b", "IB/RoCE v1")
OTHER_2 = Gid(5, "0000:0000:0000:0000:0000:ffff:0a01:000b", "RoCE v2")
SIX_1 = Gid(6, "2001:0db8:0000:0000:0000:0000:0000:000b", "IB/RoCE v1")
SIX_2 = Gid(7, "2001:0db8:0000:0000:0000:0000:0000:000b", "RoCE v2")
ALL = (LOCAL_1, LOCAL_2, FOUR_1, FOUR_2, OTHER_1, OTHER_2, SIX_1, SIX_2)


@pytest.mark.parametrize(
    ("gids", "variables", "version", "expected"),
    [
        (ALL, {}, "2.21.5", 3),
        (ALL, {}, "", 3),
        (ALL, {}, "2.20.5", 0),
        (ALL, {"NCCL_IB_GID_INDEX": "1"}, "2.21.5", 1),
        (ALL, {"NCCL_IB_GID_INDEX": "3"}, "2.18.1", 3),
        (ALL, {"NCCL_IB_GID_INDEX": "-1"}, "2.21.5", 3),
        (ALL, {"NCCL_IB_ROCE_VERSION_NUM": "1"}, "2.21.5", 2),
        (ALL, {"NCCL_IB_ADDR_RANGE": "10.1.0.0/16"}, "2.21.5", 5),
        (ALL, {"NCCL_IB_ADDR_RANGE": "10.1.0.0"}, "2.21.5", 3),
        (ALL, {"NCCL_IB_ADDR_RANGE": "2001:db8::/32"}, "2.21.5", 3),
        (ALL, {"NCCL_IB_ADDR_RANGE": "nonsense"}, "2.21.5", 3),
        (ALL, {"NCCL_IB_ADDR_FAMILY": "AF_INET6"}, "2.21.5", 7),
        ((LOCAL_1, LOCAL_2), {}, "2.21.5", 0),
        ((), {}, "2.21.5", 0),
        ((FOUR_2,), {}, "2.21.5", 3),
        ((LOCAL_1, LOCAL_2, FOUR_1), {}, "2.21.5", 2),
    ],
)
def test_gid_on_roce(gids: tuple[Gid, ...], variables: dict[str, str], version: str, expected: int) -> None:
    assert gid_index(Port(link_layer="Ethernet", gids=gids), reader(**variables), version) == expected


def test_gid_on_infiniband() -> None:
    plain = Gid(1, "fe80:0000:0000:0000:0e42:a1ff:fe00:0001")
    routable = Gid(1, "fec0:0000:0021:0001:0e42:a1ff:fe00:0001")
    assert gid_index(Port(gids=(plain,)), reader(NCCL_IB_GID_INDEX="3")) == 0
    assert gid_index(Port(gids=(routable,)), reader()) == 1
    assert gid_index(Port(gids=(routable,)), reader(NCCL_IB_ROUTABLE_FLID_GID_INDEX="2")) == 0


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1", 1),
        ("0x10", 16),
        ("010", 8),
        ("08", 0),
        ("true", 0),
        ("-2", -2),
        (" 7", 7),
        ("8M", 8),
        ("", 99),
        (None, 99),
        ("9" * 30, 99),
    ],
)
def test_integer(value: str | None, number: int) -> None:
    assert integer(value, 99) == number


@given(st.text(max_size=20))
def test_integer_of_any_text(value: str) -> None:
    assert isinstance(integer(value, 0), int)


@given(st.integers(-(1 << 62), 1 << 62))
def test_integer_of_any_number(number: int) -> None:
    assert integer(str(number), 1) == number
    assert integer(hex(number), 1) == number
