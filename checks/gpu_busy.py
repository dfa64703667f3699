"""Does somebody else hold the GPUs or their memory?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts import gpu_state
from envdoctor.facts.cuda_evidence import Evidence, evidence
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, GpuProcess, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge.cuda_init import OUT_OF_MEMORY, explain

TOPIC = Topic("gpu", 25, Text("other users of the GPUs", "GPU 是否被占用"))

# Below this, memory is held by desktops and drivers. AMD's Primus calls a GPU busy from 2 GiB on
# (primus/tools/preflight, node_smoke).
BUSY = 2 << 30
# The programs of a desktop, which hold some gigabytes of the GPU that drives the screen, by the names of their files.
DESKTOP = re.compile(
    r"(.*/)?(Xorg|Xwayland|X|gnome-\S+|mutter\S*|kwin\S*|plasmashell|cinnamon|xfwm4|compiz|sway|Hyprland|chrome|chromium"
    r"|brave|msedge|firefox\S*|Isolated Web Co|electron|code|slack|discord|zoom|steam\S*|obs|vlc)( .*)?$",
    re.I,
)

GPU_BUSY = Problem(
    code="gpu-busy",
    severity=Severity.WARNING,
    title=Text(
        "{used_gb:.0f} GB of GPU {gpus} are held by other processes",
        "GPU {gpus} 有 {used_gb:.0f} GB 显存被其他进程占用",
    ),
    why=Text(
        "training there runs out of memory early, or at a fraction of its speed",
        "在这些 GPU 上训练会提前显存不足，或速度大幅下降",
    ),
    seen=Text("NVML, processes: {holders}", "NVML，占用进程：{holders}"),
    look="ps -o pid,user,lstart,args -p {pids}",
    help=Text(
        "take other GPUs, wait, or end the process if it is a leftover of your own",
        "换用其他 GPU、等待，或结束自己遗留的进程",
    ),
    confirm="nvidia-smi",
    hardware="unconfirmed",
    situations={
        "idle-left": Situation(
            command="export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES={idle}",
            help=Text(
                "these GPUs are idle; or end the process if it is a leftover of your own",
                "以上 GPU 空闲；若是自己遗留的进程也可结束它",
            ),
        ),
        "unseen": Situation(
            seen=Text(
                "NVML: memory in use, no process of this container or user holds it",
                "NVML：显存被占用，但在本容器或当前用户下看不到占用进程",
            ),
            look="nvidia-smi --query-compute-apps=pid,used_memory --format=csv    # on the host, as root",
        ),
        "full": Situation(
            severity=Severity.ERROR,
            title=Text(
                "CUDA cannot start: it has no memory for a context (error 2)",
                "CUDA 无法启动：没有内存创建上下文（错误 2）",
            ),
            seen=Text(
                "{call}: error 2; GPU memory in use: {used_gb:.0f} of {total_gb:.0f} GB; processes: {holders}",
                "{call}：错误 2；显存已用 {used_gb:.0f} / {total_gb:.0f} GB；进程：{holders}",
            ),
            look="nvidia-smi; ulimit -v",
            help=Text(
                "GPU memory full: end the leftover processes. GPU memory free: a limit on host memory is too small for "
                "the address space that CUDA reserves (ulimit -v must be unlimited)",
                "显存已满：结束遗留进程。显存空闲：主机内存限制过小，"
                "放不下 CUDA 预留的地址空间（ulimit -v 应为 unlimited）",
            ),
        ),
        "exclusive": Situation(
            severity=Severity.ERROR,
            title=Text("every GPU is busy or unavailable (error 46)", "所有 GPU 都处于忙碌或不可用状态（错误 46）"),
            seen=Text("{call}: error 46; processes: {holders}", "{call}：错误 46；进程：{holders}"),
            look="nvidia-smi -q -d COMPUTE | grep 'Compute Mode'",
            help=Text(
                "under Exclusive_Process one process holds a GPU alone: end it, or sudo nvidia-smi -c DEFAULT",
                "Exclusive_Process 模式下一块 GPU 只容许一个进程：结束该进程，或 sudo nvidia-smi -c DEFAULT",
            ),
        ),
    },
)


@check(GPU_BUSY)
def gpus_are_free(
    gpus: Gpus,
    driver: Driver | Missing,
    pci: PciDevices | None,
    torch: TorchCuda | None,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
) -> Iterable[Finding]:
    """From 2 GiB on that are not the doctor's, on the GPUs this process may use; or CUDA is refused for it."""
    e = evidence(gpus, driver, pci, torch, install, environment, host)
    answering, cause = e.answering, explain(e)
    if cause.code == GPU_BUSY.code:
        yield GPU_BUSY.found(
            "full" if e.code == OUT_OF_MEMORY else "exclusive",
            call=e.call,
            used_gb=sum(gpu.memory_used_bytes or 0 for gpu in answering) / 1e9,
            total_gb=sum(gpu.memory_bytes or 0 for gpu in answering) / 1e9,
            holders=_holders(answering),
        )
        return
    meant = _meant(e)
    busy = [gpu for gpu in meant if _foreign(gpu, bool(e.host.wsl)) >= BUSY]
    if busy and not cause.code:
        idle = [gpu for gpu in meant if gpu not in busy]
        pids = [str(process.pid) for gpu in busy for process in _strangers(gpu)]
        situation = "idle-left" if idle else None if pids else "unseen"
        yield GPU_BUSY.found(
            situation,
            gpus=gpu_state.spans(gpu.index for gpu in busy),
            used_gb=sum(map(_foreign, busy)) / 1e9,
            holders=_holders(busy),
            pids=",".join(dict.fromkeys(pids)),
            idle=",".join(str(gpu.index) for gpu in idle),
        )


def _meant(e: Evidence) -> tuple[Gpu, ...]:
    """The GPUs that this process would use: those CUDA lists under the mask, else all."""
    order = e.driver.cuda_order if e.driver_works else ()
    return tuple(gpu for gpu in e.answering if not order or not gpu.pci or gpu.pci in order)


def _strangers(gpu: Gpu) -> list[GpuProcess]:
    return [process for process in gpu.processes if not process.own and not DESKTOP.match(process.command)]


def _foreign(gpu: Gpu, wsl: bool = False) -> int:
    """Bytes that others hold. Where no process can be seen at all (a PID namespace), all memory in use.

    Under WSL the desktop of Windows is on the same GPU, and its programs are never seen.
    """
    if gpu.processes:
        return sum(process.memory_bytes or 0 for process in _strangers(gpu))
    used = gpu.memory_used_bytes or 0
    return 0 if wsl and 2 * used < (gpu.memory_bytes or 0) else used


def _holders(gpus: Iterable[Gpu]) -> str:
    said = [
        f"{process.command or '?'} (pid {process.pid}, {process.user or '?'}, GPU {gpu.index}, "
        f"{(process.memory_bytes or 0) / 1e9:.1f} GB)"
        for gpu in gpus
        for process in _strangers(gpu)
    ]
    return "; ".join(said[:8]) + ("; ..." if len(said) > 8 else "") if said else "-"
