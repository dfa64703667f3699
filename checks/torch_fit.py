"""Does the installed torch fit the driver?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
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

TOPIC = Topic("torch-fit", 70, Text("torch against the driver", "torch 与驱动是否匹配"))

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
        "驱动 {driver} 最高支持 CUDA {supports},而 torch {torch} 是为 CUDA {cuda} 编译的",
    ),
    why=Text(
        "CUDA does not initialise: torch.cuda.is_available() is False, and training stops or runs on the CPU",
        "CUDA 无法初始化:torch.cuda.is_available() 返回 False,训练会中止或退到 CPU 上运行",
    ),
    seen=Text(
        "driver {driver} ({driver_source}), CUDA {supports} ({supports_source})\n"
        "torch {torch}, CUDA {cuda} ({torch_source}), which starts with driver {needs}",
        "驱动 {driver}({driver_source}),CUDA {supports}({supports_source})\n"
        "torch {torch},CUDA {cuda}({torch_source}),要求驱动不低于 {needs}",
    ),
    help=Text(
        "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not: {why_not}. Or "
        "install driver {needs} or newer (root and a restart; from inside a container: on the host)",
        "该命令安装 torch {build};适合本机的最新版本是 {newest},更新的版本不行:{why_not}。也可以把驱动升级到 "
        "{needs} 或更新(需要 root 并重启;在容器内则须在宿主机上升级)",
    ),
    confirm="nvidia-smi",
    caused_by=("cuda-compat-mismatch", "driver-library-mismatch"),
    hardware="unconfirmed",
    refs=(COMPATIBILITY, "https://pytorch.org/get-started/locally/"),
    situations={
        "newest": Situation(
            help=Text(
                "the command installs torch {build}; the newest that fits here is {newest}",
                "该命令安装 torch {build};适合本机的最新版本是 {newest}",
            ),
        ),
        "last-branch": Situation(
            help=Text(
                "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not: "
                "{why_not}. A newer driver is no way out: branch {last} is the last for {gpu}",
                "该命令安装 torch {build};适合本机的最新版本是 {newest},更新的版本不行:{why_not}。升级驱动行不通:"
                "{last} 是支持 {gpu} 的最后一个驱动分支",
            ),
        ),
        "hopeless": Situation(
            help=Text(
                "no torch on PyTorch's index fits {gpu}, this driver and this Python ({why_not}), and driver branch "
                "{last} is the last for it: train on another GPU",
                "PyTorch 索引中没有适合 {gpu}、本驱动与此 Python 的 torch({why_not}),而 {last} "
                "已是支持它的最后一个驱动分支:请换用其他 GPU 训练",
            ),
        ),
        "nothing-fits": Situation(
            help=Text(
                "install driver {needs} or newer (root and a restart; from inside a container: on the host): no torch "
                "on PyTorch's index fits this driver, these GPUs and this Python ({why_not})",
                "请把驱动升级到 {needs} 或更新(需要 root 并重启;在容器内则须在宿主机上升级):PyTorch "
                "索引中没有同时适合本驱动、这些 GPU 与此 Python 的 torch({why_not})",
            ),
        ),
        "old-libcuda": Situation(
            title=Text(
                "the libcuda in use supports CUDA {supports} only, although driver {driver} supports CUDA {own}",
                "所用的 libcuda 只支持 CUDA {supports},而驱动 {driver} 本身支持 CUDA {own}",
            ),
            seen=Text(
                "{libcuda}: CUDA {supports} ({supports_source})\n"
                "driver {driver} ({driver_source}); torch {torch}, CUDA {cuda} ({torch_source})",
                "{libcuda}:CUDA {supports}({supports_source})\n"
                "驱动 {driver}({driver_source});torch {torch},CUDA {cuda}({torch_source})",
            ),
            help=Text(
                "take the folder of {libcuda} out of LD_LIBRARY_PATH or /etc/ld.so.conf.d: the driver's own is newer",
                "请从 LD_LIBRARY_PATH 或 /etc/ld.so.conf.d 中去掉 {libcuda} 所在目录:驱动自带的 libcuda 更新",
            ),
        ),
    },
)

DRIVER_NO_PTX_JIT = Problem(
    code="driver-no-ptx-jit",
    severity=Severity.WARNING,
    title=Text(
        "driver {driver} cannot compile PTX of CUDA {cuda}, for which torch {torch} is built",
        "驱动 {driver} 无法编译 CUDA {cuda} 的 PTX,而 torch {torch} 是为该 CUDA 编译的",
    ),
    why=Text(
        "torch's own kernels run; extensions that hold only PTX, and kernels made at run time with this CUDA, fail "
        "with cudaErrorUnsupportedPtxVersion",
        "torch 自带的内核可以运行;但只含 PTX 的扩展,以及运行时用该 CUDA 生成的内核,会报 cudaErrorUnsupportedPtxVersion",
    ),
    seen=Text(
        "driver {driver} ({driver_source}), CUDA {supports} ({supports_source})\n"
        "torch {torch}, CUDA {cuda} ({torch_source})",
        "驱动 {driver}({driver_source}),CUDA {supports}({supports_source})\ntorch {torch},CUDA {cuda}({torch_source})",
    ),
    help=Text(
        "a driver of branch {branch} or newer compiles it; of the torch builds, {full} is the newest whose PTX this "
        "driver compiles",
        "驱动分支 {branch} 或更新即可编译;就本驱动而言,PTX 可被编译的最新 torch 是 {full}",
    ),
    confirm="nvidia-smi",
    caused_by=("cuda-compat-mismatch",),
    hardware="unconfirmed",
    refs=(COMPATIBILITY,),
    situations={
        "needed": Situation(
            title=Text(
                "torch {torch} has only PTX of CUDA {cuda} for {gpu}, which driver {driver} cannot compile",
                "torch {torch} 对 {gpu} 只含 CUDA {cuda} 的 PTX,而驱动 {driver} 无法编译它",
            ),
            why=Text(
                "the first kernel fails with cudaErrorUnsupportedPtxVersion",
                "运行第一个内核就会报 cudaErrorUnsupportedPtxVersion",
            ),
            severity=Severity.ERROR,
        ),
    },
)


def _level(driver: Driver, cuda: TorchCuda | None) -> tuple[str, str]:
    """The CUDA that the driver supports, and who says so."""
    if driver.cuda_level:
        return driver.cuda_level, driver.cuda_level_source or "cuDriverGetVersion"
    told = FOUND_VERSION.search(cuda.error) if cuda else None
    if told:
        number = int(told.group(1))
        return f"{number // 1000}.{number % 1000 // 10}", "torch.cuda.init"
    return cuda_driver.level(driver.release), "NVIDIA's table of driver branches"


def _refused(cuda: TorchCuda | None) -> bool:
    """CUDA itself has said that the driver is too old for it."""
    return (
        cuda is not None
        and not cuda.available
        and (cuda.code == INSUFFICIENT_DRIVER or "driver on your system is too old" in cuda.error)
    )


def _evidence(driver: Driver, torch: TorchInstall, cuda: TorchCuda | None, on_windows: bool) -> dict[str, Scalar]:
    supports, source = _level(driver, cuda)
    return {
        "driver": driver.release or None,
        "driver_source": driver.release_source or None,
        "supports": supports or None,
        "supports_source": source,
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
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    on_windows = told.machine.windows_driver
    reach = cuda_driver.reach(torch.cuda, driver.release, driver.cuda_level, on_windows)
    if not torch.cuda or not (reach == "no" or _refused(cuda)):
        return
    evidence = _evidence(driver, torch, cuda, on_windows)
    own = cuda_driver.level(driver.release)
    # What the kernel driver could do is more than what this libcuda does.
    held_back = driver.cuda_level and minor(own) > minor(driver.cuda_level) and not on_windows
    if held_back and cuda_driver.reach(torch.cuda, driver.release) in ("full", "minor"):
        yield DRIVER_TOO_OLD.found("old-libcuda", **evidence, own=own, libcuda=driver.libcuda or "libcuda.so.1")
        return
    evidence |= told.values
    last = _last_branch(told, torch.cuda)
    situation = told.situation
    if last:
        evidence |= {"last": last[0], "gpu": last[1]}
        situation = "last-branch" if told.command else "hopeless"
    yield DRIVER_TOO_OLD.found(situation, **evidence).mended_by(told.command)


def _last_branch(told: Prescription, cuda: str) -> tuple[int, str] | None:
    """The last driver branch for one of the GPUs, and the GPU, if this CUDA needs a later one."""
    needs = numbers(cuda_driver.floor(cuda, told.machine.windows_driver))
    for gpu in told.seen.gpus:
        known = generations.architecture(capability_of(gpu))
        if known and known.last_branch and needs and needs[0] > known.last_branch:
            return known.last_branch, gpu.name or f"GPU {gpu.index}"
    return None


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
    """The driver runs the build by minor-version compatibility only."""
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    on_windows = told.machine.windows_driver
    if cuda_driver.reach(torch.cuda, driver.release, driver.cuda_level, on_windows) != "minor":
        return
    evidence = _evidence(driver, torch, None, on_windows)
    evidence |= {"branch": cuda_driver.full_branch(torch.cuda), "full": told.values["full"]}
    only_ptx = _only_ptx(told, torch)
    if only_ptx:
        evidence["gpu"] = only_ptx.name or f"GPU {only_ptx.index}"
        yield DRIVER_NO_PTX_JIT.found("needed", **evidence).mended_by(told.command)
    else:
        yield DRIVER_NO_PTX_JIT.found(**evidence)


def _only_ptx(told: Prescription, torch: TorchInstall) -> Gpu | None:
    """The first GPU for which the build holds nothing but PTX, if its content is known."""
    tag = torch_builds.official_tag(torch.version)
    codes = torch_builds.arch_list(torch.release, tag, told.machine.system, told.machine.machine)
    for gpu in told.seen.gpus if told.seen.certain else ():
        if generations.runs(codes, capability_of(gpu)) == "jit":
            return gpu
    return None


@summary
def line(driver: Driver, torch: TorchInstall) -> tuple[Text, Mapping[str, Scalar]] | None:
    if not torch.cuda or not (driver.cuda_level or driver.release):
        return None
    return Text(
        "torch for CUDA {cuda}, driver {driver} for CUDA {supports}",
        "torch 面向 CUDA {cuda},驱动 {driver} 支持 CUDA {supports}",
    ), {
        "cuda": torch.cuda,
        "driver": driver.release or None,
        "supports": driver.cuda_level or cuda_driver.level(driver.release) or None,
    }
