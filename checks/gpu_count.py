"""Do the PCI bus, the driver and CUDA count the same GPUs, and has one fallen off the bus?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import gpu_state
from envdoctor.facts.cuda_evidence import Evidence, evidence
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge.cuda_init import explain
from envdoctor.model import Scalar

TOPIC = Topic("gpu", 22, Text("all GPUs are there", "GPU 数量是否齐全"))

GPU_FELL_OFF_BUS = Problem(
    code="gpu-fell-off-bus",
    severity=Severity.ERROR,
    title=Text(
        "{count} {count:GPU has|GPUs have} fallen off the PCI bus: {which}", "{count} 块 GPU 从 PCI 总线掉线：{which}"
    ),
    why=Text(
        "a job that uses it dies or hangs, and CUDA may fail for the other GPUs as well",
        "使用该 GPU 的作业会崩溃或卡死，其他 GPU 的 CUDA 也可能失败",
    ),
    seen=Text("no answer from:\n{shown}", "没有响应：\n{shown}"),
    command="sudo reboot",
    help=Text(
        "drain the node first; if the GPU is not back after a reboot, power the machine off and on; if it falls off "
        "again, it is hardware: power supply and cables, riser, heat, the board",
        "先排空节点（drain）；重启后仍未恢复则断电重新上电；若反复掉线则是硬件问题：供电与线缆、转接卡、散热、板卡",
    ),
    confirm="nvidia-smi; sudo dmesg | grep -i 'fallen off'",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/deploy/xid-errors/",),
)

GPU_COUNT_MISMATCH = Problem(
    code="gpu-count-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "the driver knows {nvml} of the {pci} {pci:GPU|GPUs} on the PCI bus",
        "PCI 总线上有 {pci} 块 GPU，驱动只识别到 {nvml} 块",
    ),
    why=Text(
        "ranks are started for GPUs that are not there: invalid device ordinal, or fewer GPUs than paid for",
        "按缺失的 GPU 启动进程会报 invalid device ordinal，或实际可用的 GPU 少于预期",
    ),
    seen=Text(
        "PCI: {pci} {pci:GPU|GPUs}; NVML: {nvml}; missing: {missing} (bound to: {bound})",
        "PCI：{pci} 块；NVML：{nvml} 块；缺少：{missing}（绑定的驱动：{bound}）",
    ),
    look="sudo dmesg | grep -i nvrm | tail -20",
    help=Text(
        "RmInitAdapter failed in that log: power-cycle the machine, then suspect power, riser or the GPU",
        "若日志中有 RmInitAdapter failed：断电重新上电；仍不行则检查供电、转接卡或 GPU 本身",
    ),
    confirm="lspci -d 10de: | grep -c -e VGA -e 3D; nvidia-smi -L | wc -l",
    caused_by=("gpu-fell-off-bus", "gpu-needs-recovery", "gpu-xid", "mig-not-configured"),
    hardware="unconfirmed",
    situations={
        "unbound": Situation(
            severity=Severity.WARNING,
            help=Text(
                "the driver did not take it: too old or too new for this release, started with a fault, or held by "
                "another kernel driver; the kernel's log says which",
                "驱动没有接管它：该驱动版本不支持、启动失败，或被其他内核驱动占用；内核日志会说明原因",
            ),
        ),
        "cuda": Situation(
            title=Text(
                "CUDA finds {cuda} {cuda:GPU|GPUs} where the driver has {expected} for it",
                "驱动可提供 {expected} 块 GPU，CUDA 只找到 {cuda} 块",
            ),
            seen=Text(
                "{call}: {cuda}; NVML: {nvml}; CUDA_VISIBLE_DEVICES: {mask}, which leaves {expected}",
                "{call}：{cuda} 块；NVML：{nvml} 块；CUDA_VISIBLE_DEVICES：{mask}，应剩 {expected} 块",
            ),
            help=Text(
                "a GPU that NVML lists and CUDA leaves out could not be started: the kernel's log says why",
                "NVML 能列出而 CUDA 不可用的 GPU 是启动失败：内核日志会说明原因",
            ),
        ),
    },
)


@check(GPU_FELL_OFF_BUS)
def gpus_answer(gpus: Gpus | Missing, pci: PciDevices | Missing, log: KernelLog | None) -> Iterable[Finding]:
    """NVML says lost, the configuration space reads all ones, or the kernel's log says so and the GPU is not back."""
    listed = gpus if isinstance(gpus, Gpus) else None
    lost = gpu_state.lost_addresses(listed, pci if isinstance(pci, PciDevices) else None, log)
    if lost:
        names = {gpu.pci: f"GPU {gpu.index} ({gpu.pci})" for gpu in (listed.gpus if listed else ()) if gpu.pci}
        which = ", ".join(names.get(place, place) for place in lost)
        shown = "\n".join(f"{place}: {' '.join(why.split())}" for place, why in lost.items())
        yield GPU_FELL_OFF_BUS.found(count=len(lost), which=which, shown=shown)


