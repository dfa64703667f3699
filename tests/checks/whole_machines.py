"""Single computers on which nothing is wrong, each with every fact that there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.cpu import Cpu
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import GpuProcess, Gpus, NvLink
from envdoctor.facts.host import Host
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.nics import Nic
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from tests.checks.interfaces import LO, nics
from tests.checks.whole_hardware import card, desktop, driven, fabric, hca, toolkit
from tests.checks.whole_parts import GIB, LAN, Machine, but, changed, has, linux, names, without
from tests.checks.whole_torch import imported, interpreter, stack

DOCKER0 = (Nic("docker0", 4, "bridge", running=False, carrier=False, speed_is_real=False), ("172.17.0.1/16",))

VPN = (Nic("tun0", 9, "tun", mtu=1400, point_to_point=True, speed_is_real=False), ("10.8.0.6/24",))

BIG_LIMITS = Limits(
    SharedMemory(1000 * GIB, 990 * GIB), Limit(), Limit(1048576, 1048576), Limit(4 << 20, 4 << 20), oom_kills=0
)


def workstation(model: str = "4090", torch: str = "2.9.1+cu128", release: str = "580.95.05") -> Machine:
    """One GeForce with the screen on it."""
    gpu = desktop(card(model, driver=release[:3]))
    return but(linux(torch), *driven(gpu, release=release), toolkit("12.8"))


def wsl() -> Machine:
    """A GeForce of Windows: no kernel module, no PCI of it, libcuda from Windows."""
    gpu = card("4090", persistence=True, pcie_generation=4, memory_used_bytes=1500 << 20, fabric_state="")
    driver, told, _, cuda, _ = driven(gpu, release="580.88.01", order=False)
    assert isinstance(driver, Driver)
    driver = replace(
        driver,
        kernel_release="",
        release_source="NVML",
        device_nodes=(),
        libcuda="/usr/lib/wsl/lib/libcuda.so.1",
        libcuda_origin="wsl",
        libcuda_release="",
        library_release="",
        libnvml="/usr/lib/wsl/lib/libnvidia-ml.so.1",
    )
    nic = (Nic("eth0", 2, "physical", speed_mbps=10000, speed_is_real=False, driver="hv_netvsc"), ("172.29.144.10/20",))
    machine = changed(
        linux("2.9.1+cu128"),
        Host,
        wsl=2,
        kernel="6.6.87.2-microsoft-standard-WSL2",
        virtual_machine="Microsoft Hyper-V",
    )
    return but(
        machine,
        driver,
        told,
        cuda,
        PciDevices(),
        nics(LO, nic, source="172.29.144.10"),
        WSL_DISTRO_NAME="Ubuntu",
        WSL_INTEROP="/run/WSL/8_interop",
    )


def mac() -> Machine:
    """Apple silicon: what only Linux has is not supported there."""
    linux_only = (
        "limits",
        "pci",
        "kernel-log",
        "driver",
        "gpu",
        "libraries",
        "nics",
        "nccl",
        "rdma",
        "peer-paths",
        "cpu",
        "mapped-libraries",
    )
    python = interpreter("/Users/ada/train/.venv/bin/python", machine="arm64")
    machine = changed(
        linux("2.9.1", "arm64", python=python),
        Host,
        system="macos",
        kernel="24.6.0",
        distribution="",
        glibc="",
        distribution_version="15.6",
    )
    return without(but(machine, SHELL="/bin/zsh"), *linux_only, reason="not-supported")


def windows() -> Machine:
    """A GeForce under Windows, where the driver is not looked at."""
    linux_only = (
        "limits",
        "pci",
        "kernel-log",
        "driver",
        "gpu",
        "libraries",
        "nics",
        "nccl",
        "rdma",
        "peer-paths",
        "cpu",
        "mapped-libraries",
    )
    python = replace(
        interpreter(machine="AMD64"),
        executable=r"C:\train\.venv\Scripts\python.exe",
        venv=r"C:\train\.venv",
        prefix=r"C:\train\.venv",
        on_path=r"C:\train\.venv\Scripts\python.exe",
        scripts_python="",
        path=(r"C:\train",),
        isolated_path=(r"C:\train\.venv\Lib\site-packages",),
    )
    install, _, _, cuda, _, packages, _ = stack("2.9.1+cu128", r"C:\train\.venv\Lib\site-packages")
    assert isinstance(install, TorchInstall)
    install = replace(install, pins=())
    machine = changed(
        linux("2.9.1+cu128", python=python),
        Host,
        system="windows",
        kernel="10.0.26100",
        machine="AMD64",
        distribution="",
        glibc="",
    )
    came = replace(imported(install)[0], backends=("gloo",))  # type: ignore[type-var]
    return without(but(machine, install, came, cuda, packages), *linux_only, reason="not-supported")


def laptop() -> Machine:
    """No GPU; docker's bridge, a VPN beside the default route."""
    wifi = (Nic("wlp2s0", 3, "physical", driver="iwlwifi"), ("192.168.1.20/24",))
    return but(
        linux(),
        nics(LO, wifi, DOCKER0, VPN, source="192.168.1.20"),
        Cpu({"powersave": 16}, "intel_pstate", "tsc", ("tsc",), 1, 0),
    )


