"""Were the compiled extensions built for this torch, this CUDA and these GPUs?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.libraries import Libraries
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.installing import for_python
from envdoctor.knowledge.versions import numbers

TOPIC = Topic("packages", 84, Text("compiled extensions of torch", "torch 的编译扩展"))

# Distributions whose wheels hold code compiled against one release of torch's C++ interface.
COMPILED = re.compile(
    r"^(flash-attn|flash-attn-3|xformers|vllm|torch-(scatter|sparse|cluster|spline-conv)|pyg-lib|natten|mamba-ssm"
    r"|causal-conv1d|auto-gptq|detectron2|deepspeed|torch-tensorrt|fbgemm-gpu|torchtext|torchcodec|mmcv)$"
)
# FlashAttention-2 has kernels for Ampere and newer only: README of Dao-AILab/flash-attention.
NEEDS_CAPABILITY = {"flash-attn": (8, 0)}
# Wheels of PyTorch use the C++11 ABI from 2.7 on and did not up to 2.5; of 2.6 some did: RELEASE.md of pytorch/pytorch.
OLD_ABI_UNTIL, NEW_ABI_FROM = (2, 5), (2, 7)

EXTENSION_ABI_MISMATCH = Problem(
    code="extension-abi-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "{package} {version} was compiled for torch {built}, torch {torch} is installed",
        "{package} {version} 为 torch {built} 编译，而安装的是 torch {torch}",
    ),
    why=Text(
        "importing it fails with an undefined symbol, or its kernels are left out",
        "导入时会出现未定义符号，或其内核不可用",
    ),
    seen=Text("{package} {version} in {folder}: {source}", "{folder} 中的 {package} {version}：{source}"),
    command="pip install --force-reinstall --no-deps --no-cache-dir --no-build-isolation {package}",
    help=Text(
        "take a wheel made for torch {torch}, or let pip compile it against the installed torch",
        "请选用为 torch {torch} 构建的 wheel，或让 pip 针对已安装的 torch 重新编译",
    ),
    confirm="python -c 'import {module}'",
    caused_by=("torch-shadowed", "torch-cpu-build", "torch-rocm-build", "torchvision-mismatch", "torchaudio-mismatch"),
    situations={
        "symbol": Situation(
            title=Text(
                "{package} asks for functions that torch {torch} does not have",
                "{package} 所需的函数在 torch {torch} 中不存在",
            ),
            why=Text("importing it fails: `undefined symbol: {symbol}`", "导入会失败：`undefined symbol: {symbol}`"),
            seen=Text(
                "{path} asks for {symbol}; no library in torch/lib defines it",
                "{path} 需要 {symbol}；torch/lib 中没有任何库定义它",
            ),
        ),
        "cuda": Situation(
            title=Text(
                "{package} {version} was compiled for CUDA {built}, torch for CUDA {torch}",
                "{package} {version} 为 CUDA {built} 编译，而 torch 为 CUDA {torch}",
            ),
            why=Text(
                "importing it fails: the CUDA runtime it was linked to is not there",
                "导入会失败：找不到其链接的 CUDA 运行库",
            ),
            help=Text(
                "take a wheel made for CUDA {torch}, or let pip compile it against the installed torch",
                "请选用为 CUDA {torch} 构建的 wheel，或让 pip 针对已安装的 torch 重新编译",
            ),
        ),
        "cxx11": Situation(
            title=Text(
                "{package} {version} was compiled with {built}, torch {torch} with the other C++ ABI",
                "{package} {version} 以 {built} 编译，torch {torch} 使用另一种 C++ ABI",
            ),
        ),
    },
)

EXTENSION_ARCH_MISMATCH = Problem(
    code="extension-arch-mismatch",
    severity=Severity.WARNING,
    title=Text(
        "{package} {version} has no kernels for compute capability {capability} ({gpu})",
        "{package} {version} 没有计算能力 {capability}（{gpu}）的内核",
    ),
    why=Text(
        "models that ask for it stop: `FlashAttention only supports Ampere GPUs or newer`",
        "使用它的模型会报错：`FlashAttention only supports Ampere GPUs or newer`",
    ),
    seen=Text(
        "{package} {version} needs {needs} or newer; GPU {index} is {capability}",
        "{package} {version} 需要 {needs} 或更新；GPU {index} 为 {capability}",
    ),
    help=Text(
        'ask for `attn_implementation="sdpa"` or the like: torch has attention kernels for this GPU itself',
        '请改用 `attn_implementation="sdpa"` 之类的选项：torch 自带适用于该 GPU 的注意力内核',
    ),
    hardware="unconfirmed",
    refs=("https://github.com/Dao-AILab/flash-attention#nvidia-cuda-support",),
)


def _built_for(package: Distribution) -> tuple[str, str]:
    """The torch it was compiled for, and what says so."""
    pinned = package.requirement("torch")
    if package.built_torch:
        return package.torch, f"torch {package.built_torch}"
    if package.torch:
        return package.torch, f"+{package.local}"
    if pinned.startswith("==") and "*" not in pinned:
        return pinned[2:].partition("+")[0], f"torch{pinned}"
    return "", ""


@check(EXTENSION_ABI_MISMATCH)
def extension_lacks_symbols(
    torch: TorchInstall, libraries: Libraries, packages: Packages | None, python: Python | None
) -> Iterable[Finding]:
    """Functions that a compiled file asks for and torch's libraries do not define: proof, whatever versions say."""
    for binary in libraries.binaries:
        if binary.lacks:
            name = binary.owner.replace("_", "-")
            package = packages.get(name) if packages else None
            found = EXTENSION_ABI_MISMATCH.found(
                "symbol",
                package=name,
                module=binary.owner,
                version=package.version if package else None,
                torch=torch.version or torch.release,
                path=binary.path,
                symbol=binary.lacks[0],
            )
            yield found.mended_by(for_python(found.command, python, torch))


