"""Does the installed torch hold code for every GPU that training sees?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.packages import Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.facts.training_gpus import TrainingGpus, training_gpus
from envdoctor.knowledge import gpus as generations
from envdoctor.knowledge import torch_builds
from envdoctor.knowledge.prescription import prescribe
from envdoctor.knowledge.verdict import Machine, capability_of
from envdoctor.knowledge.versions import at_least, numbers
from envdoctor.model import Scalar

TOPIC = Topic("torch", 72, Text("torch against the GPUs", "torch 与 GPU 是否匹配"))

_SEEN = Text(
    "GPU {index}: {gpu}, compute capability {capability} ({gpu_source})\ntorch {torch} holds {codes} ({codes_source})",
    "GPU {index}：{gpu}，计算能力 {capability}（{gpu_source}）\ntorch {torch} 含有 {codes}（{codes_source}）",
)
_WHY = Text(
    "the first kernel on it fails: `no kernel image is available for execution on the device`",
    "在该 GPU 上运行第一个内核就会报错：`no kernel image is available for execution on the device`",
)
_HELP = Text(
    "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not ({why_not})",
    "该命令安装 torch {build}；适合本机的最新版本是 {newest}，更新的版本不行（{why_not}）",
)
_SITUATIONS = {
    "best": Situation(
        help=Text(
            "the command installs torch {build}, the newest that fits here; newer ones do not ({why_not})",
            "该命令安装 torch {build}，即适合本机的最新版本；更新的版本不行（{why_not}）",
        ),
    ),
    "newest": Situation(
        help=Text(
            "the command installs torch {build}; the newest that fits here is {newest}",
            "该命令安装 torch {build}；适合本机的最新版本是 {newest}",
        ),
    ),
    "nothing-fits": Situation(
        help=Text(
            "no torch on PyTorch's index fits {gpu}, this driver and this Python ({why_not})",
            "PyTorch 索引中没有同时适合 {gpu}、本驱动与此 Python 的 torch（{why_not}）",
        ),
    ),
    "mixed": Situation(
        help=Text(
            "no torch on PyTorch's index fits all these GPUs at once ({why_not}): let training see one kind of them, "
            "by CUDA_VISIBLE_DEVICES",
            "PyTorch 索引中没有能同时支持这些 GPU 的 torch（{why_not}）：请用 CUDA_VISIBLE_DEVICES "
            "让训练只看到其中一类",
        ),
    ),
    "jetson": Situation(
        help=Text(
            "{gpu} takes the torch that NVIDIA builds for its JetPack, not that of PyTorch's index",
            "{gpu} 须使用 NVIDIA 为其 JetPack 编译的 torch，而不是 PyTorch 索引中的版本",
        ),
    ),
}
_CONFIRM = 'python -c "import torch; print(torch.cuda.get_arch_list(), torch.cuda.get_device_capability())"'
_REFS = ("https://pytorch.org/get-started/locally/", "https://developer.nvidia.com/cuda-gpus")

GPU_ARCH_UNSUPPORTED_OLD = Problem(
    code="gpu-arch-unsupported-old",
    severity=Severity.ERROR,
    title=Text(
        "torch {torch} no longer has code for {gpu} (compute capability {capability})",
        "torch {torch} 已不含 {gpu}（计算能力 {capability}）的代码",
    ),
    why=_WHY,
    seen=_SEEN,
    help=_HELP,
    confirm=_CONFIRM,
    situations=_SITUATIONS,
    caused_by=("torch-shadowed", "python-unsupported"),
    hardware="unconfirmed",
    refs=_REFS,
)

GPU_ARCH_UNSUPPORTED_NEW = Problem(
    code="gpu-arch-unsupported-new",
    severity=Severity.ERROR,
    title=Text(
        "torch {torch} has no code yet for {gpu} (compute capability {capability})",
        "torch {torch} 尚不含 {gpu}（计算能力 {capability}）的代码",
    ),
    why=_WHY,
    seen=_SEEN,
    help=_HELP,
    confirm=_CONFIRM,
    situations=_SITUATIONS,
    caused_by=("torch-shadowed", "python-unsupported"),
    hardware="unconfirmed",
    refs=_REFS,
)

NCCL_TOO_OLD_FOR_GPU = Problem(
    code="nccl-too-old-for-gpu",
    severity=Severity.ERROR,
    title=Text(
        "NCCL {nccl} has no code for {gpu}; {first} is the first that does",
        "NCCL {nccl} 不含 {gpu} 的代码；从 {first} 起才支持",
    ),
    why=Text(
        "collectives between its GPUs fail with `unhandled cuda error` or an illegal memory access",
        "GPU 之间的集合通信会报 `unhandled cuda error` 或非法内存访问",
    ),
    seen=Text(
        "NCCL {nccl} ({nccl_source}); GPU {index}: {gpu}, compute capability {capability}",
        "NCCL {nccl}（{nccl_source}）；GPU {index}：{gpu}，计算能力 {capability}",
    ),
    help=Text(
        "take a torch that brings a newer NCCL: the newest that fits here is {newest}",
        "请换用自带较新 NCCL 的 torch：适合本机的最新版本是 {newest}",
    ),
    confirm='python -c "import torch; print(torch.cuda.nccl.version())"',
    caused_by=("gpu-arch-unsupported-new", "nccl-library-conflict"),
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/deeplearning/nccl/release-notes/", "https://github.com/NVIDIA/nccl/issues/2418"),
    situations={
        "translated": Situation(
            title=Text(
                "NCCL {nccl} runs on {gpu} only by translating code of the generation before; {first} has its own",
                "NCCL {nccl} 在 {gpu} 上只能靠即时编译上一代的代码运行；从 {first} 起才有专用代码",
            ),
            why=Text(
                "the first collective starts slowly, and none uses what the GPU has over its predecessor",
                "首次集合通信启动缓慢，且用不上该 GPU 相对上一代的新特性",
            ),
            severity=Severity.WARNING,
        ),
        "unsound": Situation(
            title=Text(
                "NCCL {nccl} is known to crash on {gpu}; {sound} is sound",
                "已知 NCCL {nccl} 在 {gpu} 上会崩溃；{sound} 起正常",
            ),
            why=Text(
                "all-reduce of 512 KiB and more ends in an illegal memory access: the wheel was built without code for "
                "this GPU",
                "512 KiB 及以上的 all-reduce 会以非法内存访问告终：该软件包编译时不含此 GPU 的代码",
            ),
            severity=Severity.WARNING,
        ),
    },
)


def _codes(torch: TorchInstall, imported: TorchImport | None, machine: Machine) -> tuple[tuple[str, ...], str]:
    """The GPU code of the installed torch, and who says so; empty for a build of somebody else's, not imported."""
    if imported and imported.arch_list:
        return imported.arch_list, "torch.cuda.get_arch_list()"
    tag = torch_builds.official_tag(torch.version)
    return torch_builds.arch_list(torch.release, tag, machine.system, machine.machine), "build_cuda.sh"