def ci() -> Machine:
    """A runner's container: docker's network, 64 MB of shared memory, no GPU."""
    nic = (Nic("eth0", 5, "veth", speed_mbps=10000, speed_is_real=False), ("172.17.0.2/16",))
    host = {
        "container": "docker",
        "container_shown_by": "/.dockerenv exists",
        "root": True,
        "cpus": 4,
        "memory_bytes": 16 * GIB,
    }
    return but(
        changed(linux(), Host, **host),
        nics(LO, nic, source="172.17.0.2"),
        *names("c0ffee", "172.17.0.2", "172.17.0.2"),
        Limits(SharedMemory(2 * GIB, 2 * GIB), Limit(8 << 20, 8 << 20), Limit(1048576, 1048576)),
        Missing("kernel-log", "denied"),
        ShellFiles("", "/root"),
        CI="true",
    )


def mixed_driver(model: str, torch: str, release: str, count: int = 1, **changes: Any) -> Machine:
    """Cards under an older driver of the same CUDA major version, as minor-version compatibility allows."""
    return but(linux(torch), *driven(*(card(model, n, release[:3]) for n in range(count)), release=release, **changes))


def loud_log() -> Machine:
    """An application's own Xid, and another program killed for want of memory long ago."""
    log = KernelLog(
        "/dev/kmsg",
        9e5,
        (
            KernelMessage("xid", 31, "0000:1b:00.0", "python3", 4711, 80_000.0, 1, "MMU Fault"),
            KernelMessage("oom-kill", process="chrome", pid=5, seconds_ago=80_000.0),
        ),
    )
    return but(workstation(), log)


def azure() -> Machine:
    """Accelerated networking shows an adapter with RDMA in every machine; libibverbs is not installed."""
    adapter = fabric(
        hca(0, 100.0, "eth1"),
        libibverbs="",
        libibverbs_error="libibverbs.so.1: cannot open shared object file",
        offered=None,
    )
    return but(
        changed(workstation("t4", "2.8.0+cu126", "570.195.03"), Host, virtual_machine="Microsoft Hyper-V"), adapter
    )


def pair_of_3090() -> Machine:
    """Without a bridge no link of theirs is active."""
    links = tuple(NvLink(n, False) for n in range(4))
    return but(
        linux("2.9.1+cu128"),
        *driven(*(card("3060", n, name="NVIDIA GeForce RTX 3090", nvlinks=links) for n in range(2))),
    )


def developer() -> Machine:
    """A workstation with a browser full of pages, a compose network older than the USB adapter it is reached over."""
    machine = workstation("3060")
    gpu = has(machine, Gpus).gpus[0]
    browser = GpuProcess(5000, 3 * GIB, "ada", "/opt/google/chrome/chrome --type=gpu-process")
    compose = (replace(DOCKER0[0], name="br-4f2a9100aabb", index=1, running=True), ("172.18.0.1/16",))
    gpu = replace(gpu, processes=(*gpu.processes, browser), memory_used_bytes=5 * GIB)
    return but(machine, Gpus(count=1, gpus=(gpu,)), nics(LO, compose, LAN, DOCKER0, source="192.168.1.20"))


COMPUTERS: dict[str, Machine] = {
    "a workstation with a browser and a bridge": developer(),
    "a laptop with docker and a VPN": laptop(),
    "a runner of continuous integration": ci(),
    "RTX 3060, driver 550, CUDA 12.4": workstation("3060", "2.6.0+cu124", "550.163.01"),
    "RTX 3060, driver 550, CUDA 12.1": workstation("3060", "2.5.1+cu121", "550.163.01"),
    "RTX 4090, driver 570, CUDA 12.6": workstation("4090", "2.8.0+cu126", "570.195.03"),
    "RTX 4090, driver 570, CUDA 12.8": workstation("4090", "2.9.1+cu128", "570.195.03"),
    "RTX 4090, driver 580, CUDA 12.8": workstation(),
    "RTX 5090, driver 580, CUDA 12.8": workstation("5090"),
    "RTX 4090, driver 580, CUDA 13.0": workstation("4090", "2.11.0+cu130"),
    "eight P100, CUDA 12.1": mixed_driver("p100", "2.4.0+cu121", "550.107.02", 8),
    "a T4 at Azure": azure(),
    "WSL": wsl(),
    "macOS": mac(),
    "Windows": windows(),
    "a log with an application's faults": loud_log(),
    "conda's base below a venv": but(workstation(), CONDA_PREFIX="/home/ada/miniforge3", CONDA_DEFAULT_ENV="base"),
    "two RTX 3090 without a bridge": pair_of_3090(),
}
