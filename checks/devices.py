"""Which GPUs do CUDA_VISIBLE_DEVICES and MIG leave visible, and in which order?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import gpu_state
from envdoctor.facts.cuda_evidence import Evidence, evidence
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.facts.visible_devices import meant, number
from envdoctor.knowledge.cuda_init import explain
from envdoctor.model import Scalar

TOPIC = Topic("devices", 30, Text("which GPUs are visible, and their order", "可见的 GPU 及其顺序"))

CUDA_VISIBLE_DEVICES_EMPTY = Problem(
    code="cuda-visible-devices-empty",
    severity=Severity.ERROR,
    title=Text("CUDA_VISIBLE_DEVICES is empty, which hides every GPU", "CUDA_VISIBLE_DEVICES 为空，隐藏了所有 GPU"),
    why=Text(
        "torch.cuda.is_available() is False, although the driver has {count} {count:GPU|GPUs}",
        "驱动有 {count} 块 GPU，但 torch.cuda.is_available() 为 False",
    ),
    seen=Text("CUDA_VISIBLE_DEVICES='{value}', set by: {set_by}", "CUDA_VISIBLE_DEVICES='{value}'，来源：{set_by}"),
    command="unset CUDA_VISIBLE_DEVICES",
    help=Text(
        "an empty value is not the same as no value; look for the line that sets it (job script, .bashrc, launcher)",
        "空值不等于未设置；请查找设置它的位置（作业脚本、.bashrc、启动器）",
    ),
    confirm="env | grep CUDA_VISIBLE_DEVICES; grep -rn CUDA_VISIBLE_DEVICES ~/.bashrc ~/.profile",
    refs=("https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html",),
    hardware="unconfirmed",
)

SEEN = "CUDA_VISIBLE_DEVICES={value}, set by: {set_by}; GPUs: {count}\nCUDA reads it as: {result}; "
SEEN_ZH = "CUDA_VISIBLE_DEVICES={value}，来源：{set_by}；GPU 数：{count}\nCUDA 的解析结果：{result}；"

CUDA_VISIBLE_DEVICES_INVALID = Problem(
    code="cuda-visible-devices-invalid",
    severity=Severity.ERROR,
    title=Text(
        "CUDA_VISIBLE_DEVICES={value} leaves {visible} {visible:GPU|GPUs} visible",
        "CUDA_VISIBLE_DEVICES={value} 只留下 {visible} 块可见的 GPU",
    ),
    why=Text(
        "CUDA drops the rest of the list without a word: ranks fail with invalid device ordinal, or share a GPU",
        "CUDA 会静默丢弃列表的其余部分：进程报 invalid device ordinal，或多个进程挤在同一块 GPU 上",
    ),
    confirm="python -c 'import torch; print(torch.cuda.device_count())'",
    refs=("https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html",),
    hardware="unconfirmed",
    situations={
        "negative": Situation(
            seen=Text(SEEN + "the list ends at the negative `{culprit}`", SEEN_ZH + "列表在负数 `{culprit}` 处终止")
        ),
        "no-number": Situation(
            seen=Text(
                SEEN + "the list ends at `{culprit}`, which is no number", SEEN_ZH + "列表在非数字 `{culprit}` 处终止"
            )
        ),
        "no-such-device": Situation(
            seen=Text(
                SEEN + "the list ends at `{culprit}`: indices run from 0 to {last}",
                SEEN_ZH + "列表在 `{culprit}` 处终止：有效编号为 0 到 {last}",
            )
        ),
        "renumbered": Situation(
            seen=Text(
                SEEN + "no such index: the GPUs given to a container or job are counted from 0 again, to {last}",
                SEEN_ZH + "没有这些编号：分给容器或作业的 GPU 重新从 0 编号，到 {last} 为止",
            ),
        ),
        "unknown-uuid": Situation(
            seen=Text(
                SEEN + "the list ends at `{culprit}`, no GPU of this machine (nvidia-smi -L)",
                SEEN_ZH + "列表在 `{culprit}` 处终止：本机没有该 GPU（nvidia-smi -L）",
            )
        ),
        "ambiguous-uuid": Situation(
            seen=Text(
                SEEN + "the list ends at `{culprit}`, which several GPUs begin with",
                SEEN_ZH + "列表在 `{culprit}` 处终止：有多块 GPU 以它开头",
            )
        ),
        "mixed": Situation(
            seen=Text(
                SEEN + "the list ends at `{culprit}`: indices and UUIDs do not mix",
                SEEN_ZH + "列表在 `{culprit}` 处终止：编号与 UUID 不能混用",
            )
        ),
        "duplicate": Situation(
            seen=Text(
                SEEN + "`{culprit}` comes twice, which empties the whole list",
                SEEN_ZH + "`{culprit}` 重复出现，导致整个列表作废",
            )
        ),
        "trailing": Situation(
            seen=Text(
                SEEN + "what follows the number in `{culprit}` is ignored",
                SEEN_ZH + "`{culprit}` 中数字之后的内容被忽略",
            ),
            help=Text(
                "only commas separate devices; there are no ranges",
                "设备之间只能用半角逗号分隔，不支持范围写法",
            ),
        ),
        "one-mig": Situation(
            severity=Severity.WARNING,
            seen=Text(
                SEEN + "a process can use one MIG device, the first",
                SEEN_ZH + "一个进程只能使用一个 MIG 设备，即第一个",
            ),
            help=Text(
                "give each process a MIG device of its own; NCCL does not run between them",
                "为每个进程单独指定一个 MIG 设备；MIG 设备之间不能使用 NCCL",
            ),
        ),
    },
)

MIG_NOT_CONFIGURED = Problem(
    code="mig-not-configured",
    severity=Severity.ERROR,
    title=Text(
        "MIG mode is on, without an instance to run on: GPU {gpus}", "MIG 模式已开启，但没有可用的实例：GPU {gpus}"
    ),
    why=Text("CUDA finds no device on such a GPU", "CUDA 在这样的 GPU 上找不到任何设备"),
    seen=Text(
        "NVML: MIG mode on, no compute instance, GPU {gpus} of {count}",
        "NVML:MIG 模式开启，没有计算实例，GPU {gpus}（共 {count} 块）",
    ),
    command="sudo nvidia-smi -i {ids} -mig 0",
    help=Text(
        "that gives the whole GPU back, for training over several GPUs; to cut it up instead: "
        "sudo nvidia-smi mig -lgip, then sudo nvidia-smi mig -cgi PROFILE -C. "
        "In a container or a batch job, ask the administrator",
        "该命令恢复整卡，适合多 GPU 训练；若要切分：sudo nvidia-smi mig -lgip，再 sudo nvidia-smi mig -cgi PROFILE -C。"
        "在容器或批处理作业中请联系管理员",
    ),
    confirm="nvidia-smi -L; nvidia-smi mig -lgi",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/datacenter/tesla/mig-user-guide/",),
    situations={"some": Situation(severity=Severity.WARNING)},
)

DEVICE_ORDER_DIFFERS = Problem(
    code="device-order-differs",
    severity=Severity.NOTE,
    title=Text("CUDA and nvidia-smi number the GPUs differently", "CUDA 与 nvidia-smi 的 GPU 编号顺序不同"),
    why=Text(
        "cuda:0 and index 0 of CUDA_VISIBLE_DEVICES are not GPU 0 of nvidia-smi: the wrong GPU is taken or watched",
        "cuda:0 与 CUDA_VISIBLE_DEVICES 的 0 号并非 nvidia-smi 的 GPU 0：可能用错或看错 GPU",
    ),
    seen=Text(
        "CUDA_DEVICE_ORDER: {order}\nCUDA: {cuda}\nnvidia-smi: {smi}",
        "CUDA_DEVICE_ORDER：{order}\nCUDA 顺序：{cuda}\nnvidia-smi 顺序：{smi}",
    ),
    command="export CUDA_DEVICE_ORDER=PCI_BUS_ID",
    confirm="nvidia-smi -L; python -c 'import torch; print([torch.cuda.get_device_name(i) "
    "for i in range(torch.cuda.device_count())])'",
    hardware="unconfirmed",
    situations={
        "may": Situation(
            title=Text(
                "CUDA may number these unlike GPUs differently from nvidia-smi",
                "GPU 型号不一，CUDA 的编号可能与 nvidia-smi 不同",
            ),
            seen=Text(
                "CUDA_DEVICE_ORDER: {order}, so the fastest GPU comes first\nnvidia-smi: {smi}",
                "CUDA_DEVICE_ORDER：{order}，即最快的 GPU 排在最前\nnvidia-smi：{smi}",
            ),
        ),
    },
)


@check(CUDA_VISIBLE_DEVICES_EMPTY, CUDA_VISIBLE_DEVICES_INVALID)
def mask_means_what_it_says(
    driver: Driver | Missing,
    gpus: Gpus | Missing,
    pci: PciDevices | Missing,
    torch: TorchCuda | Missing,
    install: TorchInstall | None,
    environment: Environment,
    host: Host | None,
) -> Iterable[Finding]:
    """CUDA's own reading of the variable against what is written, where nothing below the mask is broken."""
    e = evidence(driver, gpus, pci, torch, install, environment, host)
    seen = e.selection
    own = (CUDA_VISIBLE_DEVICES_EMPTY.code, CUDA_VISIBLE_DEVICES_INVALID.code)
    if not seen.fault or not e.has_gpu or explain(e).code not in ("", *own):
        return
    if e.works and (e.driver.cuda_devices or 0) > len(seen.taken):
        return  # CUDA itself found more than the emulation says
    values: dict[str, Scalar] = {
        "value": seen.value,
        "set_by": e.mask_from,
        "count": e.count,
        "visible": len(seen.taken),
        "result": ",".join(seen.taken) or "-",
        "culprit": seen.culprit,
        "last": None if e.count is None else e.count - 1,
    }
    if seen.fault == "empty":
        yield CUDA_VISIBLE_DEVICES_EMPTY.found(**values)
        return
    yield CUDA_VISIBLE_DEVICES_INVALID.found(_situation(e), **values).mended_by(_corrected(e))