def _without_code(codes: tuple[str, ...], seen: TrainingGpus) -> tuple[Gpu, ...]:
    return tuple(gpu for gpu in seen.gpus if capability_of(gpu) and generations.runs(codes, capability_of(gpu)) == "no")


def _matters(gpu: Gpu, seen: TrainingGpus, lacking: tuple[Gpu, ...]) -> bool:
    """Whether training is meant to run on this GPU: there is no better one, or it is no mere display card.

    A GPU with less than half the memory of the largest that torch can use is rarely trained on beside it.
    """
    others = [other for other in seen.gpus if other not in lacking]
    if not others:
        return True
    known = generations.product(gpu.name)
    largest = max((other.memory_bytes or 0) for other in others)
    small = gpu.memory_bytes is not None and 2 * gpu.memory_bytes < largest
    return seen.certain and (bool(known and known.data_centre) or not small)


@check(GPU_ARCH_UNSUPPORTED_OLD, GPU_ARCH_UNSUPPORTED_NEW)
def gpu_arch_unsupported(
    gpus: Gpus,
    torch: TorchInstall,
    imported: TorchImport | None,
    driver: Driver | None,
    host: Host | None,
    python: Python | None,
    environment: Environment | None,
    packages: Packages | None,
) -> Iterable[Finding]:
    """Every GPU that training sees against the code in the build. A build of unknown content is not judged."""
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    codes, source = _codes(torch, imported, told.machine)
    lacking = _without_code(codes, told.seen) if codes and torch.cuda else ()
    for old, problem in ((True, GPU_ARCH_UNSUPPORTED_OLD), (False, GPU_ARCH_UNSUPPORTED_NEW)):
        of_kind = [gpu for gpu in lacking if generations.older_than_all(codes, capability_of(gpu)) is old]
        if not of_kind:
            continue
        gpu = of_kind[0]
        evidence: dict[str, Scalar] = {
            "torch": torch.version,
            "gpu": gpu.name or f"GPU {gpu.index}",
            "index": gpu.index,
            "count": len(of_kind),
            "capability": capability_of(gpu),
            "gpu_source": gpus.source if gpu.compute_capability else f"{gpus.source} name",
            "codes": " ".join(codes),
            "codes_source": source,
            **told.values,
        }
        known = generations.product(gpu.name)
        situation = told.situation
        if known and known.jetson and not told.command:
            situation = "jetson"
        elif not told.command and len({capability_of(other) for other in told.seen.gpus}) > 1:
            situation = "mixed"
        found = problem.found(situation, **evidence)
        # Of a torch of somebody's own the fix does not know the content.
        found = told.remedy(found) if torch_builds.official_tag(torch.version) else found.mended_by(told.command)
        yield found if any(_matters(one, told.seen, lacking) for one in of_kind) else found.at(Severity.WARNING)


