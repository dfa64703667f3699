"""Are all NVLinks up, and is the NVSwitch fabric managed?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Plan, Problem, Severity, Situation, Text, Topic, check, fix, said, summary
from envdoctor.edits import by_hand
from envdoctor.facts import gpu_state
from envdoctor.facts.cuda_evidence import evidence
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge.cuda_init import explain
from envdoctor.model import Scalar

TOPIC = Topic("nvlink", 50, Text("NVLink and the NVSwitch fabric", "NVLink 与 NVSwitch 互连"))

# GPUs on boards that join them by NVLink. NVML names SXM modules since Hopper without that word; on PCIe cards
# ("PCIe", "NVL") a bridge is an option, and without one no link is active on a healthy card.
JOINED = re.compile(r"SXM|\bH(100|800) \d+GB HBM|\b(H20|H200|B100|B200|B300)$|\bGB\d00\b")
OPTIONAL = re.compile(r"PCI-?E|\bNVL\b", re.I)

NVLINK_DOWN = Problem(
    code="nvlink-down",
    severity=Severity.ERROR,
    title=Text(
        "GPU {gpus}: {active} of {expected} {expected:NVLink|NVLinks} {active:is|are} active",
        "GPU {gpus}：{expected} 条 NVLink 中只有 {active} 条可用",
    ),
    why=Text(
        "NCCL falls back to slower paths or fails, and a collective runs at the pace of the worst link",
        "NCCL 会退到更慢的通路或直接失败，集合通信受最慢链路拖累",
    ),
    seen=Text(
        "NVML: {which}\n{siblings} {siblings:GPU of the same model has|GPUs of the same model have} {expected} active",
        "NVML：{which}\n同型号的 {siblings} 块 GPU 有 {expected} 条可用",
    ),
    command="sudo nvidia-smi --gpu-reset",
    help=Text(
        "without processes on any GPU, this resets all of them and trains the links again; if a link stays down, it is "
        "the baseboard, NVSwitch or GPU: sudo dmesg | grep -i -e nvlink -e sxid",
        "所有 GPU 上都没有进程时执行，会重置全部 GPU 并重新训练链路；若仍不可用，则是底板、NVSwitch 或 GPU 故障："
        "sudo dmesg | grep -i -e nvlink -e sxid",
    ),
    confirm="nvidia-smi nvlink -s; nvidia-smi topo -m",
    caused_by=("fabric-manager-down", "gpu-fell-off-bus", "gpu-needs-recovery"),
    hardware="unconfirmed",
    situations={
        "bridge": Situation(
            severity=Severity.WARNING,
            look="nvidia-smi nvlink -s",
            help=Text(
                "these cards are joined by a bridge: switch off and seat it again",
                "这些卡通过 NVLink 桥连接：关机后重新安装桥接器",
            ),
        ),
        "all": Situation(
            title=Text("GPU {gpus}: not one NVLink is active", "GPU {gpus}：没有任何 NVLink 可用"),
            seen=Text(
                "NVML: {which}\nthese GPUs are built to be joined by NVLink",
                "NVML：{which}\n该型号 GPU 本应通过 NVLink 互连",
            ),
            command="sudo systemctl restart nvidia-fabricmanager",
            help=Text(
                "then nvidia-smi nvlink -s; in a virtual machine the provider decides whether links are passed on",
                "然后执行 nvidia-smi nvlink -s；在虚拟机中，是否透传链路由云服务商决定",
            ),
        ),
        "health": Situation(
            severity=Severity.WARNING,
            title=Text("GPU {gpus}: the NVLink fabric reports {health}", "GPU {gpus}：NVLink 互连报告 {health}"),
            seen=Text("NVML, fabric health: {health}", "NVML，fabric 健康状态：{health}"),
            look="nvidia-smi -q | grep -A12 Fabric",
            help=Text(
                "ask whoever runs the fabric manager (or NVLink switch system) of this machine",
                "请联系该机器 fabric manager（或 NVLink 交换系统）的管理员",
            ),
        ),
    },
)

FABRIC_MANAGER_DOWN = Problem(
    code="fabric-manager-down",
    severity=Severity.ERROR,
    title=Text(
        "the NVSwitch fabric is not set up: the fabric manager does not run",
        "NVSwitch 互连未就绪：fabric manager 没有运行",
    ),
    why=Text(
        "CUDA initialises on no GPU until it is: error 802, system not yet initialized",
        "在就绪之前任何 GPU 都无法初始化 CUDA：错误 802，system not yet initialized",
    ),
    seen=Text(
        "{call}: error {error}; fabric manager: {manager} {manager_release}; driver: {driver}\n"
        "NVSwitches on the bus: {switches}; GPU fabric state: {state} {status}",
        "{call}：错误 {error}；fabric manager：{manager} {manager_release}；驱动：{driver}\n"
        "总线上的 NVSwitch：{switches}；GPU fabric 状态：{state} {status}",
    ),
    command="sudo systemctl enable --now nvidia-fabricmanager && sudo systemctl restart nvidia-fabricmanager",
    help=Text(
        "if it does not stay up, sudo journalctl -u nvidia-fabricmanager says why: another release than the driver's, "
        "or an NVLink or NVSwitch fault",
        "若无法保持运行，用 sudo journalctl -u nvidia-fabricmanager 查看原因：与驱动版本不同，或 NVLink/NVSwitch 故障",
    ),
    confirm="systemctl status nvidia-fabricmanager; nvidia-smi -q | grep -A3 Fabric",
    caused_by=("gpu-fell-off-bus",),
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",),
    situations={
        "version": Situation(
            title=Text(
                "the fabric manager ({manager_release}) is of another release than the driver ({driver})",
                "fabric manager 版本（{manager_release}）与驱动版本（{driver}）不一致",
            ),
            help=Text(
                "both must be of exactly the same release (with dnf: sudo dnf install nvidia-fabricmanager-{driver})",
                "二者版本必须完全一致（dnf 系统：sudo dnf install nvidia-fabricmanager-{driver}）",
            ),
        ),
        "absent": Situation(
            title=Text(
                "this NVSwitch machine has no fabric manager installed", "该 NVSwitch 机器没有安装 fabric manager"
            ),
            help=Text(
                "it must be of exactly the driver's release (with dnf: sudo dnf install nvidia-fabricmanager-{driver})",
                "版本必须与驱动完全一致（dnf 系统：sudo dnf install nvidia-fabricmanager-{driver}）",
            ),
        ),
        "failed": Situation(
            title=Text(
                "the NVSwitch fabric registered the GPUs with an error: {status}",
                "NVSwitch 互连注册 GPU 时出错：{status}",
            ),
            look="sudo journalctl -u nvidia-fabricmanager | tail -40",
        ),
        "outside": Situation(
            title=Text("the NVSwitch fabric of this machine's host is not set up", "宿主机的 NVSwitch 互连未就绪"),
            look="nvidia-smi -q | grep -A3 Fabric",
            help=Text(
                "the fabric manager runs on the host (or with the cloud provider), not in this container or virtual "
                "machine: it must be started there, before this one",
                "fabric manager 运行在宿主机（或云服务商一侧），不在本容器或虚拟机内：需在那里先启动它",
            ),
        ),
    },
)


@check(NVLINK_DOWN)
def links_are_up(
    gpus: Gpus,
    driver: Driver | None,
    pci: PciDevices | None,
    torch: TorchCuda | None,
    environment: Environment | None,
    host: Host | None,
) -> Iterable[Finding]:
    """Each GPU against the majority of its model; GPUs that are built to be joined must have a link at all."""
    e = evidence(gpus, driver, pci, torch, environment, host)
    if explain(e).code == FABRIC_MANAGER_DOWN.code:
        return
    linked = [gpu for gpu in e.answering if _active(gpu) is not None and not gpu.mig]
    for name in dict.fromkeys(gpu.name for gpu in linked):
        yield from _of_model([gpu for gpu in linked if gpu.name == name], bool(e.host.virtual_machine))
    for health in dict.fromkeys(gpu.fabric_health for gpu in e.answering if gpu.fabric_health):
        which = [gpu.index for gpu in e.answering if gpu.fabric_health == health]
        yield NVLINK_DOWN.found("health", gpus=gpu_state.spans(which), health=", ".join(health))


def _active(gpu: Gpu) -> int | None:
    """Active links; None without NVLink and where the state of a link is unknown."""
    if not gpu.nvlinks or any(link.active is None for link in gpu.nvlinks):
        return None
    return sum(1 for link in gpu.nvlinks if link.active)


def _of_model(gpus: list[Gpu], virtual: bool) -> Iterable[Finding]:
    counts = Counter(_active(gpu) or 0 for gpu in gpus)
    # The commonest number of links is what the board has; of two equally common ones the greater.
    expected = max(counts, key=lambda active: (counts[active], active))
    by_design = bool(JOINED.search(gpus[0].name)) and not OPTIONAL.search(gpus[0].name)
    if expected == 0 and by_design and len(gpus) > 1 and counts[0] == len(gpus):
        found = NVLINK_DOWN.found(
            "all", gpus=gpu_state.spans(gpu.index for gpu in gpus), which=f"0 / {len(gpus[0].nvlinks)}", active=0
        )
        yield found.at(Severity.WARNING) if virtual else found
        return
    if not by_design:
        # A card without a bridge has no active link: only cards that have one are compared.
        gpus = [gpu for gpu in gpus if _active(gpu)]
    short = [gpu for gpu in gpus if (_active(gpu) or 0) < expected]
    if short:
        yield NVLINK_DOWN.found(
            None if by_design else "bridge",
            gpus=gpu_state.spans(gpu.index for gpu in short),
            active=min(_active(gpu) or 0 for gpu in short),
            expected=expected,
            siblings=counts[expected],
            which="; ".join(f"GPU {gpu.index}: {_inactive(gpu)}" for gpu in short[:4]),
        )


def _inactive(gpu: Gpu) -> str:
    down = gpu_state.spans(link.index for link in gpu.nvlinks if link.active is False)
    # nvidia-smi's matrix counts the links and does not name them.
    return f"link {down} inactive" if down else f"{_active(gpu)} active"


@check(FABRIC_MANAGER_DOWN)
def fabric_is_managed(
    driver: Driver,
    gpus: Gpus | Missing,
    pci: PciDevices | None,
    torch: TorchCuda | None,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
) -> Iterable[Finding]:
    """CUDA's 802 or an unready fabric. A manager of another release that still runs fails at its next start."""
    e = evidence(driver, gpus, pci, torch, install, environment, host)
    cause = explain(e)
    if cause.code == FABRIC_MANAGER_DOWN.code:
        found = FABRIC_MANAGER_DOWN.found(cause.situation, **cause.values)
        yield found.mended_by(_install(driver)) if cause.situation in ("version", "absent") else found
        return
    release, manager = driver.kernel_release, driver.fabric_manager_release
    if not cause.code and e.pci and e.pci.nvswitches and release and manager and release != manager:
        yield (
            FABRIC_MANAGER_DOWN.found(
                "version",
                driver=release,
                manager=driver.fabric_manager or None,
                manager_release=manager,
                switches=len(e.pci.nvswitches),
                call="cuInit",
                error=driver.cuda_init,
                state=None,
                status=None,
            )
            .mended_by(_install(driver))
            .at(Severity.WARNING)
        )


