"""GPUs, drivers, adapters and toolkits of whole machines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, GpuProcess, Gpus, NvLink
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.peer_paths import PeerPaths
from envdoctor.facts.rdma import Gid, Port, Rdma, RdmaDevice
from envdoctor.facts.toolkit import Compiler, CudaToolkit, Toolkit
from envdoctor.facts.torch import TorchCuda
from tests.checks.whole_parts import GIB, Machine, but, changed

# Product name, compute capability, memory in GiB, PCIe generation, NVLinks, NVLink fabric, ECC.
MODELS: dict[str, tuple[str, str, int, int, int, bool, bool]] = {
    "3060": ("NVIDIA GeForce RTX 3060", "8.6", 12, 4, 0, False, False),
    "4090": ("NVIDIA GeForce RTX 4090", "8.9", 24, 4, 0, False, False),
    "5090": ("NVIDIA GeForce RTX 5090", "12.0", 32, 5, 0, False, False),
    "t4": ("Tesla T4", "7.5", 15, 3, 0, False, True),
    "p100": ("Tesla P100-PCIE-16GB", "6.0", 16, 3, 0, False, True),
    "v100": ("Tesla V100-SXM2-32GB", "7.0", 32, 3, 6, False, True),
    "a100": ("NVIDIA A100-SXM4-80GB", "8.0", 80, 4, 12, False, True),
    "h100": ("NVIDIA H100 80GB HBM3", "9.0", 80, 5, 18, True, True),
    "gh200": ("NVIDIA GH200 480GB", "9.0", 96, 5, 0, False, True),
    "gb200": ("NVIDIA GB200", "10.0", 186, 6, 18, True, True),
    "l40s": ("NVIDIA L40S", "8.9", 45, 4, 0, False, True),
}
LEVELS = {
    "535": "12.2",
    "545": "12.3",
    "550": "12.4",
    "555": "12.5",
    "560": "12.6",
    "570": "12.8",
    "575": "12.9",
    "580": "13.0",
}


def address(index: int) -> str:
    return f"0000:{0x1B + 8 * index:02x}:00.0"


def card(model: str, index: int = 0, driver: str = "580", **changes: Any) -> Gpu:
    """An idle GPU as NVML tells of it: clocks idle, on workstations PCIe in its first generation."""
    name, capability, gib, generation, links, fabric, ecc = MODELS[model]
    new, geforce = int(driver) >= 570, "GeForce" in name
    gpu = Gpu(
        index,
        f"GPU-{index:08x}-1111-2222-3333-{model:>012}",
        name,
        address(index),
        capability,
        gib * GIB,
        GIB // 3 if geforce else 5 << 20,
        ecc=True if ecc else None,
        ecc_uncorrected=0 if ecc else None,
        ecc_corrected=0 if ecc else None,
        clock_reasons=("idle",),
        utilisation_percent=0,
        temperature_c=34,
        slowdown_c=90,
        pcie_width=16,
        pcie_width_max=16,
        pcie_generation=1 if geforce else generation,
        pcie_generation_max=generation,
        nvlinks=tuple(NvLink(n, True) for n in range(links)),
        recovery_action="none" if new else "",
        persistence=not geforce,
        fabric_state="completed" if fabric else "not-supported" if new else "",
        fabric_status="success" if fabric else "",
        mig=False if capability in ("8.0", "9.0", "10.0") else None,
    )
    if ecc and float(capability) >= 8:
        gpu = replace(
            gpu, remap_pending=False, remap_failed=False, remap_uncorrectable=0, sram_threshold_exceeded=False
        )
    elif ecc:
        gpu = replace(gpu, retired_pages=0, retirement_pending=False)
    return replace(gpu, **changes)


def desktop(gpu: Gpu) -> Gpu:
    """The GPU of a workstation whose screen hangs on it."""
    holders = (
        GpuProcess(2101, 380 << 20, "root", "/usr/lib/xorg/Xorg"),
        GpuProcess(2333, 210 << 20, "ada", "/usr/bin/gnome-shell"),
        GpuProcess(4410, 620 << 20, "ada", "/usr/lib/firefox/firefox"),
    )
    return replace(
        gpu,
        memory_used_bytes=1400 << 20,
        processes=holders,
        clock_reasons=(),
        utilisation_percent=6,
        pcie_generation=gpu.pcie_generation_max,
    )


def driven(*cards: Gpu, release: str = "580.95.05", order: bool = True, **changes: Any) -> tuple[object, ...]:
    """Driver, GPUs, the bus they sit on, what torch's CUDA finds, and the ways between them."""
    places = tuple(gpu.pci for gpu in cards)
    nodes = (*(f"nvidia{n}" for n in range(len(cards))), "nvidiactl", "nvidia-uvm")
    own = Driver(
        release,
        "/proc/driver/nvidia/version",
        release,
        release,
        int(release[:3]) >= 560,
        LEVELS[release[:3]],
        "cuDriverGetVersion",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        "driver",
        release,
        libnvml="/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
        cuda_init=0,
        cuda_devices=len(cards),
        cuda_order=places if order else (),
        device_nodes=nodes,
    )
    on_bus = tuple(
        PciDevice(
            place,
            "0x10de",
            "0x2330",
            "0x030200",
            "gpu",
            "nvidia",
            gpu.pcie_width,
            gpu.pcie_width_max,
            numa_node=0,
            responds=True,
        )
        for place, gpu in zip(places, cards, strict=True)
    )
    seen = TorchCuda(True, len(cards), devices=tuple(f"{gpu.name} ({gpu.compute_capability})" for gpu in cards))
    ways = PeerPaths(places, dict.fromkeys(places, "identity"), dict.fromkeys(places, ("0000:00:01.0",)))
    return replace(own, **changes), Gpus(count=len(cards), gpus=cards), PciDevices(on_bus), seen, ways


