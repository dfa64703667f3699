"""Has the kernel's log recorded errors of a GPU or NVSwitch, and what do they ask for?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts import gpu_state
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.pci import PciDevices
from envdoctor.knowledge import xid
from envdoctor.model import Scalar

TOPIC = Topic("gpu-health", 42, Text("GPU errors in the kernel's log", "内核日志中的 GPU 错误"))

# Azure's node health check looks back two hours (azurehpc-health-checks, azure_gpu_xid.nhc).
RECENT_S = 2 * 3600
# The worst first: of several errors of a GPU the first kind is told, the others are listed with it.
ACTIONS = ("reboot", "power", "vm", "reset", "told", "link", "restart-app", "watch", "")

COMMANDS = {
    "reboot": "sudo reboot",
    "reset": "sudo nvidia-smi --gpu-reset -i {ids}",
}
LOOKS = {
    "told": "nvidia-smi -q -i {ids} | grep -i -A2 recovery",
    "link": "nvidia-smi nvlink -s -i {ids}; nvidia-smi nvlink -e -i {ids}",
}
HELP = {
    "reboot": Text("drain the node first; if it comes again, it is hardware", "先排空节点；若反复出现则是硬件问题"),
    "power": Text("switch off and connect the GPU's power cables", "关机后接好 GPU 的供电线"),
    "vm": Text("restart this virtual machine", "重启该虚拟机"),
    "reset": Text(
        "end the processes on the GPU first; where NVSwitches join the GPUs all of them are reset together (no -i); if "
        "the error comes again, reboot, then suspect the hardware",
        "先结束该 GPU 上的进程；通过 NVSwitch 互连的 GPU 必须一起重置（不加 -i）；若再次出现，先重启，再怀疑硬件",
    ),
    "told": Text("do what the driver asks for: {text}", "按驱动的要求处理：{text}"),
    "link": Text(
        "one such error on a busy link can pass; repeated ones mean a link, connector or NVSwitch to be serviced",
        "偶发一次可以观察；反复出现说明链路、连接器或 NVSwitch 需要检修",
    ),
    "restart-app": Text(
        "start the job again; if it comes at the same place, look at the program (compute-sanitizer)",
        "重新启动作业；若总在同一处出现，请检查程序（compute-sanitizer）",
    ),
    "watch": Text("nothing needs to be done now", "暂时无需处理"),
}


class _ByNumber(Mapping[str, Situation]):
    """The situations of the Problem, a number each; the table is read only when there is an Xid to speak of."""

    def __getitem__(self, number: str) -> Situation:
        if number == "sxid":
            return SXID
        row = xid.known(int(number)) if number.isdigit() else None
        if row is None:
            raise KeyError(number)
        return Situation(
            title=Text(f"GPU {{gpus}} reports Xid {number}: {row.en}", f"GPU {{gpus}} 报告 Xid {number}：{row.zh}"),
            command=COMMANDS.get(row.action),
            look=LOOKS.get(row.action),
            help=HELP[row.action],
        )

    def __iter__(self) -> Iterator[str]:
        yield "sxid"
        yield from (str(row.number) for row in xid.rows())

    def __len__(self) -> int:
        return 1 + len(xid.rows())


SXID = Situation(
    title=Text("NVSwitch {gpus} reports SXid {number}", "NVSwitch {gpus} 报告 SXid {number}"),
    look="sudo systemctl status nvidia-fabricmanager; sudo tail -50 /var/log/fabricmanager.log",
    help=Text(
        "a fatal SXid takes the GPUs behind the switch with it: reset all GPUs or reboot, then look at the links",
        "致命 SXid 会影响该交换芯片后的所有 GPU：重置全部 GPU 或重启，再检查链路",
    ),
)

GPU_XID = Problem(
    code="gpu-xid",
    severity=Severity.ERROR,
    title=Text("GPU {gpus} reports Xid {number}", "GPU {gpus} 报告 Xid {number}"),
    why=Text(
        "jobs on this GPU fail or hang, now or after the next such error",
        "该 GPU 上的作业会失败或卡死，可能就在当前或下次出错时",
    ),
    seen=Text(
        "{source}, {age} ago, {count} {count:time|times}: {text}\nalso of this GPU: {also}",
        "{source}，{age} 前，{count} 次：{text}\n该 GPU 的其他错误：{also}",
    ),
    help=Text("look the number up in NVIDIA's Xid catalog", "请在 NVIDIA Xid 目录中查询该编号"),
    confirm="sudo dmesg -T | grep -i xid",
    caused_by=("gpu-fell-off-bus", "gpu-ecc", "fabric-manager-down", "nvlink-down"),
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/deploy/xid-errors/",),
    situations=_ByNumber(),
)


@check(GPU_XID)
def kernel_log_is_clean(log: KernelLog, gpus: Gpus | None, pci: PciDevices | None) -> Iterable[Finding]:
    """The worst error of each GPU; errors of memory and bus where another check sees their effect are left to it."""
    by_address = {gpu.pci: gpu for gpu in (gpus.gpus if gpus else ()) if gpu.pci}
    lost = gpu_state.lost_addresses(gpus, pci, log)
    of: dict[str, list[KernelMessage]] = {}
    for entry in log.entries:
        if entry.kind == "sxid":
            yield _switch(log, entry)
            continue
        known_otherwise = entry.pci in lost or _told_elsewhere(entry, by_address.get(entry.pci))
        if entry.kind == "xid" and entry.xid is not None and not known_otherwise:
            of.setdefault(entry.pci, []).append(entry)
    worst: dict[int | None, list[KernelMessage]] = {}
    for entries in of.values():
        first = min(entries, key=lambda entry: ACTIONS.index(_action(entry)))
        worst.setdefault(first.xid, []).append(first)
    for number, entries in worst.items():
        others = {entry.xid for shown in entries for entry in of[shown.pci]} - {number}
        yield _finding(log, entries, by_address, sorted(other for other in others if other is not None))


def _action(entry: KernelMessage) -> str:
    row = xid.known(entry.xid)
    return row.action if row else ""


def _told_elsewhere(entry: KernelMessage, gpu: Gpu | None) -> bool:
    """gpu-ecc reports the memory's state; a recovery that ended in "None" asks for nothing."""
    row = xid.known(entry.xid)
    if row and row.action == "told":
        return entry.text.rstrip(" .").endswith("(None)")
    return bool(row and row.about == "memory" and gpu and gpu_state.memory_fault(gpu))