@check(GPU_COUNT_MISMATCH)
def counts_agree(
    driver: Driver,
    gpus: Gpus,
    pci: PciDevices | None,
    torch: TorchCuda | None,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
    log: KernelLog | None,
) -> Iterable[Finding]:
    """PCI against NVML where this process sees the whole machine; NVML, masked, against CUDA."""
    e = evidence(driver, gpus, pci, torch, install, environment, host)
    if gpus.source == "proc" or explain(e).code:
        return
    lost = gpu_state.lost_addresses(gpus, pci, log)
    unlisted = _unlisted(e, gpus, set(lost)) if host is not None else []
    if unlisted:
        held = [device.driver for device in e.devices if device.address in unlisted]
        yield GPU_COUNT_MISMATCH.found(
            None if "nvidia" in held else "unbound",
            pci=len(e.devices),
            nvml=gpus.count,
            missing=", ".join(unlisted),
            bound=", ".join(sorted({name or "-" for name in held})),
        )
    expected, found = _expected(e, gpus) if environment is not None else None, _found(e)
    if expected is not None and found is not None and found < expected:
        yield GPU_COUNT_MISMATCH.found(
            "cuda",
            cuda=found,
            expected=expected,
            nvml=gpus.count,
            mask="unset" if e.mask is None else e.mask,
            call="torch.cuda.device_count()" if torch and torch.available else "cuDeviceGetCount",
        )


def _unlisted(e: Evidence, gpus: Gpus, lost: set[str]) -> list[str]:
    """Addresses on the bus that NVML does not list. Containers and batch jobs see the bus of the whole machine."""
    if e.host.container or e.host.scheduler.kind or e.host.wsl or not all(gpu.pci for gpu in gpus.gpus):
        return []
    listed = {gpu.pci for gpu in gpus.gpus}
    return [device.address for device in e.devices if device.address not in listed | lost]


def _expected(e: Evidence, gpus: Gpus) -> int | None:
    """GPUs that CUDA should find; None where MIG, a GPU in trouble or a mask at fault make that another question."""
    if any(gpu.mig or gpu.error or gpu_state.asks_for(gpu) for gpu in gpus.gpus) or e.selection.fault:
        return None
    return len(e.selection.devices) if e.selection.devices is not None else None


def _found(e: Evidence) -> int | None:
    if e.torch and e.torch.available:
        return e.torch.device_count
    return e.driver.cuda_devices if e.driver_works else None


@summary
def line(pci: PciDevices, gpus: Gpus | None) -> tuple[Text, Mapping[str, Scalar]] | None:
    values: dict[str, Scalar] = {"pci": len(pci.nvidia_gpus), "nvml": gpus.count if gpus else 0}
    return Text("{pci} on the bus, {nvml} known to the driver", "总线上 {pci} 块，驱动识别 {nvml} 块"), values