def _install(driver: Driver) -> str | None:
    """The package of exactly the driver's release; NVIDIA's repository names it without the branch from 580 on."""
    release = driver.kernel_release or driver.release
    major = release.partition(".")[0]
    if not major.isdigit():
        return None
    package = "nvidia-fabricmanager" if int(major) >= 580 else f"nvidia-fabricmanager-{major}"
    return f"sudo apt-get install {package}='{release}*' && sudo systemctl enable --now nvidia-fabricmanager"


@fix(
    "fabric-manager",
    Text(
        "the commands that get the NVSwitch fabric managed, for root on the machine itself",
        "让 NVSwitch 互连就绪的命令，由 root 在物理机上执行",
    ),
    mends=("fabric-manager-down",),
)
def start_fabric_manager(
    driver: Driver,
    gpus: Gpus | Missing,
    pci: PciDevices | None,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
) -> Plan:
    title = said("Have the NVSwitch fabric managed", "让 NVSwitch 互连就绪")
    return by_hand.plan(title, fabric_is_managed(driver, gpus, pci, None, install, environment, host))


@summary
def line(gpus: Gpus) -> tuple[Text, Mapping[str, Scalar]] | None:
    links = Counter(_active(gpu) for gpu in gpus.gpus if gpu.nvlinks)
    if not links:
        return Text("none", "无 NVLink"), {}
    return Text("{links} active per GPU", "每块 GPU {links} 条可用"), {"links": links.most_common(1)[0][0]}
