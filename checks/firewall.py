"""Does a firewall stand between the nodes?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts import hostlist
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.environment import Environment
from envdoctor.facts.launch import launches, node_rank
from envdoctor.facts.rendezvous import RendezvousReach

TOPIC = Topic("rendezvous", 243, Text("firewalls between the nodes", "节点之间的防火墙"))

REJECTED = {"filtered": "rejected", "reset": "reset"}  # outcome -> situation
ALIVE = ("connected", "refused", "login")  # what tells of a host that lives
BLOCKED = ("timeout", "refused", "filtered", "mute")

WAITING = Text(
    "gloo and NCCL listen on random ports and connect both ways: the first collective hangs or fails",
    "gloo 与 NCCL 监听随机端口并双向连接：首个集合通信会挂起或失败",
)
OPEN_ALL = Text(
    "open the ports of net.ipv4.ip_local_port_range between the nodes, or narrow the range on all nodes "
    "(sysctl -w net.ipv4.ip_local_port_range='50000 51000') and open that",
    "请在节点之间开放 net.ipv4.ip_local_port_range 范围内的端口，或在所有节点上缩小该范围"
    "（sysctl -w net.ipv4.ip_local_port_range='50000 51000'）后再开放",
)

FIREWALL_BLOCKS_PORTS = Problem(
    code="firewall-blocks-ports",
    severity=Severity.ERROR,
    title=Text("{host} lives, but port {port} is silent", "{host} 在线，但端口 {port} 无应答"),
    why=Text(
        "a firewall drops the packets: the ranks of this node wait for the store until they time out",
        "防火墙丢弃了数据包：本节点的各 rank 会一直等待 store 直到超时",
    ),
    seen=Text(
        "{source}={host} is {address}; port {port}: no answer within 3 s, port 22: {elsewhere}",
        "{source}={host}，地址 {address}；端口 {port} 3 秒内无应答，端口 22：{elsewhere}",
    ),
    help=Text(
        "open the port between the nodes; NCCL also needs the ports of net.ipv4.ip_local_port_range, both ways",
        "请在节点之间开放该端口；NCCL 还需要双向开放 net.ipv4.ip_local_port_range 范围内的端口",
    ),
    command="sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT   # on {quoted}",
    confirm="nc -vz -w 3 MASTER_ADDR MASTER_PORT",
    situations={
        "rejected": Situation(
            title=Text(
                "a firewall rejects connections to port {port} of {host}", "防火墙拒绝连接 {host} 的端口 {port}"
            ),
            why=Text(
                "the ranks of this node cannot reach the store",
                "本节点的各 rank 无法连接 store",
            ),
            seen=Text(
                "{source}={host} is {address}; an ICMP message refuses port {port}, a closed port never sends one",
                "{source}={host}，地址 {address}；端口 {port} 被 ICMP 消息拒绝，而关闭的端口从不发送此类消息",
            ),
        ),
        "login-only": Situation(
            title=Text(
                "{host}:{port} is silent, though the login from {host} to this node works",
                "{host}:{port} 无应答，但从 {host} 到本节点的登录正常",
            ),
            seen=Text(
                "{source}={host} is {address}; ports {port} and 22: no answer within 3 s, though this node was "
                "logged in to from {address}",
                "{source}={host}，地址 {address}；端口 {port} 与 22 在 3 秒内均无应答，而本节点正是从 {address} 登录的",
            ),
            help=Text(
                "on one of the two a firewall lets the login pass and drops all else, perhaps only the answers: let "
                "both accept whatever comes from the other nodes",
                "两台机器之一的防火墙只放行登录，丢弃了其余数据包（也可能只丢弃应答）：请让双方都接受来自其他节点的全部数据",
            ),
            look="sudo nft list ruleset; sudo iptables -S   # on this node, then on {quoted}",
        ),
        "reset": Situation(
            title=Text(
                "a firewall resets connections to port {port} of {host}", "防火墙重置了到 {host} 端口 {port} 的连接"
            ),
            why=Text(
                "the ranks of this node cannot reach the store",
                "本节点的各 rank 无法连接 store",
            ),
            seen=Text(
                "{source}={host} is {address}; port {port} refuses this node, though rank 0 listens there and says so "
                "by another way",
                "{source}={host}，地址 {address}；端口 {port} 拒绝本节点，而 rank 0 正在监听，并已通过其他途径确认",
            ),
        ),
        "data-ports": Situation(
            title=Text(
                "{node} cannot reach the data ports of {other}: {outcome}; the other way: {back}",
                "{node} 无法连接 {other} 的数据端口：{outcome}；反方向：{back}",
            ),
            why=WAITING,
            seen=Text(
                "{other} ({address}) answers on the rendezvous port; a port of net.ipv4.ip_local_port_range: {outcome}",
                "{other}（{address}）在会合端口有应答；在 net.ipv4.ip_local_port_range 范围内的端口：{outcome}",
            ),
            help=OPEN_ALL,
            look="sudo nft list ruleset; sudo iptables -S   # on {other}, then on {node}",
        ),
        **{
            situation: Situation(
                title=title,
                why=WAITING,
                seen=Text(
                    "the {count} are {nodes}, which reach each other", "这 {count} 个节点是 {nodes}，它们彼此可达"
                ),
                help=OPEN_ALL,
                look="sudo nft list ruleset; sudo iptables -S   # on {node}",
            )
            for situation, title in (
                (
                    "data-ports-of-one",
                    Text(
                        "{count} nodes cannot reach the data ports of {node}: {outcome}",
                        "{count} 个节点无法连接 {node} 的数据端口：{outcome}",
                    ),
                ),
                (
                    "data-ports-from-one",
                    Text(
                        "{node} cannot reach the data ports of {count} nodes: {outcome}",
                        "{node} 无法连接 {count} 个节点的数据端口：{outcome}",
                    ),
                ),
            )
        },
    },
)


@check(FIREWALL_BLOCKS_PORTS)
def firewall_blocks_master(reach: RendezvousReach, environment: Environment | None) -> Iterable[Finding]:
    """The master's machine lives and its port is silent, or an ICMP message refuses it."""
    if environment is not None and node_rank(launches(environment)) == 0:
        return  # rank 0 is here, and the address is not: checks/master.py
    for target in reach.targets:
        alive = target.outcome == "timeout" and target.elsewhere in ALIVE
        if target.kind != "store" or target.local or not (alive or target.outcome in REJECTED):
            continue
        yield FIREWALL_BLOCKS_PORTS.found(
            REJECTED.get(target.outcome) or ("login-only" if target.elsewhere == "login" else None),
            host=target.host,
            quoted=shlex.quote(target.host),
            port=target.port,
            source=target.source,
            address=target.addresses[0] if target.addresses else None,
            outcome=target.outcome,
            elsewhere=target.elsewhere,
        )


