"""Does the installed torch fit the driver?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.packages import Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge import cuda_driver, torch_builds
from envdoctor.knowledge import gpus as generations
from envdoctor.knowledge.prescription import Prescription, prescribe
from envdoctor.knowledge.verdict import capability_of
from envdoctor.knowledge.versions import minor, numbers
from envdoctor.model import Scalar

TOPIC = Topic("torch", 70, Text("torch against the driver", "torch 与驱动是否匹配"))

COMPATIBILITY = "https://docs.nvidia.com/deploy/cuda-compatibility/"
# cudaErrorInsufficientDriver (driver_types.h), and how torch words it (c10/cuda/CUDAFunctions.cpp): the number is
# 1000 * major + 10 * minor.
INSUFFICIENT_DRIVER = 35
FOUND_VERSION = re.compile(r"found version (\d{4,6})")

DRIVER_TOO_OLD = Problem(
    code="driver-too-old",
    severity=Severity.ERROR,
    title=Text(
        "driver {driver} supports CUDA {supports}, torch {torch} is built for CUDA {cuda}",
        "驱动 {driver} 最高支持 CUDA {supports}，而 torch {torch} 是为 CUDA {cuda} 编译的",
    ),
    why=Text(
        "CUDA does not initialise: torch.cuda.is_available() is False, and training stops or runs on the CPU",
        "CUDA 无法初始化：torch.cuda.is_available() 返回 False，训练会中止或退到 CPU 上运行",
    ),
    seen=Text(
        "driver {driver} ({driver_source}), CUDA {supports} ({supports_source})\n"
        "torch {torch}, CUDA {cuda} ({torch_source}), which starts with driver {needs}",
        "驱动 {driver}（{driver_source}），CUDA {supports}（{supports_source}）\n"
        "torch {torch}，CUDA {cuda}（{torch_source}），要求驱动不低于 {needs}",
    ),
    help=Text(
        "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not ({why_not}). Or "
        "install driver {needs} or newer (root and a restart; from inside a container: on the host)",
        "该命令安装 torch {build}；适合本机的最新版本是 {newest}，更新的版本不行（{why_not}）。也可以把驱动升级到 "
        "{needs} 或更新（需要 root 并重启；在容器内则须在宿主机上升级）",
    ),
    confirm="nvidia-smi",
    caused_by=("torch-shadowed", "cuda-compat-mismatch", "driver-library-mismatch"),
    hardware="unconfirmed",
    refs=(COMPATIBILITY, "https://pytorch.org/get-started/locally/"),
    situations={
        "best": Situation(
            help=Text(
                "the command installs torch {build}, the newest that fits here; newer ones do not ({why_not}). Or "
                "install driver {needs} or newer (root and a restart; from inside a container: on the host)",
                "该命令安装 torch {build}，即适合本机的最新版本；更新的版本不行（{why_not}）。"
                "也可以把驱动升级到 {needs} "
                "或更新（需要 root 并重启；在容器内则须在宿主机上升级）",
            ),
        ),
        "no-driver-helps": Situation(
            help=Text(
                "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not "
                "({why_not}). A newer driver is no way out: the installed torch has no code for {gpu}",
                "该命令安装 torch {build}；适合本机的最新版本是 {newest}，更新的版本不行（{why_not}）。升级驱动行不通："
                "已安装的 torch 不含 {gpu} 的代码",
            ),
        ),
        "last-branch": Situation(
            help=Text(
                "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not "
                "({why_not}). A newer driver is no way out: branch {last} is the last for {gpu}",
                "该命令安装 torch {build}；适合本机的最新版本是 {newest}，更新的版本不行（{why_not}）。升级驱动行不通："
                "{last} 是支持 {gpu} 的最后一个驱动分支",
            ),
        ),
        "hopeless": Situation(
            help=Text(
                "no torch on PyTorch's index fits {gpu}, this driver and this Python ({why_not}), and driver branch "
                "{last} is the last for it: train on another GPU",
                "PyTorch 索引中没有适合 {gpu}、本驱动与此 Python 的 torch（{why_not}），而 {last} "
                "已是支持它的最后一个驱动分支：请换用其他 GPU 训练",
            ),
        ),
        "nothing-fits": Situation(
            help=Text(
                "install driver {needs} or newer (root and a restart; from inside a container: on the host): no torch "
                "on PyTorch's index fits this driver, these GPUs and this Python ({why_not})",
                "请把驱动升级到 {needs} 或更新（需要 root 并重启；在容器内则须在宿主机上升级）：PyTorch "
                "索引中没有同时适合本驱动、这些 GPU 与此 Python 的 torch（{why_not}）",
            ),
        ),
        "level-unknown": Situation(
            title=Text(
                "CUDA says that the driver is too old for torch {torch}, which is built for CUDA {cuda}",
                "CUDA 报告驱动版本过低：torch {torch} 是为 CUDA {cuda} 编译的",
            ),
            seen=Text(
                "torch.cuda.init: {error}\n"
                "torch {torch}, CUDA {cuda} ({torch_source}), which starts with driver {needs}",
                "torch.cuda.init：{error}\ntorch {torch}，CUDA {cuda}（{torch_source}），要求驱动不低于 {needs}",
            ),
            help=Text(
                "`nvidia-smi` shows the CUDA that the driver supports: take a torch for that CUDA, or driver {needs}",
                "`nvidia-smi` 会显示驱动支持的 CUDA：请安装面向该 CUDA 的 torch，或把驱动升级到 {needs}",
            ),
        ),
        "old-libcuda": Situation(
            title=Text(
                "the libcuda in use supports CUDA {supports} only, although driver {driver} supports CUDA {own}",
                "所用的 libcuda 只支持 CUDA {supports}，而驱动 {driver} 本身支持 CUDA {own}",
            ),
            seen=Text(
                "{libcuda}: CUDA {supports} ({supports_source})\n"
                "driver {driver} ({driver_source}); torch {torch}, CUDA {cuda} ({torch_source})",
                "{libcuda}：CUDA {supports}（{supports_source}）\n"
                "驱动 {driver}（{driver_source}）；torch {torch}，CUDA {cuda}（{torch_source}）",
            ),
            help=Text(
                "take the folder of {libcuda} out of LD_LIBRARY_PATH or /etc/ld.so.conf.d: the driver's own is newer",
                "请从 LD_LIBRARY_PATH 或 /etc/ld.so.conf.d 中去掉 {libcuda} 所在目录：驱动自带的 libcuda 更新",
            ),
        ),
    },
)

DRIVER_NO_PTX_JIT = Problem(
    code="driver-no-ptx-jit",
    severity=Severity.NOTE,
    title=Text(
        "driver {driver} cannot compile PTX of CUDA {cuda}, for which torch {torch} is built",
        "驱动 {driver} 无法编译 CUDA {cuda} 的 PTX，而 torch {torch} 是为该 CUDA 编译的",
    ),
    why=Text(
        "torch's own kernels run; extensions that hold only PTX, and kernels made at run time with this CUDA, fail "
        "with cudaErrorUnsupportedPtxVersion",
        "torch 自带的内核可以运行；但只含 PTX 的扩展，以及运行时用该 CUDA 生成的内核，"
        "会报 cudaErrorUnsupportedPtxVersion",
    ),
    seen=Text(
        "driver {driver} ({driver_source}), CUDA {supports} ({supports_source})\n"
        "torch {torch}, CUDA {cuda} ({torch_source})",
        "驱动 {driver}（{driver_source}），CUDA {supports}（{supports_source}）\n"
        "torch {torch}，CUDA {cuda}（{torch_source}）",
    ),
    help=Text(
        "a driver of branch {branch} or newer compiles it; {full} is the newest torch that this driver serves in full",
        "驱动分支 {branch} 或更新即可编译；本驱动能完整支持的最新 torch 是 {full}",
    ),
    confirm="nvidia-smi",
    caused_by=("cuda-compat-mismatch",),
    hardware="unconfirmed",
    refs=(COMPATIBILITY,),
    situations={
        "no-torch-in-full": Situation(
            help=Text(
                "a driver of branch {branch} or newer compiles it; this one serves no torch in full that fits here",
                "驱动分支 {branch} 或更新即可编译；适合本机的 torch 都得不到本驱动的完整支持",
            ),
        ),
        "needed": Situation(
            title=Text(
                "torch {torch} has only PTX of CUDA {cuda} for {gpu}, which driver {driver} cannot compile",
                "torch {torch} 对 {gpu} 只含 CUDA {cuda} 的 PTX，而驱动 {driver} 无法编译它",
            ),
            why=Text(
                "the first kernel fails with cudaErrorUnsupportedPtxVersion",
                "运行第一个内核就会报 cudaErrorUnsupportedPtxVersion",
            ),
            severity=Severity.ERROR,
        ),
    },
)


def _refusal(cuda: TorchCuda | None) -> str:
    """What CUDA says where it says that the driver is too old for it, else ""."""
    if cuda is None or cuda.available:
        return ""
    said = cuda.code == INSUFFICIENT_DRIVER or "driver on your system is too old" in cuda.error
    return (cuda.error or f"cudaErrorInsufficientDriver ({INSUFFICIENT_DRIVER})") if said else ""


def _as_cuda_found_it(driver: Driver, refusal: str) -> Driver:
    """The driver with the level that CUDA named when it refused: that of the libcuda it really loaded."""
    told = FOUND_VERSION.search(refusal)
    if not told:
        return driver
    number = int(told.group(1))
    level = f"{number // 1000}.{number % 1000 // 10}"
    return replace(driver, cuda_level=level, cuda_level_source="torch.cuda.init")


def _evidence(driver: Driver, torch: TorchInstall, on_windows: bool) -> dict[str, Scalar]:
    branch = (numbers(driver.release) or (0,))[0]
    return {
        "driver": driver.release or None,
        "driver_source": driver.release_source or None,
        "supports": driver.cuda_level or cuda_driver.level(driver.release) or None,
        # NVIDIA's own notation for a driver branch.
        "supports_source": (driver.cuda_level_source or "cuDriverGetVersion") if driver.cuda_level else f"R{branch}",
        "torch": torch.version,
        "cuda": torch.cuda,
        "torch_source": f"{torch.folder}/version.py" if torch.folder else "version.py",
        "needs": cuda_driver.floor(torch.cuda, on_windows) or None,
    }


@check(DRIVER_TOO_OLD)
def driver_too_old(
    driver: Driver,
    torch: TorchInstall,
    cuda: TorchCuda | None,
    host: Host | None,
    python: Python | None,
    gpus: Gpus | None,
    environment: Environment | None,
    packages: Packages | None,
) -> Iterable[Finding]:
    """Below the first driver of the build's CUDA family: 450.80.02, 525.60.13, 580.65.06 (CUDA Compatibility)."""
    refusal = _refusal(cuda)
    without_cuda = prescribe(host, python, driver, gpus, environment, torch, packages)
    driver = _as_cuda_found_it(driver, refusal)
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    on_windows = told.machine.windows_driver
    reach = cuda_driver.reach(torch.cuda, driver.release, driver.cuda_level, on_windows)
    if not torch.cuda or not (reach == "no" or refusal):
        return
    evidence = _evidence(driver, torch, on_windows)
    own = cuda_driver.level(driver.release)
    if reach != "no":
        yield DRIVER_TOO_OLD.found("level-unknown", **evidence, error=refusal)
        return
    # What the kernel driver could do is more than what this libcuda does.
    held_back = driver.cuda_level and minor(own) > minor(driver.cuda_level) and not on_windows
    if held_back and cuda_driver.reach(torch.cuda, driver.release) in ("full", "minor"):
        yield DRIVER_TOO_OLD.found("old-libcuda", **evidence, own=own, libcuda=driver.libcuda or "libcuda.so.1")
        return
    situation, gpu, last = _without_a_driver(told, torch)
    evidence |= {**told.values, "gpu": gpu, "last": last}
    found = DRIVER_TOO_OLD.found(situation or told.situation, **evidence)
    # The fix goes by the driver alone, not by what CUDA said of it when torch loaded it.
    alike = told.verdict.proposal == without_cuda.verdict.proposal
    yield told.remedy(found) if alike else found.mended_by(told.command)


