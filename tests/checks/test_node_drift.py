"""checks/node_drift.py"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.python import Python
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import EIGHT, gpus, h100

FILE = CHECKS / "node_drift.py"
CODE = "node-drift"
GIB = 1 << 30
WARNING, NOTE = {CODE: "warning"}, {CODE: "note"}
LOGIN = (Missing("gpu", "not-here"), PciDevices())


def three(usual: object, odd: object) -> dict[str, tuple[object, ...]]:
    """Two nodes with one fact, gpu02 with another, and one of which it is not known."""
    return {"gpu01": (usual,), "gpu02": (odd,), "gpu03": (usual,), "gpu04": (Missing("gpu", "hung"),)}


def driver(release: str, level: str = "13.0") -> Driver:
    return Driver(release, cuda_level=level)


def host(**changes: Any) -> Host:
    usual = Host(
        kernel="6.8.0-60", distribution="Ubuntu", distribution_version="22.04", cpus=128, memory_bytes=2000 * GIB
    )
    return replace(usual, **changes)


def limits(shm: int = 1000 * GIB, memlock: int | None = None, files: int = 1 << 20, **changes: Any) -> Limits:
    return Limits(SharedMemory(shm, shm), Limit(memlock, memlock), Limit(files, files), **changes)


def packages(**versions: str) -> Packages:
    return Packages(len(versions), tuple(Distribution(name, version) for name, version in versions.items()))


def adapters(firmware: str = "28.39", rate: float = 400.0, count: int = 8) -> Rdma:
    port = Port(rate_gbps=rate)
    return Rdma(tuple(RdmaDevice(f"mlx5_{n}", (port,), firmware=firmware, board="MT_838") for n in range(count)))


ANOTHER_BOARD = Rdma((*adapters().devices, RdmaDevice("x", board="B", firmware="1")))
TORCH = TorchInstall(version="2.9.1+cu128")
CASES = [
    Case("a driver behind", nodes=three(driver("580.95.05"), driver("570.1.1", "12.8")), expect=WARNING),
    Case("another libcuda", nodes=three(driver("580.95.05"), driver("580.95.05", "13.1")), expect=WARNING),
    Case("the same drivers", nodes=three(driver("580.95.05"), driver("580.95.05"))),
    Case("a driver without a release", nodes=three(driver("580.95.05"), driver(""))),
    Case("seven GPUs", nodes=three(gpus(*EIGHT), gpus(*EIGHT[:7])), expect=WARNING),
    Case("GPUs of another kind", nodes=three(gpus(*EIGHT), gpus(*(h100(n, name="NVIDIA H200") for n in range(8)))),
         expect=WARNING),
    Case("a GPU that says nothing", nodes=three(gpus(*EIGHT), gpus(*EIGHT[:7], h100(7, name="", error="lost"))),
         expect=WARNING),
    Case("a login node differs in one thing",
         nodes={"gpu1": (gpus(*EIGHT), host(), driver("580")), "gpu2": (gpus(*EIGHT), host(), driver("580")),
                "login": (*LOGIN, host(kernel="5.15", cpus=8), Missing("driver", "not-here"), Python(version="3.9.1"))},
         expect=WARNING),
    Case("two login nodes and a GPU node",
         nodes={"gpu1": (gpus(*EIGHT), host(cpus=8)), "l1": (*LOGIN, host()), "l2": (*LOGIN, host())}, expect=WARNING),
    Case("another kernel", nodes=three(host(), host(kernel="6.8.0-61")), expect=WARNING),
    Case("another distribution", nodes=three(host(), host(distribution_version="24.04")), expect=NOTE),
    Case("less memory", nodes=three(host(), host(memory_bytes=1000 * GIB)), expect=WARNING),
    Case("a limit of the control group", nodes=three(host(), host(memory_limit_bytes=64 * GIB)), expect=WARNING),
    Case("nearly the same memory", nodes=three(host(), host(memory_bytes=1999 * GIB))),
    Case("fewer processors", nodes=three(host(), host(cpus=64)), expect=WARNING),
    Case("names and boots are a node's own", nodes=three(host(name="a", boot_id="1"), host(name="b", boot_id="2"))),
    Case("another Python", nodes=three(Python(version="3.11.7"), Python(version="3.12.1")), expect=WARNING),
    Case("another patch release", nodes=three(Python(version="3.11.7"), Python(version="3.11.9")), expect=NOTE),
    Case("a Python that does not start", nodes=three(Python(version="3.11.7"), Python())),
    Case("less shared memory", nodes=three(limits(), limits(shm=GIB)), expect=WARNING),
    Case("less locked memory", nodes=three(limits(), limits(memlock=8 << 20)), expect=WARNING),
    Case("a right to lock all the same", nodes=three(limits(), limits(memlock=8 << 20, may_lock_memory=True))),
    Case("fewer open files", nodes=three(limits(), limits(files=1024)), expect=NOTE),
    Case("another triton", nodes={
        "a": (TORCH, packages(torch="2.9.1", triton="3.5.0", numpy="2.3")),
        "b": (TORCH, packages(triton="3.4.0", numpy="2.3")),
        "c": (TORCH, packages(triton="3.5.0", numpy="2.3")), "d": (TORCH,)}, expect=WARNING),
    Case("another torch brings others with it", nodes={
        "a": (TORCH, packages(triton="3.5.0")), "b": (TorchInstall(version="2.8.0"), packages(triton="3.4.0")),
        "c": (TORCH, packages(triton="3.5.0"))}),
    Case("no torch has a majority", nodes={
        "a": (TORCH, packages(triton="3.5.0")), "b": (TorchInstall(version="2.8.0"), packages(triton="3.4.0"))}),
    Case("packages of one node only", nodes={
        "a": (TORCH, packages(**{f"p{n}": "1" for n in range(9)})), "b": (TORCH, packages()), "c": (TORCH, packages())},
        expect=WARNING),
    Case("another firmware", nodes=three(adapters(), adapters("28.38")), expect=WARNING),
    Case("a board that the others lack", nodes=three(adapters(), ANOTHER_BOARD)),
    Case("half the rate on all ports", nodes=three(adapters(), adapters(rate=200.0)), expect=WARNING),
    Case("fewer ports are told elsewhere", nodes=three(adapters(), adapters(count=7))),
    Case("two with other numbers of ports", nodes={"a": (adapters(),), "b": (adapters(count=7),)}),
    Case("rates that cannot be read", nodes=three(adapters(rate=0.0), adapters(rate=0.0))),
    Case("no port is up", nodes=three(adapters(count=0), adapters(count=0))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def evidence(about: str) -> tuple[str | None, tuple[str, ...], object, object]:
    (found,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    return found.situation, found.nodes, found.evidence["odd"], found.evidence["usual"]


def test_the_odd_node_is_named_with_both_values() -> None:
    assert evidence("a driver behind") == ("driver", ("gpu02",), "570.1.1", "580.95.05")
    assert evidence("another libcuda") == ("cuda-level", ("gpu02",), "13.1", "13.0")
    assert evidence("seven GPUs")[2:] == ("7x NVIDIA H100 80GB HBM3", "8x NVIDIA H100 80GB HBM3")
    assert evidence("a login node differs in one thing")[:3] == ("gpus", ("login",), "0")
    assert evidence("two login nodes and a GPU node")[:2] == ("gpus", ("gpu1",))
    assert evidence("less memory")[2:] == ("1000 GiB", "2000 GiB")
    assert evidence("less shared memory")[2] == "1.00 GiB"
    assert evidence("another triton") == ("packages", ("b",), "triton 3.4.0", "triton 3.5.0")
    assert evidence("packages of one node only")[2] == "p0 1, p1 1, p2 1, p3 1, p4 1, ... (+4)"
    assert evidence("another firmware")[2:] == ("MT_838 28.38", "MT_838 28.39")
    assert evidence("half the rate on all ports")[2:] == ("8x 200 Gb/s", "8x 400 Gb/s")


def test_what_is_not_known_is_said_and_is_no_difference() -> None:
    (found,) = CASES[0].assert_holds(FILE)
    assert str(found.evidence["sides"]).splitlines() == ["gpu02: 570.1.1", "gpu[01,03]: 580.95.05", "gpu04: ?"]
    assert found.evidence["unknown"] == "gpu04"


def test_without_a_majority_both_sides_are_named() -> None:
    case = Case("two", nodes={"a": (driver("580.1"),), "b": (driver("570.1"),)}, expect=WARNING)
    (found,) = case.assert_holds(FILE)
    assert (found.situation, found.nodes) == ("driver-split", ("a", "b"))
    assert found.evidence["values"] == "580.1 (a), 570.1 (b)"