def _finding(log: KernelLog, entries: list[KernelMessage], gpus: Mapping[str, Gpu], others: Iterable[int]) -> Finding:
    newest = min(entries, key=lambda entry: entry.seconds_ago or 0.0)
    indices = [gpus[entry.pci].index for entry in entries if entry.pci in gpus]
    places = [entry.pci for entry in entries if entry.pci and entry.pci not in gpus]
    ids = ",".join([*map(str, sorted(indices)), *places])
    values: dict[str, Scalar] = {
        "gpus": ", ".join(([gpu_state.spans(indices)] if indices else []) + places) or "?",
        "ids": ids,
        "number": newest.xid,
        "source": log.source,
        "age": age(newest.seconds_ago),
        "count": sum(entry.count for entry in entries),
        "text": newest.text,
        "also": ", ".join(f"Xid {number}" for number in others) or "-",
    }
    known = xid.known(newest.xid)
    found = GPU_XID.found(str(newest.xid) if known else None, **values)
    over = [gpus[entry.pci].recovery_action for entry in entries if entry.pci in gpus]
    recovered = len(over) == len(entries) and all(action == "none" for action in over)
    return found.at(_severity(known, newest.seconds_ago, recovered))


def _severity(row: xid.Xid | None, seconds_ago: float | None, recovered: bool) -> Severity:
    """As bad as the action asked for, less bad when long past, and a note when the GPU itself asks for nothing."""
    if row is None or row.action == "watch" or (row.action == "restart-app" and row.about == "app") or recovered:
        return Severity.NOTE
    if row.action in ("link", "restart-app") or (seconds_ago is not None and seconds_ago > RECENT_S):
        return Severity.WARNING
    return Severity.ERROR


def _switch(log: KernelLog, entry: KernelMessage) -> Finding:
    """The message says itself whether an SXid was fatal."""
    fatal = "fatal" in entry.text.lower().replace("non-fatal", "")
    found = GPU_XID.found(
        "sxid",
        gpus=entry.pci or "?",
        ids=entry.pci,
        number=entry.xid,
        source=log.source,
        age=age(entry.seconds_ago),
        count=entry.count,
        text=entry.text,
        also="-",
    )
    recent = entry.seconds_ago is None or entry.seconds_ago <= RECENT_S
    return found.at((Severity.ERROR if recent else Severity.WARNING) if fatal else Severity.NOTE)


def age(seconds: float | None) -> str:
    """ "40 s", "12 min", "5 h" or "3 d"; "?" if unknown."""
    if seconds is None:
        return "?"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