def _situation(e: Evidence) -> str:
    """The fault; or that the list counts the GPUs of the whole machine, where a container or job has some of them."""
    ordinals = [number(element) for element in e.selection.elements]
    beyond = e.count is not None and all(ordinal is not None and ordinal >= e.count for ordinal in ordinals)
    apart = bool(e.host.container or e.host.scheduler.kind)
    return "renumbered" if beyond and apart else e.selection.fault


def _corrected(e: Evidence) -> str:
    """The value that names the devices meant, as far as they exist."""
    if e.selection.fault == "one-mig":
        return f"export CUDA_VISIBLE_DEVICES={e.selection.taken[0]}"
    if _situation(e) == "renumbered" and e.count:
        return f"export CUDA_VISIBLE_DEVICES={','.join(map(str, range(min(e.count, len(e.selection.elements)))))}"
    devices = meant(e.selection.value or "", e.count, e.uuids)
    return f"export CUDA_VISIBLE_DEVICES={','.join(devices)}" if devices else "unset CUDA_VISIBLE_DEVICES"


@check(MIG_NOT_CONFIGURED)
def mig_has_instances(gpus: Gpus) -> Iterable[Finding]:
    """GPUs in MIG mode without a compute instance; a warning where other GPUs are there to use."""
    answering = gpu_state.answering(gpus)
    empty = [gpu for gpu in answering if gpu.mig and not gpu.mig_instances]
    if empty:
        indices = [gpu.index for gpu in empty]
        yield MIG_NOT_CONFIGURED.found(
            None if len(empty) == len(answering) else "some",
            gpus=gpu_state.spans(indices),
            ids=",".join(map(str, indices)),
            count=gpus.count,
        )


