"""Are the GPUs sound: memory, recovery, clocks, PCIe link, persistence?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envdoctor import Finding, Plan, Problem, Severity, Situation, Text, Topic, check, fix, said, summary
from envdoctor.edits import by_hand
from envdoctor.facts import gpu_state
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.model import Scalar

TOPIC = Topic("gpu-health", 40, Text("health of the GPUs", "GPU 健康状况"))

# DCGM's limits for page retirement (hard, soft) and remapped rows (DcgmHealthWatch.cpp).
RETIRED_HARD, RETIRED_SOFT, REMAPPED = 63, 15, 512
# Reasons that hold clocks down for heat or power, not by the user's wish (nvml.h, nvmlClocksEventReasons). The power
# cap alone ("sw-power") is how a loaded GPU runs.
THROTTLES = ("hw-slowdown", "hw-thermal", "sw-thermal", "power-brake")
# Below this a GPU may rest at a lower PCIe generation.
LOADED_PERCENT = 10

GPU_ECC = Problem(
    code="gpu-ecc",
    severity=Severity.ERROR,
    title=Text(
        "GPU {gpus}: {errors} uncorrectable memory {errors:error|errors} since the driver was loaded",
        "GPU {gpus}：自驱动加载以来有 {errors} 次不可纠正的显存错误",
    ),
    why=Text(
        "jobs on it die with `uncorrectable ECC error encountered`, until the GPU is reset",
        "其上的作业会因 `uncorrectable ECC error encountered` 退出，直到重置该 GPU",
    ),
    seen=Text(
        "NVML, GPU {gpus}: volatile uncorrected ECC errors {errors}; row remapping pending: {pending}, "
        "failed: {failed}; rows remapped for uncorrectable errors: {rows}",
        "NVML，GPU {gpus}：易失性不可纠正 ECC 错误 {errors}；行重映射待生效：{pending}，失败：{failed}；"
        "因不可纠正错误重映射的行：{rows}",
    ),
    command="sudo nvidia-smi --gpu-reset -i {ids}",
    help=Text(
        "end the processes on the GPU first; if the errors come again after the reset, run the vendor's diagnosis and "
        "have the GPU replaced",
        "先结束该 GPU 上的进程；若重置后再次出现，请用厂商诊断工具检查并更换 GPU",
    ),
    confirm="nvidia-smi -q -d ECC,ROW_REMAPPER,PAGE_RETIREMENT",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/",),
    situations={
        "pending": Situation(
            severity=Severity.WARNING,
            title=Text(
                "GPU {gpus}: a memory row waits to be remapped at the next reset",
                "GPU {gpus}：有显存行等待下次重置时重映射",
            ),
            why=Text(
                "the faulty row stays in use until then and can kill a job again",
                "在此之前故障行仍在使用，可能再次导致作业失败",
            ),
        ),
        "failed": Situation(
            title=Text("GPU {gpus}: remapping a memory row has failed", "GPU {gpus}：显存行重映射失败"),
            why=Text("there are no spare rows left for faulty memory", "已没有备用行可以替换故障显存"),
            look="nvidia-smi -q -d ROW_REMAPPER -i {ids}",
            help=Text("take the GPU out of service and have it replaced", "停用该 GPU 并联系更换"),
        ),
        "sram": Situation(
            title=Text(
                "GPU {gpus}: uncorrectable SRAM errors are above NVIDIA's threshold",
                "GPU {gpus}：SRAM 不可纠正错误超过 NVIDIA 阈值",
            ),
            look="nvidia-smi -q -d ECC -i {ids}",
            help=Text("take the GPU out of service and have it replaced", "停用该 GPU 并联系更换"),
        ),
        "retired": Situation(
            title=Text(
                "GPU {gpus}: {retired} {retired:memory page is|memory pages are} retired",
                "GPU {gpus}：已停用 {retired} 个显存页",
            ),
            seen=Text(
                "NVML, GPU {gpus}: retired pages {retired}, waiting for a reboot: {pending}",
                "NVML，GPU {gpus}：已停用页 {retired}，等待重启生效：{pending}",
            ),
            look="nvidia-smi -q -d PAGE_RETIREMENT -i {ids}",
            help=Text(
                "at most 64 pages can be retired; NVIDIA replaces a GPU at that limit",
                "最多停用 64 页；达到上限时 NVIDIA 予以更换",
            ),
        ),
        "retiring": Situation(
            severity=Severity.WARNING,
            title=Text(
                "GPU {gpus}: a memory page waits to be retired at the next reboot",
                "GPU {gpus}：有显存页等待下次重启时停用",
            ),
            seen=Text(
                "NVML, GPU {gpus}: retired pages {retired}, waiting for a reboot: {pending}",
                "NVML，GPU {gpus}：已停用页 {retired}，等待重启生效：{pending}",
            ),
            command="sudo reboot",
        ),
        "remapped": Situation(
            severity=Severity.WARNING,
            title=Text(
                "GPU {gpus}: {rows} {rows:memory row was|memory rows were} remapped for uncorrectable errors",
                "GPU {gpus}：因不可纠正错误已重映射 {rows} 行显存",
            ),
            why=Text("the memory wears out: spare rows are finite", "显存在老化：备用行数量有限"),
            look="nvidia-smi -q -d ROW_REMAPPER -i {ids}",
        ),
    },
)

GPU_NEEDS_RECOVERY = Problem(
    code="gpu-needs-recovery",
    severity=Severity.ERROR,
    title=Text("GPU {gpus} asks to be recovered: {action}", "GPU {gpus} 请求恢复操作：{action}"),
    why=Text("it takes no new work, or gives wrong results, until then", "在此之前它无法接受新任务，或结果不可信"),
    seen=Text("NVML, GPU {gpus}: {shown}", "NVML 报告，GPU {gpus}：{shown}"),
    command="sudo nvidia-smi --gpu-reset -i {ids}",
    help=Text(
        "end the processes on the GPU first; where NVSwitches join the GPUs, all of them are reset together (no -i)",
        "先结束该 GPU 上的进程；通过 NVSwitch 互连的 GPU 必须一起重置（不加 -i）",
    ),
    confirm="nvidia-smi -q | grep -i -A2 recovery",
    caused_by=("gpu-fell-off-bus", "gpu-ecc", "gpu-xid"),
    hardware="unconfirmed",
    situations={
        "reboot": Situation(command="sudo reboot", help=Text("drain the node first", "先排空节点（drain）")),
        "drain": Situation(
            help=Text(
                "let the running jobs end and start no new ones there, then reset it",
                "等待运行中的作业结束，不再调度新作业，然后重置",
            )
        ),
        "drain-p2p": Situation(
            severity=Severity.WARNING,
            why=Text("new jobs must not use its peer-to-peer paths", "新作业不应再使用它的 P2P 通路"),
            look="nvidia-smi nvlink -s -i {ids}",
            help=Text(
                "jobs on this one GPU may go on; reset it when the jobs that use its NVLinks have ended",
                "只用这一块 GPU 的作业可继续；使用其 NVLink 的作业结束后再重置",
            ),
        ),
        "silent": Situation(
            title=Text("GPU {gpus} does not answer the driver", "GPU {gpus} 对驱动没有响应"),
            look="sudo dmesg | grep -iE 'nvrm|xid' | tail -20",
            help=Text(
                "the kernel's log says why; a GPU reset, else a reboot, brings it back or shows a fault",
                "内核日志会说明原因；重置 GPU 或重启可恢复，否则即为硬件故障",
            ),
        ),
    },
)

GPU_THROTTLED = Problem(
    code="gpu-throttled",
    severity=Severity.WARNING,
    title=Text("GPU {gpus}: clocks are held down now ({reasons})", "GPU {gpus}：当前被降频（{reasons}）"),
    why=Text(
        "it computes slower than the others, and in data parallel training all ranks wait for the slowest",
        "它比其他 GPU 慢，数据并行训练时所有进程都要等待最慢的一块",
    ),
    seen=Text(
        "NVML, GPU {gpus}: {reasons}; {temperature} °C, slows down at {slowdown} °C; load {load} %",
        "NVML，GPU {gpus}：{reasons}；{temperature} °C，降频温度 {slowdown} °C；负载 {load} %",
    ),
    look="nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER -i {ids}",
    help=Text(
        "thermal: air flow, fans, room; power-brake and hw-slowdown: power supply, cables, or the rack's power cap",
        "thermal：检查风道、风扇、机房温度；power-brake 与 hw-slowdown：检查电源、供电线或机柜功率上限",
    ),
    confirm="nvidia-smi -q -d PERFORMANCE",
    hardware="unconfirmed",
)

GPU_PCIE_DEGRADED = Problem(
    code="gpu-pcie-degraded",
    severity=Severity.WARNING,
    title=Text(
        "GPU {gpus}: the PCIe link runs at x{width}, both ends can do x{width_max}",
        "GPU {gpus}：PCIe 链路只有 x{width}，两端均支持 x{width_max}",
    ),
    why=Text(
        "copies between host and GPU, and traffic to network cards, run at a fraction of their speed",
        "主机与 GPU 之间的拷贝以及与网卡的通信只有部分带宽",
    ),
    seen=Text(
        "{source}, GPU {gpus}: x{width} of x{width_max}, generation {generation} of {generation_max}, load {load} %",
        "{source}，GPU {gpus}：x{width}（最大 x{width_max}），"
        "第 {generation} 代（最大 {generation_max}），负载 {load} %",
    ),
    look="sudo lspci -vv -d 10de: | grep -e NVIDIA -e LnkCap: -e LnkSta:",
    help=Text(
        "reseat the card or its riser and clean the contacts; look at slot and bifurcation settings in the firmware",
        "重新插拔 GPU 或转接卡并清洁金手指；检查固件中插槽与拆分（bifurcation）设置",
    ),
    confirm="nvidia-smi --query-gpu=index,pcie.link.width.current,pcie.link.width.max --format=csv",
    hardware="unconfirmed",
    situations={
        "generation": Situation(
            title=Text(
                "GPU {gpus}: under load the PCIe link runs at generation {generation}, both ends do {generation_max}",
                "GPU {gpus}：负载下 PCIe 链路为第 {generation} 代，两端均支持第 {generation_max} 代",
            ),
        ),
    },
)

GPU_PERSISTENCE_OFF = Problem(
    code="gpu-persistence-off",
    severity=Severity.NOTE,
    title=Text("persistence mode is off on GPU {gpus}", "GPU {gpus} 未开启持久模式"),
    why=Text(
        "the driver unloads the GPU between jobs: each first CUDA call waits seconds, and settings are lost",
        "作业间隙驱动会释放 GPU：首次 CUDA 调用要多等数秒，且设置会丢失",
    ),
    seen=Text("NVML: persistence mode off, GPU {gpus}", "NVML：持久模式关闭，GPU {gpus}"),
    command="sudo nvidia-smi -pm 1",
    help=Text(
        "for good: sudo systemctl enable --now nvidia-persistenced (on the host, not in a container)",
        "永久生效：sudo systemctl enable --now nvidia-persistenced（在宿主机上执行，不在容器内）",
    ),
    confirm="nvidia-smi -q | grep 'Persistence Mode'",
    hardware="unconfirmed",
)


def _named(gpus: Iterable[Gpu], **values: Scalar) -> dict[str, Scalar]:
    """Evidence about some GPUs: how to call them in a sentence and in nvidia-smi's -i."""
    indices = sorted(gpu.index for gpu in gpus)
    return {"gpus": gpu_state.spans(indices), "ids": ",".join(map(str, indices)), **values}


