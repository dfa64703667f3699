"""checks/driver.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.pci import PciDevices
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_MACHINE,
    CUDA_TORCH,
    DOCKER,
    HEALTHY,
    HGX,
    HOST,
    KERNEL,
    NO_DRIVER,
    NO_GPUS,
    RELEASE,
    WORKSTATION,
    WSL,
    bus,
    driver,
    fails,
    geforce,
    gpus,
    h100,
    no_cuda,
    said,
    swap,
    variables,
)

FILE = CHECKS / "driver.py"
MISSING = {"driver-missing": "error"}
MISMATCH = {"driver-library-mismatch": "error"}
HANGS = {"driver-hangs": "error"}
COMPAT = {"cuda-compat-mismatch": "error"}
OLD = "570.86.10"
REJECTED = KernelLog(entries=(KernelMessage("module-rejected", text="Key was rejected"),))
WSL_LIBCUDA = "/usr/lib/wsl/lib/libcuda.so.1"
UNTRIED = driver(1, cuda_init=None, cuda_devices=None)
IN_COMPAT = {"libcuda": "/usr/local/cuda/compat/libcuda.so.1", "libcuda_origin": "compat"}
SLOW = Missing("driver", "slow", "not seen in time")
IN_WSL = Driver(release="581.42", libcuda=WSL_LIBCUDA, libcuda_origin="wsl", cuda_init=0, cuda_devices=1)


def bare(*others: object, of: str = "", host: object = HOST) -> tuple[object, ...]:
    """A machine with a GPU on the bus, bound to the kernel driver `of`, and without NVIDIA's module."""
    return swap((NO_DRIVER, NO_GPUS, bus(1, driver=of), CUDA_TORCH, variables(), host), *others)


