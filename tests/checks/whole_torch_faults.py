"""Machines with one fault of torch or its packages, all that follows included, and the code of that fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.autopsy import ImportAutopsy, Trial
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import (
    AbsentLibrary,
    Binary,
    Libraries,
    LibraryCopy,
    LoadedLibrary,
    SearchFolder,
    StandardLibrary,
)
from envdoctor.facts.packages import DamagedFile, Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchCopy, TorchImport, TorchInstall
from envdoctor.model import Missing
from tests.checks.whole_hardware import card, driven, no_cuda
from tests.checks.whole_installs import rocm
from tests.checks.whole_machines import workstation
from tests.checks.whole_parts import Machine, but, changed, has, linux
from tests.checks.whole_servers import server
from tests.checks.whole_torch import SITE, stack

TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"


def no_import(machine: Machine, error: str, message: str, cure: Trial | None = None, **more: Any) -> Machine:
    """`import torch` raises; `cure` is what the autopsy finds to help, else it fails with everything left out too."""
    came = TorchImport(
        error, message, (f'  File "{SITE}/torch/__init__.py", line 405, in <module>',), seconds=0.9, **more
    )
    trials = (cure,) if cure else (Trial("all", "", "python -I -c 'import torch'", False, f"{error}: {message}"),)
    absent = tuple(Missing(name, "not-here", "torch did not import") for name in ("torch-cuda", "mapped-libraries"))
    return but(machine, came, ImportAutopsy(trials), *absent)


def loaded_from(machine: Machine, folder: str, soname: str, version: str, cuda: str) -> Machine:
    """One of torch's libraries is found on LD_LIBRARY_PATH first."""
    libraries: Libraries = machine[Libraries]  # type: ignore[assignment]
    path = f"{folder}/{soname}"
    loads = tuple(
        replace(lib, path=path, real=f"{path}.{version}", version=version, through="LD_LIBRARY_PATH")
        if lib.soname == soname
        else lib
        for lib in libraries.loads
    )
    copy = LibraryCopy(soname.partition(".so")[0], soname, path, f"{path}.{version}", version, "LD_LIBRARY_PATH")
    told = replace(
        libraries,
        library_path=(SearchFolder(folder, holds=(soname,), set_in="/home/ada/.bashrc:120"),),
        loads=loads,
        copies=(*libraries.copies, copy),
    )
    return but(machine, told, LD_LIBRARY_PATH=folder)


def cpu_build() -> Machine:
    return but(workstation(torch="2.9.1+cpu"), Missing("torch-cuda", "not-here", "a CPU build"))


def old_nvjitlink() -> Machine:
    """CUDA 12.1 on LD_LIBRARY_PATH under a torch for CUDA 12.8."""
    folder = "/usr/local/cuda-12.1/lib64"
    machine = loaded_from(workstation(), folder, "libnvJitLink.so.12", "12.1.105", "12.1")
    symbol = "__nvJitLinkGetErrorLogSize_12_8"
    cure = Trial("LD_LIBRARY_PATH", folder, "env -u LD_LIBRARY_PATH python -c 'import torch'", True)
    message = f"{SITE}/nvidia/cusparse/lib/libcusparse.so.12: undefined symbol: {symbol}, version libnvJitLink.so.12"
    return no_import(machine, "ImportError", message, cure, missing_symbol=symbol)


def old_nccl() -> Machine:
    """A site's NCCL 2.18 on LD_LIBRARY_PATH."""
    folder = "/opt/nccl/lib"
    machine = loaded_from(server(), folder, "libnccl.so.2", "2.18.5", "12.2")
    cure = Trial("LD_LIBRARY_PATH", folder, "env -u LD_LIBRARY_PATH python -c 'import torch'", True)
    message = f"{SITE}/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommWindowRegister"
    return no_import(machine, "ImportError", message, cure, missing_symbol="ncclCommWindowRegister")


def two_nccl_wheels() -> Machine:
    machine = server()
    packages = has(machine, Packages)
    both = ("nvidia-nccl-cu11", "nvidia-nccl-cu12")
    file = DamagedFile(f"{SITE}/nvidia/nccl/lib/libnccl.so.2", both, True, "nvidia-nccl-cu11")
    told = replace(
        packages,
        distributions=(*packages.distributions, Distribution("nvidia-nccl-cu11", "2.21.5", SITE)),
        damaged=(file,),
    )
    message = f"{SITE}/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommWindowRegister"
    return no_import(but(machine, told), "ImportError", message, missing_symbol="ncclCommWindowRegister")


