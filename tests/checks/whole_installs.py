"""Computers whose torch comes from elsewhere than a venv of pip's, and with which nothing is wrong."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.conda import CondaConfig, CondaPackage, CondaProgram, Condarc, CondaSetting
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import (
    Libraries,
    LibraryCopy,
    LoadedLibrary,
    MappedLibraries,
    MappedLibrary,
    SearchFolder,
)
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.nics import Nic
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import TorchCopy, TorchCuda, TorchImport, TorchInstall
from envdoctor.facts.uv import UvAnswer, UvConfig, UvEffective, UvFile, UvIndex
from envdoctor.model import Missing
from tests.checks.interfaces import LO, nics
from tests.checks.pip_configs import index, written
from tests.checks.whole_hardware import card, desktop, driven, toolkit
from tests.checks.whole_machines import laptop, workstation
from tests.checks.whole_parts import GIB, Machine, but, changed, effective, linux, names, probes, without
from tests.checks.whole_torch import imported, interpreter, site_of, stack, with_path


def colab() -> Machine:
    """A T4, driver 535 or 550, and torch for CUDA 12.x of Google's image."""
    python = interpreter("/usr/bin/python3", "3.12.11", "system")
    python = replace(
        python,
        prefix="/usr",
        base_prefix="/usr",
        isolated_path=("/usr/lib/python3.12", "/usr/local/lib/python3.12/dist-packages"),
    )
    machine = linux("2.8.0+cu126", python=python, name="c0ffee")
    host = {
        "container": "docker",
        "container_shown_by": "/.dockerenv exists",
        "root": True,
        "cpus": 2,
        "memory_bytes": 13 * GIB,
        "virtual_machine": "Google Compute Engine",
    }
    nic = (Nic("eth0", 5, "veth", speed_mbps=10000, speed_is_real=False), ("172.28.0.12/16",))
    variables = {
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "COLAB_GPU": "1",
        "CUDA_VERSION": "12.5.1",
    }
    limits = Limits(SharedMemory(6 * GIB, 6 * GIB), Limit(8 << 20, 8 << 20), Limit(1048576, 1048576))
    torch_libraries = machine[Libraries]
    assert isinstance(torch_libraries, Libraries)
    path = with_path(
        torch_libraries, SearchFolder("/usr/local/nvidia/lib", False), SearchFolder("/usr/local/nvidia/lib64", False)
    )
    return but(
        changed(machine, Host, **host),
        *driven(card("t4", driver="550"), release="550.54.15"),
        nics(LO, nic, source="172.28.0.12"),
        limits,
        path,
        toolkit("12.5"),
        **variables,
    )


def conda_forge() -> Machine:
    """torch of conda-forge: libraries in the environment's own lib, no wheel of NVIDIA's."""
    python = interpreter("/home/ada/miniforge3/envs/train/bin/python", "3.12.8", "conda")
    site, prefix = site_of(python), python.conda
    install = TorchInstall(
        site + "/torch",
        "2.7.1.post303",
        "12.9",
        dist_version="2.7.1.post303",
        installer="conda",
        dist_info=site + "/torch-2.7.1.dist-info",
        copies=(TorchCopy(site + "/torch", "2.7.1", "environment"),),
    )
    sonames = ("libcudart.so.12", "libcublas.so.12", "libcudnn.so.9", "libnccl.so.2", "libcusparse.so.12")
    copies = tuple(
        LibraryCopy(name.partition(".so")[0], name, f"{prefix}/lib/{name}", f"{prefix}/lib/{name}", "", "conda")
        for name in sonames
    )
    loads = tuple(
        LoadedLibrary(copy.soname, copy.path, copy.real, "", "rpath", site + "/torch/lib/libtorch_cuda.so")
        for copy in copies
    )
    came, _, _, autopsy = imported(install)
    assert isinstance(came, TorchImport)
    came = replace(
        came, arch_list=("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90"), nccl_header="2.26.5"
    )
    mapped = MappedLibraries((MappedLibrary("libnccl", f"{prefix}/lib/libnccl.so.2", "2.27.3", True),))
    conda = CondaConfig(
        (CondaProgram("conda", "/home/ada/miniforge3/bin/conda"),),
        ("/home/ada/miniforge3",),
        ("/home/ada/.bashrc",),
        "/home/ada/miniforge3",
        prefix,
        (Condarc("/home/ada/miniforge3/.condarc", True, (), (CondaSetting("channels", 1, ("conda-forge",)),)),),
        ("conda-forge",),
        packages=(CondaPackage("pytorch", "2.7.1", "cuda129_generic_py312_h", "conda-forge"),),
    )
    packages = Packages(120, (Distribution("torch", "2.7.1.post303", site), Distribution("numpy", "2.2.6", site)))
    machine = linux("2.9.1+cpu", python=python)
    machine = but(
        machine,
        install,
        came,
        mapped,
        autopsy,
        Libraries(copies=copies, loads=loads),
        packages,
        conda,
        CONDA_PREFIX=prefix,
        CONDA_DEFAULT_ENV="train",
        CONDA_EXE="/home/ada/miniforge3/bin/conda",
    )
    return but(machine, *driven(desktop(card("3060", driver="570")), release="570.195.03"))


