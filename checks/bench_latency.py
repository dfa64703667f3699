"""Is a machine, or a path, farther away than the others? And does distance decide how long a sum takes?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import median

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist, round_trips
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.knowledge import fabric
from envdoctor.model import Scalar

TOPIC = Topic("latency", 940, Text("how far the nodes are from each other", "节点之间的距离"), bench=True)

TOGETHER = Text(
    "it is farther away (another room, a VPN, a routed subnet) or its packets go a detour; place the job on nodes "
    "that are near each other",
    "该节点距离更远（其他机房、VPN、跨网段），或者数据包绕了路；请将作业放在彼此邻近的节点上",
)
WAY_NOT_RATE = Text(
    "small sums wait for the way and not for its rate, and one TCP connection carries no more than its "
    "window in each round trip",
    "小数据量的耗时取决于距离而非带宽；一条 TCP 连接每个往返最多传送一个窗口的数据",
)
BE_NEAR = Text(
    "place the job in one room if that can be; else sum less often and more at a time: gradient "
    "accumulation under no_sync(), a larger bucket_cap_mb of DDP; with {window:.3g} MB or more as the last "
    "value of net.ipv4.tcp_wmem and tcp_rmem one connection fills 10 Gbit/s",
    "尽可能把作业放在同一机房；否则减少同步次数、增大每次的数据量：在 no_sync() 下做梯度累积，增大 DDP 的 "
    "bucket_cap_mb；net.ipv4.tcp_wmem 与 tcp_rmem 的最后一个值达到 {window:.3g} MB 时，"
    "一条连接才能跑满 10 Gbit/s",
)

LATENCY_HIGH = Problem(
    code="latency-high",
    severity=Severity.WARNING,
    title=Text(
        "a message to {node} takes {times:.0f} times as long as between the other nodes",
        "发往 {node} 的消息耗时是其他节点之间的 {times:.0f} 倍",
    ),
    why=Text(
        "every small collective waits for the slowest way: barriers, the last gradients of a step",
        "每个小的集合通信都要等最慢的那条路径：barrier、每一步最后的梯度",
    ),
    seen=Text(
        "shortest round trips over TCP: {slow:.3g} ms to and from {node}, {usual:.3g} ms otherwise",
        "TCP 最短往返时间：往返 {node} 为 {slow:.3g} 毫秒，其他为 {usual:.3g} 毫秒",
    ),
    help=TOGETHER,
    look="traceroute -n {target}   # on {good}",
    confirm="ping -c 5 NODE",
    refs=("https://docs.kernel.org/networking/ip-sysctl.html",),
    situations={
        "nodes": Situation(
            title=Text(
                "{count} nodes are {times:.0f} times as far from the others as these are from each other: {node}",
                "有 {count} 个节点与其他节点的往返时间是其他节点之间的 {times:.0f} 倍：{node}",
            ),
            help=Text(
                "they are in another room, behind a VPN or on a routed subnet; place the job on nodes that are near "
                "each other",
                "它们位于其他机房、VPN 之后或其他网段；请将作业放在彼此邻近的节点上",
            ),
            look="traceroute -n {target}   # on {good}",
        ),
        "places": Situation(
            title=Text(
                "the nodes are at {count} places, {slow:.3g} ms from each other",
                "节点分布在 {count} 处，彼此往返 {slow:.3g} 毫秒",
            ),
            seen=Text(
                "shortest round trips over TCP: {usual:.3g} ms within a place, {slow:.3g} ms between them: {places}",
                "TCP 最短往返时间：同处 {usual:.3g} 毫秒，异处 {slow:.3g} 毫秒：{places}",
            ),
            help=Text(
                "place the job on the nodes of one place; where it needs both, list nodes of a place next to each "
                "other, so that the ring leaves it once",
                "请将作业放在同一处的节点上；若必须跨越，请把同处的节点排在一起，使环只跨出一次",
            ),
            look="traceroute -n {target}   # on {good}",
        ),
        "path": Situation(
            title=Text(
                "a message from {node} to {other} takes {times:.0f} times as long as between the other nodes",
                "{node} 与 {other} 之间的消息耗时是其他节点之间的 {times:.0f} 倍",
            ),
            seen=Text(
                "shortest round trips over TCP: {slow:.3g} ms between them, {usual:.3g} ms from either to the others",
                "TCP 最短往返时间：两者之间为 {slow:.3g} 毫秒，两者与其他节点之间为 {usual:.3g} 毫秒",
            ),
            help=Text(
                "packets between these two go a detour: a route or a tunnel that only one of them has",
                "两者之间的数据包绕了路：检查只有其中一方才有的路由或隧道",
            ),
            look="ip route get {address}; traceroute -n {target}   # on {node}",
        ),
        "all": Situation(
            severity=Severity.NOTE,
            title=Text(
                "the nodes are {slow:.3g} ms apart: an all-reduce takes at least {least:.3g} ms, however small",
                "节点之间往返 {slow:.3g} 毫秒：再小的 all-reduce 也至少需要 {least:.3g} 毫秒",
            ),
            why=WAY_NOT_RATE,
            seen=Text(
                "shortest round trip over TCP {slow:.3g} ms; a ring of {count} nodes takes {steps} steps of half of it",
                "TCP 最短往返 {slow:.3g} 毫秒；{count} 个节点的环需要 {steps} 步，每步为其一半",
            ),
            help=BE_NEAR,
            look="sysctl net.ipv4.tcp_wmem net.ipv4.tcp_rmem   # on {node}",
        ),
        "all-measured": Situation(
            severity=Severity.NOTE,
            title=Text(
                "the nodes are {slow:.3g} ms apart: {bytes} bytes take {took:.3g} ms, and not for want of rate",
                "节点之间往返 {slow:.3g} 毫秒：{bytes} 字节耗时 {took:.3g} 毫秒，瓶颈不在带宽",
            ),
            why=WAY_NOT_RATE,
            seen=Text(
                "shortest round trip over TCP {slow:.3g} ms; a ring of {count} nodes takes {steps} steps of half of "
                "it, at least {least:.3g} ms for any size; half of the rate is reached from {half:.3g} MB on",
                "TCP 最短往返 {slow:.3g} 毫秒；{count} 个节点的环需要 {steps} 步，每步为其一半，任何大小至少 "
                "{least:.3g} 毫秒；从 {half:.3g} MB 起才能达到一半的速率",
            ),
            help=BE_NEAR,
            look="sysctl net.ipv4.tcp_wmem net.ipv4.tcp_rmem   # on {node}",
        ),
    },
)
TEN_GBIT = 1.25e9  # bytes a second


@check(LATENCY_HIGH)
def latency_high(result: AllreduceResult) -> Iterable[Finding]:
    """Who is far from all others, or from one; with nobody to compare with, what a long way costs."""
    for far in round_trips.far(result):
        if far.kind == "all":
            yield _all(far, result)
            continue
        good = [member.index for member in result.members if member.index not in far.ends]
        values: dict[str, Scalar] = {
            "node": hostlist.fold(result.named(end) for end in far.ends),
            "slow": far.us / 1e3,
            "usual": far.usual_us / 1e3,
            "times": far.us / max(far.usual_us, 1.0),
            "good": result.named(far.groups[0][0] if far.groups else good[0] if good else far.ends[0]),
            "target": shlex.quote(result.named(_target(far))),
        }
        if far.kind == "node":
            found = LATENCY_HIGH.found(**values)
        elif far.kind == "path":
            other = result.member(far.ends[1])
            values["node"], values["other"] = (result.named(end) for end in far.ends)
            found = LATENCY_HIGH.found("path", **values, address=shlex.quote(other.address) if other else None)
        elif far.kind == "nodes":
            found = LATENCY_HIGH.found("nodes", **values, count=len(far.ends))
        else:
            places = [hostlist.fold(result.named(end) for end in group) for group in far.groups]
            found = LATENCY_HIGH.found("places", **values, count=len(places), places="; ".join(places))
        yield replace(found, nodes=tuple(result.named(end) for end in far.ends))


def _target(far: round_trips.Far) -> int:
    """Whom to look for a way to, from a machine that is far from it."""
    return far.groups[1][0] if far.groups else far.ends[-1] if far.kind == "path" else far.ends[0]


def _all(far: round_trips.Far, result: AllreduceResult) -> Finding:
    machines = len(far.ends)
    wait_s = fabric.least_s(machines, median(round_trips.trips(result).values()) / 1e6)
    values: dict[str, Scalar] = {
        "node": result.named(far.ends[0]),
        "slow": far.us / 1e3,
        "count": machines,
        "steps": 2 * (machines - 1),
        "least": wait_s * 1e3,
        "window": TEN_GBIT * far.us / 1e6 / 1e6,
    }
    smallest = min(result.sizes, key=lambda size: size.bytes, default=None)
    rate = result.expected_busbw_gb_s
    if smallest is None or not rate or smallest.bytes >= fabric.half_at(rate, max(2, result.world_size), wait_s):
        found = LATENCY_HIGH.found("all", **values)
    else:
        half = fabric.half_at(rate, max(2, result.world_size), wait_s) / 1e6
        took = smallest.median_us / 1e3
        found = LATENCY_HIGH.found("all-measured", **values, bytes=smallest.bytes, took=took, half=half)
    return replace(found, nodes=tuple(result.named(end) for end in far.ends))


@summary
def line(result: AllreduceResult) -> tuple[Text, Mapping[str, Scalar]] | None:
    seen = round_trips.trips(result).values()
    if not seen:
        return None
    # Two digits, and never "1.5e+02".
    ends = dict.fromkeys(f"{us / 1e3:{'.0f' if us >= 9950 else '.2g'}}" for us in (min(seen), max(seen)))
    return Text("shortest round trips {ms} ms", "最短往返 {ms} 毫秒"), {"ms": "-".join(ends)}
