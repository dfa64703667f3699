"""Does anything answer at the rendezvous endpoint, and is it the right machine?"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist
from envdoctor.facts.agreement import agreement
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.launch import Launch, launches, node_count, node_rank, process, several_nodes
from envdoctor.facts.names import HostNames, NameResolution, is_loopback, torchrun_recognises
from envdoctor.facts.nics import Nics
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.model import Scalar

TOPIC = Topic("rendezvous", 242, Text("reaching the rendezvous endpoint", "会合端点是否可达"))

PATIENCE_S = 2.0  # a benchmark that has been refused for longer than this was told to wait no longer

MASTER_UNREACHABLE = Problem(
    code="master-unreachable",
    severity=Severity.ERROR,
    title=Text("nothing answers at {host}:{port}", "{host}:{port} 无任何应答"),
    why=Text(
        "the ranks of this node wait for the store and give up after five minutes",
        "本节点的各 rank 会一直等待 store，五分钟后超时退出",
    ),
    seen=Text(
        "{source}={host} is {address}; connecting to port {port} and to port 22: no answer within 3 s",
        "{source}={host}，地址 {address}；连接端口 {port} 与 22 均在 3 秒内无应答",
    ),
    help=Text(
        "the address is wrong, or the machine is down or behind a firewall that drops everything",
        "地址有误，或该机器已关机，或防火墙丢弃了全部数据包",
    ),
    look="ping -c 3 {address}",
    confirm="nc -vz -w 3 MASTER_ADDR MASTER_PORT",
    caused_by=("master-addr-malformed", "hostname-misresolved"),
    situations={
        "apart": Situation(
            title=Text(
                "{host}:{port} does not answer this node, though rank 0 listens there",
                "rank 0 正在 {host}:{port} 监听，本节点却得不到应答",
            ),
            seen=Text(
                "{source}={host} is {address}; connecting to port {port} and to port 22: no answer within 3 s; rank 0 "
                "has told the doctor that it listens",
                "{source}={host}，地址 {address}；连接端口 {port} 与 22 均在 3 秒内无应答；rank 0 已确认正在监听",
            ),
            help=Text(
                "both machines are up, and packets between them vanish: a firewall on one of them drops them, or one "
                "of them sends them another way",
                "两台机器均在线，但它们之间的数据包丢失：其中一台的防火墙丢弃了数据包，或其路由走了别的路径",
            ),
            look="ip route get {address}; sudo nft list ruleset; sudo iptables -S   # on this node, then on {quoted}",
        ),
        "no-route": Situation(
            title=Text("there is no way to {host}: {outcome}", "无法到达 {host}：{outcome}"),
            seen=Text(
                "{source}={host} is {address}; connecting to port {port}: {outcome}",
                "{source}={host}，地址 {address}；连接端口 {port}：{outcome}",
            ),
            look="ip route get {address}",
        ),
        "lo-down": Situation(
            title=Text("lo is down, and {host} is reached over nothing else", "lo 未启用，而 {host} 只能经由它到达"),
            seen=Text("the way to {address}: {outcome}; lo: down", "到 {address} 的路径：{outcome}；lo：down"),
            why=Text(
                "the ranks of one machine meet over it, and much else does",
                "同一台机器的各 rank 经由它会合，许多程序也要用它",
            ),
            help=Text("bring it up, as root of this network namespace", "请以该网络命名空间的 root 身份启用它"),
            command="ip link set lo up",
        ),
        "refused": Situation(
            title=Text("{host} refuses connections to port {port}", "{host} 拒绝连接端口 {port}"),
            seen=Text(
                "{source}={host} is {address}; connecting to port {port}: refused",
                "{source}={host}，地址 {address}；连接端口 {port} 被拒绝",
            ),
            why=Text(
                "nobody listens there: that is so until rank 0 has started, and a fault afterwards",
                "该端口无人监听：在 rank 0 启动之前属正常，之后则为故障",
            ),
            help=Text(
                "is rank 0 running there, with this port? if it is, and waits, a firewall resets the connection",
                "请确认 rank 0 是否已在该机器上以此端口运行；若它已在等待，则是防火墙重置了连接",
            ),
            look="nc -vz -w 3 {quoted} {port}",
        ),
        "loopback": Situation(
            title=Text(
                "{source} is {host}, which is another machine on each of the {nodes} {nodes:node|nodes}",
                "{source}={host}，而在 {nodes} 个节点上它各自指向自身",
            ),
            why=Text(
                "every node waits for a store on itself, and all but the first wait in vain",
                "每个节点都在等待自身上的 store，除第一个节点外都只会空等",
            ),
            seen=Text(
                "environment: {source}={host}; {nodes} {nodes:node|nodes}",
                "环境变量：{source}={host}；共 {nodes} 个节点",
            ),
            help=Text(
                "set it on all nodes to the address of the first node, as the others see it",
                "请在所有节点上将其设为第一个节点对其他节点可见的地址",
            ),
        ),
        "foreign": Situation(
            title=Text("{host}:{port} is answered by something else", "{host}:{port} 应答的是别的程序"),
            seen=Text(
                "{source}={host} is {address}; what listens on port {port} says: {said}",
                "{source}={host}，地址 {address}；监听端口 {port} 的程序应答：{said}",
            ),
            why=Text(
                "another job, or another program, holds the port on that machine, and rank 0 cannot",
                "该机器上的端口被其他作业或程序占用，rank 0 无法使用",
            ),
            help=Text(
                "end what holds the port there, or give all nodes another --master-port",
                "请结束占用该端口的程序，或在所有节点上改用另一个 --master-port",
            ),
            look="ss -ltnp 'sport = :{port}'   # on {host}",
        ),
        "nodes-disagree": Situation(
            title=Text(
                "{node} is told the master {host}:{port}, {other_node} {other_host}:{other_port}",
                "{node} 的主节点为 {host}:{port}，{other_node} 的却是 {other_host}:{other_port}",
            ),
            why=Text(
                "the nodes wait for each other at different places",
                "各节点在不同的地方互相等待",
            ),
            seen=Text(
                "{source} and its port: {host}:{port} on {node}, {other_host}:{other_port} on {other_node}",
                "{source} 及其端口：{node} 上为 {host}:{port}，{other_node} 上为 {other_host}:{other_port}",
            ),
            help=Text(
                "set the same address and port on all nodes; a port drawn at random must be drawn once",
                "所有节点须设置相同的地址与端口；随机端口只能抽取一次",
            ),
            command="export MASTER_ADDR={quoted} MASTER_PORT={port}",
        ),
        "not-here": Situation(
            title=Text(
                "rank 0 runs here, {source} leads elsewhere: {host}", "rank 0 在本机，{source} 却指向别处：{host}"
            ),
            why=Text(
                "rank 0 opens the store on this machine while all ranks, itself included, look for it at {address}",
                "rank 0 在本机建立 store，而包括它自己在内的所有 rank 都去 {address} 寻找",
            ),
            seen=Text(
                "{source}={host} is {address}, no address of this machine; this is node 0",
                "{source}={host}，地址 {address}，不属于本机；本机为节点 0",
            ),
            help=Text("set it to an address of this machine", "请将其设为本机地址"),
            command="export {source}={outward}",
        ),
    },
)

RDZV_HOST_NOT_LOCAL = Problem(
    code="rdzv-host-not-local",
    severity=Severity.ERROR,
    title=Text(
        "torchrun does not recognise {host} as this machine, though it is",
        "{host} 就是本机，但 torchrun 认不出来",
    ),
    why=Text(
        "no node starts the store: all of them connect to it until `RendezvousConnectionError`",
        "没有节点会启动 store：所有节点都去连接它，最终 `RendezvousConnectionError`",
    ),
    seen=Text(
        "PET_RDZV_ENDPOINT names {host} ({address}), an address of this machine; its own name {name} resolves to {own}",
        "PET_RDZV_ENDPOINT 指向 {host}（{address}），属于本机；而本机名 {name} 解析为 {own}",
    ),
    help=Text(
        "torchrun compares the endpoint with what the machine's own name resolves to; say it outright on this node",
        "torchrun 将端点与本机名的解析结果比较；请在本节点上明确声明",
    ),
    command="torchrun --rdzv-conf=is_host=true ...",
    confirm="getent ahosts $(hostname)",
    refs=("https://docs.pytorch.org/docs/stable/elastic/rendezvous.html",),
    caused_by=("hostname-loopback", "hostname-misresolved", "hostname-unresolvable"),
    situations={
        "single": Situation(
            title=Text("the only node is not {host}, the rendezvous host", "唯一的节点并不是会合主机 {host}"),
            seen=Text(
                "PET_NNODES=1; PET_RDZV_ENDPOINT names {host} ({address}), no address of this machine",
                "PET_NNODES=1；PET_RDZV_ENDPOINT 指向 {host}（{address}），不属于本机",
            ),
            help=Text("one node needs no endpoint", "单节点无需指定端点"),
            command="torchrun --standalone ...",
        ),
    },
)

PROXY_INTERFERES = Problem(
    code="proxy-interferes",
    severity=Severity.NOTE,
    title=Text("{variable} also applies to {host}, the master", "{variable} 对主节点 {host} 同样生效"),
    why=Text(
        "what speaks HTTP or gRPC between the nodes may go through the proxy; torch's own store does not",
        "节点间使用 HTTP 或 gRPC 的组件可能会经过代理；torch 自身的 store 不受影响",
    ),
    seen=Text("{variable} is set; no_proxy={no_proxy}", "已设置 {variable}；no_proxy={no_proxy}"),
    help=Text("except the nodes from the proxy", "请将各节点排除在代理之外"),
    command="export no_proxy=$no_proxy,{quoted} NO_PROXY=$NO_PROXY,{quoted}",
    confirm="env | grep -i _proxy",
)


@check(MASTER_UNREACHABLE)
def master_is_loopback(environment: Environment) -> Iterable[Finding]:
    """localhost cannot be the same machine on several nodes."""
    told = launches(environment)
    if not several_nodes(told):
        return
    for launch in told:
        host = launch.master_addr
        if host == "localhost" or is_loopback(host):
            yield MASTER_UNREACHABLE.found(
                "loopback", source=launch.sources["master_addr"], host=host, nodes=node_count(told)
            ).mended_by(_first_host(environment))
            return


@check(MASTER_UNREACHABLE)
def nodes_name_one_master(environments: PerNode[Environment]) -> Iterable[Finding]:
    """Over the nodes that were examined: all are told the same address and port, as they are written."""
    named = _masters(environments)
    for launcher in sorted({launch.launcher for _, launch in named}):
        told = {node: launch for node, launch in named if launch.launcher == launcher}
        places = agreement({node: (launch.master_addr, launch.master_port) for node, launch in told.items()})
        if not places.differs:
            continue
        known, other = places.sides[0], places.sides[1]
        found = MASTER_UNREACHABLE.found(
            "nodes-disagree",
            source=told[known.nodes[0]].sources["master_addr"],
            node=hostlist.fold(known.nodes),
            host=known.value[0],
            quoted=shlex.quote(known.value[0]),
            port=known.value[1],
            other_node=hostlist.fold(other.nodes),
            other_host=other.value[0],
            other_port=other.value[1],
        )
        yield replace(found, nodes=places.odd_nodes)


def _masters(environments: PerNode[Environment]) -> list[tuple[str, Launch]]:
    """What names a master for several nodes, on each node."""
    return [
        (node, launch)
        for node, environment in environments.items()
        if isinstance(environment, Environment)
        for launch in launches(environment)
        if launch.master_addr and launch.several_nodes
    ]


def _first_host(environment: Environment) -> str:
    if environment.get("SLURM_JOB_NODELIST"):
        return 'export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
    return "hostname -I   # on the first node; export MASTER_ADDR to it on all nodes"


def _evidence(target: Target) -> dict[str, Scalar]:
    return {
        "host": target.host,
        "quoted": shlex.quote(target.host),
        "port": target.port,
        "source": target.source,
        "address": target.addresses[0] if target.addresses else None,
        "outcome": target.outcome,
    }


@check(MASTER_UNREACHABLE)
def master_unreachable(
    reach: RendezvousReach, environment: Environment, host: Host | None, names: HostNames | None, nics: Nics | None
) -> Iterable[Finding]:
    """Silence is a fault. A refusal is none before rank 0 has started, and one among torchrun's workers, or where it
    was waited for. A host that lives and keeps silent on the port is a firewall's work (checks/firewall.py)."""
    told = launches(environment)
    rank = process(told)
    for target in reach.targets:
        if target.kind != "store" or target.local or target.outcome in ("", "connected", "unresolvable"):
            continue
        evidence = _evidence(target)
        if target.source in ("MASTER_ADDR", "--master-addr") and node_rank(told) == 0:
            finding = MASTER_UNREACHABLE.found(
                "not-here", **evidence, outward=(names and names.outward_address) or None
            )
            # A service's or gateway's address may well lead back here.
            unsure = host is not None and host.container and not target.waited_s
            yield finding.at(Severity.WARNING) if unsure else finding
        elif target.outcome == "foreign":
            yield MASTER_UNREACHABLE.found("foreign", **evidence, said=target.error or None)
        elif target.outcome == "refused":
            finding = MASTER_UNREACHABLE.found("refused", **evidence)
            late = target.waited_s >= PATIENCE_S or (rank is not None and rank.launcher == "torchrun")
            yield finding if late else finding.at(Severity.NOTE)
        elif target.outcome == "timeout" and target.elsewhere not in ("connected", "refused", "login"):
            yield MASTER_UNREACHABLE.found("apart" if target.elsewhere == "listens" else None, **evidence)
        elif target.outcome not in ("timeout", "filtered", "reset", "unresolved-in-time"):
            yield MASTER_UNREACHABLE.found("lo-down" if _lo_is_down(target, nics) else "no-route", **evidence)