@check(DEVICE_ORDER_DIFFERS)
def orders_agree(gpus: Gpus, driver: Driver | None, environment: Environment) -> Iterable[Finding]:
    """Unlike GPUs in CUDA's default order, fastest first; where CUDA told its order, that decides."""
    answering = gpu_state.answering(gpus)
    order = environment.get("CUDA_DEVICE_ORDER")
    if order == "PCI_BUS_ID" or len({gpu.name for gpu in answering}) < 2:
        return
    values: dict[str, Scalar] = {"order": order or "unset", "smi": _listed(answering), "cuda": None}
    by_cuda = _in_cuda_order(answering, driver, environment.get("CUDA_VISIBLE_DEVICES"))
    if by_cuda is None:
        yield DEVICE_ORDER_DIFFERS.found("may", **values)
    elif [gpu.index for gpu in by_cuda] != sorted(gpu.index for gpu in by_cuda):
        yield DEVICE_ORDER_DIFFERS.found(**{**values, "cuda": _listed(by_cuda)})


def _in_cuda_order(gpus: tuple[Gpu, ...], driver: Driver | None, mask: str | None) -> list[Gpu] | None:
    """The GPUs as CUDA counts them; None where it did not tell, or a mask decides the order."""
    by_address = {gpu.pci: gpu for gpu in gpus if gpu.pci}
    if driver is None or not driver.cuda_order or mask is not None:
        return None
    return [by_address[address] for address in driver.cuda_order if address in by_address]


def _listed(gpus: Iterable[Gpu]) -> str:
    return ", ".join(f"{place} = {gpu.name} ({gpu.pci})" for place, gpu in enumerate(gpus))


@summary
def line(gpus: Gpus, environment: Environment) -> tuple[Text, Mapping[str, Scalar]] | None:
    mask = environment.get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        return Text("no mask", "未设置掩码"), {}
    return Text("CUDA_VISIBLE_DEVICES={mask}", "CUDA_VISIBLE_DEVICES={mask}"), {"mask": mask}
