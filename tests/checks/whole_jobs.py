"""Batch jobs, pods and containers in which nothing is wrong, each with every fact that there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.disks import Disks
from envdoctor.facts.driver import Driver
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.libraries import (
    Libraries,
    LibraryCopy,
    LoadedLibrary,
    MappedLibraries,
    MappedLibrary,
    SearchFolder,
)
from envdoctor.facts.limits import Limit, SharedMemory
from envdoctor.facts.names import HostNames, HostsLine, NameResolution, Resolution
from envdoctor.facts.nccl import NcclSettings, Plugin, Tried
from envdoctor.facts.nics import Nic
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import TorchCopy, TorchImport, TorchInstall
from envdoctor.model import Missing
from tests.checks.interfaces import LO, nics
from tests.checks.whole_hardware import card, driven, fabric, hca, toolkit
from tests.checks.whole_machines import BIG_LIMITS
from tests.checks.whole_parts import GIB, Machine, but, changed, linux, names, port, torchrun
from tests.checks.whole_servers import ETH, IBS, reached, server
from tests.checks.whole_torch import imported, interpreter, with_path

POD = (Nic("eth0", 3, "veth", mtu=8951, speed_mbps=10000, speed_is_real=False), ("10.42.3.17/32",))


def slurm_step(gpus: int = 4) -> Machine:
    """An srun step with four of eight GPUs; the job's control group hides the others."""
    cards = tuple(card("h100", n) for n in range(gpus))
    machine = server()
    bus = machine[PciDevices]
    own = driven(*cards)
    assert isinstance(bus, PciDevices) and isinstance(own[0], Driver)
    driver = replace(
        own[0],
        device_nodes=(*(f"nvidia{n}" for n in range(8)), "nvidiactl", "nvidia-uvm"),
        denied_nodes=tuple(f"nvidia{n}" for n in range(4, 8)),
        fabric_manager="active",
    )
    host = replace(
        machine[Host],
        scheduler=Scheduler("slurm", "4711", "SLURM_JOB_ID"),
        memory_limit_bytes=500 * GIB,
        modules=("cuda/12.8", "gcc/12"),
    )  # type: ignore[type-var]
    variables = {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": "0",
        "SLURM_NTASKS": "1",
        "SLURM_STEP_NUM_TASKS": "1",
        "SLURM_STEP_TASKS_PER_NODE": "1",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_LOCALID": "0",
        "SLURMD_NODENAME": "gpu-a01",
        "SLURM_JOB_NODELIST": "gpu-a01",
        "SLURM_JOB_GPUS": "0,1,2,3",
        "SLURM_STEP_GPUS": "0,1,2,3",
        "SLURM_GPUS_ON_NODE": "4",
        "CUDA_VISIBLE_DEVICES": "0,1,2,3",
        "GPU_DEVICE_ORDINAL": "0,1,2,3",
        "SLURM_JOB_PARTITION": "gpu",
        "LD_LIBRARY_PATH": "/apps/gcc/12/lib64",
        "LOADEDMODULES": "cuda/12.8:gcc/12",
    }
    libraries = machine[Libraries]
    assert isinstance(libraries, Libraries)
    path = with_path(libraries, SearchFolder("/apps/gcc/12/lib64"))
    return but(
        machine, driver, own[1], own[3], host, path, toolkit("12.8", "/apps/cuda/12.8", "CUDA_HOME"), **variables
    )


def pod(machine: Machine, **changes: Any) -> Machine:
    """The machine seen from a pod: veth, 64 GB of shared memory, no look at the host's log."""
    host = replace(
        machine[Host],
        container="kubernetes",
        container_shown_by="KUBERNETES_SERVICE_HOST",
        root=True,
        name="trainer-0",
        memory_limit_bytes=1800 * GIB,
    )  # type: ignore[type-var]
    own = Resolution("trainer-0", own=True, ipv4=("10.42.3.17",), local=("10.42.3.17",), canonical="trainer-0")
    limits = replace(BIG_LIMITS, shm=SharedMemory(64 * GIB, 64 * GIB), oom_kills_source="/sys/fs/cgroup/memory.events")
    told = but(
        machine,
        host,
        limits,
        nics(LO, POD, source="10.42.3.17"),
        HostNames("trainer-0", (HostsLine(7, "10.42.3.17", ("trainer-0",)),), (), "10.42.3.17"),
        NameResolution((own,), "trainer-0"),
        Missing("kernel-log", "denied", "dmesg_restrict"),
        Missing("conda-config", "not-here"),
        ShellFiles("", "/root"),
        KUBERNETES_SERVICE_HOST="10.96.0.1",
        KUBERNETES_SERVICE_PORT="443",
        HOSTNAME="trainer-0",
        NVIDIA_VISIBLE_DEVICES="all",
        NVIDIA_DRIVER_CAPABILITIES="compute,utility",
    )
    return but(told, *changes.get("facts", ()), **changes.get("variables", {}))