CASES = [
    *HEALTHY,
    Case("a GPU, and nothing installed", bare(), MISSING),
    Case("nouveau owns it", bare(Driver(nouveau=True), of="nouveau"), MISSING),
    Case("installed, not loaded", bare(Driver(library_release=RELEASE, module_kernels=(KERNEL,))), MISSING),
    Case("built for the kernel of yesterday", bare(Driver(module_kernels=("6.8.0-44-generic",))), MISSING),
    Case("refused by secure boot", bare(Driver(module_kernels=(KERNEL,), secure_boot=True)), MISSING),
    Case("nvidia-smi cannot reach it, the bus cannot be read",
         swap(CPU_MACHINE, Driver(library_release=RELEASE, nvml_error=9), Missing("pci", "denied")), MISSING),
    Case("driver packages on a machine without a GPU",
         swap(CPU_MACHINE, Driver(library_release=RELEASE, nvml_error=9))),
    Case("rejected, the kernel says",
         bare(Driver(module_kernels=(KERNEL,)), REJECTED),
         MISSING),
    Case("a container on a host without a driver", bare(host=DOCKER), MISSING),
    Case("the GPU belongs to a virtual machine", bare(of="vfio-pci")),
    Case("the module without libcuda",
         swap(WORKSTATION, Driver(release=RELEASE, kernel_release=RELEASE, device_nodes=("nvidia0", "nvidiactl")),
              NO_GPUS), MISSING),
    Case("a libcuda that does not open",
         swap(WORKSTATION, Driver(release=RELEASE, kernel_release=RELEASE, libcuda="/usr/lib/libcuda.so.1",
                                  libcuda_error="wrong ELF class"), NO_GPUS), MISSING),
    Case("upgraded under a running system",
         swap(HGX, fails(803, kernel_release=OLD, release=OLD, nvml_error=18), NO_GPUS), MISMATCH),
    Case("NVML says so, CUDA was not asked",
         swap(WORKSTATION, Driver(kernel_release=OLD, release=OLD, nvml_error=18, nvml_error_text="mismatch")),
         MISMATCH),
    Case("releases differ and nobody was asked",
         swap(WORKSTATION, replace(UNTRIED, kernel_release=OLD), NO_GPUS), MISMATCH),
    Case("old libraries lie about, and all works", swap(WORKSTATION, driver(1, library_release=OLD))),
    Case("a container that outlived the driver's upgrade",
         swap(HGX, fails(803, kernel_release=OLD, nvml_error=18), NO_GPUS, DOCKER), MISMATCH),
    Case("804 after an upgrade is the same", swap(WORKSTATION, fails(804, 1, kernel_release=OLD)), MISMATCH),
    Case("compat libcuda in an image",
         swap(WORKSTATION, fails(804, 1, **IN_COMPAT), DOCKER),
         COMPAT),
    Case("compat libcuda, 803, by LD_LIBRARY_PATH",
         swap(WORKSTATION, fails(803, 1, libcuda_origin="compat", library_release=OLD),
              variables(LD_LIBRARY_PATH="/usr/local/cuda/compat:/opt/lib")), COMPAT),
    Case("torch alone met 804", swap(WORKSTATION, UNTRIED, no_cuda(804)), COMPAT),
    Case("compat libcuda that is allowed", swap(HGX, driver(libcuda_origin="compat", libcuda_release="590.44.01"))),
    Case("WSL 2 as it should be", (IN_WSL, gpus(geforce(pci="")), PciDevices(), CUDA_TORCH, WSL)),
    Case("WSL 2 without libcuda", (NO_DRIVER, NO_GPUS, PciDevices(), CUDA_TORCH, WSL), {"wsl-driver": "warning"}),
    Case("WSL 2, and the driver was not seen in time", (SLOW, NO_GPUS, PciDevices(), CUDA_TORCH, WSL)),
    Case("WSL 2, and nobody wants CUDA", (NO_DRIVER, NO_GPUS, PciDevices(), WSL)),
    Case("WSL 2 with a Linux driver inside",
         (fails(100, 1, kernel_release="", release=""), NO_GPUS, CUDA_TORCH, WSL), {"wsl-driver": "error"}),
    Case("WSL 2, blocked by Windows",
         (replace(IN_WSL, cuda_init=500, nvml_error=17, nvml_error_text="GPU access blocked by the operating system"),
          NO_GPUS, CUDA_TORCH, WSL), {"wsl-driver": "error"}),
    Case("WSL 2, hidden by the mask",
         (replace(IN_WSL, cuda_init=100, cuda_devices=None), gpus(geforce()), CUDA_TORCH, WSL,
          variables(CUDA_VISIBLE_DEVICES=""))),
    Case("WSL 1", (NO_DRIVER, NO_GPUS, CUDA_TORCH, replace(WSL, wsl=1)), {"wsl-driver": "warning"}),
    Case("WSL 1, and nobody wants CUDA", (NO_DRIVER, NO_GPUS, replace(WSL, wsl=1))),
    Case("a stub of libcuda is no missing driver", swap(WORKSTATION, fails(34, 1, libcuda_origin="stub"))),
    Case("a call stays in the kernel", swap(HGX, driver(cuda_init=None, stuck="os_acquire_mutex", stuck_call="cuInit")),
         HANGS),
    Case("the whole section hung", swap(HGX, Missing("driver", "hung", "\n  cuInit\n")), HANGS),
    Case("NVML hung", swap(HGX, Missing("gpu", "hung")), HANGS),
    Case("torch hung", swap(HGX, Missing("torch-cuda", "hung", "in torch/cuda/__init__.py")), HANGS),
    Case("torch was slow", swap(HGX, Missing("torch-cuda", "slow", "page faults"))),
    Case("one GPU hung", swap(HGX, gpus(h100(), h100(1, error="does not return (waits in os_acquire_mutex)"))), HANGS),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation", "command"),
    [
        ("a GPU, and nothing installed", None, None),
        ("nouveau owns it", "nouveau", "blacklist-nouveau.conf"),
        ("installed, not loaded", "not-loaded", "sudo modprobe nvidia"),
        ("built for the kernel of yesterday", "other-kernel", "dkms autoinstall"),
        ("refused by secure boot", "secure-boot", "sudo modprobe nvidia"),
        ("rejected, the kernel says", "secure-boot", "sudo modprobe nvidia"),
        ("a container on a host without a driver", "host", "on the host"),
        ("the module without libcuda", "library", "ldconfig -p"),
        ("a libcuda that does not open", "unreadable", "ldd /usr/lib/libcuda.so.1"),
        ("upgraded under a running system", None, "sudo reboot"),
        ("a container that outlived the driver's upgrade", "container", "docker restart"),
        ("compat libcuda, 803, by LD_LIBRARY_PATH", "path", "grep -v /compat"),
        ("WSL 2 with a Linux driver inside", "shadowed", "dpkg -S"),
        ("WSL 2, blocked by Windows", None, "wsl.exe --update"),
        ("WSL 1", "wsl1", "--set-version"),
    ],
)
def test_the_command_fits_the_situation(about: str, situation: str | None, command: str | None) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert finding.situation == situation
    pasted = finding.command or finding.look
    assert (command is None) == (pasted is None)
    assert command is None or command in (pasted or "")


@pytest.mark.parametrize(
    ("about", "call", "where"),
    [
        ("a call stays in the kernel", "cuInit", "wchan os_acquire_mutex"),
        ("the whole section hung", "libcuda, NVML", "cuInit"),
        ("NVML hung", "NVML", "no CPU time and no I/O until the limit"),
        ("torch hung", "torch.cuda.init()", "in torch/cuda/__init__.py"),
        ("one GPU hung", "NVML on GPU 1", "does not return (waits in os_acquire_mutex)"),
    ],
)
def test_the_call_that_hangs_is_named(about: str, call: str, where: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert finding.evidence == {"call": call, "where": where}


def test_summary() -> None:
    assert said(FILE, driver(), bus()) == "580.65.06, CUDA 13.0"
    assert said(FILE, driver(cuda_level=""), bus()) == "580.65.06"
    assert said(FILE, NO_DRIVER, PciDevices()) == "no NVIDIA GPU on this machine"
    assert said(FILE, NO_DRIVER, bus()) is None
