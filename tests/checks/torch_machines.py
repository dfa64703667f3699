"""Facts of the machines that the cases about torch share."""

from __future__ import annotations

from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.torch import Pin, TorchInstall
from envdoctor.knowledge.gpus import capability_of
from envdoctor.model import Missing

GIB = 1 << 30
MEMORY = {"H100": 80, "A100": 80, "V100": 32, "5090": 32, "1080 Ti": 11, "1030": 2}
FOLDER = "/opt/envs/train/lib/python3.11/site-packages/torch"

LINUX = Host(system="linux", machine="x86_64", glibc="2.35", distribution="ubuntu", distribution_version="22.04")
ARM = Host(system="linux", machine="aarch64", glibc="2.39")
NO_DRIVER = Missing("driver", "not-here", "no trace of an NVIDIA driver")
NO_GPUS = Missing("gpu", "not-here", "neither NVML nor nvidia-smi")
NO_TORCH = Missing("torch-install", "not-here", "no torch")


def driver(release: str, cuda: str = "") -> Driver:
    return Driver(
        release=release,
        release_source="/proc/driver/nvidia/version",
        cuda_level=cuda,
        cuda_level_source="cuDriverGetVersion" if cuda else "",
        libcuda="/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        libcuda_origin="driver",
    )


def gpus(*names: str) -> Gpus:
    """GPUs by product name, with the memory and the capability that go with it."""
    made = []
    for index, name in enumerate(names):
        memory = next((size * GIB for model, size in MEMORY.items() if model in name), None)
        made.append(Gpu(index, f"GPU-{index}", name, compute_capability=capability_of(name), memory_bytes=memory))
    return Gpus(count=len(made), gpus=tuple(made))


def torch(version: str, installer: str = "pip", pins: tuple[Pin, ...] = ()) -> TorchInstall:
    """torch as a wheel of PyTorch's lies on disk: the CUDA version is in the local version."""
    tag = version.partition("+")[2]
    cuda = f"{tag[2:-1]}.{tag[-1]}" if tag.startswith("cu") else ""
    return TorchInstall(
        FOLDER, version, cuda, tag[4:] if tag.startswith("rocm") else "", version, installer=installer, pins=pins
    )


def python(version: str = "3.11.7", tag: str = "", machine: str = "x86_64", implementation: str = "cpython") -> Python:
    digits = "".join(version.split(".")[:2])
    return Python("/opt/envs/train/bin/python", version, implementation, tag=tag or f"cp{digits}", machine=machine)


def masked(value: str, order: str = "") -> Environment:
    variables = {"CUDA_VISIBLE_DEVICES": value}
    return Environment({**variables, "CUDA_DEVICE_ORDER": order} if order else variables)
