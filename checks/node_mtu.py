"""Do packets of the same size pass between all nodes?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, each
from envdoctor.facts.agreement import agreement
from envdoctor.facts.allreduce import AllreduceResult, Member
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.nccl import NcclSettings, view_of
from envdoctor.facts.nics import Nics
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import peers
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.rdma_choice import taken
from envdoctor.facts.socket_choice import nccl_choice
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.drift import differs, situations

TOPIC = Topic("drift", 304, Text("what the nodes must have in common", "各节点是否一致"), nodes=True)

ALL_THE_SAME = Text(
    "give the interfaces and the switch ports between them the same MTU on all nodes",
    "请让所有节点的网络接口及其间的交换机端口使用相同的 MTU",
)
# A RoCE packet is the largest of these that fits the interface's MTU beside its headers (IBTA, annex A17; up to 58
# bytes of IPv6, UDP and BTH with RETH).
PACKETS, HEADERS = (4096, 2048, 1024, 512, 256), 58

MTU_MISMATCH = Problem(
    code="mtu-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "small messages pass from {node} to {other}, a bulk of data stalls",
        "从 {node} 到 {other} 小消息可以通过，大块数据则停滞",
    ),
    why=Text(
        "training starts and hangs in its first large collective, without an error",
        "训练可以启动，但会在首个大的集合通信中无声地挂起",
    ),
    seen=Text(
        "{sent} bytes were sent, {unacknowledged} never acknowledged; segments of {mss} bytes\n"
        "{node}: {mtus}; {other}: {other_mtus}",
        "已发送 {sent} 字节，其中 {unacknowledged} 字节始终未被确认；报文段 {mss} 字节\n"
        "{node}：{mtus}；{other}：{other_mtus}",
    ),
    help=Text(
        "a hop on the way takes no packet of that size and says nothing: give all interfaces the MTU of the narrowest "
        "hop; sysctl -w net.ipv4.tcp_mtu_probing=1 lets TCP find it by itself",
        "途中某一跳不接受该大小的数据包且不回报：请将所有接口的 MTU 设为最窄一跳的值；"
        "sysctl -w net.ipv4.tcp_mtu_probing=1 可让 TCP 自行探测",
    ),
    look="tracepath -n {address}",
    confirm="ping -M do -s 1472 HOST",
    refs=("https://www.rfc-editor.org/rfc/rfc4821", "https://github.com/NVIDIA/nccl/pull/2135"),
    situations={
        **situations(
            "sockets",
            Text("MTU of the interface that NCCL will use", "NCCL 将使用的网络接口的 MTU"),
            Text(
                "TCP between two hosts takes the smaller one; UDP, RoCE and what passes a narrower hop stall on large "
                "messages",
                "两台主机间的 TCP 会取较小值；而 UDP、RoCE 以及经过更窄一跳的大消息会停滞",
            ),
            Severity.WARNING,
            look="ip -br link; ip route get HOST",
            advice=ALL_THE_SAME,
        ),
        **situations(
            "roce",
            Text("packets of RoCE (path MTU)", "RoCE 数据包大小（path MTU）"),
            Text(
                "both ends of a queue pair must use the same: NCCL since 2.20 takes what the port has, and transfers "
                "end with IBV_WC_LOC_LEN_ERR or hang",
                "队列对两端必须一致：NCCL 2.20 及以后直接取端口的值，传输会以 IBV_WC_LOC_LEN_ERR 结束或挂起",
            ),
            look="ibv_devinfo | grep -E 'hca_id|active_mtu'",
            advice=ALL_THE_SAME,
        ),
        "in-text": Situation(
            title=Text("MTUs differ along the path", "路径上的 MTU 不一致"),
            why=Text(
                "small messages pass, a bulk of data stalls: training hangs in its first large collective",
                "小消息可以通过，大块数据停滞：训练会在首个大的集合通信中挂起",
            ),
            help=ALL_THE_SAME,
        ),
    },
)


@check(MTU_MISMATCH)
def mtu_mismatch(
    nics: PerNode[Nics],
    environments: PerNode[Environment],
    settings: PerNode[NcclSettings],
    installs: PerNode[TorchInstall],
    rdma: PerNode[Rdma],
    gpus: PerNode[Gpus],
    pci: PerNode[PciDevices],
    results: PerNode[AllreduceResult],
) -> Iterable[Finding]:
    """Of a benchmark: what stalled. Of examined nodes: the interface that carries NCCL's sockets, and the packets of
    RoCE on the ports it takes."""
    ran = [result for result in results.values() if isinstance(result, AllreduceResult)]
    if ran:
        for result in ran:
            yield from _stalled(result)
        return
    nodes = peers(gpus, pci)
    sockets = each(_of_sockets, nics, environments, settings, installs)
    packets = each(_of_roce, nics, environments, settings, installs, rdma)
    yield from differs(MTU_MISMATCH, "sockets", agreement({node: sockets.get(node) for node in nodes}))
    yield from differs(MTU_MISMATCH, "roce", agreement({node: packets.get(node) for node in nodes}))


def _of_sockets(nics: object, environment: object, settings: object, install: object) -> str | None:
    if not isinstance(nics, Nics):
        return None
    seen = view_of(settings, environment, install)
    first = nccl_choice(nics, seen.get, seen.version).first
    nic = nics.nic(first.label) if first else None
    # The loopback's is another one and means nothing to other nodes.
    return str(nic.mtu) if nic is not None and nic.kind != "loopback" else None


def _of_roce(nics: object, environment: object, settings: object, install: object, rdma: object) -> str | None:
    if not isinstance(nics, Nics) or not isinstance(rdma, Rdma):
        return None
    seen = view_of(settings, environment, install)
    ports = [each for each in taken(rdma, seen.get, seen.version) if each.port.link_layer == "Ethernet"]
    widths = {nic.mtu for each in ports for name in each.device.netdevs if (nic := nics.nic(name)) is not None}
    sizes = {next((size for size in PACKETS if size + HEADERS <= width), 0) for width in widths}
    return ", ".join(map(str, sorted(sizes))) or None


def _mtus(member: Member | None) -> str | None:
    told = (member.mtus or {}) if member is not None else {}
    return ", ".join(f"{name} {mtu}" for name, mtu in sorted(told.items()) if name != "lo") or None


def _stalled(result: AllreduceResult) -> Iterable[Finding]:
    """TCP connected and carried a line both ways; then a megabyte was not acknowledged. Each pair is told once."""
    told: set[frozenset[int]] = set()
    for failure in result.on("bulk"):
        for way in failure.ways:
            pair = frozenset((way.a, way.b))
            if way.outcome != "stalled" or pair in told or pair & result.departed:
                continue
            told.add(pair)
            a, b = result.member(way.a), result.member(way.b)
            found = MTU_MISMATCH.found(
                node=result.named(way.a),
                other=result.named(way.b),
                address=b.address if b else None,
                sent=way.sent,
                unacknowledged=way.unacknowledged,
                mss=way.mss,
                mtus=_mtus(a),
                other_mtus=_mtus(b),
            )
            yield replace(found, nodes=tuple(dict.fromkeys((result.named(way.a), result.named(way.b)))))