def eks() -> Machine:
    """A p5 node's pod with EFA and its plugin."""
    efa = tuple(hca(n, 100.0, name=f"rdmap{n}s0", driver="efa", board="", netdevs=()) for n in range(8))
    plugin = NcclSettings(
        plugins=(Plugin("/opt/amazon/ofi-nccl/lib/libnccl-net.so", "ldconfig"),), net_plugins=(Tried("libnccl-net.so"),)
    )
    machine = pod(
        server(),
        facts=(fabric(*efa, peer_memory=()), plugin),
        variables={"FI_PROVIDER": "efa", "FI_EFA_USE_DEVICE_RDMA": "1"},
    )
    return changed(machine, Host, virtual_machine="Amazon EC2 p5.48xlarge")


def pytorchjob() -> Machine:
    """A worker pod of Kubeflow on the second of two nodes, before torchrun."""
    address = "10.42.1.9"
    master = Resolution(
        "bert-master-0", "MASTER_ADDR", ipv4=(address,), canonical="bert-master-0.default.svc.cluster.local"
    )
    machine = pod(server())
    own = machine[NameResolution]
    assert isinstance(own, NameResolution)
    target = Target("bert-master-0", 23456, "MASTER_ADDR", addresses=(address,), outcome="connected")
    return but(
        machine,
        NameResolution((*own.resolutions, master), "trainer-0"),
        RendezvousReach((target,)),
        port(23456, "MASTER_PORT"),
        MASTER_ADDR="bert-master-0",
        MASTER_PORT="23456",
        PET_MASTER_ADDR="bert-master-0",
        PET_MASTER_PORT="23456",
        PET_NNODES="2",
        PET_NPROC_PER_NODE="8",
        PET_NODE_RANK="1",
        RANK="1",
        WORLD_SIZE="2",
        PYTHONUNBUFFERED="1",
    )


def docker_host_network() -> Machine:
    """docker run --gpus all --ipc=host --network=host."""
    host = {"container": "docker", "container_shown_by": "/.dockerenv exists", "root": True}
    return but(
        changed(server(), Host, **host), NVIDIA_VISIBLE_DEVICES="all", NVIDIA_DRIVER_CAPABILITIES="compute,utility"
    )


def mig_pod() -> Machine:
    """A pod with one slice of an A100; NVML lists the whole GPU."""
    uuid = "MIG-1a2b3c4d-0000-1111-2222-333344445555"
    gpu = card("a100", mig=True, mig_instances=(uuid,), nvlinks=(), memory_bytes=10 * GIB)
    limits = replace(BIG_LIMITS, shm=SharedMemory(16 * GIB, 16 * GIB))
    return pod(
        but(linux("2.9.1+cu128"), *driven(gpu, order=False)),
        facts=(limits,),
        variables={"NVIDIA_VISIBLE_DEVICES": uuid},
    )


def ngc() -> Machine:
    """NVIDIA's container: torch built from source against the system's libraries, HPC-X, compat in reach but unused."""
    site = "/usr/local/lib/python3.12/dist-packages"
    python = replace(interpreter("/usr/bin/python", "3.12.3", "system"), isolated_path=(site,))
    version = "2.8.0a0+34c6371d24.nv25.08"
    install = TorchInstall(
        site + "/torch",
        version,
        "13.0",
        dist_version=version,
        installer="pip",
        dist_info=f"{site}/torch-{version}.dist-info",
        copies=(TorchCopy(site + "/torch", version, "environment"),),
    )
    lib = "/usr/lib/x86_64-linux-gnu/libnccl.so.2"
    libraries = Libraries(
        (
            SearchFolder("/usr/local/cuda/compat/lib", True),
            SearchFolder("/usr/local/nvidia/lib", False),
            SearchFolder("/usr/local/nvidia/lib64", False),
        ),
        (),
        (
            LibraryCopy("libnccl", "libnccl.so.2", lib, lib + ".27.7", "2.27.7", "ldconfig"),
            LibraryCopy(
                "libcudart",
                "libcudart.so.13",
                "/usr/local/cuda/lib64/libcudart.so.13",
                "/usr/local/cuda/lib64/libcudart.so.13.0.48",
                "13.0.48",
                "ldconfig",
            ),
        ),
        (
            LoadedLibrary(
                "libnccl.so.2", lib, lib + ".27.7", "2.27.7", "ldconfig", site + "/torch/lib/libtorch_cuda.so"
            ),
        ),
    )
    came, _, _, autopsy = imported(install)
    assert isinstance(came, TorchImport)
    came = replace(
        came,
        arch_list=("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"),
        nccl_header="2.27.7",
        backends=("gloo", "mpi", "nccl", "ucc"),
    )
    mapped = MappedLibraries((MappedLibrary("libnccl", lib + ".27.7", "2.27.7", True),))
    packages = Packages(
        260,
        (
            Distribution("torch", version, site),
            Distribution("torchvision", "0.23.0a0+428a54c9", site),
            Distribution("numpy", "1.26.4", site),
            Distribution("flash-attn", "2.7.4.post1", site),
        ),
    )
    variables = {
        "LD_LIBRARY_PATH": "/usr/local/cuda/compat/lib:/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        "PIP_CONSTRAINT": "/etc/pip/constraint.txt",
        "NVIDIA_PYTORCH_VERSION": "25.08",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NCCL_VERSION": "2.27.7",
        "CUDA_HOME": "/usr/local/cuda",
        "OMPI_MCA_coll_hcoll_enable": "0",
        "TORCH_CUDA_ARCH_LIST": "7.5 8.0 8.6 9.0 10.0 12.0+PTX",
        "UCC_CL_BASIC_TLS": "^sharp",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
        "CUDA_MODULE_LOADING": "LAZY",
        "PYTHONIOENCODING": "utf-8",
        "USE_EXPERIMENTAL_CUDNN_V8_API": "1",
    }
    plugin = NcclSettings(
        plugins=(Plugin("/opt/hpcx/nccl_rdma_sharp_plugin/lib/libnccl-net.so", "ldconfig"),),
        net_plugins=(Tried("libnccl-net.so"),),
    )
    machine = but(
        docker_host_network(),
        python,
        install,
        came,
        mapped,
        autopsy,
        packages,
        libraries,
        plugin,
        toolkit("13.0", source="CUDA_HOME", gcc="13"),
        **variables,
    )
    return changed(machine, Host, distribution_version="24.04", glibc="2.39")