@check(EXTENSION_ABI_MISMATCH)
def extension_abi_mismatch(
    torch: TorchInstall, packages: Packages, libraries: Libraries | None, python: Python | None
) -> Iterable[Finding]:
    """What extensions say they were built for, in their version, their metadata or a file of their own."""
    if len(numbers(torch.release)) < 2:
        return
    proven = {binary.owner.replace("_", "-") for binary in (libraries.binaries if libraries else ()) if binary.lacks}
    for package in packages.distributions:
        found = _apart(package, torch) if COMPILED.match(package.name) and package.name not in proven else None
        if found is not None:
            yield found.mended_by(for_python(found.command, python, torch))


def _apart(package: Distribution, torch: TorchInstall) -> Finding | None:
    """The finding if an extension was built for another torch, CUDA or C++ ABI."""
    told = {
        "package": package.name,
        "module": package.name.replace("-", "_"),
        "version": package.version,
        "folder": package.folder,
    }
    built, source = _built_for(package)
    installed, wanted = numbers(torch.release), numbers(built)
    tag = f"+{package.local}" if package.local else f"CUDA {package.cuda}"
    if wanted[:2] and wanted[:2] != installed[:2]:
        # A pin of the metadata can be met by a build of one's own; a tag of the wheel or its own file cannot.
        severity = Severity.ERROR if package.torch else Severity.WARNING
        return EXTENSION_ABI_MISMATCH.found(**told, built=built, torch=torch.release, source=source).at(severity)
    if not package.cuda or not torch.cuda or package.cuda == "cpu":
        return None
    if numbers(package.cuda)[0] != numbers(torch.cuda)[0]:
        return EXTENSION_ABI_MISMATCH.found("cuda", **told, built=package.cuda, torch=torch.cuda, source=tag)
    abi = re.search(r"cxx11abi(true|false)", package.local, re.I)
    if abi and torch.installer in ("pip", "uv") and _other_abi(abi.group(1).lower() == "true", installed):
        return EXTENSION_ABI_MISMATCH.found("cxx11", **told, built=abi.group(), torch=torch.release, source=tag)
    return None


def _other_abi(cxx11: bool, torch: tuple[int, ...]) -> bool:
    """Whether PyTorch's own wheels of this release have the other ABI, for certain."""
    return (torch[:2] >= NEW_ABI_FROM and not cxx11) or (torch[:2] <= OLD_ABI_UNTIL and cxx11)


@check(EXTENSION_ARCH_MISMATCH)
def extension_arch_mismatch(packages: Packages, gpus: Gpus) -> Iterable[Finding]:
    """Kernels known to exist from one compute capability on only."""
    for name, needs in NEEDS_CAPABILITY.items():
        package = packages.get(name)
        gpu = next((g for g in gpus.gpus if (0,) < numbers(g.compute_capability) < needs), None)
        if package is not None and gpu is not None:
            yield EXTENSION_ARCH_MISMATCH.found(
                package=name,
                version=package.version,
                capability=gpu.compute_capability,
                needs=".".join(map(str, needs)),
                gpu=gpu.name,
                index=gpu.index,
            )
