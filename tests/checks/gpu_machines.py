"""Facts of GPU machines for the tests of the GPU checks: healthy ones, and one fault at a time put into them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus, NvLink
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, facts_by_type, topic_file

RELEASE, KERNEL, GIB = "580.65.06", "6.8.0-45-generic", 1 << 30
NODES = ("nvidia-uvm", "nvidiactl")


def address(index: int) -> str:
    return f"0000:{0x1B + index:02x}:00.0"


def h100(index: int = 0, **changes: Any) -> Gpu:
    """A healthy H100 SXM."""
    gpu = Gpu(
        index=index,
        uuid=f"GPU-{index:08x}-aaaa",
        name="NVIDIA H100 80GB HBM3",
        pci=address(index),
        compute_capability="9.0",
        memory_bytes=80 * GIB,
        memory_used_bytes=GIB // 2,
        ecc=True,
        ecc_uncorrected=0,
        remap_pending=False,
        remap_failed=False,
        remap_uncorrectable=0,
        sram_threshold_exceeded=False,
        recovery_action="none",
        clock_reasons=("idle",),
        utilisation_percent=0,
        temperature_c=31,
        slowdown_c=87,
        pcie_width=16,
        pcie_width_max=16,
        pcie_generation=5,
        pcie_generation_max=5,
        nvlinks=tuple(NvLink(link, True) for link in range(18)),
        fabric_state="completed",
        fabric_status="success",
        mig=False,
        persistence=True,
    )
    return replace(gpu, **changes)


def geforce(index: int = 0, name: str = "NVIDIA GeForce RTX 4090", **changes: Any) -> Gpu:
    """A healthy GeForce: no ECC, no NVLink, no fabric, idle at PCIe generation 1."""
    gpu = Gpu(
        index=index,
        uuid=f"GPU-{index:08x}-bbbb",
        name=name,
        pci=address(index),
        compute_capability="8.9",
        memory_bytes=24 * GIB,
        memory_used_bytes=GIB // 4,
        clock_reasons=("idle",),
        utilisation_percent=0,
        temperature_c=35,
        pcie_width=16,
        pcie_width_max=16,
        pcie_generation=1,
        pcie_generation_max=4,
        fabric_state="not-supported",
        persistence=False,
    )
    return replace(gpu, **changes)


def gpus(*which: Gpu, **changes: Any) -> Gpus:
    return replace(Gpus(count=len(which), gpus=which), **changes)


def bus(count: int = 8, switches: int = 0, driver: str = "nvidia", **changes: Any) -> PciDevices:
    device = replace(PciDevice(vendor="0x10de", kind="gpu", driver=driver, link_width=16, link_width_max=16), **changes)
    switch = PciDevice(vendor="0x10de", kind="nvswitch", class_code="0x068000")
    return PciDevices(
        tuple(replace(device, address=address(index)) for index in range(count))
        + tuple(replace(switch, address=f"0000:{0x80 + index:02x}:00.0") for index in range(switches))
    )


def driver(count: int = 8, **changes: Any) -> Driver:
    """A driver that works, with `count` GPUs."""
    given = Driver(
        release=RELEASE,
        kernel_release=RELEASE,
        library_release=RELEASE,
        cuda_level="13.0",
        libcuda="/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        libcuda_origin="driver",
        libcuda_release=RELEASE,
        cuda_init=0,
        cuda_devices=count,
        cuda_order=tuple(address(index) for index in range(count)),
        device_nodes=(*(f"nvidia{index}" for index in range(count)), *NODES),
    )
    return replace(given, **changes)


def fails(code: int, count: int = 8, **changes: Any) -> Driver:
    """A driver that is all there, and whose cuInit returns `code`."""
    given: dict[str, Any] = {"cuda_init": code, "cuda_devices": None, "cuda_order": (), "cuda_level": "", **changes}
    return driver(count, **given)


def no_cuda(code: int | None, error: str = "") -> TorchCuda:
    return TorchCuda(error=error or f"Unexpected error from cudaGetDeviceCount(). Error {code}", code=code)


def torch_ok(*names: str) -> TorchCuda:
    return TorchCuda(available=True, device_count=len(names), devices=names)


def variables(**values: str) -> Environment:
    return Environment(values)


CUDA_TORCH = TorchInstall(folder="/env/torch", version="2.13.0+cu130", cuda="13.0")
CPU_TORCH = TorchInstall(folder="/env/torch", version="2.13.0+cpu")
EIGHT = tuple(h100(index) for index in range(8))
HOST = Host(system="linux", kernel=KERNEL)
DOCKER = replace(HOST, container="docker", container_shown_by="/.dockerenv exists")
JOB = replace(HOST, scheduler=Scheduler("slurm", "4711", "SLURM_JOB_ID"))
WSL = replace(HOST, wsl=2)
NO_DRIVER = Missing("driver", "not-here", "no NVIDIA driver")
NO_GPUS = Missing("gpu", "not-here", "neither NVML nor nvidia-smi")
NO_PCI = Missing("pci", "not-here")

HGX = (driver(fabric_manager="active"), gpus(*EIGHT), bus(switches=4), CUDA_TORCH, variables(), HOST)
WORKSTATION = (driver(1), gpus(geforce()), bus(1), CUDA_TORCH, variables(), HOST)
CPU_MACHINE = (NO_DRIVER, NO_GPUS, PciDevices(), CPU_TORCH, variables(), HOST)
CPU_CONTAINER = (NO_DRIVER, NO_GPUS, PciDevices(), CUDA_TORCH, variables(NVIDIA_VISIBLE_DEVICES="all"), DOCKER)
LAPTOP_MAC = (
    NO_DRIVER,
    NO_GPUS,
    Missing("pci", "not-supported"),
    CPU_TORCH,
    variables(),
    Host(system="macos", kernel="23.1"),
)
HEALTHY = (
    Case("eight H100", HGX),
    Case("a workstation", WORKSTATION),
    Case("a CPU machine", CPU_MACHINE),
    Case("a container on a CPU machine, made from an image for CUDA", CPU_CONTAINER),
    Case("a Mac", LAPTOP_MAC),
)


def swap(facts: tuple[object, ...], *others: object) -> tuple[object, ...]:
    """The facts with some replaced by others of the same kind, or added."""
    return tuple({**facts_by_type(facts), **facts_by_type(others)}.values())


def said(file: Path, *facts: object) -> str | None:
    """The summary line of a file of checks in English, None where it has nothing to say."""
    summary = topic_file(file).summary
    assert summary is not None
    line = summary.line(*facts)
    return line[0].say("en", line[1]) if line else None
