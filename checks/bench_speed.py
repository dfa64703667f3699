"""Is an all-reduce as fast as what the nodes are connected with, and are all ways between them alike?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts import round_trips
from envdoctor.facts.allreduce import AllreduceResult, Pair, Way
from envdoctor.facts.nics import Nics
from envdoctor.facts.sending import interface, rated_gbit
from envdoctor.knowledge import fabric

TOPIC = Topic("allreduce", 907, Text("speed, against what the nodes could do", "速度与硬件上限之比"), bench=True)

# Below this the time is that of the messages and not of the data: gloo over TCP is at its pace from 1 MiB on, NCCL over
# several nodes from 512 MiB (2 x p5: 289 GB/s at 128 MiB, 487 at 16 GiB).
LARGE = {"gloo": 1 << 20, "nccl": 512 << 20}
# A single TCP connection carries less than fast links do; far below even that is a fault.
HALF = 0.5

WIRE = Text(
    "the best of {sizes} {sizes:size|sizes} is {busbw:.3g} GB/s at {size} bytes, {share:.0%} of {expected:.3g} GB/s: ",
    "{sizes} 个大小中最好的是 {busbw:.3g} GB/s（{size} 字节），为 {expected:.3g} GB/s 的 {share:.0%}：",
)


def _seen(by: str) -> Text:
    why = fabric.SENTENCES[by]
    return Text(WIRE.en + why.en, WIRE.zh + why.zh)


MEASURE_MORE = Text(
    "small sums do not show what a fabric carries: measure with --sizes 8:4G before looking further",
    "小数据量反映不出网络的真实带宽：请先用 --sizes 8:4G 再测一次",
)

BUSBW_LOW = Problem(
    code="busbw-low",
    severity=Severity.WARNING,
    title=Text(
        "all-reduce reaches {share:.0%} of what the nodes could do",
        "all-reduce 只达到硬件上限的 {share:.0%}",
    ),
    why=Text(
        "each step waits for its gradients longer than it would have to",
        "每一步都要为梯度多等一段不必要的时间",
    ),
    seen=_seen("link"),
    help=Text(
        "`envdoctor bench links` tells whether one node or one path holds all back; if none does, look for other "
        "traffic on these links and at what NCCL chose (NCCL_DEBUG=INFO)",
        "`envdoctor bench links` 可以查出是否有某个节点或某条路径拖慢了全体；若没有，请检查这些链路上的其他流量，"
        "以及 NCCL 的选择（NCCL_DEBUG=INFO）",
    ),
    confirm="envdoctor bench allreduce --sizes 1M:1G",
    caused_by=(
        "link-slow",
        "network-slow",
        "links-uneven",
        "latency-high",
        "slow-tcp-fallback",
        "ib-rate-degraded",
        "packets-lost",
    ),
    refs=("https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md",),
    hardware="unconfirmed",
    situations={
        **{by: Situation(seen=_seen(by)) for by in ("stream", "connection", "ports", "nvlink")},
        **{
            f"{by}-small": Situation(seen=_seen(by), severity=Severity.NOTE, help=MEASURE_MORE)
            for by in ("link", "stream", "connection", "ports", "nvlink")
        },
    },
)

NETWORK_SLOW = Problem(
    code="network-slow",
    severity=Severity.WARNING,
    title=Text(
        "TCP from {node} to {other} carries {gbit:.3g} Gbit/s on a link of {link:.4g} Gbit/s",
        "{node} 到 {other} 的 TCP 速率为 {gbit:.3g} Gbit/s，而链路为 {link:.4g} Gbit/s",
    ),
    why=Text(
        "everything that crosses this link is as slow: gradients, checkpoints, data",
        "经过这条链路的一切都会同样慢：梯度、检查点、数据",
    ),
    seen=Text(
        "a stream of 0.4 s with all nodes at rest: {gbit:.3g} Gbit/s; {interface} has {link:.4g} Gbit/s",
        "所有节点空闲时 0.4 秒的数据流：{gbit:.3g} Gbit/s；{interface} 为 {link:.4g} Gbit/s",
    ),
    help=Text(
        "loss is the usual cause: look for errors and drops of the interface on both ends, a cable or port that fell "
        "back to a lower rate, and other traffic",
        "最常见的原因是丢包：请检查两端接口的错误与丢弃计数、网线或端口是否降速，以及是否有其他流量",
    ),
    look="ip -s link show {interface}; nstat -az TcpRetransSegs; ethtool {interface}",
    confirm="iperf3 -c NODE -P 4   # with iperf3 -s there",
    caused_by=("mtu-mismatch", "packets-lost"),
)


@check(BUSBW_LOW)
def busbw_low(result: AllreduceResult) -> Iterable[Finding]:
    """The best size against the expectation, less what it waits on a long way; not where the processors decide."""
    expected, best = result.expected_busbw_gb_s, result.best
    judged = result.done and not result.oversubscribed and result.expected_by not in fabric.NOT_OF_THE_NETWORK
    if not judged or not expected or best is None or result.expected_by not in fabric.SENTENCES:
        return
    share = best.busbw_gb_s / _of_size(expected, best.bytes, result)
    small = max(size.bytes for size in result.sizes) < LARGE.get(result.backend, 1 << 20)
    if share >= (fabric.BROKEN if small else fabric.GOOD):
        return
    by = result.expected_by
    values = {**result.expected_values, "share": share, "busbw": best.busbw_gb_s, "expected": expected}
    situation = f"{by}-small" if small else by if by != "link" else None
    yield BUSBW_LOW.found(situation, **values, size=best.bytes, sizes=len(result.sizes))


def _of_size(expected: float, size: int, result: AllreduceResult) -> float:
    """What may be expected of a size: a ring waits for its longest way at each step."""
    longest_s = max(round_trips.trips(result).values(), default=0.0) / 1e6
    wait_s = fabric.least_s(len({member.host for member in result.members}), longest_s)
    if result.backend == "gloo":
        wait_s *= 2  # at each step the receiver first says that it is ready: seen at 80 ms, 2.1 round trips for 2 nodes
    return fabric.of_size(expected, size, max(2, result.world_size), wait_s)


@check(NETWORK_SLOW)
def network_slow(nics: PerNode[Nics], results: PerNode[AllreduceResult]) -> Iterable[Finding]:
    """The streams that a node sent, one over each of its interfaces, where their rate is real and the way is short
    enough for it; of streams to many the best. Started by hand, each node tells its own interfaces alone."""
    for holder, result in results.items():
        if not isinstance(result, AllreduceResult) or result.oversubscribed:
            continue
        for stream in _streams(result):
            nic = interface(result, holder, nics, stream.a, stream.rail)
            link, carried = rated_gbit(nic), stream.gb_s or 0.0
            if nic is None or link is None or (stream.busy or 0.0) >= HALF:
                continue
            distance = fabric.OF_DISTANCE * fabric.over_distance((stream.rtt_us or 0) / 1e6)
            if carried < min(HALF * min(link / 8, fabric.ONE_CONNECTION_GB_S), distance):
                node, other = result.named(stream.a), result.named(stream.b)
                found = NETWORK_SLOW.found(node=node, other=other, gbit=carried * 8, link=link, interface=nic.name)
                yield replace(found, nodes=(node,))


def _streams(result: AllreduceResult) -> list[Way | Pair]:
    """Of each machine and rail what it sent to the next one, or where every pair was measured its best stream."""
    found: dict[tuple[int, int], Way | Pair] = {}
    for pair in result.pairs:
        known = found.get((pair.a, pair.rail))
        if known is None or pair.gb_s > (known.gb_s or 0.0):
            found[pair.a, pair.rail] = pair
    for way in result.ways:
        if way.gb_s is not None:
            found[way.a, way.rail] = way
    return [found[key] for key in sorted(found)]