def _nccl(torch: TorchInstall, imported: TorchImport | None, packages: Packages | None) -> tuple[str, str]:
    """The NCCL that torch will load, as far as it is known without loading it, and who says so."""
    pinned = next((pin for pin in torch.pins if pin.name.startswith("nvidia-nccl-cu")), None)
    installed = packages.get(pinned.name) if packages and pinned else None
    if installed:
        return installed.version, f"{installed.name} {installed.version}"
    if pinned and pinned.version:
        return pinned.version, f"METADATA: {pinned.name}=={pinned.version}"
    return (imported.nccl_header, "torch.cuda.nccl.version()") if imported else ("", "")


@check(NCCL_TOO_OLD_FOR_GPU)
def nccl_too_old_for_gpu(
    gpus: Gpus,
    torch: TorchInstall,
    imported: TorchImport | None,
    driver: Driver | None,
    host: Host | None,
    python: Python | None,
    environment: Environment | None,
    packages: Packages | None,
) -> Iterable[Finding]:
    """NCCL got code for Hopper in 2.15.1 and for Blackwell in 2.25.1 (NVIDIA/nccl, release notes and common.mk).

    A single GPU on the node talks to nobody here: a note, since other nodes may be meant.
    """
    nccl, source = _nccl(torch, imported, packages)
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    newest = max(told.seen.gpus, key=lambda gpu: numbers(capability_of(gpu)), default=None)
    support = generations.nccl_support(capability_of(newest)) if newest and capability_of(newest) else None
    # The wheels with ".post" were built once more, with code for Blackwell.
    if not (newest and support and numbers(nccl)) or ".post" in nccl or at_least(nccl, support.sound):
        return
    situation = "unsound" if at_least(nccl, support.first) else None
    if not at_least(capability_of(newest), "10.0"):
        situation = "translated"
    found = NCCL_TOO_OLD_FOR_GPU.found(
        situation,
        nccl=nccl,
        nccl_source=source,
        gpu=newest.name or f"GPU {newest.index}",
        index=newest.index,
        capability=capability_of(newest),
        first=support.first,
        sound=support.sound,
        newest=told.values["newest"],
    )
    yield found if len(told.seen.gpus) > 1 else found.at(Severity.NOTE)


@summary
def line(
    gpus: Gpus, torch: TorchInstall, imported: TorchImport | None, host: Host | None, environment: Environment | None
) -> tuple[Text, Mapping[str, Scalar]] | None:
    told = prescribe(host, None, None, gpus, environment)
    codes, _ = _codes(torch, imported, told.machine)
    seen = training_gpus(gpus, environment).gpus
    if not codes or not seen:
        return None
    able = len(seen) - len(_without_code(codes, told.seen))
    return Text("code for {able} of {count} {count:GPU|GPUs}", "{count} 块 GPU 中有 {able} 块受支持"), {
        "able": able,
        "count": len(seen),
    }
