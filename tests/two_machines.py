"""A machine on which training works and one on which it does not, as snapshots, for the tests of `envdoctor diff`."""

from __future__ import annotations

from dataclasses import replace

from envdoctor import examination, facts
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import MappedLibraries, MappedLibrary
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.nccl import NcclSettings, Plugin
from envdoctor.facts.nics import Address, Nic, Nics, Route
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.facts.torch import Pin, TorchCuda, TorchImport, TorchInstall
from envdoctor.model import Missing, Node
from envdoctor.snapshot import Snapshot
from tests.checks import gpu_machines

GIB, OLD, ENV = 1 << 30, "470.256.02", "/opt/envs/train"
CUDA_LIBRARIES = ("cublas", "cudnn", "nccl", "cusparse", "curand")


def snapshot(name: str, *held: object, address: str = "", taken_at: str = "2026-11-20T12:00:00Z") -> Snapshot:
    """A snapshot of these facts; what is not among them was not asked."""
    sections: dict[str, object] = {}
    by_kind = {facts.kind(section): section for section in facts.KINDS}
    for section in facts.KINDS:
        sections[section] = Missing(section, "not-asked")
    for fact in held:
        sections[fact.fact if isinstance(fact, Missing) else by_kind[type(fact)]] = fact
    node = Node(name, address, f"{ENV}/bin/python", "3.11.7")
    return Snapshot(node, taken_at, examination.MADE_BY, sections)


def with_facts(given: Snapshot, *changed: object) -> Snapshot:
    by_kind = {facts.kind(section): section for section in facts.KINDS}
    new = {(fact.fact if isinstance(fact, Missing) else by_kind[type(fact)]): fact for fact in changed}
    return replace(given, sections={**given.sections, **new})


def torch(version: str, cuda: str, nccl: str) -> tuple[TorchInstall, Packages]:
    """A torch from PyTorch's own wheels and the wheels of NVIDIA that it requires."""
    major = cuda.partition(".")[0]
    versions = {f"nvidia-{name}-cu{major}": f"{cuda}.{number}" for number, name in enumerate(CUDA_LIBRARIES)}
    versions[f"nvidia-nccl-cu{major}"] = nccl
    pins = tuple(Pin(name, told) for name, told in versions.items())
    local = f"+cu{cuda.replace('.', '')}"
    install = TorchInstall(
        f"{ENV}/lib/python3.11/site-packages/torch", version + local, cuda, installer="pip", pins=pins
    )
    others = {"torch": version + local, "numpy": "2.1.0", "transformers": "4.57.0", "tqdm": "4.66", **versions}
    return install, Packages(len(others), tuple(Distribution(name, told) for name, told in others.items()))


def good(name: str = "gpu-a01", number: int = 1) -> Snapshot:
    """8 H100 with a torch, a driver and a network that fit."""
    install, packages = torch("2.8.0", "12.8", "2.27.3")
    address = f"10.0.0.{number}"
    nics = Nics(
        (
            Nic("lo", 1, "loopback", mtu=65536),
            Nic("eth0", 2, mtu=9000, speed_mbps=100_000, driver="mlx5_core", pci=f"0000:{number:02x}:00.0"),
        ),
        (Address("lo", "lo", "127.0.0.1", 8, "host"), Address("eth0", "eth0", address, 24)),
        (Route("eth0", "0.0.0.0", 0, "10.0.0.254"),),
        source=address,
    )
    ports = (Port(rate_gbps=400.0, rate_text="400 Gb/sec (4X NDR)"),)
    return snapshot(
        name,
        install,
        packages,
        TorchImport(file=f"{install.folder}/__init__.py", arch_list=("sm_90", "sm_100"), backends=("gloo", "nccl")),
        TorchCuda(True, 8, devices=("NVIDIA H100 80GB HBM3 (9.0)",) * 8),
        MappedLibraries((MappedLibrary("libnccl", "/x/libnccl.so.2", "2.27.3", True),)),
        gpu_machines.driver(),
        gpu_machines.gpus(*(gpu_machines.h100(index, temperature_c=30 + number) for index in range(8))),
        Python(f"{ENV}/bin/python", "3.11.7", tag="cp311", machine="x86_64", prefix=ENV, conda=ENV),
        Environment(
            {"NCCL_SOCKET_IFNAME": "eth0", "RANK": str(number), "HOSTNAME": name, "PATH": f"{ENV}/bin:/usr/bin"}
        ),
        NcclSettings(plugins=(Plugin("/opt/aws/libnccl-net.so"),)),
        Limits(SharedMemory(1024 * GIB + number, 900 * GIB + number), Limit(), Limit(1 << 20, 1 << 20), Limit(1 << 20)),
        nics,
        Rdma(
            tuple(RdmaDevice(f"mlx5_{index}", ports, firmware="28.39.1002", board="MT_838") for index in range(8)),
            libibverbs="libibverbs.so.1", peer_memory=("/sys/module/nvidia_peermem/version",),
        ),
        Host("linux", "5.15.0-122-generic", "x86_64", "ubuntu", "22.04", "2.35", name, f"boot-{number}", cpus=192,
             memory_bytes=2000 * GIB + number),
        address=address,
    )  # fmt: skip


def bad(name: str = "gpu-b07", number: int = 7) -> Snapshot:
    """An older torch and driver, a small MTU, a small /dev/shm, a leftover variable, and no RDMA."""
    given = good(name, number)
    install, packages = torch("2.6.0", "12.4", "2.21.5")
    nics = given.sections["nics"]
    assert isinstance(nics, Nics)
    return with_facts(
        given,
        install,
        packages,
        MappedLibraries((MappedLibrary("libnccl", "/x/libnccl.so.2", "2.21.5", True),)),
        gpu_machines.driver(
            release=OLD, kernel_release=OLD, library_release=OLD, libcuda_release=OLD, cuda_level="11.4"
        ),
        Environment({"NCCL_SOCKET_IFNAME": "eth0", "RANK": "9", "NCCL_IB_DISABLE": "1", "LANG": "C"}),
        replace(nics, nics=tuple(replace(nic, mtu=1500) if nic.name == "eth0" else nic for nic in nics.nics)),
        Limits(SharedMemory(64 << 20, 60 << 20), Limit(65536, 65536), Limit(1024, 1 << 20), Limit(1 << 20)),
        Missing("rdma", "not-here", "/sys/class/infiniband is absent"),
    )