@check(FIREWALL_BLOCKS_PORTS)
def firewall_blocks_data_ports(result: AllreduceResult | None) -> Iterable[Finding]:
    """All had met at the rendezvous port; then one could not connect to a port that another listens on."""
    if result is None:
        return
    tried = {(way.a, way.b): way for failure in result.on("dial") for way in failure.ways}
    blocked = {
        pair: way for pair, way in tried.items() if way.outcome in BLOCKED and not set(pair) & result.departed
    }  # fmt: skip
    told: set[tuple[int, int]] = set()
    # What several find at one node, or one finds at several, is that one's firewall, unless theirs do the same.
    for place, situation in ((1, "data-ports-of-one"), (0, "data-ports-from-one")):
        for end in sorted({pair[place] for pair in blocked}):
            alike = [pair for pair in blocked if pair[place] == end and pair not in told]
            like_it = {pair[place] for pair in blocked if pair[1 - place] != end}
            others = sorted(pair[1 - place] for pair in alike if pair[1 - place] not in like_it)
            if len(others) < 2:
                continue
            told.update(alike, ((b, a) for a, b in alike))
            found = FIREWALL_BLOCKS_PORTS.found(
                situation,
                node=result.named(end),
                nodes=hostlist.fold(result.named(other) for other in others),
                count=len(others),
                outcome=", ".join(sorted({blocked[pair].outcome for pair in alike})),
            )
            yield replace(found, nodes=(result.named(end),))
    for (a, b), way in blocked.items():
        back = tried.get((b, a))
        if (a, b) in told or (b, a) in told:
            continue
        told.add((a, b))
        member = result.member(b)
        found = FIREWALL_BLOCKS_PORTS.found(
            "data-ports",
            node=result.named(a),
            other=result.named(b),
            address=member.address if member else None,
            outcome=way.outcome,
            back=back.outcome if back is not None else "connected",
        )
        yield replace(found, nodes=tuple(dict.fromkeys((result.named(b), result.named(a)))))
