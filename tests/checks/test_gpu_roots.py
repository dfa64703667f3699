"""One broken thing is one loud finding: all GPU checks together on machines with a single fault."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import NvLink
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.pci import PciDevices
from envdoctor.model import Severity
from envdoctor.testing import findings, topic_file
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_CONTAINER,
    CPU_MACHINE,
    CUDA_TORCH,
    DOCKER,
    EIGHT,
    HGX,
    JOB,
    LAPTOP_MAC,
    NO_DRIVER,
    NO_GPUS,
    RELEASE,
    WORKSTATION,
    address,
    bus,
    driver,
    fails,
    gpus,
    h100,
    no_cuda,
    swap,
    variables,
)

FILES = ("driver", "cuda_init", "gpu", "gpu_count", "devices", "gpu_busy", "gpu_health", "xid", "nvlink", "cuda_env")
ALL = tuple(check for name in (*FILES, "geforce_p2p") for check in topic_file(CHECKS / f"{name}.py").checks)
DARK = tuple(NvLink(link, False) for link in range(18))
SEVEN = (*EIGHT[:3], *EIGHT[4:])


def logged(*numbers: int) -> KernelLog:
    text = "recovery action changed to 0x1 (GPU Reset Required)"
    entries = (KernelMessage("xid", number, address(3), seconds_ago=60.0, text=text) for number in numbers)
    return KernelLog("/dev/kmsg", 9e5, tuple(entries))


def board(index: int = 3, **changes: Any) -> object:
    return gpus(*EIGHT[:index], h100(index, **changes), *EIGHT[index + 1 :])


MACHINES: dict[str, tuple[tuple[object, ...], set[str]]] = {
    "eight H100": (HGX, set()),
    "a workstation": (WORKSTATION, set()),
    "a CPU machine": (CPU_MACHINE, set()),
    "a container on a CPU machine": (CPU_CONTAINER, set()),
    "a Mac": (LAPTOP_MAC, set()),
    "no driver": ((NO_DRIVER, NO_GPUS, bus(8, driver=""), CUDA_TORCH, no_cuda(100), variables()), {"driver-missing"}),
    "a driver upgraded under a running system": (
        swap(HGX, fails(803, kernel_release="570.1", nvml_error=18, fabric_manager="inactive",
                        fabric_manager_release=RELEASE), gpus(*EIGHT, source="proc"), no_cuda(803)),
        {"driver-library-mismatch"},
    ),
    "a container without GPUs": (
        swap(HGX, Driver(release=RELEASE, kernel_release=RELEASE), gpus(*EIGHT, source="proc"), DOCKER, no_cuda(100),
             variables(CUDA_VISIBLE_DEVICES="0,1,99")),
        {"gpu-not-in-container"},
    ),
    "the fabric manager is down": (
        swap(HGX, fails(802, fabric_manager="inactive"), no_cuda(802),
             gpus(*(h100(i, fabric_state="in-progress", fabric_status="", nvlinks=DARK) for i in range(8)))),
        {"fabric-manager-down"},
    ),
    "a GPU off the bus": (
        swap(HGX, fails(999), gpus(*SEVEN, h100(3, error="GPU is lost", error_code=15)), no_cuda(999),
             logged(79, 154, 45)),
        {"gpu-fell-off-bus"},
    ),
    "a GPU off the bus, not listed any more": (swap(HGX, driver(7), gpus(*SEVEN), logged(79)), {"gpu-fell-off-bus"}),
    "broken memory": (
        swap(HGX, board(ecc_uncorrected=2, remap_pending=True, recovery_action="reset"), logged(48, 63, 94, 45)),
        {"gpu-ecc"},
    ),
    "a GSP time-out": (swap(HGX, board(recovery_action="reset"), logged(119, 154)), {"gpu-xid"}),
    "a GSP time-out that stops CUDA": (swap(HGX, fails(999), board(recovery_action="reset"), logged(119)), {"gpu-xid"}),
    "the log unread": (swap(HGX, fails(999), board(recovery_action="reset")), {"gpu-needs-recovery"}),
    "an empty mask": (
        swap(HGX, fails(100), no_cuda(None, "No CUDA GPUs are available"), variables(CUDA_VISIBLE_DEVICES="")),
        {"cuda-visible-devices-empty"},
    ),
    "a mask cut short": (
        swap(HGX, driver(2), variables(CUDA_VISIBLE_DEVICES="0,1,-1,3")),
        {"cuda-visible-devices-invalid"},
    ),
    "a job without GPUs": (
        swap(HGX, fails(100, denied_nodes=driver().device_nodes), gpus(), JOB, variables(CUDA_VISIBLE_DEVICES="")),
        {"gpu-not-allocated"},
    ),
    "MIG without instances": (
        swap(HGX, fails(100, 1), gpus(h100(mig=True)), bus(1), no_cuda(100)),
        {"mig-not-configured"},
    ),
    "device files shut": (
        swap(HGX, fails(100, nvml_error=4, denied_nodes=driver().device_nodes), gpus(*EIGHT, source="proc"),
             no_cuda(100)),
        {"gpu-not-visible"},
    ),
    "links down": (swap(HGX, board(nvlinks=(NvLink(0, False), *EIGHT[0].nvlinks[1:])), logged(74)), {"nvlink-down"}),
    "a link half as wide": (swap(HGX, board(pcie_width=8)), {"gpu-pcie-degraded"}),
    "cuInit hangs": (swap(HGX, driver(cuda_init=None, cuda_devices=None, stuck="os_acquire_mutex")), {"driver-hangs"}),
    "torch fails, the driver does not": (swap(HGX, no_cuda(None, "symbol lookup error")), {"cuda-init-failed-unknown"}),
    "a GPU lent to a virtual machine": (swap(HGX, NO_DRIVER, NO_GPUS, bus(8, driver="vfio-pci")), set()),
    "the bus alone is known": ((PciDevices(),), set()),
}  # fmt: skip


@pytest.mark.parametrize("about", MACHINES)
def test_one_root_leads(about: str) -> None:
    facts, expected = MACHINES[about]
    loud = [finding for finding in findings(ALL, *facts) if finding.severity is not Severity.NOTE]
    assert {finding.code for finding in loud if finding.because_of is None} == expected
    assert not loud or loud[0].code in expected
