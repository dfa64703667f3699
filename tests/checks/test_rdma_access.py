"""checks/rdma_access.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.interfaces import EIGHT, NOTHING, SIXTEEN

FILE = CHECKS / "rdma_access.py"
CLOSED, LIBRARY, GDR = "ib-device-inaccessible", "libibverbs-missing", "gdr-missing"
PORT = Port(1, rate_gbps=400.0)
OPEN = RdmaDevice("mlx5_0", (PORT,), driver="mlx5_core", node="/dev/infiniband/uverbs0")
GOOD = Rdma(
    (OPEN,), libibverbs="libibverbs.so.1", offered=("mlx5_0",), peer_memory=("/sys/module/nvidia_peermem/version",)
)
SHUT = replace(GOOD, devices=(replace(OPEN, node_error="absent"),))
DENIED = replace(GOOD, devices=(replace(OPEN, node_error="denied: Operation not permitted"),))
NO_LIBRARY = replace(
    GOOD, libibverbs="", libibverbs_error="libibverbs.so.1: cannot open shared object file", offered=None
)
NO_PEER = replace(GOOD, peer_memory=())
H100 = Gpus(count=8, gpus=tuple(Gpu(n, name="NVIDIA H100 80GB HBM3") for n in range(8)))
RTX = Gpus(count=2, gpus=tuple(Gpu(n, name="NVIDIA GeForce RTX 4090") for n in range(2)))
CLOSED_DRIVER = Driver(kernel_release="535.104.05")
OPEN_DRIVER = Driver(kernel_release="570.86.15", open_kernel_module=True)
LINUX = Host(kernel="6.8.0-45-generic")


def ethernet(rdma: Rdma) -> Rdma:
    (device,) = rdma.devices
    return replace(rdma, devices=(replace(device, ports=(replace(PORT, link_layer="Ethernet"),)),))


CASES = [
    Case("all is there", (GOOD, SIXTEEN, LINUX, H100, CLOSED_DRIVER)),
    Case("no RDMA", (Missing("rdma", "not-here"), SIXTEEN, LINUX, H100, CLOSED_DRIVER)),
    Case("nodes not given to the container", (SHUT, SIXTEEN, Host(container="docker")), {CLOSED: "error"}),
    Case("nodes closed to the pod", (DENIED, SIXTEEN, Host(container="kubernetes")), {CLOSED: "error"}),
    Case("nodes absent on the host", (SHUT, SIXTEEN, LINUX), {CLOSED: "error"}),
    Case("nodes absent, no job", (SHUT, NOTHING, LINUX), {CLOSED: "warning"}),
    Case("nodes absent, perhaps in a container, no job", (SHUT, NOTHING), {CLOSED: "note"}),
    Case("not given to the container, no job", (SHUT, NOTHING, Host(container="docker")), {CLOSED: "note"}),
    Case("not given to the container, one node", (SHUT, EIGHT, Host(container="docker")), {CLOSED: "note"}),
    Case("a server's Ethernet, no job", (ethernet(SHUT), NOTHING, LINUX), {CLOSED: "note"}),
    Case("a server's Ethernet without libibverbs, no job", (ethernet(NO_LIBRARY), NOTHING, LINUX), {LIBRARY: "note"}),
    Case(
        "a server's Ethernet without peer memory, no job",
        (ethernet(NO_PEER), NOTHING, LINUX, H100, CLOSED_DRIVER),
        {GDR: "note"},
    ),
    Case(
        "given to the container, no job",
        (NO_PEER, NOTHING, Host("linux", container="docker"), H100, CLOSED_DRIVER),
        {GDR: "warning"},
    ),
    Case(
        "nodes absent of a port that is down anyway",
        (Rdma((RdmaDevice("mlx5_0", (replace(PORT, state="DOWN"),), node_error="absent"),)), SIXTEEN),
    ),
    Case("no libibverbs", (NO_LIBRARY, SIXTEEN), {LIBRARY: "warning"}),
    Case("no libibverbs on one node", (NO_LIBRARY, EIGHT), {LIBRARY: "note"}),
    Case("libibverbs was not tried", (replace(NO_LIBRARY, libibverbs_error=""), SIXTEEN)),
    Case("no provider", (replace(GOOD, offered=()), SIXTEEN), {LIBRARY: "warning"}),
    Case("no peer memory, closed modules", (NO_PEER, SIXTEEN, LINUX, H100, CLOSED_DRIVER), {GDR: "warning"}),
    Case("the same on one node", (NO_PEER, EIGHT, LINUX, H100, CLOSED_DRIVER), {GDR: "note"}),
    Case("open modules have DMA-BUF", (NO_PEER, SIXTEEN, LINUX, H100, OPEN_DRIVER)),
    Case("open modules, old kernel", (NO_PEER, SIXTEEN, Host(kernel="5.4.0-1"), H100, OPEN_DRIVER), {GDR: "warning"}),
    Case("open modules, kernel unknown", (NO_PEER, SIXTEEN, H100, OPEN_DRIVER)),
    Case("driver unknown", (NO_PEER, SIXTEEN, LINUX, H100)),
    Case("a driver that cannot do it", (NO_PEER, SIXTEEN, LINUX, RTX, CLOSED_DRIVER)),
    Case(
        "EFA goes another way",
        (replace(NO_PEER, devices=(replace(OPEN, driver="efa"),)), SIXTEEN, LINUX, H100, CLOSED_DRIVER),
    ),
    Case("no GPU", (NO_PEER, SIXTEEN, LINUX, Gpus(), CLOSED_DRIVER)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation"),
    [
        ("nodes not given to the container", "docker"),
        ("nodes closed to the pod", "kubernetes"),
        ("nodes absent on the host", None),
        ("no provider", "provider"),
    ],
)
def test_the_words_fit_the_place(about: str, situation: str | None) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert finding.situation == situation
    assert finding.command or finding.look