def _without_a_driver(told: Prescription, torch: TorchInstall) -> tuple[str, str, int | None]:
    """Why no newer driver would make the installed torch run: the situation, the GPU, its last driver branch."""
    needs = (numbers(cuda_driver.floor(torch.cuda, told.machine.windows_driver)) or (0,))[0]
    codes = _codes(told, torch)
    for gpu in told.seen.gpus:
        name, known = gpu.name or f"GPU {gpu.index}", generations.architecture(capability_of(gpu))
        if known and known.last_branch and needs > known.last_branch:
            return ("last-branch" if told.command else "hopeless"), name, known.last_branch
        if codes and told.command and capability_of(gpu) and generations.runs(codes, capability_of(gpu)) == "no":
            return "no-driver-helps", name, None
    return "", "", None


def _codes(told: Prescription, torch: TorchInstall) -> tuple[str, ...]:
    """The GPU code of the installed torch, if it is a build of PyTorch's."""
    tag = torch_builds.official_tag(torch.version)
    return torch_builds.arch_list(torch.release, tag, told.machine.system, told.machine.machine)


@check(DRIVER_NO_PTX_JIT)
def driver_no_ptx_jit(
    driver: Driver,
    torch: TorchInstall,
    host: Host | None,
    python: Python | None,
    gpus: Gpus | None,
    environment: Environment | None,
    packages: Packages | None,
) -> Iterable[Finding]:
    """The driver runs the build by minor-version compatibility only.

    Many machines run that way in good health: torch's wheels hold machine code for each GPU, and Triton makes its own
    with the ptxas it brings. Worth a note, unless there is nothing but PTX for a GPU.
    """
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    on_windows = told.machine.windows_driver
    if cuda_driver.reach(torch.cuda, driver.release, driver.cuda_level, on_windows) != "minor":
        return
    evidence = _evidence(driver, torch, on_windows)
    evidence |= {"branch": cuda_driver.full_branch(torch.cuda), "full": told.values["full"]}
    codes = _codes(told, torch)
    for gpu in told.seen.gpus if told.seen.certain else ():
        if generations.runs(codes, capability_of(gpu)) == "jit":
            evidence["gpu"] = gpu.name or f"GPU {gpu.index}"
            yield told.remedy(DRIVER_NO_PTX_JIT.found("needed", **evidence))
            return
    yield DRIVER_NO_PTX_JIT.found(None if told.verdict.full else "no-torch-in-full", **evidence)


@summary
def line(driver: Driver, torch: TorchInstall) -> tuple[Text, Mapping[str, Scalar]] | None:
    if not torch.cuda or not (driver.cuda_level or driver.release):
        return None
    return Text(
        "torch for CUDA {cuda}, driver {driver} for CUDA {supports}",
        "torch 面向 CUDA {cuda}，驱动 {driver} 支持 CUDA {supports}",
    ), {
        "cuda": torch.cuda,
        "driver": driver.release or None,
        "supports": driver.cuda_level or cuda_driver.level(driver.release) or None,
    }
