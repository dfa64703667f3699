"""Does CUDA initialise?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.cuda_evidence import evidence
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge.cuda_init import explain

TOPIC = Topic("driver", 15, Text("CUDA's initialisation", "CUDA 初始化"))

CUDA_INIT_FAILED_UNKNOWN = Problem(
    code="cuda-init-failed-unknown",
    severity=Severity.ERROR,
    title=Text("CUDA does not initialise: error {error}", "CUDA 初始化失败：错误 {error}"),
    why=Text(
        "torch.cuda.is_available() is False: training runs on the CPU or stops at the first .cuda()",
        "torch.cuda.is_available() 为 False：训练只能用 CPU，或在第一次 .cuda() 时报错退出",
    ),
    seen=Text("{call} returned {error} {name}", "{call} 返回 {error} {name}"),
    look="sudo dmesg | grep -iE 'nvrm|xid' | tail -20",
    help=Text(
        "nothing observed settles the cause; the kernel's log decides: look for NVRM and Xid lines",
        "已有观测不足以确定原因；请看内核日志中的 NVRM 与 Xid 行",
    ),
    confirm="python -c 'import ctypes; print(ctypes.CDLL(\"libcuda.so.1\").cuInit(0))'",
    caused_by=(
        "driver-too-old",
        "library-path-pollution",
        "nvidia-wheel-conflict",
        "gpu-needs-recovery",
        "gpu-xid",
        "gpu-ecc",
    ),
    hardware="unconfirmed",
    situations={
        "unknown-error": Situation(
            command="sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm",
            help=Text(
                "most often after suspend and resume, when the module nvidia_uvm has lost its state; if that changes "
                "nothing, `sudo dmesg | grep -i nvrm` decides",
                "多见于休眠唤醒之后，nvidia_uvm 模块丢失状态；若无效，请看 `sudo dmesg | grep -i nvrm`",
            ),
        ),
        "not-ready": Situation(
            title=Text(
                "CUDA says that the system is not yet initialised (802), on GPUs without a fabric",
                "CUDA 报告系统尚未初始化（802），但这些 GPU 没有 NVLink fabric",
            ),
            look="nvidia-smi conf-compute -f; nvidia-smi -q | grep -A3 Fabric",
            help=Text(
                "either confidential computing has not been set ready (sudo nvidia-smi conf-compute -srs 1), or a "
                "virtual machine is still starting: the first command tells which",
                "可能是机密计算尚未就绪（sudo nvidia-smi conf-compute -srs 1），或虚拟机仍在启动：第一条命令可以区分",
            ),
        ),
        "crashed": Situation(
            title=Text("initialising CUDA kills the process: {call}", "CUDA 初始化导致进程崩溃：{call}"),
            seen=Text("the driver call died: {call}", "驱动调用异常终止：{call}"),
            help=Text(
                "libcuda itself dies: compare its release with the kernel module's and reinstall the driver",
                "libcuda 自身崩溃：请核对它与内核模块的版本，并重新安装驱动",
            ),
        ),
        "stub": Situation(
            title=Text(
                "the CUDA toolkit's stub of libcuda is loaded instead of the driver's",
                "加载到的是 CUDA 工具包中的 libcuda 桩库，而不是驱动自带的 libcuda",
            ),
            seen=Text("the loader takes {libcuda}", "加载器选中 {libcuda}"),
            command="export LD_LIBRARY_PATH=$(printf %s \"$LD_LIBRARY_PATH\" | tr : '\\n' | grep -v /stubs "
            "| paste -sd:)",
            help=Text("stubs are for linking only", "桩库只用于链接，不能用于运行"),
        ),
        "torch": Situation(
            title=Text("the driver initialises CUDA, torch does not", "驱动可以初始化 CUDA，但 torch 初始化失败"),
            seen=Text("cuInit succeeds and finds GPUs; {call}: {name}", "cuInit 成功且能找到 GPU；{call}：{name}"),
            look="env -u LD_LIBRARY_PATH python -c 'import torch; torch.cuda.init()'",
            help=Text(
                "if that works, a library on LD_LIBRARY_PATH is in the way; if not, torch's own message decides",
                "若成功，说明 LD_LIBRARY_PATH 中的库造成干扰；否则以 torch 自身的报错为准",
            ),
        ),
    },
)


@check(CUDA_INIT_FAILED_UNKNOWN)
def cuda_initialises(
    driver: Driver,
    gpus: Gpus | Missing,
    pci: PciDevices | Missing,
    torch: TorchCuda | Missing,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
) -> Iterable[Finding]:
    """CUDA says no, and no rung of knowledge/cuda_init.py below this one says why."""
    cause = explain(evidence(driver, gpus, pci, torch, install, environment, host))
    if cause.code == CUDA_INIT_FAILED_UNKNOWN.code:
        yield CUDA_INIT_FAILED_UNKNOWN.found(cause.situation, **cause.values)
