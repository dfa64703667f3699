"""Do the names of this machine and of the rendezvous hosts lead where they should?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.asked import Asked
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.launch import launches, node_count, several_nodes
from envdoctor.facts.names import HostNames, NameResolution, Resolution, is_loopback, numeric_address
from envdoctor.model import Scalar

TOPIC = Topic(
    "rendezvous", 244, Text("the names of this machine and of the rendezvous hosts", "本机名与会合主机名的解析")
)

HOSTNAME_LOOPBACK = Problem(
    code="hostname-loopback",
    severity=Severity.WARNING,
    title=Text(
        "this machine's own name {name} resolves to {address}",
        "本机名 {name} 解析为 {address}",
    ),
    why=Text(
        "gloo tells the other nodes this address unless GLOO_SOCKET_IFNAME is set: `Connection refused`",
        "除非设置 GLOO_SOCKET_IFNAME，gloo 会把该地址告知其他节点，导致 `Connection refused`",
    ),
    seen=Text("{source}: {name} is {address}", "{source}：{name} 对应 {address}"),
    help=Text(
        "put the address that the other nodes reach first in /etc/hosts; Debian writes 127.0.1.1 there by itself",
        "请在 /etc/hosts 首行写入其他节点可达的地址；127.0.1.1 是 Debian 自动写入的",
    ),
    command="sudo sed -i '1i {outward} {name}' /etc/hosts",
    confirm="getent ahosts $(hostname)",
    refs=("https://github.com/pytorch/pytorch/issues/150532",),
    situations={
        "torchrun": Situation(
            title=Text(
                "torchrun will tell the other nodes that the master is `{fully_qualified}`",
                "torchrun 会告诉其他节点主节点是 `{fully_qualified}`",
            ),
            why=Text(
                "each of the {nodes} nodes then looks for the master on itself, and all but one wait in vain",
                "{nodes} 个节点会各自在本机寻找主节点，除一个外都只会空等",
            ),
            seen=Text(
                "{source}: {name} is {address}; socket.getfqdn() is {fully_qualified}",
                "{source}：{name} 对应 {address}；socket.getfqdn() 为 {fully_qualified}",
            ),
            severity=Severity.ERROR,
        ),
        "master": Situation(
            title=Text(
                "{name}, the master in {variable}, resolves to {address} on this machine",
                "{variable} 中的主节点 {name} 在本机解析为 {address}",
            ),
            why=Text(
                "this node looks for the store on itself instead of on {name}, and waits in vain",
                "本节点会在自身而不是 {name} 上寻找 store，只会空等",
            ),
            seen=Text("{source}: {name} is {address}", "{source}：{name} 对应 {address}"),
            help=Text(
                "give {name} the address that this node reaches, in /etc/hosts or in the name server",
                "请在 /etc/hosts 或域名服务器中为 {name} 写入本节点可达的地址",
            ),
            look="grep -n {quoted} /etc/hosts",
            severity=Severity.ERROR,
        ),
    },
)

HOSTNAME_UNRESOLVABLE = Problem(
    code="hostname-unresolvable",
    severity=Severity.ERROR,
    title=Text("{name}, named by {variable}, does not resolve", "{variable} 指定的主机名 {name} 无法解析"),
    why=Text(
        "no rank of this node finds the store: `Name or service not known`, or waiting until the timeout",
        "本节点的 rank 都找不到 store：报错 `Name or service not known`，或一直等到超时",
    ),
    seen=Text("getaddrinfo({name}): {error}", "getaddrinfo({name}) 返回：{error}"),
    help=Text(
        "use the address in place of the name, or add the name to /etc/hosts on every node",
        "请直接使用 IP 地址，或在每个节点的 /etc/hosts 中添加该名称",
    ),
    look="getent ahosts {quoted}",
    confirm="getent ahosts HOST",
    caused_by=("master-addr-malformed",),
    situations={
        "own": Situation(
            title=Text("this machine's own name {name} does not resolve", "本机名 {name} 无法解析"),
            why=Text(
                "torchrun with an endpoint stops with `socket.gaierror`; gloo falls back on loopback",
                "指定端点的 torchrun 会因 `socket.gaierror` 退出；gloo 会退回到回环地址",
            ),
            command="echo '{outward} {name}' | sudo tee -a /etc/hosts",
        ),
        "pod": Situation(
            help=Text(
                "a pod's service name resolves once the master's pod exists: wait for it in an init container",
                "Pod 的服务名要等主 Pod 创建后才能解析：请在 init 容器中等待",
            ),
            severity=Severity.WARNING,
        ),
        "silent": Situation(
            title=Text("the name server does not answer for {name}", "域名服务器对 {name} 没有应答"),
            why=Text(
                "each look-up blocks for many seconds, and the ranks arrive late or never",
                "每次解析都会阻塞许多秒，各 rank 迟到或无法到达",
            ),
            seen=Text(
                "getaddrinfo({name}): no answer within 3 s",
                "getaddrinfo({name})：3 秒内无应答",
            ),
            look="cat /etc/resolv.conf",
        ),
    },
)

HOSTNAME_MISRESOLVED = Problem(
    code="hostname-misresolved",
    severity=Severity.WARNING,
    title=Text(
        "the name {name} is read as the number {address}",
        "名称 {name} 被当作数字地址 {address}",
    ),
    why=Text(
        "the resolver takes a name of digits for an IPv4 address: ranks connect to {address} and wait in vain",
        "解析器把纯数字名称当作 IPv4 地址：各 rank 会连接 {address} 而空等",
    ),
    seen=Text("inet_aton({name}) is {address} ({variable})", "inet_aton({name}) 为 {address}（{variable}）"),
    help=Text(
        "give the machine or container a name with a letter in it, or pass --master-addr and --local-addr",
        "请为机器或容器起一个含字母的名称，或指定 --master-addr 与 --local-addr",
    ),
    command="torchrun --master-addr=127.0.0.1 --local-addr=127.0.0.1 ...",
    confirm="getent ahosts $(hostname)",
    situations={
        "foreign": Situation(
            title=Text(
                "this machine's own name {name} leads to another machine: {address}",
                "本机名 {name} 指向了另一台机器：{address}",
            ),
            why=Text(
                "torchrun and gloo give this name or address to the other ranks, which then connect elsewhere",
                "torchrun 与 gloo 会把该名称或地址告知其他 rank，使它们连接到别处",
            ),
            seen=Text(
                "getaddrinfo({name}): {address}, none of them this machine's",
                "getaddrinfo({name})：{address}，均不属于本机",
            ),
            help=Text(
                "/etc/hosts or the name server has an old entry",
                "/etc/hosts 或域名服务器中有过期的记录",
            ),
            command="sudo sed -i '1i {outward} {name}' /etc/hosts",
        ),
    },
)

LOCAL_NAMES = ("localhost", "localhost.localdomain", "localhost4", "ip6-localhost", "ip6-loopback")


def _with_address(finding: Finding) -> Finding:
    """Without an address to write, or with a name that is none, there is no command, but a look."""
    writable = finding.evidence["outward"] and re.fullmatch(r"[\w.-]+", str(finding.evidence["name"]))
    return finding if writable else finding.mended_by("getent ahosts $(hostname)")


def _source(names: HostNames, name: str) -> str:
    line = names.loopback_line(name)
    return f"/etc/hosts:{line.line}" if line else "getaddrinfo"


@check(HOSTNAME_LOOPBACK)
def hostname_loopback(
    names: HostNames, resolution: NameResolution | None, environment: Environment, asked: Asked | None
) -> Iterable[Finding]:
    """Usual on a single machine; a trap as soon as several take part."""
    told = launches(environment)
    yield from _masters_on_loopback(names, resolution, environment)
    own = resolution.own if resolution else None
    line = names.loopback_line(names.name)
    if own is not None and own.addresses:
        address = own.addresses[0] if own.loopback_only else ""
    else:
        address = line.address if line else ""
    if not address or names.name in LOCAL_NAMES:
        return
    fully_qualified = resolution.fully_qualified if resolution else ""
    evidence: dict[str, Scalar] = {
        "name": names.name,
        "address": address,
        "source": _source(names, names.name),
        "outward": names.outward_address or None,
        "nodes": node_count(told),
        "fully_qualified": fully_qualified or None,
    }
    if several_nodes(told):
        if fully_qualified in LOCAL_NAMES and any(one.launcher.startswith("torchrun") for one in told):
            yield _with_address(HOSTNAME_LOOPBACK.found("torchrun", **evidence))
        elif not environment.get("GLOO_SOCKET_IFNAME"):
            yield _with_address(HOSTNAME_LOOPBACK.found(**evidence))
    elif asked is not None and not {"rendezvous", "hostname-loopback"}.isdisjoint(asked.topics):
        yield _with_address(HOSTNAME_LOOPBACK.found(**evidence)).at(Severity.NOTE)


def _masters_on_loopback(
    names: HostNames, resolution: NameResolution | None, environment: Environment
) -> Iterable[Finding]:
    """The master's name, which is not this machine's, leads to loopback: a copied /etc/hosts."""
    if resolution is None or not several_nodes(launches(environment)):
        return
    for found in resolution.resolutions:
        literal = found.name in LOCAL_NAMES or is_loopback(found.name)
        if found.source and found.name != names.name and found.loopback_only and not literal:
            yield HOSTNAME_LOOPBACK.found(
                "master",
                name=found.name,
                quoted=shlex.quote(found.name),
                address=found.addresses[0],
                variable=found.source,
                source=_source(names, found.name),
            )


@check(HOSTNAME_UNRESOLVABLE)
def hostname_unresolvable(
    resolution: NameResolution, names: HostNames, environment: Environment, host: Host | None
) -> Iterable[Finding]:
    """A rendezvous host that does not resolve stops training; the own name does so where nodes meet."""
    told = launches(environment)
    for found in resolution.resolutions:
        if found.addresses or numeric_address(found.name):
            continue
        evidence: dict[str, Scalar] = {
            "name": found.name,
            "quoted": shlex.quote(found.name),
            "variable": found.source or None,
            "error": found.error,
            "outward": names.outward_address or None,
        }
        if not found.in_time:
            finding = HOSTNAME_UNRESOLVABLE.found("silent", **evidence)
            yield finding if found.source else finding.at(Severity.WARNING)
        elif not found.source:
            finding = _with_address(HOSTNAME_UNRESOLVABLE.found("own", **evidence))
            yield finding if told else finding.at(Severity.WARNING)
        else:
            in_pod = host is not None and host.container == "kubernetes"
            yield HOSTNAME_UNRESOLVABLE.found("pod" if in_pod else None, **evidence)


@check(HOSTNAME_MISRESOLVED)
def hostname_misresolved(
    names: HostNames, resolution: NameResolution | None, environment: Environment
) -> Iterable[Finding]:
    """A name of digits, or an own name that leads to another machine."""
    told = launches(environment)
    own = resolution.own if resolution else None
    for name, variable in ((names.name, "hostname"), (environment.get("MASTER_ADDR") or "", "MASTER_ADDR")):
        address = numeric_address(name)
        if address:
            finding = HOSTNAME_MISRESOLVED.found(name=name, address=address, variable=variable)
            yield finding.at(Severity.ERROR) if told or variable == "MASTER_ADDR" else finding
    if own is not None and _leads_elsewhere(own):
        evidence: dict[str, Scalar] = {
            "name": own.name,
            "address": ", ".join(own.addresses),
            "outward": names.outward_address or None,
        }
        finding = _with_address(HOSTNAME_MISRESOLVED.found("foreign", **evidence))
        meant = several_nodes(told) or any(one.launcher.startswith("torchrun") for one in told)
        yield finding.at(Severity.ERROR) if meant else finding


def _leads_elsewhere(own: Resolution) -> bool:
    return bool(own.addresses) and not own.is_here and not own.loopback_only and not numeric_address(own.name)


@summary
def line(names: HostNames, resolution: NameResolution | None) -> tuple[Text, Mapping[str, Scalar]] | None:
    own = resolution.own if resolution else None
    if own is not None and own.addresses:
        return Text("{name} is {address}", "{name} 对应 {address}"), {"name": own.name, "address": own.addresses[0]}
    lines = names.lines_for(names.name)
    if lines:
        return Text("{name} is {address} in /etc/hosts", "/etc/hosts 中 {name} 对应 {address}"), {
            "name": names.name,
            "address": lines[0].address,
        }
    return Text("{name}, not in /etc/hosts", "{name}，不在 /etc/hosts 中"), {"name": names.name}