def other_distribution(machine: Machine, name: str, version: str, **more: Any) -> Machine:
    packages = has(machine, Packages)
    kept = tuple(d for d in packages.distributions if d.name != name)
    return but(machine, replace(packages, distributions=(*kept, Distribution(name, version, SITE, **more))))


def half_removed() -> Machine:
    machine = workstation()
    install = has(machine, TorchInstall)
    left = replace(
        install,
        version="",
        cuda="",
        dist_version="",
        dist_info="",
        pins=(),
        leftover=SITE + "/torch",
        copies=(TorchCopy(SITE + "/torch", "", "environment"),),
    )
    packages = has(machine, Packages)
    gone = replace(packages, distributions=tuple(d for d in packages.distributions if not d.name.startswith("torch")))
    return no_import(
        but(machine, left, gone, Libraries()), "AttributeError", "module 'torch' has no attribute '__version__'"
    )


def shadowing_torch() -> Machine:
    machine = workstation()
    mine = TorchCopy("/home/ada/train/torch.py", "", "working directory")
    install = has(machine, TorchInstall)
    cure = Trial("cwd", "/home/ada/train", "cd / && python -c 'import torch'", True)
    python = replace(has(machine, Python), shadows=("/home/ada/train/torch.py",))
    machine = but(machine, replace(install, copies=(mine, *install.copies)), python)
    return no_import(
        machine, "AttributeError", "module 'torch' has no attribute 'nn'", cure, strays=("/home/ada/train/torch.py",)
    )


def old_glibc() -> Machine:
    machine = changed(
        workstation(),
        Host,
        distribution="CentOS Linux",
        distribution_version="7",
        glibc="2.17",
        kernel="3.10.0-1160.el7.x86_64",
    )
    message = f"/lib64/libc.so.6: version `GLIBC_2.28' not found (required by {SITE}/torch/lib/libtorch_cpu.so)"
    return no_import(machine, "ImportError", message)


def old_libstdcxx() -> Machine:
    machine = workstation()
    libraries = has(machine, Libraries)
    old = (StandardLibrary("/usr/lib64/libstdc++.so.6", "loaded", "3.4.19", "1.3.7"),)
    return no_import(
        but(machine, replace(libraries, standard=old)),
        "ImportError",
        "/lib64/libstdc++.so.6: version `GLIBCXX_3.4.22' not found",
    )


def foreign_flash() -> Machine:
    wheel = "flash_attn-2.8.3+cu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"
    machine = other_distribution(workstation(), "flash-attn", "2.8.3", wheel=wheel)
    libraries = has(machine, Libraries)
    lacks = Binary(
        SITE + "/flash_attn_2_cuda.so", "flash_attn", "2.32", "3.4.30", "1.3.13", ("_ZN3c104cuda9SetDeviceEab",)
    )
    return but(machine, replace(libraries, binaries=(*libraries.binaries, lacks)))


def only_metadata() -> Machine:
    machine = workstation()
    install = replace(has(machine, TorchInstall), folder="", version="", cuda="", copies=())
    gone = tuple(
        Missing(name, "not-here", "no torch on sys.path")
        for name in ("torch-import", "torch-cuda", "mapped-libraries", "import-autopsy")
    )
    return but(machine, install, *gone, Libraries())


def no_wheel(name: str, soname: str) -> Machine:
    machine = workstation()
    packages, libraries = has(machine, Packages), has(machine, Libraries)
    packages = replace(packages, distributions=tuple(d for d in packages.distributions if d.name != name))
    libraries = replace(
        libraries,
        copies=tuple(c for c in libraries.copies if c.soname != soname),
        loads=tuple(c for c in libraries.loads if c.soname != soname),
        absent=(AbsentLibrary(soname, SITE + "/torch/lib/libtorch_cuda.so"),),
    )
    return no_import(
        but(machine, packages, libraries),
        "ImportError",
        f"{soname}: cannot open shared object file: No such file or directory",
        missing_library=soname,
    )


def rocm_on_nvidia() -> Machine:
    machine = but(workstation(), *(rocm()[kind] for kind in (TorchInstall, TorchImport, Packages, Libraries)))
    return but(machine, Missing("torch-cuda", "not-here", "a ROCm build"))


def illegal() -> Machine:
    machine = workstation()
    absent = tuple(Missing(name, "not-here", "torch did not import") for name in ("torch-cuda", "mapped-libraries"))
    return but(
        machine,
        Missing("torch-import", "crashed", 'SIGILL\n  File "torch/__init__.py", line 405'),
        *absent,
        ImportAutopsy((Trial("all", "", "python -I", False, "SIGILL"),)),
    )


