"""Which GIDs will NCCL use on RoCE: filled, routable, and of the same kind on all nodes?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.agreement import agreement
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.nccl import NcclSettings, View, view, view_of
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import of, peers
from envdoctor.facts.rdma import Gid, Rdma
from envdoctor.facts.rdma_choice import CHOOSES_GID, TakenPort, integer, taken
from envdoctor.facts.socket_choice import release
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.drift import differs, situations

TOPIC = Topic("rdma", 221, Text("the GIDs that NCCL will use", "NCCL 将使用的 GID"))

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

IB_GID_WRONG = Problem(
    code="ib-gid-wrong",
    severity=Severity.ERROR,
    title=Text(
        "NCCL will use GID index {index} on {port}, which is empty",
        "NCCL 将在 {port} 上使用 GID 索引 {index}，该槽位为空",
    ),
    why=Text(
        "queue pairs do not connect: ibv_modify_qp fails, or the first transfer ends with status 12",
        "QP 无法建立连接：ibv_modify_qp 失败，或首次传输以 status=12 结束",
    ),
    seen=Text(
        "{chosen_by}\n{port} GID {index}: {gid}\nusable: {usable}",
        "{chosen_by}\n{port} GID {index}：{gid}\n可用：{usable}",
    ),
    help=Text(
        "NCCL since 2.21.5 finds the index by itself when NCCL_IB_GID_INDEX is unset; it may differ between nodes",
        "NCCL 2.21.5 起在未设置 NCCL_IB_GID_INDEX 时会自动选择；各节点的索引可能不同",
    ),
    confirm="grep . /sys/class/infiniband/*/ports/1/gids/* | grep -v 0000:0000:0000:0000$",
    hardware="unconfirmed",
    refs=(ENV_PAGE + "#nccl-ib-gid-index",),
    situations={
        "link-local": Situation(
            title=Text(
                "NCCL will use GID index {index} on {port}, a link-local address",
                "NCCL 将在 {port} 上使用 GID 索引 {index}，该地址为链路本地地址",
            ),
            why=Text(
                "it reaches neighbours on the same Ethernet segment only: behind a router the first transfer times out",
                "只能到达同一以太网段内的节点；跨路由时首次传输会超时",
            ),
            severity=Severity.WARNING,
        ),
        "version-1": Situation(
            title=Text(
                "NCCL will use GID index {index} on {port}, which is RoCE v1",
                "NCCL 将在 {port} 上使用 GID 索引 {index}，该条目为 RoCE v1",
            ),
            why=Text(
                "RoCE v1 is not routed, and both ends must use the same version",
                "RoCE v1 不可路由，且两端版本必须一致",
            ),
            severity=Severity.WARNING,
        ),
        **situations(
            "nodes",
            Text("GIDs that NCCL will use", "NCCL 将使用的 GID 类型"),
            Text(
                "both ends of a connection must speak the same RoCE version and address family: ibv_modify_qp fails, "
                "or the first transfer ends with status 12",
                "连接两端的 RoCE 版本与地址族必须一致：否则 ibv_modify_qp 失败，或首次传输以 status=12 结束",
            ),
            look="show_gids",
        ),
    },
)


def _fault(each: TakenPort, version: int) -> str | None:
    """The situation of the GID that NCCL will use; None for a good one or one that cannot be judged."""
    gid = each.gid
    if gid is None:
        return "empty"
    if gid.address.startswith("fe80"):
        return "link-local"
    return "version-1" if gid.version == 1 and version != 1 else None


@check(IB_GID_WRONG)
def ib_gid_wrong(
    rdma: Rdma, environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """On RoCE, the slot NCCL will use is empty, or it is link-local or RoCE v1 while a better one is there."""
    seen = view(settings, environment, torch)
    asked = seen.get("NCCL_IB_GID_INDEX")
    version = integer(seen.get("NCCL_IB_ROCE_VERSION_NUM"), 2)
    for each in taken(rdma, seen.get, seen.version):
        # Without any filled slot, sysfs of this container does not show the table.
        fault = _fault(each, version) if each.port.link_layer == "Ethernet" and each.port.gids else None
        if fault is None:
            continue
        good = [gid for gid in each.port.gids if gid.version == 2 and not gid.address.startswith("fe80")]
        good.sort(key=lambda gid: ":" in gid.address)
        if good or fault == "empty":
            finding = IB_GID_WRONG.found(
                None if fault == "empty" else fault,
                port=str(each),
                index=each.gid_index,
                chosen_by=f"NCCL_IB_GID_INDEX={asked} ({seen.source('NCCL_IB_GID_INDEX')})"
                if asked
                else f"NCCL_IB_GID_INDEX unset, NCCL {seen.version or '?'}",
                gid=f"{each.gid.address} {each.gid.type} {each.gid.netdev}".strip() if each.gid else None,
                usable=", ".join(f"{gid.index} ({gid.address})" for gid in good) or "-",
            )
            yield finding.mended_by(_gid_command(seen, good))
            return


def _gid_command(seen: View, good: list[Gid]) -> str | None:
    """Leave the choice to NCCL where it chooses well, else name the slot or the family."""
    chooses = (release(seen.version) or CHOOSES_GID) >= CHOOSES_GID
    if chooses and seen.get("NCCL_IB_GID_INDEX"):
        return seen.mend("NCCL_IB_GID_INDEX", None)
    if not good:
        return None
    if chooses:
        return seen.mend("NCCL_IB_ADDR_FAMILY", "AF_INET6" if ":" in good[0].address else "AF_INET")
    return seen.mend("NCCL_IB_GID_INDEX", str(good[0].index))


@check(IB_GID_WRONG)
def gids_agree(
    rdma: PerNode[Rdma],
    environments: PerNode[Environment],
    settings: PerNode[NcclSettings],
    installs: PerNode[TorchInstall],
    gpus: PerNode[Gpus],
    pci: PerNode[PciDevices],
) -> Iterable[Finding]:
    """Version and address family over the nodes; the index may be another one on each."""
    kinds: dict[str, str | None] = {}
    for node, devices in of(rdma, peers(gpus, pci), Rdma).items():
        seen = view_of(settings.get(node), environments.get(node), installs.get(node))
        kinds[node] = _kinds(taken(devices, seen.get, seen.version)) if devices else None
    yield from differs(IB_GID_WRONG, "nodes", agreement(kinds))


def _kinds(ports: tuple[TakenPort, ...]) -> str | None:
    """ "RoCE v2 IPv4" of the slots in use, None where one of them is empty or not shown to this container."""
    gids = [each.gid for each in ports if each.port.link_layer == "Ethernet"]
    if not gids or not all(gid is not None and gid.version for gid in gids):
        return None
    return ", ".join(
        sorted({f"RoCE v{gid.version} {'IPv6' if ':' in gid.address else 'IPv4'}" for gid in gids if gid is not None})
    )
