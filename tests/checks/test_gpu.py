"""checks/gpu.py"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.pci import PciDevices
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_CONTAINER,
    CPU_MACHINE,
    CPU_TORCH,
    CUDA_TORCH,
    DOCKER,
    EIGHT,
    HEALTHY,
    HGX,
    HOST,
    JOB,
    NO_DRIVER,
    NO_GPUS,
    RELEASE,
    WORKSTATION,
    bus,
    driver,
    fails,
    geforce,
    gpus,
    h100,
    no_cuda,
    said,
    swap,
    torch_ok,
    variables,
)

FILE = CHECKS / "gpu.py"
OUTSIDE = {"gpu-not-in-container": "error"}
UNALLOCATED = {"gpu-not-allocated": "error"}
INVISIBLE = {"gpu-not-visible": "error"}
# A container without GPUs sees the host's /proc/driver/nvidia, /sys and PCI bus all the same.
SHUT_OUT = Driver(release=RELEASE, kernel_release=RELEASE)
FROM_PROC = gpus(h100(), source="proc")


def container(kind: str, *others: object, **environ: str) -> tuple[object, ...]:
    host = replace(HOST, container=kind, container_shown_by="made up")
    return swap((SHUT_OUT, FROM_PROC, bus(8), CUDA_TORCH, variables(**environ), host), *others)


def job(*others: object, **environ: str) -> tuple[object, ...]:
    """A Slurm job on a machine of eight GPUs."""
    return swap(HGX, JOB, variables(SLURM_JOB_ID="4711", SLURMD_NODENAME="gpu01", **environ), *others)


def nodes(count: int, **changes: Any) -> Driver:
    return fails(100, count, **changes)


ALL_NODES = driver(8).device_nodes
NO_DRIVER_FOR_TORCH = no_cuda(None, "Found no NVIDIA driver on your system.")
UNSEEN = ("driver", "gpu", "torch-cuda")

CASES = [
    *HEALTHY,
    Case("docker without --gpus", container("docker"), OUTSIDE),
    Case("docker with NVIDIA_VISIBLE_DEVICES=void", container("docker", NVIDIA_VISIBLE_DEVICES="void"), OUTSIDE),
    Case("podman", container("podman"), OUTSIDE),
    Case("a pod", container("kubernetes"), OUTSIDE),
    Case("apptainer without --nv", container("apptainer", Driver(release=RELEASE, kernel_release=RELEASE,
                                                                 device_nodes=("nvidia0", "nvidiactl"))), OUTSIDE),
    Case("apptainer without --nv, torch imported",
         container("apptainer", replace(SHUT_OUT, device_nodes=("nvidia0",)), NO_DRIVER_FOR_TORCH), OUTSIDE),
    Case("a container of another kind", container("lxc"), OUTSIDE),
    Case("docker without the compute capability",
         container("docker", replace(SHUT_OUT, device_nodes=("nvidia0", "nvidiactl"))), OUTSIDE),
    Case("the same, torch imported",
         container("docker", replace(SHUT_OUT, device_nodes=("nvidia0", "nvidiactl")), NO_DRIVER_FOR_TORCH), OUTSIDE),
    Case("a container cut off from its GPUs",
         container("docker", fails(999, nvml_error=999, nvml_error_text="Unknown Error")), OUTSIDE),
    Case("the same, seen by the device nodes", container("docker", fails(100, denied_nodes=ALL_NODES)), OUTSIDE),
    Case("a container for the CPU", container("docker", CPU_TORCH), {"gpu-not-in-container": "note"}),
    Case("a container with its GPUs", swap(HGX, DOCKER)),
    Case("a container whose driver was not seen in time", swap(HGX, DOCKER, *(Missing(n, "slow") for n in UNSEEN))),
    Case("a container with two of eight GPUs", swap(HGX, driver(2), gpus(*EIGHT[:2]), DOCKER)),
    Case("a container whose GPUs NVML lists, device nodes unread",
         swap(HGX, driver(device_nodes=(), cuda_init=None, cuda_devices=None), DOCKER)),
    Case("a host without a driver is another finding", swap(CPU_CONTAINER, bus(1, driver=""))),
    Case("a job with all its GPUs", job(SLURM_JOB_GPUS="0,1,2,3,4,5,6,7", CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6,7")),
    Case("a job that forgot --gres", job(fails(100), CUDA_VISIBLE_DEVICES="NoDevFiles"), UNALLOCATED),
    Case("a newer Slurm", job(fails(100), CUDA_VISIBLE_DEVICES=""), UNALLOCATED),
    Case("fenced off by control groups", job(fails(100, denied_nodes=ALL_NODES)), UNALLOCATED),
    Case("CUDA not tried", job(NO_GPUS, driver(cuda_init=None), CUDA_VISIBLE_DEVICES="NoDevFiles"), UNALLOCATED),
    Case("a job that hides its GPUs itself is another finding",
         job(fails(100), SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES="")),
    Case("a whole node without GPU accounting", job()),
    Case("802 in such a job is another finding", job(fails(802))),
    Case("a CPU node", swap(CPU_MACHINE, JOB, CUDA_TORCH), {"gpu-not-allocated": "note"}),
    Case("a CPU node and a CPU torch", swap(CPU_MACHINE, JOB)),
    Case("the shell that salloc gives, on the login node",
         swap(CPU_MACHINE, JOB, CUDA_TORCH, variables(SLURM_JOB_ID="4711", SLURM_GPUS_ON_NODE="8")),
         {"gpu-not-allocated": "warning"}),
    Case("device files of another group", swap(HGX, nodes(8, denied_nodes=ALL_NODES)), INVISIBLE),
    Case("only nvidia-uvm is shut", swap(HGX, nodes(8, denied_nodes=("nvidia-uvm",))), INVISIBLE),
    Case("no nvidia-uvm", swap(WORKSTATION, fails(999, 1, device_nodes=("nvidia0", "nvidiactl"))), INVISIBLE),
    Case("another user's GPUs are shut, CUDA works", swap(HGX, driver(4, denied_nodes=("nvidia4", "nvidia5")))),
    Case("a GPU that did not start", swap(WORKSTATION, fails(100, 0), gpus()), INVISIBLE),
    Case("a GPU that this driver does not take", swap(WORKSTATION, fails(100, 0), NO_GPUS, bus(1, driver="")),
         INVISIBLE),
    Case("torch alone was asked", swap(WORKSTATION, driver(1, cuda_init=None), torch_ok("RTX 4090 (8.9)"))),
    Case("no driver at all is another finding",
         (NO_DRIVER, NO_GPUS, bus(1, driver=""), no_cuda(100), CUDA_TORCH, HOST)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation", "command"),
    [
        ("docker without --gpus", "docker", "docker run --gpus all ..."),
        ("podman", "podman", "podman run --device nvidia.com/gpu=all ..."),
        ("a pod", "kubernetes", "kubectl describe node | grep -A8 Allocatable | grep nvidia.com/gpu"),
        ("apptainer without --nv", "apptainer", "apptainer exec --nv ..."),
        ("a container of another kind", "other", None),
        ("a container cut off from its GPUs", "lost", "docker restart CONTAINER    # on the host"),
        ("a job that forgot --gres", None, "sbatch --gres=gpu:1 ..."),
        ("the shell that salloc gives, on the login node", "elsewhere", "srun --jobid=4711 --overlap --pty bash"),
        ("device files of another group", "denied", "ls -l /dev/nvidia*; id"),
        ("no nvidia-uvm", "uvm", "sudo nvidia-modprobe -u -c=0"),
        ("a GPU that did not start", "not-started", "sudo dmesg | grep -i nvrm | tail -20"),
    ],
)
def test_the_command_fits_the_situation(about: str, situation: str | None, command: str | None) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.situation, finding.command or finding.look) == (situation, command)


def test_the_kernel_says_why_a_gpu_did_not_start() -> None:
    refused = KernelLog(entries=(KernelMessage("init-failed", text="NVRM: RmInitAdapter failed!"),))
    facts = swap(WORKSTATION, fails(100, 0), gpus(), refused)
    (finding,) = Case("RmInitAdapter", facts, INVISIBLE).assert_holds(FILE)
    assert finding.evidence["said"] == "NVRM: RmInitAdapter failed!"


def test_summary() -> None:
    assert said(FILE, gpus(*EIGHT), bus(8)) == "8 x NVIDIA H100 80GB HBM3"
    assert said(FILE, gpus(h100(), geforce(1)), None) == "1 x NVIDIA H100 80GB HBM3 + 1 x NVIDIA GeForce RTX 4090"
    assert said(FILE, gpus(h100(name="")), None) == "1 x ?"
    assert said(FILE, gpus(), bus(1)) is None
    assert said(FILE, NO_GPUS, PciDevices()) == "none of NVIDIA's"
