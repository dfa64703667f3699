"""Does gloo on every node give the others an address of the network on which they find each other?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts import hostlist
from envdoctor.facts.allreduce import AllreduceResult, Member

TOPIC = Topic(
    "allreduce", 911, Text("the addresses that gloo gives to the others", "gloo 告知其他节点的地址"), bench=True
)

GLOO_INTERFACES_DIFFER = Problem(
    code="gloo-interfaces-differ",
    severity=Severity.WARNING,
    title=Text(
        "gloo on {hosts} gives the others {address} of {interface}, where they do not find it; it worked this time",
        "{hosts} 上的 gloo 把 {interface} 的 {address} 告知其他节点，而它们并不在该网络上与其通信；这次只是碰巧可用",
    ),
    why=Text(
        "of two ranks the one with the lower address is connected to, so this one was not tried: with other nodes, or "
        "two of this kind, init_process_group hangs or fails",
        "两个 rank 之间由地址较大者连接地址较小者，所以这个地址未被用到：换了节点，或有两个这样的节点，"
        "init_process_group 就会挂起或失败",
    ),
    seen=Text(
        "the others find {node} at {found}; gloo gives\n{shown}",
        "其他节点通过 {found} 找到 {node}；gloo 告知的地址\n{shown}",
    ),
    help=Text(
        "let GLOO_SOCKET_IFNAME name on {hosts} the interface that holds {found}; without the variable gloo takes the "
        "address of the host's own name",
        "请在 {hosts} 上用 GLOO_SOCKET_IFNAME 指定持有 {found} 的接口；不设该变量时 gloo 使用本机主机名对应的地址",
    ),
    look="ip -br address; getent hosts $(hostname); env | grep GLOO   # on {node}",
    confirm="envdoctor bench allreduce --sizes 8:64K",
    refs=("https://docs.pytorch.org/docs/stable/distributed.html",),
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(member: Member) -> Network | None:
    """The network of the address that gloo gives; None where it is not known."""
    try:
        return ipaddress.ip_network(member.gloo[1], strict=False)
    except (IndexError, ValueError):
        return None


def _at_home(member: Member, network: Network) -> bool:
    """Whether the others find this node in the same network."""
    try:
        return ipaddress.ip_address(member.address.partition("%")[0]) in network
    except ValueError:
        return True  # a name, of which nothing is known


def _untried(member: Member, others: Sequence[Member]) -> bool:
    """Whether nobody had to connect to the address that gloo gives there: who gives a greater one connects (isInitiator
    in gloo/transport/tcp/device.cc). One that was connected to leads there, whatever network it is of."""
    own = ipaddress.ip_interface(member.gloo[1]).ip
    addresses = (ipaddress.ip_interface(other.gloo[1]).ip for other in others if other is not member)
    return not any(other.version == own.version and int(other) > int(own) for other in addresses)


@check(GLOO_INTERFACES_DIFFER)
def gloo_interfaces_differ(result: AllreduceResult) -> Iterable[Finding]:
    """Some nodes give an address of the network they are found in, and others one that nobody has tried. Where all give
    another one, that is meant; where each is found in a network of its own, the networks are routed."""
    first: dict[str, Member] = {}
    for member in result.members:
        first.setdefault(member.host or member.node, member)
    networks = {member.index: network for member in first.values() if (network := _network(member)) is not None}
    told = [member for member in first.values() if member.index in networks]
    astray = [member for member in told if not _at_home(member, networks[member.index])]
    odd = [member for member in astray if _untried(member, told)]
    if len(set(networks.values())) < 2 or not odd or len(astray) == len(told):
        return
    node = odd[0]
    yield replace(
        GLOO_INTERFACES_DIFFER.found(
            hosts=hostlist.fold(member.node for member in odd),
            node=node.node,
            found=node.address,
            interface=node.gloo[0],
            address=node.gloo[1].partition("/")[0],
            shown="\n".join(_sides(told)),
        ),
        nodes=tuple(member.node for member in odd),
    )


def _sides(members: Sequence[Member]) -> list[str]:
    """Who gives an address of which interface: "gpu[0-3]: eth0 10.0.0.1/24", the first address of each."""
    sides: dict[tuple[str, Network | None], list[Member]] = {}
    for member in members:
        sides.setdefault((member.gloo[0], _network(member)), []).append(member)
    return [
        f"{hostlist.fold(member.node for member in alike)}: {' '.join(alike[0].gloo)}"
        + (" ..." if len(alike) > 1 else "")
        for alike in sides.values()
    ]
