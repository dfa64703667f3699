"""Does a bulk of data pass between the nodes of a benchmark?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts.allreduce import AllreduceResult, Member

TOPIC = Topic("allreduce", 902, Text("bulk data between the nodes", "节点之间的大块数据传输"), bench=True)

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
    refs=("https://www.rfc-editor.org/rfc/rfc4821",),
)


def _mtus(member: Member | None) -> str | None:
    told = (member.mtus or {}) if member is not None else {}
    return ", ".join(f"{name} {mtu}" for name, mtu in sorted(told.items()) if name != "lo") or None


@check(MTU_MISMATCH)
def mtu_mismatch(result: AllreduceResult) -> Iterable[Finding]:
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
