"""Machines with one fault of their driver or GPUs, all that follows from it included, and the code of that fault."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import GpuProcess, Gpus, NvLink
from envdoctor.facts.host import Host
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.peer_paths import PeerPaths
from envdoctor.facts.torch import TorchCuda
from envdoctor.model import Missing
from tests.checks.whole_hardware import address, card, driven, no_cuda
from tests.checks.whole_installs import pytorch_image
from tests.checks.whole_jobs import mig_pod, pod, slurm_step
from tests.checks.whole_machines import workstation, wsl
from tests.checks.whole_parts import GIB, Machine, but, changed, has, linux
from tests.checks.whole_servers import server, vm_v100, worker
from tests.checks.whole_torch import SITE, stack


def old_driver() -> Machine:
    machine = but(linux("2.11.0+cu130"), *driven(card("4090", driver="535"), release="535.183.01"))
    return but(machine, TorchCuda(error="The NVIDIA driver on your system is too old (found version 12020).", code=35))


def no_fabric_manager() -> Machine:
    gpus = tuple(
        card(
            "h100", n, fabric_state="in-progress", fabric_status="", nvlinks=tuple(NvLink(k, False) for k in range(18))
        )
        for n in range(8)
    )
    return no_cuda(but(server(), Gpus(count=8, gpus=gpus)), 802, fabric_manager="inactive")


def xid(*numbers: int) -> KernelLog:
    return KernelLog(
        "/dev/kmsg", 9e5, tuple(KernelMessage("xid", n, address(3), seconds_ago=60.0, text=f"Xid {n}") for n in numbers)
    )


def broken_memory() -> Machine:
    gpus = tuple(card("h100", n) for n in range(8))
    worn = replace(gpus[3], ecc_uncorrected=2, remap_pending=True, recovery_action="reset")
    return but(server(), Gpus(count=8, gpus=(*gpus[:3], worn, *gpus[4:])), xid(48, 63, 94, 45, 154))


def lost_gpu() -> Machine:
    """Seven of eight are left, and torchrun starts eight processes."""
    machine = worker(0)
    gpus = tuple(card("h100", n) for n in range(8) if n != 3)
    seen = has(machine, TorchCuda)
    machine = changed(machine, Driver, cuda_devices=7, cuda_order=tuple(gpu.pci for gpu in gpus))
    return but(machine, Gpus(count=7, gpus=gpus), xid(79, 154), replace(seen, device_count=7, devices=seen.devices[:7]))


def upgraded_driver() -> Machine:
    machine = workstation()
    gpus = has(machine, Gpus)
    machine = but(machine, replace(gpus, source="proc", source_error="Driver/library version mismatch"))
    return no_cuda(
        machine,
        803,
        release="580.82.07",
        kernel_release="580.82.07",
        nvml_error=18,
        cuda_level="",
        nvml_error_text="Driver/library version mismatch",
    )


def docker_without_gpus() -> Machine:
    machine = pytorch_image()
    driver = Driver("580.95.05", "/proc/driver/nvidia/version", "580.95.05", "", True)
    gpus = Gpus(
        "proc", "no libnvidia-ml.so.1", 2, tuple(replace(gpu, memory_bytes=None) for gpu in has(machine, Gpus).gpus)
    )
    environment = replace(
        has(machine, Environment),
        variables={k: v for k, v in has(machine, Environment).variables.items() if "NVIDIA" not in k},
    )
    return but(machine, driver, gpus, environment, TorchCuda(error="No CUDA GPUs are available", code=100))


def job_without_gpu() -> Machine:
    machine = slurm_step()
    gone = {"SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"}
    kept = {k: v for k, v in has(machine, Environment).variables.items() if k not in gone}
    machine = but(
        machine, replace(has(machine, Environment), variables=kept), Missing("gpu", "not-here", "no GPU answers")
    )
    nodes = tuple(f"nvidia{n}" for n in range(8))
    return no_cuda(machine, 100, "No CUDA GPUs are available", denied_nodes=nodes)


def new_gpu() -> Machine:
    return workstation("5090", "2.5.1+cu121")


def old_gpu() -> Machine:
    """A torch for CUDA 13 on a V100, whose driver could do CUDA 13."""
    cards = tuple(card("v100", n) for n in range(8))
    return but(vm_v100(), *stack("2.11.0+cu130", SITE), *driven(*cards))


def no_slice() -> Machine:
    gpu = replace(has(mig_pod(), Gpus).gpus[0], mig_instances=())
    return no_cuda(but(server("a100"), *driven(gpu)), 100, "No CUDA GPUs are available")


def nouveau() -> Machine:
    bus = PciDevices((PciDevice(address(0), "0x10de", "0x2684", "0x030000", "gpu", "nouveau", 16, 16, responds=True),))
    driver = Driver(nouveau=True)
    return but(linux("2.9.1+cu128"), bus, driver, TorchCuda(error="Found no NVIDIA driver on your system."))


def bad_compat() -> Machine:
    """An image's forward compatibility on a GeForce."""
    machine = but(workstation("4090", "2.9.1+cu128", "570.195.03"))
    machine = changed(machine, Host, container="docker", container_shown_by="/.dockerenv exists", root=True)
    machine = but(machine, Missing("kernel-log", "denied"), LD_LIBRARY_PATH="/usr/local/cuda/compat")
    return no_cuda(
        machine,
        804,
        libcuda="/usr/local/cuda/compat/libcuda.so.1",
        libcuda_origin="compat",
        libcuda_release="580.65.06",
        cuda_level="",
        cuda_init_name="CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    )


def masked(value: str, count: int = 0) -> Machine:
    machine = but(server(), CUDA_VISIBLE_DEVICES=value)
    if not count:
        return no_cuda(machine, 100, "No CUDA GPUs are available")
    cuda = has(machine, TorchCuda)
    machine = changed(machine, Driver, cuda_devices=count, cuda_order=tuple(address(n) for n in range(count)))
    return but(machine, replace(cuda, device_count=count, devices=cuda.devices[:count]))


def linux_driver_in_wsl() -> Machine:
    return no_cuda(
        wsl(),
        100,
        "No CUDA GPUs are available",
        libcuda="/usr/lib/x86_64-linux-gnu/libcuda.so.1",
        libcuda_origin="driver",
        library_release="535.183.01",
        libcuda_release="535.183.01",
        nvml_error=9,
        cuda_level="",
        release="",
        libnvml="",
    )


def held_gpu() -> Machine:
    gpus = tuple(card("a100", n) for n in range(8))
    process = GpuProcess(9000, 60 * GIB, "bob", "python serve.py")
    taken = replace(gpus[0], memory_used_bytes=60 * GIB, processes=(process,), utilisation_percent=90, clock_reasons=())
    return but(server("a100"), Gpus(count=8, gpus=(taken, *gpus[1:])))


def stuck_driver() -> Machine:
    machine = changed(
        server(),
        Driver,
        cuda_init=None,
        cuda_devices=None,
        cuda_order=(),
        stuck="os_acquire_rwlock_write",
        stuck_call="cuInit",
    )
    return but(machine, Missing("torch-cuda", "hung", "torch/cuda/__init__.py:412 in _lazy_init"))


def no_uvm() -> Machine:
    machine = changed(workstation(), Driver, device_nodes=("nvidia0", "nvidiactl"))
    return no_cuda(machine, 999, "CUDA unknown error")


def utility_only() -> Machine:
    machine = pytorch_image()
    machine = changed(
        machine,
        Driver,
        libcuda="",
        libcuda_origin="",
        libcuda_release="",
        cuda_init=None,
        cuda_devices=None,
        cuda_order=(),
        cuda_level="",
    )
    return but(machine, TorchCuda(error="Found no NVIDIA driver on your system."), NVIDIA_DRIVER_CAPABILITIES="utility")


def pod_without_gpus() -> Machine:
    machine = pod(server())
    driver = Driver("580.95.05", "/proc/driver/nvidia/version", "580.95.05", "", True)
    gpus = Gpus(
        "proc", "no libnvidia-ml.so.1", 8, tuple(replace(g, memory_bytes=None) for g in has(machine, Gpus).gpus)
    )
    return but(machine, driver, gpus, TorchCuda(error="Found no NVIDIA driver on your system."))


def apptainer_without_nv() -> Machine:
    machine = changed(server(), Host, container="apptainer", container_shown_by="APPTAINER_CONTAINER")
    driver = replace(
        has(machine, Driver),
        library_release="",
        libcuda="",
        libcuda_origin="",
        libcuda_release="",
        libnvml="",
        cuda_init=None,
        cuda_devices=None,
        cuda_order=(),
        cuda_level="",
        release="580.95.05",
    )
    gpus = Gpus(
        "proc", "no libnvidia-ml.so.1", 8, tuple(replace(g, memory_bytes=None) for g in has(machine, Gpus).gpus)
    )
    return but(
        machine,
        driver,
        gpus,
        TorchCuda(error="Found no NVIDIA driver on your system."),
        APPTAINER_CONTAINER="/images/torch.sif",
    )


def acs() -> Machine:
    machine = but(server(), *driven(*(card("l40s", n) for n in range(8))))
    ways = replace(has(machine, PeerPaths), acs={"0000:00:01.0": 0x1D}, acs_readable=True)
    return but(machine, ways)


def old_geforce_driver() -> Machine:
    return but(
        linux("2.5.1+cu121"),
        *driven(*(card("4090", n, "545", persistence=True) for n in range(2)), release="545.23.08"),
    )


def other_fabric_manager() -> Machine:
    machine = no_fabric_manager()
    return changed(machine, Driver, fabric_manager_release="570.195.03")


def other_kernel() -> Machine:
    """The module was built for the kernel before the last update."""
    bus = PciDevices((PciDevice(address(0), "0x10de", "0x2684", "0x030000", "gpu", "", 16, 16, responds=True),))
    machine = but(workstation(), bus, Missing("gpu", "not-here", "NVML: driver not loaded"))
    return no_cuda(
        machine,
        None,
        "Found no NVIDIA driver on your system.",
        release="",
        kernel_release="",
        cuda_level="",
        nvml_error=9,
        device_nodes=(),
        module_kernels=("6.8.0-59-generic",),
    )


GPU_FAULTS: dict[str, tuple[Machine, str]] = {
    "driver 535 under the default torch": (old_driver(), "driver-too-old"),
    "an empty mask": (masked(""), "cuda-visible-devices-empty"),
    "a mask beyond the last GPU": (masked("0,1,8", 2), "cuda-visible-devices-invalid"),
    "no fabric manager": (no_fabric_manager(), "fabric-manager-down"),
    "broken GPU memory": (broken_memory(), "gpu-ecc"),
    "a GPU lost under torchrun": (lost_gpu(), "gpu-fell-off-bus"),
    "a driver upgraded under a running system": (upgraded_driver(), "driver-library-mismatch"),
    "docker without --gpus": (docker_without_gpus(), "gpu-not-in-container"),
    "a Slurm job without GPUs": (job_without_gpu(), "gpu-not-allocated"),
    "an RTX 5090 under CUDA 12.1": (new_gpu(), "gpu-arch-unsupported-new"),
    "a V100 under CUDA 13": (old_gpu(), "gpu-arch-unsupported-old"),
    "MIG without a slice": (no_slice(), "mig-not-configured"),
    "nouveau": (nouveau(), "driver-missing"),
    "forward compatibility on a GeForce": (bad_compat(), "cuda-compat-mismatch"),
    "a Linux driver in WSL": (linux_driver_in_wsl(), "wsl-driver"),
    "another user's process": (held_gpu(), "gpu-busy"),
    "cuInit hangs": (stuck_driver(), "driver-hangs"),
    "no nvidia-uvm": (no_uvm(), "gpu-not-visible"),
    "a container without compute libraries": (utility_only(), "gpu-not-in-container"),
    "a pod without GPUs": (pod_without_gpus(), "gpu-not-in-container"),
    "apptainer without --nv": (apptainer_without_nv(), "gpu-not-in-container"),
    "ACS between L40S": (acs(), "p2p-acs-iommu"),
    "two 4090 under driver 545": (old_geforce_driver(), "p2p-unsupported"),
    "a fabric manager of another release": (other_fabric_manager(), "fabric-manager-down"),
    "a module for another kernel": (other_kernel(), "driver-missing"),
    "CUDA_LAUNCH_BLOCKING": (but(server(), CUDA_LAUNCH_BLOCKING="1"), "cuda-debug-leftover"),
}
