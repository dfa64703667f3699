"""Are the links of one kind, where no single machine or path is to blame for what is slow?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts import hostlist, link_kinds
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.link_kinds import Group, Uneven
from envdoctor.facts.nics import Nics
from envdoctor.facts.sending import interface, rated_gbit
from envdoctor.knowledge import fabric
from envdoctor.model import Scalar

TOPIC = Topic("links", 951, Text("whether the links are of one kind", "各链路是否同一种"), bench=True)

HALF = 0.5  # of its link a machine carries at least, where that is what it was made for

LINKS_UNEVEN = Problem(
    code="links-uneven",
    severity=Severity.NOTE,
    title=Text(
        "{count} of {of} nodes carry less than the others: {hosts} at best {gbit:.3g} Gbit/s, {others} {usual:.3g}",
        "{of} 个节点中有 {count} 个较慢：{hosts} 最高 {gbit:.3g} Gbit/s，{others} 为 {usual:.3g} Gbit/s",
    ),
    why=Text(
        "an all-reduce over all of them goes at the pace of the slower ones",
        "包含全部节点的 all-reduce 以较慢节点的速度进行",
    ),
    seen=Text(
        "too many to call one of them the odd one out; alike are\n{shown}",
        "数量太多，无法说哪一个是例外；彼此相同的节点\n{shown}",
    ),
    help=Text(
        "if they are meant to differ, keep a job within one kind; if not, look for what the slower ones have in "
        "common: a switch, a rate limit, the kind of interface, other jobs on them",
        "若本就不同，请让作业只用同一种节点；否则请查找较慢节点的共同点：交换机、限速、网卡类型、其上的其他作业",
    ),
    look="ethtool INTERFACE | grep Speed; tc qdisc show   # on {node}, and on {good}",
    confirm="envdoctor bench links",
    caused_by=("network-slow",),
    situations={
        "as-made": Situation(
            seen=Text(
                "each kind carries what its interfaces are rated for\n{shown}",
                "每种节点都达到了其网卡的额定速率\n{shown}",
            ),
            help=Text(
                "keep a job within one kind; where it needs both, expect the pace of the slower one",
                "请让作业只用同一种节点；若必须混用，速度以较慢者为准",
            ),
            look="ethtool INTERFACE | grep Speed   # on {node}, and on {good}",
        ),
        "islands": Situation(
            title=Text(
                "{count} groups of nodes are fast among themselves and slow to each other: {gbit:.3g} Gbit/s where "
                "they carry {usual:.3g} within",
                "{count} 组节点组内快、组间慢：组间 {gbit:.3g} Gbit/s，组内 {usual:.3g} Gbit/s",
            ),
            why=Text(
                "an all-reduce over several of these groups goes at the pace of what lies between them",
                "跨组的 all-reduce 以组间路径的速度进行",
            ),
            seen=Text(
                "streams between two nodes at a time, those between groups measured again\n{shown}",
                "每次在两个节点之间测量，组间的已复测\n{shown}",
            ),
            help=Text(
                "what lies between the groups is to blame, not a node: an uplink between switches, a routed subnet, a "
                "firewall; keep a job within one group, or list the nodes group by group, so that the ring crosses "
                "between them as seldom as it can",
                "问题在组与组之间而非节点：交换机之间的上行链路、跨网段路由、防火墙；请让作业只用同一组，"
                "或按组排列节点，使环尽量少跨组",
            ),
            look="traceroute -n {target}   # on {node}",
        ),
        "paths": Situation(
            title=Text(
                "{count} of {of} streams between nodes are slow, and no node or group of them explains it: "
                "{gbit:.3g} Gbit/s where others carry {usual:.3g}",
                "{of} 条节点间数据流中有 {count} 条较慢，且没有节点或分组能解释：{gbit:.3g} Gbit/s，"
                "而其他为 {usual:.3g} Gbit/s",
            ),
            why=Text(
                "an all-reduce goes at the pace of the slowest path in its ring",
                "all-reduce 以环中最慢路径的速度进行",
            ),
            seen=Text("slow also when measured again, the slowest\n{shown}", "复测后仍然较慢，其中最慢的\n{shown}"),
            help=Text(
                "other traffic, a switch with too little capacity, or one of several parallel uplinks that is bad "
                "(each connection takes one of them): measure again at a quieter time, then look at the switch's "
                "counters",
                "其他流量、交换机容量不足，或多条并行上行链路中有一条异常（每条连接只走其中一条）："
                "请在空闲时再测一次，然后查看交换机计数器",
            ),
            look="traceroute -n {target}   # on {node}",
        ),
        "one-way": Situation(
            title=Text(
                "{node} sends to {other} at {gbit:.3g} Gbit/s, and takes {usual:.3g} from it",
                "{node} 发往 {other} 为 {gbit:.3g} Gbit/s，而反方向为 {usual:.3g} Gbit/s",
            ),
            why=Text(
                "an all-reduce goes at the pace of the slower direction",
                "all-reduce 以较慢方向的速度进行",
            ),
            seen=Text(
                "both directions at the same time, measured three times; with two nodes nothing tells which of them "
                "it is",
                "两个方向同时测量，共三次；只有两个节点，无法判断是哪一个的问题",
            ),
            help=Text(
                "what {node} sends with or {other} receives with: a rate limit, a duplex mismatch, a bad fibre of a "
                "pair; a third node would tell which",
                "问题在 {node} 的发送侧或 {other} 的接收侧：限速、双工不匹配、一对光纤中损坏的一根；"
                "加入第三个节点即可判断",
            ),
            look="tc -s qdisc show; ethtool -S INTERFACE | grep -E 'err|drop|discard'   # on {node}, and on {other}",
        ),
    },
)


@check(LINKS_UNEVEN)
def links_uneven(nics: PerNode[Nics], results: PerNode[AllreduceResult]) -> Iterable[Finding]:
    """More than a third of the nodes, or of as many paths, are slow, so nobody is the odd one out."""
    for holder, result in results.items():
        if isinstance(result, AllreduceResult) and result.pairs:
            for one in link_kinds.of_run(result):
                found = _found(one, result, holder, nics)
                yield replace(found, because_of="latency-high") if one.far else found


@dataclass(frozen=True)
class Rated:
    """An interface and what it is rated for, Gbit/s."""

    interface: str
    gbit: float


def _found(one: Uneven, result: AllreduceResult, holder: str, nics: PerNode[Nics]) -> Finding:
    def hosts(group: Group) -> str:
        over = result.nic(group.ends[0], one.rail)
        return f"{hostlist.fold(result.named(end) for end in group.ends)} {over}".strip()

    values: dict[str, Scalar] = {"gbit": one.gb_s * 8, "usual": one.usual * 8}
    if one.kind == "paths":
        ends = [(result.named(a), result.named(b), rate) for a, b, rate in one.paths]
        values.update(node=ends[0][0], target=shlex.quote(ends[0][1]), count=one.count, of=one.of)
        shown = [f"{a} -> {b}: {rate * 8:.3g} Gbit/s" for a, b, rate in ends]
        nodes = tuple(dict.fromkeys(name for a, b, _ in ends for name in (a, b)))
        return replace(LINKS_UNEVEN.found("paths", **values, shown="\n".join(shown)), nodes=nodes)
    first, last = one.groups[0], one.groups[-1]
    nodes = tuple(result.named(end) for group in one.groups for end in group.ends)
    if one.kind == "one-way":
        found = LINKS_UNEVEN.found("one-way", **values, node=result.named(first.ends[0]), other=hosts(last))
        return replace(found, nodes=nodes)
    rated = [_rated(group, one.rail, result, holder, nics) for group in one.groups]
    shown = [
        f"{hosts(group)}: {group.gb_s * 8:.3g} Gbit/s" + (f" ({made.interface} {made.gbit:g} Gbit/s)" if made else "")
        for group, made in zip(one.groups, rated, strict=True)
    ]
    values.update(node=result.named(last.ends[0]), shown="\n".join(shown))
    if one.kind == "islands":
        found = LINKS_UNEVEN.found(
            "islands", **values, count=len(one.groups), target=shlex.quote(result.named(first.ends[0]))
        )
        return replace(found, nodes=nodes)
    different = len({made.gbit for made in rated if made}) == len(rated)
    as_made = different and all(made and _carries(group, made) for group, made in zip(one.groups, rated, strict=True))
    slower = [end for group in one.groups[1:] for end in group.ends]
    found = LINKS_UNEVEN.found(
        "as-made" if as_made else None, **values, hosts=hosts(last), others=hosts(first), count=len(slower),
        of=len(nodes), good=result.named(first.ends[0]),
    )  # fmt: skip
    return replace(found, nodes=tuple(result.named(end) for end in sorted(slower)))


def _rated(one: Group, rail: int | None, result: AllreduceResult, holder: str, nics: PerNode[Nics]) -> Rated | None:
    """The interface of a group that is rated alike on all of its machines; None where one is not known or differs."""
    found = [interface(result, holder, nics, end, rail) for end in one.ends]
    rates = {rated_gbit(nic) for nic in found}
    (gbit,) = rates if len(rates) == 1 else (None,)
    return Rated(found[0].name, gbit) if found[0] is not None and gbit is not None else None


def _carries(group: Group, rated: Rated) -> bool:
    """Whether a group carries what its interfaces are made for, or one connection of them can."""
    return group.gb_s >= HALF * min(rated.gbit / 8, fabric.ONE_CONNECTION_GB_S)
