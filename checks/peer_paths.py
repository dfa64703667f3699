"""Can GPUs reach each other over PCIe directly, or is their traffic sent up to the root complex?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.peer_paths import PeerPaths
from envdoctor.model import Scalar

TOPIC = Topic("nvlink", 225, Text("PCIe paths between GPUs", "GPU 之间的 PCIe 路径"))

P2P_ACS_IOMMU = Problem(
    code="p2p-acs-iommu",
    severity=Severity.WARNING,
    title=Text(
        "PCIe Access Control Services redirect traffic between GPUs at {count} {count:bridge|bridges}",
        "{count} 个 PCIe 桥上的 ACS 会重定向 GPU 之间的流量",
    ),
    why=Text(
        "peer-to-peer traffic takes the way through the root complex: slow, and on some machines it hangs or corrupts",
        "点对点流量要绕经根复合体：速度慢，在部分机器上还会挂起或损坏数据",
    ),
    seen=Text("ACSCtl of {bridge}: {control}", "{bridge} 的 ACSCtl：{control}"),
    command="sudo setpci -s {bridge} ECAP_ACS+6.w=0000",
    help=Text(
        "at each boot for every bridge above a GPU, or once in the BIOS; passing GPUs to virtual machines needs ACS",
        "每次启动后须对 GPU 上方的所有桥执行，或在 BIOS 中关闭；若要将 GPU 直通给虚拟机则需保留 ACS",
    ),
    confirm="sudo lspci -vvv | grep -i acsctl",
    hardware="unconfirmed",
    refs=(
        "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html#pci-access-control-services-acs",
    ),
    situations={
        "iommu": Situation(
            title=Text(
                "an IOMMU translates the memory accesses of {count} {count:GPU|GPUs}",
                "IOMMU 正在转换 {count} 个 GPU 的访存地址",
            ),
            why=Text(
                "peer-to-peer over PCIe may go through the root complex; with NVLink between the GPUs only the way to "
                "the NIC is concerned",
                "PCIe 点对点流量可能绕经根复合体；若 GPU 间有 NVLink，则只影响到网卡的路径",
            ),
            seen=Text(
                "/sys/bus/pci/devices/{gpu}/iommu_group/type: {type}\n/proc/cmdline: {options}",
                "/sys/bus/pci/devices/{gpu}/iommu_group/type：{type}\n/proc/cmdline 中的选项：{options}",
            ),
            look="grep -o 'iommu=[a-z]*' /proc/cmdline",
            help=Text(
                "add iommu=pt to the kernel's command line, update the boot loader, reboot",
                "在内核命令行中加入 iommu=pt，更新引导程序并重启",
            ),
            severity=Severity.NOTE,
        ),
    },
)


@check(P2P_ACS_IOMMU)
def p2p_acs_iommu(paths: PeerPaths, host: Host, gpus: Gpus | None) -> Iterable[Finding]:
    """On bare metal with several GPUs: ACS redirection on a bridge above one of them, which only root can see; else an
    IOMMU that translates, which is the default of many healthy AMD machines and therefore a note.

    A virtual machine cannot do without ACS, and what it sees of bridges is made up.
    """
    if len(paths.gpus) < 2 or host.virtual_machine:
        return
    linked = gpus is not None and any(link.active for gpu in gpus.gpus for link in gpu.nvlinks)
    redirecting, translated = paths.redirecting, paths.translated
    if redirecting:
        evidence: dict[str, Scalar] = {
            "count": len(redirecting),
            "bridge": redirecting[0],
            "control": f"{paths.acs[redirecting[0]]:#06x}",
        }
        yield P2P_ACS_IOMMU.found(**evidence).at(Severity.NOTE if linked else Severity.WARNING)
    elif translated:
        yield P2P_ACS_IOMMU.found(
            "iommu",
            count=len(translated),
            gpu=translated[0],
            type=paths.iommu[translated[0]],
            options=" ".join(paths.kernel_options) or "-",
        )


@summary
def line(paths: PeerPaths) -> tuple[Text, Mapping[str, Scalar]]:
    translated = "translated" if paths.translated else "identity" if any(paths.iommu.values()) else "off"
    values: dict[str, Scalar] = {
        "iommu": translated,
        "acs": ("on" if paths.redirecting else "off") if paths.acs_readable else None,
    }
    return Text("IOMMU {iommu}, ACS redirection {acs}", "IOMMU {iommu}，ACS 重定向 {acs}"), values