def login(torch: str = "2.9.1+cu128") -> Machine:
    """A cluster's login node: no GPU, modules to load, a CUDA torch for the compute nodes, InfiniBand for storage."""
    machine = linux(torch, name="login1")
    shell = ShellFiles(
        "bash", "/home/ada", modules=("cuda/12.4", "cuda/12.8", "miniforge/24"), module_folders=("/apps/modules",)
    )
    home = machine[Disks]
    assert isinstance(home, Disks)
    disks = Disks(
        tuple(
            replace(p, file_system="nfs4", source="nas:/home", mount_point="/home") if p.path.startswith("/home") else p
            for p in home.places
        )
    )
    ib = fabric(hca(0, 200.0), peer_memory=())
    return but(
        changed(machine, Host, cpus=64),
        nics(LO, ETH, IBS[0], source="10.0.0.11"),
        ib,
        disks,
        shell,
        replace(BIG_LIMITS, shm=SharedMemory(250 * GIB, 250 * GIB)),
        *names("login1", "10.0.0.11", "10.0.0.11"),
        MODULEPATH="/apps/modules",
        MODULESHOME="/usr/share/lmod",
    )


def pod_without_fabric() -> Machine:
    """A pod for work on one node: it sees the machine's adapters and was given none."""
    return pod(
        server(),
        facts=(
            fabric(
                *(hca(n, node_error="absent") for n in range(8)),
                libibverbs="",
                libibverbs_error="absent",
                offered=None,
                peer_memory=(),
            ),
            replace(BIG_LIMITS, memlock_bytes=Limit(65536, 65536)),
        ),
    )


def standalone() -> Machine:
    """A worker of torchrun --standalone, on a port of the kernel's choice."""
    return but(
        server(), *reached("localhost", True, 41235), **{**torchrun(0, 8, master="localhost"), "MASTER_PORT": "41235"}
    )


def batch_script() -> Machine:
    """The first lines of an sbatch script for two nodes, before srun."""
    told = {
        "SLURM_JOB_ID": "7",
        "SLURM_NNODES": "2",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_STEP_ID": "4294967291",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_TASKS_PER_NODE": "1(x2)",
        "SLURM_JOB_NODELIST": "gpu-a[01-02]",
        "SLURMD_NODENAME": "gpu-a01",
        "SLURM_JOB_GPUS": "0,1,2,3,4,5,6,7",
        "SLURM_GPUS_ON_NODE": "8",
        "CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7",
        "MASTER_ADDR": "10.0.0.11",
        "MASTER_PORT": "29500",
    }
    machine = changed(server(), Host, scheduler=Scheduler("slurm", "7", "SLURM_JOB_ID"))
    return but(machine, *reached("10.0.0.11", True, held=False), **told)


def other_module() -> Machine:
    """An environment module of CUDA 11.8 under a torch for CUDA 12.8."""
    home = "/apps/cuda/11.8"
    told = replace(
        toolkit("11.8", home, "CUDA_HOME"), cuda_home=home, cuda_home_source="CUDA_HOME", cuda_home_exists=True
    )
    return but(slurm_step(), told, CUDA_HOME=home)


JOBS: dict[str, Machine] = {
    "a login node with a CUDA torch": login(),
    "a login node with a CPU torch": login("2.9.1+cpu"),
    "four of eight GPUs in a Slurm step": slurm_step(),
    "a pod with EFA": eks(),
    "a pod with eight GPUs": pod(server()),
    "a pod that was given no adapters": pod_without_fabric(),
    "a pod of a PyTorchJob": pytorchjob(),
    "docker with the host's network": docker_host_network(),
    "NVIDIA's container": ngc(),
    "a slice of an A100": mig_pod(),
    "torchrun --standalone": standalone(),
    "a batch script for two nodes": batch_script(),
    "another CUDA as a module": other_module(),
}