def _grouped(gpus: Iterable[Gpu], kinds: Iterable[str]) -> Iterator[tuple[str, list[Gpu]]]:
    """The GPUs by kind, in the order in which the kinds first come; "" is left out."""
    groups: dict[str, list[Gpu]] = {}
    for gpu, kind in zip(gpus, kinds, strict=True):
        if kind:
            groups.setdefault(kind, []).append(gpu)
    yield from groups.items()


@check(GPU_ECC)
def memory_is_sound(gpus: Gpus) -> Iterable[Finding]:
    """Uncorrectable errors, remapping, retirement; each GPU in its worst state only."""
    answering = gpu_state.answering(gpus)
    for kind, which in _grouped(answering, map(_memory, answering)):
        first = which[0]
        found = GPU_ECC.found(
            None if kind == "errors" else "retired" if kind == "many-retired" else kind,
            **_named(
                which,
                errors=sum(gpu.ecc_uncorrected or 0 for gpu in which),
                pending=first.retirement_pending if first.remap_pending is None else first.remap_pending,
                failed=first.remap_failed,
                rows=first.remap_uncorrectable,
                retired=first.retired_pages,
            ),
        )
        if any(gpu_state.asks_for(gpu) in ("reboot", "system-reboot") for gpu in which):
            found = found.mended_by("sudo reboot")
        yield found.at(Severity.WARNING) if kind == "many-retired" else found


