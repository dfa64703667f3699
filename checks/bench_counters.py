"""Did the machines lose or damage packets while they were measured?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.allreduce import AllreduceResult, Counter
from envdoctor.knowledge import fabric

TOPIC = Topic("allreduce", 910, Text("losses and errors meanwhile", "测量期间的丢包与错误"), bench=True)

# A bit that flipped on the way, or a link that went down: no load and no congestion does that.
DAMAGED = frozenset(
    {
        "rx_errors", "tx_errors", "rx_crc_errors", "rx_frame_errors", "tx_carrier_errors", "carrier_down",
        "symbol_error", "link_error_recovery", "link_downed", "port_rcv_errors",
        "port_rcv_remote_physical_errors", "local_link_integrity_errors", "excessive_buffer_overrun_errors",
        "rx_icrc_encapsulated",
    }
)  # fmt: skip
# RDMA sends again what got lost, slowly: a fabric that is to lose nothing has (nccl#394 goes by these).
RETRIED = frozenset(
    {
        "local_ack_timeout_err", "packet_seq_err", "implied_nak_seq_err", "rnr_nak_retry_err",
        "port_xmit_discards", "out_of_buffer", "roce_adp_retrans", "roce_adp_retrans_to", "retrans_pkts",
        "retrans_timeout_events",
    }
)  # fmt: skip
# Marks and pauses by which a fabric slows senders down before it loses anything.
CONGESTED = frozenset(
    {
        "np_cnp_sent", "rp_cnp_handled", "np_ecn_marked_roce_packets", "roce_slow_restart",
    }
)  # fmt: skip
# Rings that were full. rx_dropped is none of these: packets of protocols that nobody there speaks count in it.
DROPPED = frozenset(
    {
        "rx_missed_errors", "rx_fifo_errors", "rx_over_errors", "tx_fifo_errors",
    }
)  # fmt: skip

PACKETS_LOST = Problem(
    code="packets-lost",
    severity=Severity.WARNING,
    title=Text(
        "packets were damaged on {node} while it was measured: {counted}",
        "测量期间 {node} 上有数据包损坏：{counted}",
    ),
    why=Text(
        "whoever sent them waits and sends again: one bad cable slows an all-reduce down on all nodes",
        "发送方要等待并重传：一根坏线缆会让所有节点上的 all-reduce 变慢",
    ),
    seen=Text(
        "counters of {node} from before the first measurement to after the last: {counted}",
        "{node} 的计数器从首次测量前到最后一次测量后的变化：{counted}",
    ),
    help=Text(
        "a cable, a transceiver or a port: exchange the cable first, then look at the other end of the link",
        "问题在线缆、光模块或端口：请先更换线缆，再检查链路的另一端",
    ),
    look="ip -s -s link; ethtool -S INTERFACE | grep -iE 'err|drop|disc'   # on {node}",
    confirm="envdoctor bench allreduce",
    situations={
        "retried": Situation(
            title=Text(
                "RDMA on {node} had to send again while it was measured: {counted}",
                "测量期间 {node} 上的 RDMA 发生重传：{counted}",
            ),
            help=Text(
                "the fabric lost packets that it must not lose: on RoCE check PFC and ECN on the switch ports and the "
                "NIC, then the cables",
                "网络丢失了本不应丢失的数据包：若为 RoCE，请检查交换机端口与网卡上的 PFC 和 ECN 配置，然后检查线缆",
            ),
            look="grep . /sys/class/infiniband/*/ports/*/hw_counters/*   # on {node}",
        ),
        "congested": Situation(
            severity=Severity.NOTE,
            title=Text(
                "the fabric told senders of {node} to slow down: {counted}",
                "网络曾要求 {node} 的发送方降速：{counted}",
            ),
            why=Text(
                "this is how a RoCE fabric avoids loss; much of it means that several flows share a link",
                "RoCE 网络以此避免丢包；若数量很多，说明多条流共用同一链路",
            ),
            help=Text(
                "look for other traffic, and at how the switch spreads flows over its uplinks (ECMP)",
                "请查看是否有其他流量，以及交换机如何在上行链路间分配流量（ECMP）",
            ),
        ),
        "dropped": Situation(
            severity=Severity.NOTE,
            title=Text(
                "{node} dropped packets while it was measured: {counted}",
                "测量期间 {node} 丢弃了数据包：{counted}",
            ),
            help=Text(
                "the queues of the interface are too short for what comes in, or its processor too busy: look at the "
                "ring sizes and at which processors take its interrupts",
                "网卡队列对流量而言过短，或处理它的 CPU 过忙：请查看 ring 大小以及由哪些 CPU 处理其中断",
            ),
            look="ethtool -g INTERFACE; ethtool -S INTERFACE | grep -iE 'drop|miss|fifo'   # on {node}",
        ),
        "resent": Situation(
            severity=Severity.NOTE,
            title=Text(
                "TCP on {node} sent {share:.2%} of its segments again",
                "{node} 上的 TCP 重传了 {share:.2%} 的报文段",
            ),
            seen=Text(
                "counters of {node} from before the first measurement to after the last: {counted}",
                "{node} 的计数器从首次测量前到最后一次测量后的变化：{counted}",
            ),
            why=Text(
                "a full queue on the way, a rate limit or a bad cable loses packets, and TCP slows down at each loss",
                "途中队列已满、限速或线缆不良都会丢包，每次丢包 TCP 都会降速",
            ),
            help=Text(
                "look where they get lost: drops of the interfaces on both ends and of the switch ports between, a "
                "firewall or shaper that drops",
                "请查找丢包位置：两端接口与中间交换机端口的丢弃计数，以及会丢包的防火墙或限速设置",
            ),
            look="nstat -az TcpRetransSegs; ip -s link; tc -s qdisc   # on {node}",
        ),
    },
)


def told(counters: Iterable[Counter]) -> str:
    """For people: "eth0 rx_crc_errors +12, mlx5_0/1 symbol_error +3"."""
    return ", ".join(f"{one.device} {one.name} +{one.by}".strip() for one in counters)


@check(PACKETS_LOST)
def packets_lost(result: AllreduceResult) -> Iterable[Finding]:
    """Each node whose counters moved, by what they mean."""
    for index in sorted({one.member for one in result.counters}):
        node = result.named(index)
        own = [one for one in result.counters if one.member == index]
        for situation, names in ((None, DAMAGED), ("retried", RETRIED), ("congested", CONGESTED), ("dropped", DROPPED)):
            moved = [one for one in own if one.name in names]
            if moved:
                yield replace(PACKETS_LOST.found(situation, node=node, counted=told(moved)), nodes=(node,))
        moved = [one for one in own if one.kind == "tcp" and one.name in ("RetransSegs", "TCPTimeouts")]
        sent = next((one.by for one in own if one.name == "OutSegs"), 0)
        resent = next((one.by for one in own if one.name == "RetransSegs"), 0)
        if sent and resent / sent >= fabric.RESENT:
            found = PACKETS_LOST.found("resent", node=node, share=resent / sent, counted=told(moved))
            yield replace(found, nodes=(node,))
