"""checks/cuda_init.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_CONTAINER,
    CPU_MACHINE,
    DOCKER,
    HGX,
    LAPTOP_MAC,
    NO_GPUS,
    WORKSTATION,
    bus,
    driver,
    fails,
    geforce,
    gpus,
    h100,
    no_cuda,
    swap,
    torch_ok,
    variables,
)

FILE = CHECKS / "cuda_init.py"
UNKNOWN = {"cuda-init-failed-unknown": "error"}
NOT_TRIED = driver(1, cuda_init=None, cuda_devices=None)

CASES = [
    Case("eight H100", swap(HGX, torch_ok(*["NVIDIA H100 80GB HBM3 (9.0)"] * 8))),
    Case("a workstation, torch not tried", WORKSTATION),
    Case("a CPU machine", CPU_MACHINE),
    Case("a container on a CPU machine", CPU_CONTAINER),
    Case("a Mac", LAPTOP_MAC),
    Case("torch finds no GPU where there is none", swap(CPU_CONTAINER, no_cuda(None, "No CUDA GPUs are available"))),
    Case("999 after a suspend", swap(WORKSTATION, fails(999, 1)), UNKNOWN),
    Case("torch says 999", swap(WORKSTATION, NOT_TRIED, no_cuda(999)), UNKNOWN),
    Case("802 without a fabric", swap(WORKSTATION, fails(802, 1)), UNKNOWN),
    Case("some other number", swap(WORKSTATION, fails(3, 1, cuda_init_name="CUDA_ERROR_NOT_INITIALIZED")), UNKNOWN),
    Case("no device, nothing hides it", swap(HGX, driver(0, device_nodes=driver().device_nodes)), UNKNOWN),
    Case("libcuda dies", swap(WORKSTATION, driver(1, cuda_init=None, crashed_call="cuInit (SIGSEGV)")), UNKNOWN),
    Case("a stub of libcuda", swap(WORKSTATION, fails(34, 1, libcuda_origin="stub")), UNKNOWN),
    Case("the driver can, torch cannot", swap(WORKSTATION, no_cuda(None, "libcudart.so.13: symbol lookup")), UNKNOWN),
    Case("torch too new for the driver is another finding",
         swap(WORKSTATION, no_cuda(None, "The NVIDIA driver on your system is too old (found version 11040)."))),
    Case("35 as well", swap(WORKSTATION, no_cuda(35))),
    Case("no driver is another finding", swap(CPU_MACHINE, bus(1, driver=""), no_cuda(100))),
    Case("an empty mask is another finding", swap(WORKSTATION, fails(100, 1), variables(CUDA_VISIBLE_DEVICES=""))),
    Case("so is a mask that torch met",
         swap(WORKSTATION, NOT_TRIED, no_cuda(None, "No CUDA GPUs are available"),
              variables(CUDA_VISIBLE_DEVICES="7"))),
    Case("a lost GPU is another finding", swap(HGX, fails(999), gpus(h100(error="GPU is lost", error_code=15)))),
    Case("a GPU to be reset is another finding", swap(HGX, fails(999), gpus(h100(recovery_action="reset")))),
    Case("a GPU whose memory broke is another finding", swap(HGX, fails(214), gpus(h100(ecc_uncorrected=2)))),
    Case("a full GPU is another finding", swap(WORKSTATION, fails(2, 1))),
    Case("MIG without instances is another finding", swap(HGX, fails(100, 1), gpus(h100(mig=True)))),
    Case("a GPU that did not start is another finding", swap(HGX, fails(100), gpus(), NO_GPUS, bus(1, driver=""))),
    Case("a container without GPUs is another finding",
         swap(HGX, Driver(kernel_release="580.65.06", release="580.65.06"), NO_GPUS, DOCKER)),
    Case("a call that hangs is another finding", swap(HGX, driver(cuda_init=None, stuck="os_acquire_mutex"))),
    Case("torch hung", swap(HGX, Missing("torch-cuda", "hung"))),
    Case("a GeForce whose torch is fine", swap(WORKSTATION, gpus(geforce()), torch_ok("RTX 4090 (8.9)"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation", "command", "evidence"),
    [
        ("999 after a suspend", "unknown-error", "rmmod nvidia_uvm", {"error": 999, "call": "cuInit"}),
        ("torch says 999", "unknown-error", "rmmod nvidia_uvm", {"error": 999, "call": "torch.cuda.init()"}),
        ("802 without a fabric", "not-ready", "conf-compute", {"error": 802}),
        ("some other number", None, "dmesg", {"error": 3, "name": "CUDA_ERROR_NOT_INITIALIZED"}),
        ("no device, nothing hides it", None, "dmesg", {"error": 100}),
        ("libcuda dies", "crashed", "dmesg", {"call": "cuInit (SIGSEGV)"}),
        ("a stub of libcuda", "stub", "grep -v /stubs", {}),
        ("the driver can, torch cannot", "torch", "env -u LD_LIBRARY_PATH", {}),
    ],
)
def test_says_what_was_seen(about: str, situation: str | None, command: str, evidence: dict[str, object]) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert finding.situation == situation and command in (finding.command or finding.look or "")
    assert {name: finding.evidence[name] for name in evidence} == evidence