def _memory(gpu: Gpu) -> str:
    """The worst that is wrong with a GPU's memory, a situation of gpu-ecc; "errors" is its usual one, "" is nothing."""
    retired = gpu.retired_pages or 0
    states = {
        "failed": gpu.remap_failed,
        "sram": gpu.sram_threshold_exceeded,
        "retired": retired >= RETIRED_HARD,
        "errors": gpu.ecc_uncorrected,
        "pending": gpu.remap_pending,
        "retiring": gpu.retirement_pending,
        "many-retired": retired >= RETIRED_SOFT,
        "remapped": (gpu.remap_uncorrectable or 0) >= REMAPPED,
    }
    return next((state for state, holds in states.items() if holds), "")


# The recovery that NVML names -> situation of gpu-needs-recovery.
RECOVERIES = {
    "reset": "",
    "bus-reset": "",
    "reboot": "reboot",
    "system-reboot": "reboot",
    "drain-and-reset": "drain",
    "drain-p2p": "drain-p2p",
    "recover-imex-domain": "drain-p2p",
}


@check(GPU_NEEDS_RECOVERY)
def no_recovery_is_due(gpus: Gpus) -> Iterable[Finding]:
    """What NVML says a GPU needs, or a GPU that answers with an error; not where gpu-ecc or a lost GPU tells it."""
    asking = [gpu for gpu in gpus.gpus if not gpu_state.lost(gpu) and not gpu_state.memory_fault(gpu)]
    for action, which in _grouped(asking, map(_recovery, asking)):
        if action == "silent":
            yield GPU_NEEDS_RECOVERY.found("silent", **_named(which, action="?", shown=which[0].error))
        else:
            shown = which[0].error or f"recovery action {action}"
            yield GPU_NEEDS_RECOVERY.found(RECOVERIES.get(action) or None, **_named(which, action=action, shown=shown))