def _lo_is_down(target: Target, nics: Nics | None) -> bool:
    """Whether that is why there is no way: it is, in a network namespace that nobody has set up."""
    lo = nics.owner(target.addresses[0]) if nics and target.addresses else None
    return lo is not None and lo.kind == "loopback" and not lo.up


@check(RDZV_HOST_NOT_LOCAL)
def rdzv_host_not_local(
    reach: RendezvousReach, names: HostNames, resolution: NameResolution, environment: Environment
) -> Iterable[Finding]:
    """Only the c10d backend guesses which node is the host; the static one goes by the node rank."""
    if environment.get("PET_RDZV_BACKEND") != "c10d" or "is_host" in (environment.get("PET_RDZV_CONF") or ""):
        return
    target = next((one for one in reach.targets if one.source == "PET_RDZV_ENDPOINT" and one.addresses), None)
    if target is None:
        return
    own = resolution.own
    evidence: dict[str, Scalar] = {
        **_evidence(target),
        "name": names.name,
        "own": ", ".join(own.addresses) if own and own.addresses else None,
    }
    if not target.local and node_count(launches(environment)) == 1:
        yield RDZV_HOST_NOT_LOCAL.found("single", **evidence)
    elif target.local and not torchrun_recognises(target.host, names.name, own, resolution.of(target.host)):
        yield RDZV_HOST_NOT_LOCAL.found(**evidence)


