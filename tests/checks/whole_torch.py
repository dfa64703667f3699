"""torch with all that belongs to it, as the facts of a whole machine show it: wheels, libraries, what is imported."""

from __future__ import annotations

from envdoctor.facts.libraries import (
    Binary,
    Libraries,
    LibraryCopy,
    LoadedLibrary,
    MappedLibraries,
    MappedLibrary,
    SearchFolder,
    StandardLibrary,
)
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import Pin, TorchCopy, TorchCuda, TorchImport, TorchInstall
from envdoctor.knowledge import torch_builds
from envdoctor.model import Missing

# Of the venv that most of these machines have.
SITE = "/home/ada/train/.venv/lib/python3.11/site-packages"
SYSTEM_LIBRARIES = "/usr/lib/x86_64-linux-gnu"
# What PyTorch's wheels of one CUDA version require: distribution without "nvidia-" and the CUDA suffix -> version.
WHEELS = {
    "cu118": "cublas 11.11.3.6 cuda-runtime 11.8.89 cuda-nvrtc 11.8.89 cuda-cupti 11.8.87 cudnn 9.1.0.70 "
    "cusparse 11.7.5.86 nccl 2.21.5",
    "cu121": "cublas 12.1.3.1 cuda-runtime 12.1.105 cuda-nvrtc 12.1.105 cuda-cupti 12.1.105 cudnn 9.1.0.70 "
    "cusparse 12.1.0.106 nccl 2.21.5",
    "cu124": "cublas 12.4.5.8 cuda-runtime 12.4.127 cuda-nvrtc 12.4.127 cuda-cupti 12.4.127 cudnn 9.1.0.70 "
    "cusparse 12.3.1.170 nccl 2.21.5 nvjitlink 12.4.127",
    "cu126": "cublas 12.6.4.1 cuda-runtime 12.6.77 cuda-nvrtc 12.6.77 cuda-cupti 12.6.80 cudnn 9.10.2.21 "
    "cusparse 12.5.4.2 nccl 2.27.3 nvjitlink 12.6.85",
    "cu128": "cublas 12.8.4.1 cuda-runtime 12.8.90 cuda-nvrtc 12.8.93 cuda-cupti 12.8.90 cudnn 9.10.2.21 "
    "cusparse 12.5.8.93 nccl 2.27.5 nvjitlink 12.8.93",
    "cu130": "cublas 13.0.0.19 cuda-runtime 13.0.48 cuda-nvrtc 13.0.48 cuda-cupti 13.0.48 cudnn 9.13.0.50 "
    "cusparse 12.6.2.49 nccl 2.28.9 nvjitlink 13.0.39",
}
# The library of each distribution, its soname's number under CUDA 11, 12 and 13 where that is not the CUDA's own.
SONAMES = {
    "cublas": ("libcublas", ("11", "12", "13")),
    "cuda-runtime": ("libcudart", ("11.0", "12", "13")),
    "cuda-nvrtc": ("libnvrtc", ("11.2", "12", "13")),
    "cuda-cupti": ("libcupti", ("11.8", "12", "13")),
    "cudnn": ("libcudnn", ("9", "9", "9")),
    "cusparse": ("libcusparse", ("11", "12", "12")),
    "nccl": ("libnccl", ("2", "2", "2")),
    "nvjitlink": ("libnvJitLink", ("", "12", "13")),
}


def major(tag: str) -> str:
    """12 of cu128."""
    return tag[2:-1]


def wheels(tag: str) -> dict[str, str]:
    """Distribution -> version, of what torch's wheel of this CUDA requires."""
    words = WHEELS[tag].split()
    return {f"nvidia-{name}-cu{major(tag)}": version for name, version in zip(words[::2], words[1::2], strict=True)}


def soname(wheel: str, tag: str) -> tuple[str, str]:
    """Family and soname of the library in a wheel."""
    family, numbers = SONAMES[wheel.removeprefix("nvidia-").rpartition("-cu")[0]]
    return family, f"{family}.so.{numbers[int(major(tag)) - 11]}"


def folder(wheel: str, tag: str, site: str) -> str:
    """Where a wheel keeps its library: all together since CUDA 13."""
    own = wheel.removeprefix("nvidia-").rpartition("-cu")[0].replace("-", "_")
    return f"{site}/nvidia/{'cu13' if major(tag) == '13' and own not in ('cudnn', 'nccl') else own}/lib"


def mentioned(told: TorchInstall) -> str:
    return told.version.partition("+")[2]