def _recovery(gpu: Gpu) -> str:
    """The recovery asked for; "silent" for an error that is neither a matter of permission nor of a slow answer."""
    if action := gpu_state.asks_for(gpu):
        return action
    if gpu in gpu_state.stuck(Gpus(gpus=(gpu,))) or gpu.error.endswith("in time"):
        return ""
    return "silent" if gpu.error and gpu.error_code != gpu_state.NO_PERMISSION else ""


@check(GPU_THROTTLED)
def clocks_are_free(gpus: Gpus) -> Iterable[Finding]:
    """Heat or power hold the clocks down; on an idle GPU that is a note."""
    answering = gpu_state.answering(gpus)
    for reasons, which in _grouped(answering, map(_throttles, answering)):
        first = max(which, key=lambda gpu: gpu.temperature_c or 0)
        idle = all(gpu.utilisation_percent == 0 or "idle" in gpu.clock_reasons for gpu in which)
        hot = any(_too_hot(gpu) for gpu in which)
        found = GPU_THROTTLED.found(
            **_named(
                which,
                reasons=reasons,
                temperature=first.temperature_c,
                slowdown=first.slowdown_c,
                load=first.utilisation_percent,
            )
        )
        yield found.at(Severity.NOTE) if idle and not hot else found


def _too_hot(gpu: Gpu) -> bool:
    return gpu.temperature_c is not None and gpu.slowdown_c is not None and gpu.temperature_c >= gpu.slowdown_c


def _throttles(gpu: Gpu) -> str:
    reasons = [reason for reason in THROTTLES if reason in gpu.clock_reasons]
    return ", ".join(reasons or (["temperature"] if _too_hot(gpu) else []))


@check(GPU_PCIE_DEGRADED)
def pcie_links_are_whole(gpus: Gpus) -> Iterable[Finding]:
    """Width always; the generation only under load, since idle GPUs lower it to save power."""
    answering = gpu_state.answering(gpus)
    for kind, which in _grouped(answering, map(_pcie, answering)):
        first = which[0]
        yield GPU_PCIE_DEGRADED.found(
            "generation" if kind.startswith("generation") else None,
            **_named(
                which,
                width=first.pcie_width,
                width_max=first.pcie_width_max,
                generation=first.pcie_generation,
                generation_max=first.pcie_generation_max,
                load=first.utilisation_percent,
                source="NVML" if gpus.source == "nvml" else gpus.source,
            ),
        )


def _pcie(gpu: Gpu) -> str:
    if gpu.pcie_width and gpu.pcie_width_max and gpu.pcie_width < gpu.pcie_width_max:
        return f"width {gpu.pcie_width}"
    loaded = (gpu.utilisation_percent or 0) >= LOADED_PERCENT
    if loaded and gpu.pcie_generation and gpu.pcie_generation < (gpu.pcie_generation_max or 0):
        return f"generation {gpu.pcie_generation}"
    return ""


@check(GPU_PERSISTENCE_OFF)
def persistence_is_on(gpus: Gpus, host: Host | None) -> Iterable[Finding]:
    """Off on any GPU. WSL and Windows have no such mode."""
    off = [gpu for gpu in gpu_state.answering(gpus) if gpu.persistence is False]
    if off and not (host and (host.wsl or host.system == "windows")):
        yield GPU_PERSISTENCE_OFF.found(**_named(off))


@fix(
    "persistence",
    Text(
        "the command that keeps the driver loaded between jobs, for root",
        "让驱动在作业间隙保持加载的命令，由 root 执行",
    ),
    mends=("gpu-persistence-off",),
)
def keep_driver_loaded(gpus: Gpus, host: Host | None) -> Plan:
    return by_hand.plan(
        said("Keep the driver loaded between jobs", "让驱动在作业间隙保持加载"), persistence_is_on(gpus, host)
    )


@summary
def line(gpus: Gpus) -> tuple[Text, Mapping[str, Scalar]] | None:
    warmest = max((gpu.temperature_c for gpu in gpus.gpus if gpu.temperature_c is not None), default=None)
    return None if warmest is None else (Text("up to {warmest} °C", "最高 {warmest} °C"), {"warmest": warmest})