def pytorch_image() -> Machine:
    """pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime on a machine with two L40S: conda's Python, pip's torch."""
    python = replace(
        interpreter("/opt/conda/bin/python", "3.11.14", "conda"), prefix="/opt/conda", base_prefix="/opt/conda"
    )
    machine = linux("2.9.1+cu128", python=python, name="c0ffee12")
    nic = (Nic("eth0", 5, "veth", speed_mbps=10000, speed_is_real=False), ("172.17.0.2/16",))
    host = {"container": "docker", "container_shown_by": "/.dockerenv exists", "root": True}
    own = names("c0ffee12", "172.17.0.2", "172.17.0.2")
    return but(
        changed(machine, Host, **host),
        *driven(card("l40s", 0), card("l40s", 1)),
        nics(LO, nic, source="172.17.0.2"),
        *own,
        Limits(SharedMemory(16 * GIB, 16 * GIB), Limit(8 << 20, 8 << 20), Limit(1048576, 1048576)),
        ShellFiles("", "/root"),
        CondaConfig(root="/opt/conda", environment="/opt/conda"),
        NVIDIA_VISIBLE_DEVICES="all",
        PATH="/opt/conda/bin:/usr/bin:/bin",
        LD_LIBRARY_PATH="/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        PYTORCH_VERSION="2.9.1",
    )


def rocm() -> Machine:
    """Two MI250 and torch for ROCm: no matter of NVIDIA's."""
    python = interpreter()
    site = site_of(python)
    install = TorchInstall(
        site + "/torch",
        "2.9.1+rocm6.4",
        hip="6.4.43484",
        dist_version="2.9.1+rocm6.4",
        installer="pip",
        dist_info=site + "/torch-2.9.1+rocm6.4.dist-info",
        copies=(TorchCopy(site + "/torch", "2.9.1+rocm6.4", "environment"),),
    )
    packages = Packages(
        80, (Distribution("torch", "2.9.1+rocm6.4", site), Distribution("torchvision", "0.24.1+rocm6.4", site))
    )
    amd = tuple(
        PciDevice(f"0000:{n:02x}:00.0", "0x1002", "0x740c", "0x038000", "gpu", "amdgpu", 16, 16) for n in (0xC1, 0xC6)
    )
    return but(
        linux(python=python),
        install,
        *imported(install),
        packages,
        Libraries(),
        PciDevices(amd),
        HIP_VISIBLE_DEVICES="0,1",
    )


def mirrored(url: str) -> Machine:
    """pip's index at a mirror over https."""
    return but(workstation(), written(user=index(url)), effective(url), probes(url))


def uv() -> Machine:
    """A project of uv's, with an index of its own for torch."""
    python = replace(interpreter(), scripts_python="")
    machine = linux(python=python)
    torch = stack("2.9.1+cu128", site_of(python), "uv")
    config = UvConfig(
        "/home/ada/.local/bin/uv",
        (UvFile("/home/ada/train/pyproject.toml", "project"),),
        (
            UvIndex(
                "index",
                "https://download.pytorch.org/whl/cu128",
                "pytorch",
                "/home/ada/train/pyproject.toml",
                14,
                "project",
                explicit=True,
            ),
        ),
    )
    return but(
        machine,
        *torch,
        *driven(desktop(card("4090"))),
        config,
        UvEffective("0.9.18", (UvAnswer("project"), UvAnswer("pip"))),
        Missing("pip-effective", "not-here", "no pip"),
        written(more={"pip_version": ""}),
    )


def default_wheels() -> Machine:
    """From the default index: the metadata bear no local version."""
    machine = workstation()
    install, packages = machine[TorchInstall], machine[Packages]
    assert isinstance(install, TorchInstall) and isinstance(packages, Packages)
    plain = tuple(replace(d, version=d.release) if d.name.startswith("torch") else d for d in packages.distributions)
    return but(machine, replace(install, dist_version="2.9.1"), replace(packages, distributions=plain))


def without_torch(machine: Machine) -> Machine:
    told = without(
        machine, "torch-install", "torch-import", "torch-cuda", "mapped-libraries", "import-autopsy", reason="not-here"
    )
    return but(told, Packages(40, ()), Libraries())


def system_python() -> Machine:
    """A laptop with the distribution's Python, in which pip may not install."""
    python = replace(
        interpreter("/usr/bin/python3", "3.12.3", "system"), externally_managed="/usr/lib/python3.12/EXTERNALLY-MANAGED"
    )
    return without_torch(but(laptop(), python))


def jetson() -> Machine:
    """NVIDIA's own build, without NCCL; NVML tells little."""
    site = site_of(interpreter())
    gpu = Gpu(0, "", "Orin (nvgpu)", "", "8.7", 62 * GIB)
    libcuda = "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1"
    driver = Driver(
        "540.4.0",
        "/proc/driver/nvidia/version",
        "540.4.0",
        "",
        True,
        "12.6",
        "cuDriverGetVersion",
        libcuda,
        "driver",
        cuda_init=0,
        cuda_devices=1,
        device_nodes=("nvidia0", "nvidiactl", "nvmap"),
    )
    install = TorchInstall(site + "/torch", "2.8.0", "12.6", dist_version="2.8.0", installer="pip")
    came = TorchImport(
        file=site + "/torch/__init__.py", version="2.8.0", cuda="12.6", arch_list=("sm_87",), backends=("gloo",)
    )
    return but(
        linux("2.8.0+cpu", "aarch64", "orin"),
        driver,
        Gpus(count=1, gpus=(gpu,)),
        install,
        came,
        TorchCuda(True, 1, devices=("Orin (8.7)",)),
    )


INSTALLS: dict[str, Machine] = {
    "docker of PyTorch's image": pytorch_image(),
    "Colab": colab(),
    "pip at TUNA": mirrored("https://pypi.tuna.tsinghua.edu.cn/simple"),
    "pip at Aliyun": mirrored("https://mirrors.aliyun.com/pypi/simple/"),
    "uv": uv(),
    "conda-forge": conda_forge(),
    "ROCm": rocm(),
    "wheels of the default index": default_wheels(),
    "a GPU, and torch to come": without_torch(workstation()),
    "the system's Python": system_python(),
    "Jetson": jetson(),
}