def stack(
    version: str, site: str, installer: str = "pip", machine: str = "x86_64", newer: dict[str, str] | None = None
) -> tuple[object, ...]:
    """Facts of a torch from PyTorch's wheels that imports: "2.9.1+cu128", "2.9.1+cpu".

    Args:
        newer: distributions of another version than torch pins, by name.
    """
    tag = version.partition("+")[2]
    required = wheels(tag) if tag.startswith("cu") else {}
    installed = {**required, **(newer or {})}
    cuda = f"{major(tag)}.{tag[-1]}" if required else ""
    install = TorchInstall(
        folder=site + "/torch",
        version=version,
        cuda=cuda,
        dist_version=version,
        installer=installer,
        dist_info=f"{site}/torch-{version}.dist-info",
        pins=tuple(Pin(name, told) for name, told in required.items()),
        copies=(TorchCopy(site + "/torch", version, "environment"),),
    )
    known = torch_builds.companions(version.partition("+")[0])
    vision, audio = (known[0][-1], known[1]) if known else ("", "")
    distributions = [
        Distribution(
            "torch", version, site, f"torch-{version}.dist-info", tuple(f"{n}=={v}" for n, v in required.items())
        ),
        Distribution("numpy", "2.2.6", site),
        *(Distribution(name, told, site) for name, told in installed.items()),
    ]
    for name, told in (("torchvision", vision), ("torchaudio", audio)):
        if told:
            exact = (f"torch=={version.partition('+')[0]}",)
            distributions.append(Distribution(name, f"{told}+{tag}", site, requires=exact))
    loads, copies = [], []
    for name, told in installed.items():
        family, shared = soname(name, tag)
        path = f"{folder(name, tag, site)}/{shared}"
        copies.append(LibraryCopy(family, shared, path, path, told, "wheel"))
        loads.append(LoadedLibrary(shared, path, path, told, "rpath", f"{site}/torch/lib/libtorch_cuda.so"))
    standard = f"{SYSTEM_LIBRARIES.replace('x86_64', machine)}/libstdc++.so.6"
    loads.append(
        LoadedLibrary(
            "libstdc++.so.6", standard, standard + ".0.30", "6.0.30", "ldconfig", f"{site}/torch/lib/libc10.so"
        )
    )
    libraries = Libraries(
        copies=tuple(copies),
        loads=tuple(loads),
        binaries=(Binary(f"{site}/torch/lib/libtorch_cpu.so", "torch", "2.28", "3.4.22", "1.3.11"),),
        standard=(StandardLibrary(standard, "loaded", "3.4.30", "1.3.13"),),
    )
    return install, *imported(install, machine), Packages(150, tuple(distributions)), libraries


def imported(install: TorchInstall, machine: str = "x86_64") -> tuple[object, ...]:
    """What comes of importing it: TorchImport, MappedLibraries and, without CUDA, no TorchCuda."""
    nccl = next((pin.version for pin in install.pins if "-nccl-" in pin.name), "")
    tag = mentioned(install)
    came = TorchImport(
        file=install.folder + "/__init__.py",
        version=install.version,
        cuda=install.cuda,
        hip=install.hip,
        arch_list=torch_builds.arch_list(install.release, tag, "linux", machine) if install.cuda else (),
        nccl_header=nccl,
        backends=("gloo", "nccl") if install.cuda or install.hip else ("gloo",),
        seconds=2.4,
    )
    site = install.folder.rpartition("/")[0]
    mapped = (MappedLibrary("libnccl", f"{site}/nvidia/nccl/lib/libnccl.so.2", nccl, True),) if nccl else ()
    cuda = TorchCuda() if install.cuda else Missing("torch-cuda", "not-here", "this torch has no CUDA")
    return came, MappedLibraries(mapped), cuda, Missing("import-autopsy", "not-here", "torch was imported")


def with_path(libraries: Libraries, *folders: SearchFolder) -> Libraries:
    """The same with folders on LD_LIBRARY_PATH from which nothing is loaded."""
    return Libraries(
        folders, (), libraries.copies, libraries.loads, libraries.absent, libraries.binaries, libraries.standard
    )


def interpreter(
    executable: str = "/home/ada/train/.venv/bin/python",
    version: str = "3.11.9",
    kind: str = "venv",
    machine: str = "x86_64",
) -> Python:
    """A Python of a venv, a conda environment, or the system's ("system")."""
    prefix = executable.removesuffix("/bin/python").removesuffix("/bin/python3")
    digits = ".".join(version.split(".")[:2])
    base = "/usr" if kind == "venv" else prefix
    site = f"{prefix}/lib/python{digits}/site-packages"
    path = (f"{base}/lib/python{digits}", site)
    return Python(
        executable,
        version,
        tag="cp" + digits.replace(".", ""),
        machine=machine,
        prefix=prefix,
        base_prefix=base,
        venv=prefix if kind == "venv" else "",
        venv_version=version if kind == "venv" else "",
        venv_home="/usr/bin" if kind == "venv" else "",
        venv_packages_of=(digits,) if kind == "venv" else (),
        scripts_python=executable,
        conda=prefix if kind == "conda" else "",
        on_path=executable,
        path=("/home/ada/train", *path),
        isolated_path=path,
        ssl="OpenSSL 3.0.13 30 Jan 2024",
    )


def site_of(python: Python) -> str:
    return python.isolated_path[-1]
