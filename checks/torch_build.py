"""Is the installed torch of the kind this machine needs?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.packages import Packages
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.prescription import prescribe
from envdoctor.model import Scalar

TOPIC = Topic("torch", 74, Text("which build of torch is installed", "安装的是哪种 torch"))

AMD = "0x1002"

TORCH_CPU_BUILD = Problem(
    code="torch-cpu-build",
    severity=Severity.ERROR,
    title=Text(
        "torch {torch} is a CPU build on a machine with {gpu}",
        "本机有 {gpu}，安装的 torch {torch} 却是 CPU 版",
    ),
    why=Text(
        "torch.cuda.is_available() is False: training runs on the CPU or stops",
        "torch.cuda.is_available() 返回 False：训练只能在 CPU 上运行或直接中止",
    ),
    seen=Text(
        "torch {torch}, no CUDA ({torch_source}), installed by {installer}\n"
        "{count} {count:GPU|GPUs}, the first {gpu}; driver {driver}",
        "torch {torch}，无 CUDA（{torch_source}），由 {installer} 安装\n共 {count} 块 GPU，首块为 {gpu}；驱动 {driver}",
    ),
    help=Text(
        "the command installs torch {build}; the newest that fits here is {newest}, newer ones do not ({why_not})",
        "该命令安装 torch {build}；适合本机的最新版本是 {newest}，更新的版本不行（{why_not}）",
    ),
    confirm='python -c "import torch; print(torch.__version__, torch.version.cuda)"',
    caused_by=("pip-cpu-index", "conda-cpu-solve", "torch-shadowed"),
    hardware="unconfirmed",
    refs=("https://pytorch.org/get-started/locally/",),
    situations={
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
                "no CUDA build on PyTorch's index fits these GPUs, this driver and this Python ({why_not})",
                "PyTorch 索引中没有同时适合这些 GPU、本驱动与此 Python 的 CUDA 版本（{why_not}）",
            ),
            severity=Severity.NOTE,
        ),
    },
)

TORCH_ROCM_BUILD = Problem(
    code="torch-rocm-build",
    severity=Severity.ERROR,
    title=Text(
        "torch {torch} is built for AMD GPUs (ROCm {rocm}), the machine has {gpu}",
        "torch {torch} 面向 AMD GPU（ROCm {rocm}），而本机是 {gpu}",
    ),
    why=Text(
        "torch finds no GPU: training runs on the CPU or stops",
        "torch 找不到 GPU：训练只能在 CPU 上运行或直接中止",
    ),
    seen=Text(
        "torch {torch}, ROCm {rocm} ({torch_source}), installed by {installer}\n"
        "{count} {count:GPU|GPUs}, the first {gpu}; driver {driver}",
        "torch {torch}，ROCm {rocm}（{torch_source}），由 {installer} 安装\n"
        "共 {count} 块 GPU，首块为 {gpu}；驱动 {driver}",
    ),
    help=TORCH_CPU_BUILD.help,
    confirm='python -c "import torch; print(torch.__version__, torch.version.hip)"',
    caused_by=("torch-shadowed",),
    hardware="unconfirmed",
    refs=("https://pytorch.org/get-started/locally/",),
    situations=TORCH_CPU_BUILD.situations,
)


def _first_gpu(
    torch: TorchInstall,
    gpus: Gpus,
    driver: Driver,
    host: Host | None,
    python: Python | None,
    environment: Environment | None,
    packages: Packages | None,
    problem: Problem,
) -> Iterable[Finding]:
    """The finding of a build that cannot use the GPUs, if training sees any and the driver works."""
    told = prescribe(host, python, driver, gpus, environment, torch, packages)
    works = bool(driver.release or driver.cuda_level) and driver.nvml_error is None
    if not told.seen.gpus or not works:
        return
    first = told.seen.gpus[0]
    evidence: dict[str, Scalar] = {
        "torch": torch.version,
        "torch_source": f"{torch.folder}/version.py",
        "rocm": torch.hip,
        "installer": torch.installer or None,
        "gpu": first.name or f"GPU {first.index}",
        "count": len(told.seen.gpus),
        "driver": driver.release or None,
        **told.values,
    }
    yield told.remedy(problem.found(told.situation, **evidence))


@check(TORCH_CPU_BUILD)
def torch_cpu_build(
    torch: TorchInstall,
    gpus: Gpus,
    driver: Driver,
    host: Host | None,
    python: Python | None,
    environment: Environment | None,
    packages: Packages | None,
) -> Iterable[Finding]:
    """No CUDA and no ROCm in torch/version.py. Builds for other accelerators (+xpu) are not CPU builds."""
    local = torch.version.partition("+")[2]
    if torch.version and not torch.cuda and not torch.hip and (not local or local.startswith(("cpu", "cu"))):
        yield from _first_gpu(torch, gpus, driver, host, python, environment, packages, TORCH_CPU_BUILD)


@check(TORCH_ROCM_BUILD)
def torch_rocm_build(
    torch: TorchInstall,
    gpus: Gpus,
    driver: Driver,
    pci: PciDevices | None,
    host: Host | None,
    python: Python | None,
    environment: Environment | None,
    packages: Packages | None,
) -> Iterable[Finding]:
    """A ROCm build where all GPUs are NVIDIA's."""
    amd = any(device.kind == "gpu" and device.vendor == AMD for device in (pci.devices if pci else ()))
    if torch.hip and not amd:
        yield from _first_gpu(torch, gpus, driver, host, python, environment, packages, TORCH_ROCM_BUILD)
