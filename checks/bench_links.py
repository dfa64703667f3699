"""Does one machine, one of its interfaces or one path between two of them hold back the others?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist, links, round_trips
from envdoctor.facts import link_fit as fit
from envdoctor.facts.allreduce import AllreduceResult, Pair
from envdoctor.knowledge import fabric
from envdoctor.model import Scalar

TOPIC = Topic("links", 950, Text("the links between the machines", "机器之间的链路"), bench=True)

FAILS = 0.1  # of what is usual: whoever waits for it does nothing else

LINK_SLOW = Problem(
    code="link-slow",
    severity=Severity.WARNING,
    title=Text(
        "{node} is slow: it carries {gbit:.3g} Gbit/s where the others carry {usual:.3g}",
        "{node} 较慢：只有 {gbit:.3g} Gbit/s，而其他机器为 {usual:.3g} Gbit/s",
    ),
    why=Text(
        "an all-reduce goes at the pace of the slowest link, on all nodes",
        "all-reduce 在所有节点上都以最慢链路的速度进行",
    ),
    seen=Text(
        "{node} {direction} slowly with {partners} {partners:partner|partners}, measured again with good ones; the "
        "path is not to blame",
        "{node} 与 {partners} 个对端之间均较慢（{direction}），与正常的对端复测结果相同；问题不在路径上",
    ),
    help=Text(
        "its interface, cable, switch port or rate limit: compare them with those of {good}; leave it out until then",
        "请将其网卡、线缆、交换机端口或限速设置与 {good} 比较；修复之前请勿使用该机器",
    ),
    look="ethtool -S INTERFACE | grep -E 'err|drop|discard'; tc qdisc show   # on {node}",
    confirm="envdoctor bench links",
    caused_by=("network-slow",),
    situations={
        "path": Situation(
            title=Text(
                "the path between {node} and {other} is slow: {gbit:.3g} Gbit/s where both carry {usual:.3g}",
                "{node} 与 {other} 之间的路径较慢：只有 {gbit:.3g} Gbit/s，而两者各自可达 {usual:.3g} Gbit/s",
            ),
            seen=Text(
                "{direction}; both reach {usual:.3g} Gbit/s with other machines, so neither of them is to blame",
                "{direction}；两者与其他机器之间都能达到 {usual:.3g} Gbit/s，所以问题不在这两台机器上",
            ),
            help=Text(
                "what lies between them: a switch, an uplink, a route or a firewall; place jobs so that neighbours in "
                "the ring do not cross it",
                "请检查两者之间的交换机、上行链路、路由或防火墙；排布作业时让环上的相邻节点避开它",
            ),
            look="traceroute -T -p 22 {target}   # on {node}",
        ),
        "nic": Situation(
            title=Text(
                "{interface} of {node} is slow: it carries {gbit:.3g} Gbit/s, those of the others {usual:.3g}",
                "{node} 的 {interface} 较慢：只有 {gbit:.3g} Gbit/s，而其他机器的同一网卡为 {usual:.3g} Gbit/s",
            ),
            seen=Text(
                "{node} {direction} slowly over {interface} with {partners} {partners:partner|partners}, measured "
                "again with good ones; "
                "its other interfaces are as fast as theirs",
                "{node} 经 {interface} 与 {partners} 个对端之间均较慢（{direction}），与正常的对端复测结果相同；"
                "该机器的其他网卡正常",
            ),
            help=Text(
                "the cable, switch port or rate limit of {interface}: compare it with that of {good}; until then leave "
                "it out of GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME on all nodes",
                "请将 {interface} 的线缆、交换机端口或限速设置与 {good} 比较；修复之前，请在所有节点的 "
                "GLOO_SOCKET_IFNAME 或 NCCL_SOCKET_IFNAME 中去掉它",
            ),
            look="ethtool -S {interface} | grep -E 'err|drop|discard'; tc qdisc show dev {interface}   # on {node}",
        ),
        "rail": Situation(
            title=Text(
                "{interface} is slow on all nodes: {gbit:.3g} Gbit/s where another interface carries {usual:.3g}",
                "{interface} 在所有节点上都较慢：只有 {gbit:.3g} Gbit/s，而另一网卡为 {usual:.3g} Gbit/s",
            ),
            seen=Text(
                "the median over the nodes, measured again; data is spread over both in equal parts",
                "为各节点的中位数，已复测；数据在各网卡之间平均分配",
            ),
            help=Text(
                "the switch or the uplink of that network, or a slower kind of link: leave it out of "
                "GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME unless both are meant to be used",
                "请检查该网络的交换机或上行链路，或者它本来就是较慢的链路：若并非有意同时使用，请从 "
                "GLOO_SOCKET_IFNAME 或 NCCL_SOCKET_IFNAME 中去掉它",
            ),
            look="ethtool {interface}; ip -s link show {interface}",
        ),
        "group": Situation(
            title=Text(
                "{hosts} are slow to all others: {gbit:.3g} Gbit/s each when all send far away, others {usual:.3g}",
                "{hosts} 到其他所有机器都较慢：同时向远处发送时每台只有 {gbit:.3g} Gbit/s，而其他机器为 "
                "{usual:.3g} Gbit/s",
            ),
            seen=Text(
                "the {count} of them reach {inside:.3g} Gbit/s among themselves; measured again while nobody else "
                "sent; one stream alone carries {alone:.3g} to the others",
                "这 {count} 台机器彼此之间能达到 {inside:.3g} Gbit/s；在其他机器不发送时复测结果相同；"
                "单独一条流到其他机器为 {alone:.3g} Gbit/s",
            ),
            help=Text(
                "what they share towards the others, most likely the uplink of their switch: a dead member of a "
                "bundle, errors, a lower speed than that of the switch of {good}; until then keep a job within them or "
                "without them, or order its nodes so that the ring goes in and out once",
                "请检查它们通向其他机器的共用部分，多半是其交换机的上行链路：链路聚合中失效的成员、误码，"
                "或速率低于 {good} 所在的交换机；修复之前，作业要么只用这些机器，要么不用它们，"
                "或者排布节点使环只进出一次",
            ),
            look="lldpcli show neighbors summary   # on {node}: the switch they share",
        ),
    },
)

DIRECTIONS = {(True, True): "sends and receives", (True, False): "sends", (False, True): "receives"}


def _far(one: fit.Culprit, pairs: Sequence[Pair], distances: Sequence[round_trips.Far]) -> list[float]:
    """The distances that it crosses, microseconds, the longest of each machine of a group; none where one is near."""
    if one.a < 0:
        return []
    longest = [
        max((far.us for far in distances if _crosses(end, one, pairs, far)), default=0.0)
        for end in one.group or (one.a,)
    ]
    return longest if all(longest) else []


def _crosses(end: int, one: fit.Culprit, pairs: Sequence[Pair], far: round_trips.Far) -> bool:
    """Whether one of its machines crosses a distance: to three quarters of its partners, for it is judged by the best
    quarter (`link_fit.upper_quartile`)."""
    if one.b is not None or one.group:
        return far.concerns(end, one.b)
    own = [pair for pair in pairs if end in (pair.a, pair.b)]
    return sum(far.concerns(pair.a, pair.b) for pair in own) >= 0.75 * len(own)


@check(LINK_SLOW)
def link_slow(result: AllreduceResult) -> Iterable[Finding]:
    """Machines and paths that were slow twice, by no fault of the processors."""
    distances = [far for far in round_trips.far(result) if far.kind != "all"]
    told = []
    for one in links.blamed(result.pairs):
        crossed = _far(one, result.pairs, distances)
        # A distance is told by itself (checks/bench_latency.py), which is enough where it explains all.
        if not crossed or not all(fabric.explained(us / 1e6, one.gb_s) for us in crossed):
            told.append((one, crossed))
    bad = {end for one, _ in told for end in (one.a, one.b, *one.group)}
    good = next((result.named(member.index) for member in result.members if member.index not in bad), "another")
    for one, crossed in told:
        nodes = (result.named(one.a),) if one.a >= 0 else tuple(member.node for member in result.members)
        values: dict[str, Scalar] = {
            "node": result.named(one.a),
            "gbit": one.gb_s * 8,
            "usual": one.usual * 8,
            "good": good,
        }
        interface = result.nic(max(0, one.a), one.rail) or None
        if one.a < 0:
            found = LINK_SLOW.found("rail", gbit=one.gb_s * 8, usual=one.usual * 8, interface=interface)
        elif one.group:
            nodes = tuple(result.named(end) for end in one.group)
            hosts = f"{hostlist.fold(nodes)} {interface or ''}".strip()
            found = LINK_SLOW.found(
                "group", **values, hosts=hosts, count=len(nodes), inside=(one.inside or 0.0) * 8,
                alone=(one.alone or 0.0) * 8, interface=interface,
            )  # fmt: skip
        elif one.b is None:
            direction = DIRECTIONS[one.sends, one.receives]
            partners = len({pair.b for pair in result.pairs if pair.a == one.a})
            situation = "nic" if interface else None
            found = LINK_SLOW.found(
                situation, **values, direction=direction, partners=partners, interface=interface
            )  # fmt: skip
        else:
            ends = [f"{result.named(end)} {result.nic(end, one.rail)}".strip() for end in (one.a, one.b)]
            arrow = (" <-> " if one.both_ways else " -> ").join(ends)
            other = result.named(one.b)
            found = LINK_SLOW.found("path", **values, other=other, target=shlex.quote(other), direction=arrow)
            nodes = (result.named(one.a), result.named(one.b))
        found = found.at(Severity.ERROR) if one.gb_s < FAILS * one.usual else found
        yield replace(found, nodes=nodes, because_of="latency-high" if crossed else None)


@summary
def line(result: AllreduceResult) -> tuple[Text, Mapping[str, Scalar]] | None:
    measured = [pair.gb_s for pair in result.pairs] or [way.gb_s for way in result.ways if way.gb_s is not None]
    if not measured:
        return Text("not measured; `envdoctor bench links` does", "未测量；请用 `envdoctor bench links`"), {}
    ends = dict.fromkeys(f"{8 * rate:.3g}" for rate in (min(measured), max(measured)))
    told = Text("{count} {count:stream|streams} over TCP, {gbit} Gbit/s", "{count} 条 TCP 数据流，{gbit} Gbit/s")
    return told, {"count": len(measured), "gbit": "-".join(ends)}