def replaced_by_cpu() -> Machine:
    """pip took a CPU build for another package's sake; what was installed for CUDA is still there."""
    machine = cpu_build()
    packages = has(machine, Packages)
    cuda = tuple(
        replace(d, version=d.release + "+cu128") if d.name in ("torchvision", "torchaudio") else d
        for d in packages.distributions
    )
    flash = Distribution(
        "flash-attn", "2.8.3", SITE, wheel="flash_attn-2.8.3+cu12torch2.9cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
    )
    return but(machine, replace(packages, distributions=(*cuda, flash)))


def upgraded_torch() -> Machine:
    """torch 2.6 became 2.9.1, and nothing else did."""
    machine = other_distribution(workstation(), "torchvision", "0.21.0+cu124", requires=("torch==2.6.0",))
    machine = other_distribution(machine, "torchaudio", "2.6.0+cu124", requires=("torch==2.6.0",))
    wheel = "flash_attn-2.7.4.post1+cu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"
    return other_distribution(machine, "flash-attn", "2.7.4.post1", wheel=wheel)


def users_own_torch() -> Machine:
    """An older torch of ~/.local comes first."""
    site = "/home/ada/.local/lib/python3.11/site-packages"
    machine = workstation()
    install, came, _, _, _, packages, _ = stack("2.1.2+cu121", site)
    assert isinstance(install, TorchInstall) and isinstance(packages, Packages)
    own = has(machine, Packages)
    install = replace(
        install, copies=(TorchCopy(site + "/torch", "2.1.2+cu121", "user site"), *has(machine, TorchInstall).copies)
    )
    return but(machine, install, came, replace(own, distributions=(packages.distributions[0], *own.distributions)))


def stub() -> Machine:
    """A toolkit's stub is found as libcuda."""
    folder = "/usr/local/cuda/lib64/stubs"
    machine, path = workstation(), folder + "/libcuda.so.1"
    libraries = has(machine, Libraries)
    load = LoadedLibrary("libcuda.so.1", path, path, "", "LD_LIBRARY_PATH", SITE + "/torch/lib/libc10_cuda.so", True)
    told = replace(
        libraries, library_path=(SearchFolder(folder, True, True, ("libcuda.so.1",)),), loads=(*libraries.loads, load)
    )
    return no_cuda(
        but(machine, told, LD_LIBRARY_PATH=folder),
        34,
        "CUDA driver is a stub library",
        libcuda=path,
        libcuda_origin="stub",
        libcuda_release="",
        cuda_level="",
        cuda_level_source="",
    )


TORCH_FAULTS: dict[str, tuple[Machine, str]] = {
    "a CPU build from nobody knows where": (cpu_build(), "torch-cpu-build"),
    "an older CUDA on LD_LIBRARY_PATH": (old_nvjitlink(), "library-path-pollution"),
    "an older NCCL on LD_LIBRARY_PATH": (old_nccl(), "nccl-library-conflict"),
    "NCCL's wheels for CUDA 11 and 12": (two_nccl_wheels(), "nvidia-wheel-conflict"),
    "numpy 2 under torch 2.1": (workstation(torch="2.1.2+cu121"), "numpy-abi"),
    "torchvision of another torch": (
        other_distribution(workstation(), "torchvision", "0.20.1+cu128", requires=("torch==2.5.1",)),
        "torchvision-mismatch",
    ),
    "a half-removed torch": (half_removed(), "torch-leftover"),
    "torch.py in the working directory": (shadowing_torch(), "torch-shadowed"),
    "CentOS 7": (old_glibc(), "glibc-too-old"),
    "an old libstdc++": (old_libstdcxx(), "libstdcxx-too-old"),
    "FlashAttention of another torch": (foreign_flash(), "extension-abi-mismatch"),
    "metadata of torch alone": (only_metadata(), "torch-leftover"),
    "NCCL's wheel is not installed": (no_wheel("nvidia-nccl-cu12", "libnccl.so.2"), "nccl-library-missing"),
    "cuDNN's wheel is not installed": (no_wheel("nvidia-cudnn-cu12", "libcudnn.so.9"), "cuda-library-missing"),
    "a torch for ROCm": (rocm_on_nvidia(), "torch-rocm-build"),
    "torch replaced by a CPU build": (replaced_by_cpu(), "torch-cpu-build"),
    "torch upgraded alone": (upgraded_torch(), "torchvision-mismatch"),
    "the user's own older torch": (users_own_torch(), "torch-shadowed"),
    "a toolkit's stub of libcuda": (stub(), "library-path-pollution"),
    "two RTX 5090 under CUDA 12.1": (
        but(linux("2.5.1+cu121"), *driven(card("5090", 0), card("5090", 1))),
        "gpu-arch-unsupported-new",
    ),
    "SIGILL": (illegal(), "torch-import-crashes"),
}