def excepted(host: str, no_proxy: str) -> bool:
    """Whether a no_proxy list covers a host: `*`, a name, a domain suffix, an address or a network."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if not entry:
            continue
        bare = entry.removeprefix("*").removeprefix(".")
        if entry == "*" or host.lower() == bare or (bare and host.lower().endswith("." + bare)):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


@check(PROXY_INTERFERES)
def proxy_interferes(environment: Environment) -> Iterable[Finding]:
    """Worth knowing on several nodes, and no more: TCPStore, gloo and NCCL know no proxy, python-etcd reads none."""
    told = launches(environment)
    variable = next((name for name in ("http_proxy", "HTTP_PROXY", "all_proxy") if environment.get(name)), None)
    host = next((launch.master_addr for launch in told if launch.master_addr), "")
    if variable is None or not host or is_loopback(host) or host == "localhost" or not several_nodes(told):
        return
    no_proxy = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not excepted(host, no_proxy):
        yield PROXY_INTERFERES.found(variable=variable, host=host, quoted=shlex.quote(host), no_proxy=no_proxy)


@summary
def line(reach: RendezvousReach) -> tuple[Text, Mapping[str, Scalar]] | None:
    if not reach.targets:
        return Text("no endpoint is named", "未指定端点"), {}
    target = reach.targets[0]
    values: dict[str, Scalar] = {"host": target.host, "port": target.port, "outcome": target.outcome}
    if target.local:
        return Text("{host} is this machine", "{host} 即本机"), values
    return Text("{host}:{port} {outcome}", "{host}:{port} {outcome}"), values
