"""checks/rdma.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import summaries
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.nccl import ConfFile, NcclSettings, Row
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.model import Finding, Missing
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS
from tests.checks.interfaces import EIGHT, NOTHING, SIXTEEN, with_variables

FILE = CHECKS / "rdma.py"
DOWN, RATE, HCA = "ib-port-down", "ib-rate-degraded", "ib-hca-wrong"
BOARD = "MT_0000000838"


def ib(number: int, state: str = "ACTIVE", rate: float = 400.0, **more: object) -> RdmaDevice:
    physical = "LinkUp" if state in ("ACTIVE", "INIT") else "Polling"
    port = Port(1, state, physical, "InfiniBand", rate, f"{rate:g} Gb/sec (4X NDR)")
    return RdmaDevice(f"mlx5_{number}", (replace(port, **more),), board=BOARD)  # type: ignore[arg-type]


def ethernet(healthy: int, state: str, rate: float = 100.0) -> Rdma:
    """So many Ethernet adapters of 100 Gb/s, and another of the same board."""
    others = tuple(ib(number, rate=100.0, link_layer="Ethernet") for number in range(healthy))
    return Rdma((*others, ib(healthy, state, rate, link_layer="Ethernet")))


def renamed(rdma: Rdma) -> Rdma:
    return Rdma(tuple(replace(device, name=f"ib{device.name[-1]}") for device in rdma.devices))


NO_RDMA, GPUS, PCI = Missing("rdma", "not-here"), Gpus(count=8), PciDevices()
EIGHT_RAILS = Rdma(tuple(ib(n) for n in range(8)))
TWELVE = Rdma(tuple(ib(n) for n in range(12)))

CASES = [
    Case("eight rails", (EIGHT_RAILS, SIXTEEN)),
    Case("no RDMA", (Missing("rdma", "not-here"), SIXTEEN)),
    Case("one rail of eight down", (Rdma((*EIGHT_RAILS.devices[:7], ib(7, "DOWN"))), SIXTEEN), {DOWN: "warning"}),
    Case(
        "switched off on purpose",
        (Rdma((*EIGHT_RAILS.devices[:7], ib(7, "DOWN", physical_state="Disabled"))), SIXTEEN),
    ),
    Case(
        "an unconnected port of another card",
        (Rdma((*EIGHT_RAILS.devices, replace(ib(9, "DOWN"), board="MT_0000000999"))), SIXTEEN),
        {DOWN: "note"},
    ),
    Case("nothing up, two nodes", (Rdma((ib(0, "DOWN"), ib(1, "DOWN"))), SIXTEEN), {DOWN: "error"}),
    Case("nothing up, one node", (Rdma((ib(0, "DOWN"),)), EIGHT), {DOWN: "warning"}),
    Case("an unconnected Ethernet adapter", (ethernet(0, "DOWN"), NOTHING), {DOWN: "note"}),
    Case("the same, two nodes", (ethernet(0, "DOWN"), SIXTEEN), {DOWN: "error"}),
    Case("one of three Ethernet adapters is unconnected", (ethernet(2, "DOWN"), NOTHING), {DOWN: "note"}),
    Case("one of five rails of Ethernet is down", (ethernet(4, "DOWN"), NOTHING), {DOWN: "warning"}),
    Case("one of three Ethernet adapters is slower", (ethernet(2, "ACTIVE", 10.0), NOTHING), {RATE: "note"}),
    Case("no subnet manager", (Rdma((ib(0, "INIT"),)), SIXTEEN), {DOWN: "warning"}),
    Case("a state that cannot be read", (Rdma((ib(0, ""),)), SIXTEEN)),
    Case("one rail at half rate", (Rdma((*EIGHT_RAILS.devices[:7], ib(7, rate=200.0))), SIXTEEN), {RATE: "warning"}),
    Case(
        "a slower card of another kind",
        (Rdma((*EIGHT_RAILS.devices, replace(ib(9, rate=25.0), board="MT_0000000999"))), SIXTEEN),
    ),
    Case("two ports that differ", (Rdma((ib(0), ib(1, rate=200.0))), SIXTEEN)),
    Case("boards unknown", (Rdma((replace(ib(0), board=""), replace(ib(1, rate=200.0), board=""))), SIXTEEN)),
    Case("a beginning", (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="mlx5"))),
    Case("no such device", (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="mlx4_0")), {HCA: "error"}),
    Case("the same on one node", (EIGHT_RAILS, with_variables(EIGHT, NCCL_IB_HCA="mlx4_0")), {HCA: "warning"}),
    Case("an interface for a device", (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="ib0")), {HCA: "error"}),
    Case("a port that is not", (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="mlx5_0:2")), {HCA: "error"}),
    Case("all excluded", (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="^mlx5")), {HCA: "error"}),
    Case("RDMA is off anyway", (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="x", NCCL_IB_DISABLE="1"))),
    Case(
        "one of two is not there",
        (EIGHT_RAILS, with_variables(SIXTEEN, NCCL_IB_HCA="=mlx5_0,mlx5_9:1")),
        {HCA: "warning"},
    ),
    Case("mlx5_1 takes mlx5_10", (TWELVE, with_variables(SIXTEEN, NCCL_IB_HCA="mlx5_0,mlx5_1")), {HCA: "note"}),
    Case("not with =", (TWELVE, with_variables(SIXTEEN, NCCL_IB_HCA="=mlx5_0,mlx5_1"))),
    Case(
        "closed devices are another problem",
        (Rdma((replace(ib(0), node_error="absent"),)), with_variables(SIXTEEN, NCCL_IB_HCA="mlx5_0")),
    ),
    Case(
        "from a file",
        (
            EIGHT_RAILS,
            SIXTEEN,
            NcclSettings((ConfFile("/etc/nccl.conf", "system", rows=(Row("NCCL_IB_HCA", "mlx4_0", 2),)),)),
        ),
        {HCA: "error"},
    ),
    Case("as many on all nodes", nodes={"a": (EIGHT_RAILS, NOTHING), "b": (renamed(EIGHT_RAILS), NOTHING)}),
    Case(
        "one of three has seven",
        nodes={
            "gpu1": (EIGHT_RAILS, NOTHING),
            "gpu2": (Rdma(EIGHT_RAILS.devices[1:]), NOTHING),
            "gpu3": (EIGHT_RAILS, NOTHING),
            "gpu4": (Missing("rdma", "hung"), NOTHING),
        },
        expect={HCA: "error"},
    ),
    Case(
        "one of two has none",
        nodes={"a": (EIGHT_RAILS, NOTHING), "b": (Missing("rdma", "not-here"), NOTHING)},
        expect={HCA: "error"},
    ),
    Case("a login node has none", nodes={"a": (EIGHT_RAILS, GPUS), "b": (EIGHT_RAILS, GPUS), "login": (NO_RDMA, PCI)}),
    Case(
        "a list picks the ones in common",
        nodes={
            "a": (EIGHT_RAILS, with_variables(NCCL_IB_HCA="=mlx5_0,mlx5_1")),
            "b": (Rdma(EIGHT_RAILS.devices[:2]), NOTHING),
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def found(about: str) -> Finding:
    return next(case for case in CASES if case.about == about).assert_holds(FILE)[0]


def test_the_port_is_named() -> None:
    assert found("one rail of eight down").look == "ibstat mlx5_7 1"
    assert found("no subnet manager").situation == "subnet-manager"
    assert len(next(case for case in CASES if case.about == "nothing up, two nodes").assert_holds(FILE)) == 1
    slow = found("one rail at half rate").evidence
    assert (slow["port"], slow["rate"], slow["expected"]) == ("mlx5_7:1", 200.0, 400.0)


def test_the_way_to_the_right_devices() -> None:
    rails = ",".join(f"mlx5_{n}" for n in range(8))
    assert found("no such device").command == f"export NCCL_IB_HCA='={rails}'"
    assert found("from a file").command == f"sed -i '2s/=.*/=={rails}/' /etc/nccl.conf"
    assert found("mlx5_1 takes mlx5_10").evidence["extra"] == "mlx5_10, mlx5_11"
    assert found("mlx5_1 takes mlx5_10").command == "export NCCL_IB_HCA='=mlx5_0,mlx5_1'"
    assert found("one of two is not there").evidence["extra"] == "mlx5_9:1"


def test_summary() -> None:
    (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type((EIGHT_RAILS, NOTHING))})
    assert line.text is not None
    assert line.text.say("en", line.values) == "8 of 8 ports active (InfiniBand, 400 Gb/s)"
    assert line.text.say("zh", line.values)


def test_the_odd_nodes_and_their_ports_are_named() -> None:
    odd = found("one of three has seven")
    assert odd.nodes == ("gpu2",)
    assert odd.evidence["odd"] == "7 (mlx5_[1-7])"
    assert odd.evidence["usual"] == "8 (mlx5_[0-7])"
    assert "gpu4: ?" in str(odd.evidence["sides"]), "what is not known is no difference"
    assert found("one of two has none").nodes == ("a", "b")
