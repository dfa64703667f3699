"""Servers with many GPUs, and workers of a job on them, on which nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.cpu import Cpu
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import GpuProcess, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limit
from envdoctor.facts.nics import Nic
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.rendezvous import PortHolder, RendezvousPort, RendezvousReach, Target
from tests.checks.interfaces import LO, nics
from tests.checks.whole_hardware import card, driven, fabric, hca, toolkit
from tests.checks.whole_machines import BIG_LIMITS, DOCKER0
from tests.checks.whole_parts import GIB, Machine, but, changed, linux, names, port, probes, torchrun

ETH = (
    Nic("eth0", 2, "physical", speed_mbps=25000, driver="mlx5_core", pci="0000:3b:00.0", vendor="0x15b3"),
    ("10.0.0.11/24",),
)

IBS = tuple(
    (Nic(f"ib{n}", 10 + n, "ipoib", mtu=2044, speed_mbps=400000, driver="mlx5_core"), (f"10.1.{n}.11/24",))
    for n in range(8)
)

SERVER = {"cpus": 128, "memory_bytes": 2000 * GIB}


def server(model: str = "h100", torch: str = "2.9.1+cu128", release: str = "580.95.05", **changes: Any) -> Machine:
    """Eight SXM GPUs, eight InfiniBand ports, an NVSwitch board with its fabric manager; idle."""
    gpus = tuple(card(model, n, release[:3]) for n in range(8))
    driver, told, bus, cuda, ways = driven(
        *gpus, release=release, fabric_manager="active", fabric_manager_release=release
    )
    assert isinstance(bus, PciDevices)
    switches = tuple(
        PciDevice(f"0000:{0x80 + n:02x}:00.0", "0x10de", "0x22a3", "0x068000", "nvswitch") for n in range(4)
    )
    machine = linux(torch, name="gpu-a01")
    return but(
        changed(machine, Host, **SERVER),
        driver,
        told,
        PciDevices((*bus.devices, *switches)),
        cuda,
        ways,
        BIG_LIMITS,
        nics(LO, ETH, *IBS, DOCKER0, source="10.0.0.11"),
        *names("gpu-a01", "10.0.0.11", "10.0.0.11"),
        fabric(*(hca(n) for n in range(8))),
        Cpu({"performance": 128}, "intel_pstate", "tsc", ("tsc",), 2, 0),
        *changes.get("facts", ()),
    )


def reached(host: str, local: bool, number: int = 29500, held: bool = True) -> tuple[RendezvousReach, RendezvousPort]:
    """The store of a running job: on this node torchrun's agent holds it, on another it answers."""
    target = Target(host, number, "MASTER_ADDR", addresses=(host,), local=local, outcome="" if local else "connected")
    told = port(number, "MASTER_PORT")
    if local and held:
        bind = replace(told.bind, ipv4="EADDRINUSE", ipv6="EADDRINUSE")
        told = replace(
            told, bind=bind, holders=(PortHolder("[::]", True, 4000, "ada", "torchrun", True),), free_port=number + 1
        )
    return RendezvousReach((target,)), told


def worker(rank: int = 9) -> Machine:
    """A worker of torchrun on the first or second of two nodes of eight H100."""
    first = rank < 8
    machine = (
        server()
        if first
        else but(
            server(),
            *names("gpu-a02", "10.0.0.12", "10.0.0.12"),
            nics(LO, (ETH[0], ("10.0.0.12/24",)), *IBS, source="10.0.0.12"),
        )
    )
    told = {**torchrun(rank, 16), "CUDA_DEVICE_MAX_CONNECTIONS": "1"}
    return but(machine, *reached("10.0.0.11", first), **told)


def grace(model: str = "gh200", count: int = 1) -> Machine:
    """Arm: the wheels for aarch64 hold code for Hopper and Blackwell."""
    machine = linux("2.9.1+cu128", "aarch64", "grace-01")
    cards = tuple(card(model, n, pcie_width=None, pcie_width_max=None) for n in range(count))
    return but(
        machine,
        *driven(*cards),
        toolkit("12.9"),
        BIG_LIMITS,
        Cpu({"performance": 72}, "cppc_cpufreq", "arch_sys_counter", (), 2, 0),
    )


def vm_v100() -> Machine:
    """A cloud machine with V100s, for which CUDA 12.6 is the last."""
    cards = tuple(card("v100", n, "570") for n in range(8))
    machine = changed(
        linux("2.8.0+cu126", name="ip-10-0-0-5"),
        Host,
        virtual_machine="Amazon EC2 p3.16xlarge",
        kernel="6.8.0-1029-aws",
    )
    return but(machine, *driven(*cards, release="570.133.20"), replace(BIG_LIMITS, open_files=Limit(65536, 65536)))


def roce_server() -> Machine:
    """One node whose two Ethernet adapters offer RDMA, with systemd's 8 MB of locked memory and no peer memory."""
    adapters = tuple(hca(n, 100.0, f"eth{n}") for n in range(2))
    machine = but(
        server("a100", "2.8.0+cu126", "550.163.01"), replace(BIG_LIMITS, memlock_bytes=Limit(8 << 20, 8 << 20))
    )
    return but(changed(machine, Driver, open_kernel_module=False), fabric(*adapters, peer_memory=()))


def full_load() -> Machine:
    """The user's own training at full power, looked at from another shell of the job."""
    own = tuple(GpuProcess(4000 + n, 70 * GIB, "ada", "python train.py", True) for n in range(8))
    cards = tuple(
        card(
            "h100",
            n,
            clock_reasons=("sw-power",),
            utilisation_percent=100,
            temperature_c=68,
            memory_used_bytes=70 * GIB,
            processes=(own[n],),
        )
        for n in range(8)
    )
    return but(worker(0), Gpus(count=8, gpus=cards))


def air_gapped() -> Machine:
    """Neither name server nor way out; all that is needed is installed."""
    return but(
        server(),
        probes(outcome="no-name", detail="Temporary failure in name resolution", status=None, page="", file_hosts=()),
    )


def virtual_server() -> Machine:
    """Eight H100 passed through: the fabric manager runs outside."""
    machine = changed(
        changed(server(), Host, virtual_machine="KVM"), Driver, fabric_manager="absent", fabric_manager_release=""
    )
    bus = machine[PciDevices]
    assert isinstance(bus, PciDevices)
    return but(machine, PciDevices(bus.nvidia_gpus))


SERVERS: dict[str, Machine] = {
    "eight V100 in the cloud": vm_v100(),
    "eight A100, idle": server("a100", "2.9.1+cu128", "570.195.03"),
    "eight H100, idle": server(),
    "a worker on the first of two nodes": worker(0),
    "a worker on the second of two nodes": worker(9),
    "a server on Ethernet": roce_server(),
    "GH200": grace(),
    "four GB200": grace("gb200", 4),
    "the user's own training at full load": full_load(),
    "no way out": air_gapped(),
    "a virtual machine with eight H100": virtual_server(),
    "two nodes and 1024 files": but(worker(9), replace(BIG_LIMITS, open_files=Limit(1024, 1048576))),
    "two nodes behind a proxy": but(worker(9), https_proxy="http://proxy.example:3128", no_proxy="localhost"),
}
