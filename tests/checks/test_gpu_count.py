"""checks/gpu_count.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.pci import PciDevices
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    DOCKER,
    EIGHT,
    HEALTHY,
    HGX,
    JOB,
    NO_GPUS,
    address,
    bus,
    driver,
    fails,
    gpus,
    h100,
    said,
    swap,
    torch_ok,
    variables,
)

FILE = CHECKS / "gpu_count.py"
OFF = {"gpu-fell-off-bus": "error"}
FEWER = {"gpu-count-mismatch": "error"}
LOST = h100(3, error="GPU is lost", error_code=15)
SEVEN = tuple(gpu for gpu in EIGHT if gpu.index != 3)
XID79 = KernelLog("/dev/kmsg", 9e5, (KernelMessage("xid", 79, address(3), text="Xid (PCI:0000:1e:00): 79"),))
FELL = KernelLog("/dev/kmsg", 9e5, (KernelMessage("fell-off-bus", None, address(3)),))
UNBOUND = PciDevices((*bus(7).devices, *bus(8, driver="").devices[7:]))
LENT = PciDevices((*bus(7).devices, *bus(8, driver="vfio-pci").devices[7:]))

CASES = [
    *HEALTHY,
    Case("NVML has lost one", swap(HGX, driver(7), gpus(*SEVEN, LOST), XID79), OFF),
    Case("so that CUDA fails", swap(HGX, fails(999), gpus(*SEVEN, LOST)), OFF),
    Case("NVML does not list it any more", swap(HGX, driver(7), gpus(*SEVEN), XID79), OFF),
    Case("the bus shows it", swap(HGX, driver(7), gpus(*SEVEN), bus(8, responds=None), FELL), OFF),
    Case("a machine or a part of it: nothing tells", swap(HGX, driver(4), gpus(*EIGHT[:4]), Missing("host", "failed"))),
    Case("the bus alone shows it", (bus(1, responds=False), NO_GPUS), OFF),
    Case("it came back", swap(HGX, XID79)),
    Case("one is missing in NVML", swap(HGX, driver(7), gpus(*SEVEN)), FEWER),
    Case("one is not bound", swap(HGX, driver(7), gpus(*EIGHT[:7]), UNBOUND), {"gpu-count-mismatch": "warning"}),
    Case("one is lent to a virtual machine", swap(HGX, driver(7), gpus(*EIGHT[:7]), LENT)),
    Case("a container with two of eight", swap(HGX, driver(2), gpus(*EIGHT[:2]), DOCKER)),
    Case("a job with two of eight", swap(HGX, driver(2), gpus(*EIGHT[:2]), JOB)),
    Case("NVML tells no addresses", swap(HGX, driver(1), gpus(h100(pci="")))),
    Case("CUDA leaves one out", swap(HGX, driver(7)), FEWER),
    Case("torch leaves one out", swap(HGX, torch_ok(*["H100 (9.0)"] * 7)), FEWER),
    Case("a mask", swap(HGX, driver(2), variables(CUDA_VISIBLE_DEVICES="6,7"))),
    Case("fewer than the mask", swap(HGX, driver(1), variables(CUDA_VISIBLE_DEVICES="6,7")), FEWER),
    Case("a mask at fault is another finding", swap(HGX, driver(1), variables(CUDA_VISIBLE_DEVICES="6,-1,7"))),
    Case("a mask, or none: nothing tells", swap(HGX, driver(2), Missing("environment", "failed"))),
    Case("UUIDs taken on trust", swap(HGX, driver(1), gpus(*(h100(i, uuid="") for i in range(8))),
                                      variables(CUDA_VISIBLE_DEVICES="GPU-1"))),
    Case("MIG", swap(HGX, driver(1), gpus(*(h100(i, mig=True, mig_instances=("MIG-1",)) for i in range(8))))),
    Case("one asks for a reset", swap(HGX, driver(7), gpus(*SEVEN, h100(3, recovery_action="reset")))),
    Case("only /proc was read", swap(HGX, driver(7), gpus(*EIGHT, source="proc"))),
    Case("CUDA down is another finding", swap(HGX, fails(802), gpus(*EIGHT[:7]))),
    Case("nobody counted", swap(HGX, driver(0, cuda_init=None, cuda_devices=None))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_a_lost_gpu_is_named_by_index_and_address() -> None:
    (finding,) = CASES[5].assert_holds(FILE)
    assert finding.evidence["which"] == f"GPU 3 ({address(3)})"
    (finding,) = CASES[7].assert_holds(FILE)
    assert finding.evidence["which"] == address(3) and "Xid" in str(finding.evidence["shown"])


def test_the_missing_gpu_is_named() -> None:
    (finding,) = next(case for case in CASES if case.about == "one is missing in NVML").assert_holds(FILE)
    assert finding.evidence == {"pci": 8, "nvml": 7, "missing": address(3), "bound": "nvidia"}


def test_summary() -> None:
    assert said(FILE, bus(8), gpus(*EIGHT)) == "8 on the bus, 8 known to the driver"
    assert said(FILE, bus(1), None) == "1 on the bus, 0 known to the driver"