def toolkit(version: str, root: str = "/usr/local/cuda", source: str = "PATH", gcc: str = "11") -> Toolkit:
    nvcc = CudaToolkit(f"{root}/bin/nvcc", root, source, version, "file")
    return Toolkit(
        toolkits=(nvcc,),
        cc=Compiler("gcc", "/usr/bin/gcc", "gcc", gcc),
        cxx=Compiler("g++", "/usr/bin/g++", "gcc", gcc),
        ninja="/usr/bin/ninja",
        python_headers=True,
    )


def hca(number: int, rate: float = 400.0, netdev: str = "", **changes: Any) -> RdmaDevice:
    """An InfiniBand port, or one of RoCE where it belongs to an Ethernet interface."""
    text = f"{rate:g} Gb/sec (4X NDR)"
    gids: tuple[Gid, ...] = (Gid(0, "fe80:0000:0000:0000:0e42:a1ff:fe00:0001", "", ""),)
    if netdev:
        four = f"0000:0000:0000:0000:0000:ffff:0a0{number}:000b"
        gids = (
            Gid(0, gids[0].gid, "IB/RoCE v1", netdev),
            Gid(1, gids[0].gid, "RoCE v2", netdev),
            Gid(2, four, "IB/RoCE v1", netdev),
            Gid(3, four, "RoCE v2", netdev),
        )
    layer = "Ethernet" if netdev else "InfiniBand"
    told = RdmaDevice(
        f"mlx5_{number}",
        (Port(1, link_layer=layer, rate_gbps=rate, rate_text=text, gids=gids),),
        firmware="28.39.1002",
        board="MT_0000000838",
        driver="mlx5_core",
        pci=f"0000:{0x18 + number:02x}:00.0",
        numa_node=number // 4,
        netdevs=(netdev,) if netdev else (),
        node=f"/dev/infiniband/uverbs{number}",
    )
    return replace(told, **changes)


def fabric(*devices: RdmaDevice, **changes: Any) -> Rdma:
    told = Rdma(
        devices,
        peer_memory=("/sys/module/nvidia_peermem/version",),
        libibverbs="libibverbs.so.1",
        offered=tuple(device.name for device in devices),
    )
    return replace(told, **changes)


def no_cuda(machine: Machine, code: int | None, error: str = "", **driver: Any) -> Machine:
    """CUDA does not start: neither for the driver's own library (unless told otherwise) nor for torch."""
    error = error or f"Unexpected error from cudaGetDeviceCount(). Error {code}"
    changes = {"cuda_init": code, "cuda_devices": None, "cuda_order": (), **driver}
    return but(changed(machine, Driver, **changes), TorchCuda(error=error, code=code))
