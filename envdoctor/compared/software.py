"""Versions and builds: torch, driver, NCCL, Python, packages, the toolkit, and where packages come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envdoctor.compared import Facts, Told, aspect, counted, flag, get
from envdoctor.facts.driver import Driver
from envdoctor.facts.libraries import Libraries, MappedLibraries
from envdoctor.facts.nccl import NcclSettings, nccl_version
from envdoctor.facts.packages import Packages, fits
from envdoctor.facts.pip import PipConfig, PipEffective
from envdoctor.facts.python import Python
from envdoctor.facts.toolkit import Toolkit
from envdoctor.facts.torch import TorchCuda, TorchImport, TorchInstall
from envdoctor.model import Text

TORCH = "torch.version"  # what most of these follow from
# Packages that change results, memory or interfaces of a training run; others are details.
DECISIVE = frozenset(
    (
        "accelerate", "apex", "bitsandbytes", "colossalai", "cupy", "deepspeed", "flash-attn", "flash-attn-3", "jax",
        "lightning", "megatron-core", "numpy", "peft", "pytorch-lightning", "pytorch-triton", "ray", "sglang",
        "torchaudio", "torchvision", "transformer-engine", "transformers", "triton", "trl", "vllm", "xformers",
    )
)  # fmt: skip
OF_TORCH = ("nvidia-", "cuda-", "triton", "pytorch-triton")


@aspect("torch", TorchInstall)
def torch(found: TorchInstall, facts: Facts) -> Iterator[Told]:
    version = found.version or found.dist_version
    built = found.cuda or (f"ROCm {found.hip}" if found.hip else "CPU")
    yield Told("version", version or None, Text("version", "版本"))
    yield Told("cuda", built if version else None, Text("built for CUDA", "构建所用 CUDA"))
    if found.leftover or found.broken_files:
        yield Told("damaged", "yes", Text("files missing", "缺少文件"))
    yield Told("copies", str(len(found.copies) or 1), Text("copies on sys.path", "sys.path 上的份数"), detail=True)
    yield Told("debug", flag(found.debug), Text("debug build", "调试构建"), detail=True)
    yield Told("installer", found.installer or None, Text("installed by", "安装方式"), detail=True)


@aspect("torch", TorchImport)
def imported(found: TorchImport, facts: Facts) -> Iterator[Told]:
    yield Told("import", found.error or "works", Text("import torch", "import torch"))
    if found.error:
        return
    yield Told("cudnn", found.cudnn or None, Text("cuDNN", "cuDNN"), detail=True, follows=TORCH)
    yield Told("backends", " ".join(sorted(found.backends)) or None, Text("backends", "后端"))
    architectures = " ".join(sorted(found.arch_list))
    yield Told("architectures", architectures or None, Text("compiled for", "编译架构"), detail=True, follows=TORCH)


@aspect("torch", TorchCuda)
def cuda(found: TorchCuda, facts: Facts) -> Iterator[Told]:
    yield Told("cuda-available", flag(found.available), Text("CUDA available", "CUDA 可用"))
    yield Told("cuda-devices", str(found.device_count), Text("CUDA devices", "CUDA 设备数"))


@aspect("driver", Driver)
def driver(found: Driver, facts: Facts) -> Iterator[Told]:
    yield Told("release", found.release or None, Text("release", "版本"))
    yield Told("cuda", found.cuda_level or None, Text("supports CUDA", "支持的 CUDA"))
    if found.library_release and found.kernel_release:
        agree = found.library_release == found.kernel_release
        yield Told(
            "libraries", "as the kernel module" if agree else found.library_release, Text("libraries", "用户态库")
        )
    if found.cuda_init is not None:
        said = "works" if found.cuda_init == 0 else found.cuda_init_name or str(found.cuda_init)
        yield Told("cuinit", said, Text("cuInit", "cuInit"))
    if found.stuck_call:
        yield Told("stuck", found.stuck_call, Text("does not return", "不返回的调用"))
    yield Told("libcuda", found.libcuda_origin or None, Text("libcuda of", "libcuda 来源"))
    yield Told("open-module", flag(found.open_kernel_module), Text("open kernel module", "开源内核模块"))
    yield Told("fabric-manager", found.fabric_manager or None, Text("fabric manager", "fabric manager"))


@aspect("nccl", TorchInstall)
def nccl(found: TorchInstall, facts: Facts) -> Iterator[Told]:
    """The version that is loaded, else that of the file that would be, else the one torch asks for."""
    mapped, libraries = get(facts, MappedLibraries), get(facts, Libraries)
    versions = [library.version for library in (mapped.of("libnccl") if mapped else ())]
    versions += [library.version for library in (libraries.of("libnccl") if libraries else ())]
    known = [version for version in (*versions, nccl_version(found)) if version]
    yield Told("version", known[0] if known else None, Text("version", "版本"))


@aspect("nccl", NcclSettings)
def plugins(found: NcclSettings, facts: Facts) -> Iterator[Told]:
    names = sorted({plugin.path.rpartition("/")[2] for plugin in found.plugins})
    yield Told("plugins", " ".join(names), Text("plugins", "插件"))


@aspect("python", Python)
def python(found: Python, facts: Facts) -> Iterator[Told]:
    kind = "conda" if found.conda else "venv" if found.venv else "system" if found.prefix else None
    yield Told("version", found.version or None, Text("version", "版本"))
    yield Told("implementation", found.implementation, Text("implementation", "实现"))
    yield Told("machine", found.machine or None, Text("built for", "目标架构"))
    yield Told("free-threaded", flag(found.tag.endswith("t")) if found.tag else None, Text("free-threaded", "自由线程"))
    yield Told("kind", kind, Text("environment", "环境类型"), detail=True)
    yield Told("failure", found.failure_kind, Text("does not start", "无法启动"))


@aspect("packages", Packages)
def packages(found: Packages, facts: Facts) -> Iterator[Told]:
    own = get(facts, TorchInstall)
    pins = {pin.name: pin.version for pin in (found.pins(own) if own else ())}
    for name in dict.fromkeys(distribution.name for distribution in found.distributions):
        distribution = found.get(name)
        if distribution is None or name == "torch" or not name:
            continue
        version = distribution.version
        if distribution.local and "+" not in version:
            version += f"+{distribution.local}"
        asked_for = name in pins and fits(version, pins[name])
        yield Told(
            name, version or None,
            detail=name not in DECISIVE and not name.startswith(OF_TORCH),
            follows=TORCH if asked_for or name.startswith("cuda-toolkit") else "",
        )  # fmt: skip
    damaged = sum(1 for file in found.damaged if not file.present or file.altered)
    yield Told("damaged", str(damaged) if damaged else "", Text("damaged NVIDIA libraries", "损坏的 NVIDIA 库"))


@aspect("toolkit", Toolkit)
def toolkit(found: Toolkit, facts: Facts) -> Iterator[Told]:
    used = found.used
    compiler = f"{found.cxx.kind} {found.cxx.version}".strip()
    yield Told("nvcc", used.version or None if used else "", Text("nvcc", "nvcc"))
    yield Told("compiler", compiler, Text("C++ compiler", "C++ 编译器"), detail=True)
    yield Told("ninja", flag(bool(found.ninja)), Text("ninja", "ninja"), detail=True)


@aspect("sources", PipConfig)
def pip(found: PipConfig, facts: Facts) -> Iterator[Told]:
    effective = get(facts, PipEffective)
    urls: Iterable[str] = [url for url, _ in found.indexes()]
    if effective is not None and effective.source == "pip":
        # pip names its own default index, which nobody has written.
        urls = [url for url in effective.indexes() if url != effective.default_index]
    yield Told("pip-index", " ".join(urls), Text("pip index", "pip 索引"), detail=True)
    yield Told("pip", found.pip_version or None, Text("pip", "pip"), detail=True)
    yield Told("pip-broken", counted(file.fault for file in found.broken), Text("pip configuration", "pip 配置"))
