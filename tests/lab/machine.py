"""Descriptions of machines with NVIDIA GPUs: what the fake driver is told, and what lies in /sys, /proc and /dev."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

GB = 1 << 30


@dataclass(frozen=True)
class Gpu:
    """A GPU. `told` are further keys of the fake NVML, see nvidia/nvml.c; `device` is its PCI device number.

    Attributes:
        capability: 90 is compute capability 9.0.
        speed: CUDA's default order puts greater ones first.
        nvlinks: None without NVLink.
        responds: False for one whose configuration space reads all ones.
    """

    name: str
    device: str
    capability: int
    memory_gb: int
    speed: int = 0
    nvlinks: int | None = None
    ecc: bool = True
    mig: bool | None = None
    fabric: bool = False
    width: int = 16
    responds: bool = True
    told: Mapping[str, object] = field(default_factory=dict)

    def but(self, **told: object) -> Gpu:
        """The same GPU with other answers."""
        return replace(self, told={**self.told, **told})


H100 = Gpu("NVIDIA H100 80GB HBM3", "0x2330", 90, 80, 90, nvlinks=18, mig=False, fabric=True)
A100 = Gpu("NVIDIA A100-SXM4-40GB", "0x20b0", 80, 40, 60, nvlinks=12, mig=False)
V100 = Gpu("Tesla V100-SXM2-32GB", "0x1db5", 70, 32, 30, nvlinks=6)
RTX_3090 = Gpu("NVIDIA GeForce RTX 3090", "0x2204", 86, 24, 50, ecc=False)
RTX_5090 = Gpu("NVIDIA GeForce RTX 5090", "0x2b85", 120, 32, 95, ecc=False)


@dataclass(frozen=True)
class Torch:
    """A CUDA build of torch: version, CUDA version, compiled-in architectures (of the official wheels)."""

    version: str
    cuda: str
    architectures: str


CU121 = Torch("2.5.1+cu121", "12.1", "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90")
CU126 = Torch("2.8.0+cu126", "12.6", "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90")
CU130 = Torch("2.9.1+cu130", "13.0", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120")


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        driver: release of the user-space libraries.
        kernel: release of the kernel module, that of the libraries unless given.
        cuda: CUDA level of the driver, as cuDriverGetVersion gives it.
        nvml_init, cu_init: return code, "hang" or "crash".
        libraries: the driver's user-space libraries are installed.
        module: kernel module that is loaded and bound to the GPUs: "nvidia", "nouveau" or "".
        nodes: the GPUs' device nodes are in /dev; uvm: nvidia-uvm among them.
        compat: release of a forward-compatibility libcuda that the loader finds first, "" without one.
        nvswitches: how many are on the bus.
        fabric_manager: "active", "inactive" (installed, not running) or "absent"; of the kernel module's release
            unless fabric_manager_release names another.
        container: a docker container, which shares the kernel's module with its host.
        wsl: the Windows Subsystem for Linux 2, with Windows' libraries; `libraries` are a Linux driver's inside it.
        log: lines of the kernel's log, the newest last, each five minutes old.
        denied: device nodes that belong to another user.
        environ: variables of the doctor.
    """

    gpus: tuple[Gpu, ...]
    driver: str = "580.65.06"
    kernel: str = ""
    cuda: int = 13000
    open_module: bool = True
    nvml_init: str = "0"
    cu_init: str = "0"
    libraries: bool = True
    module: str = "nvidia"
    nodes: bool = True
    uvm: bool = True
    compat: str = ""
    container: bool = False
    wsl: bool = False
    nvswitches: int = 0
    fabric_manager: str = "absent"
    fabric_manager_release: str = ""
    torch: Torch = CU126
    log: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    def address(self, index: int) -> str:
        """The PCI address of a GPU: each has a bus of its own."""
        return f"0000:{0x1B + 0x10 * index:02x}:00.0"

    def description(self) -> str:
        """What the fake libraries read."""
        lines = [f"driver={self.driver}", f"cuda={self.cuda}", f"gpus={len(self.gpus)}"]
        lines += [f"nvml_init={self.nvml_init}", f"cu_init={self.cu_init}"]
        for index, gpu in enumerate(self.gpus):
            lines += [f"gpu.{index}.{key}={value}" for key, value in self.answers(index, gpu).items()]
        return "\n".join(lines) + "\n"

    def answers(self, index: int, gpu: Gpu) -> dict[str, object]:
        told: dict[str, object] = {
            "name": gpu.name,
            "uuid": f"GPU-{index:08x}-1111-2222-3333-444444444444",
            "pci": f"0000{self.address(index).upper()}",
            "capability": gpu.capability,
            "memory": gpu.memory_gb * GB,
            "memory_used": 4 << 20,
            "speed": gpu.speed,
            "utilisation": 0,
            "temperature": 34,
            "slowdown": 89,
            "persistence": 1,
            "clock_reasons": 1,
            "pcie_width": gpu.width,
            "pcie_width_max": 16,
            "pcie_generation": 5,
            "pcie_generation_max": 5,
        }
        if int(self.driver.partition(".")[0]) >= 570:
            told["recovery"] = 0
        if gpu.nvlinks is not None:
            told["nvlinks"] = gpu.nvlinks
        if gpu.ecc:
            told |= {"ecc": 1, "ecc_corrected": 0, "ecc_uncorrected": 0}
            if gpu.capability >= 80:
                told |= {"remap_uncorrectable": 0, "sram_exceeded": 0}
            else:
                told |= {"retired_single": 0, "retired_double": 0, "retirement_pending": 0}
        if gpu.fabric:
            told["fabric_state"] = 3
        if gpu.mig is not None:
            told["mig"] = int(gpu.mig)
        return {**told, **gpu.told}
