"""Can rank 0 listen on the rendezvous port, and are address and port written as torch reads them?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.asked import Asked
from envdoctor.facts.environment import Environment
from envdoctor.facts.launch import Launch, launches, node_rank, process
from envdoctor.facts.rendezvous import RendezvousPort, RendezvousReach
from envdoctor.model import Scalar

TOPIC = Topic("rendezvous", 240, Text("the rendezvous address and port", "会合（rendezvous）地址与端口"))

PORT_IN_USE = Problem(
    code="port-in-use",
    severity=Severity.ERROR,
    title=Text("port {port} is held by `{command}`", "端口 {port} 已被 `{command}` 占用"),
    why=Text(
        "rank 0 cannot open its store there: `EADDRINUSE`, `address already in use`",
        "rank 0 无法在该端口建立 store：`EADDRINUSE`，即 `address already in use`",
    ),
    seen=Text(
        "binding [::]:{port} and 0.0.0.0:{port} gives EADDRINUSE; pid {pid} of {user} listens on {address}",
        "绑定 [::]:{port} 与 0.0.0.0:{port} 均返回 EADDRINUSE；用户 {user} 的进程 {pid} 正在监听 {address}",
    ),
    help=Text(
        "every node must use the same port; port {free_port} is free on this one. If pid {pid} is left over from an "
        "earlier run, ending it frees the port",
        "所有节点必须使用同一端口；本节点的 {free_port} 端口空闲。若进程 {pid} 是先前任务的残留，结束它即可释放端口",
    ),
    command="torchrun --master-port={free_port} ...",
    confirm='ss -ltnp "sport = :29500"',
    situations={
        "taken": Situation(
            title=Text(
                "port {port} of {node} was in use when rank 0 wanted it", "rank 0 需要时，{node} 的端口 {port} 已被占用"
            ),
            seen=Text(
                "{rung} on {node}: {error}; who held it cannot be seen any more",
                "{node} 的 {rung} 阶段：{error}；现已无法看到当时的占用者",
            ),
            help=Text(
                "another run with the same port came in between: wait until it has ended, or use another --master-port",
                "有另一个任务同时使用了该端口：请等它结束，或改用另一个 --master-port",
            ),
            look='ss -tnap "sport = :{port}"   # on {node}',
        ),
        "hidden": Situation(
            title=Text("port {port} is held by a process of {user}", "端口 {port} 已被用户 {user} 的进程占用"),
            seen=Text(
                "binding [::]:{port} and 0.0.0.0:{port} gives EADDRINUSE; a process of {user} that this user may not "
                "see listens on {address}",
                "绑定 [::]:{port} 与 0.0.0.0:{port} 均返回 EADDRINUSE；"
                "用户 {user} 的一个当前用户无权查看的进程正在监听 "
                "{address}",
            ),
            help=Text(
                "every node must use the same port; port {free_port} is free on this one",
                "所有节点必须使用同一端口；本节点的 {free_port} 端口空闲",
            ),
        ),
        "unseen": Situation(
            title=Text("port {port} cannot be bound: it is in use", "端口 {port} 无法绑定：已被占用"),
            seen=Text(
                "binding [::]:{port} and 0.0.0.0:{port} gives EADDRINUSE; /proc/net/tcp names no holder",
                "绑定 [::]:{port} 与 0.0.0.0:{port} 均返回 EADDRINUSE；/proc/net/tcp 中未见占用者",
            ),
            help=Text(
                "every node must use the same port; port {free_port} is free on this one",
                "所有节点必须使用同一端口；本节点的 {free_port} 端口空闲",
            ),
        ),
    },
)

PORT_IN_EPHEMERAL_RANGE = Problem(
    code="port-in-ephemeral-range",
    severity=Severity.NOTE,
    title=Text(
        "port {port} is among those the kernel gives to outgoing connections",
        "端口 {port} 位于内核分配给外连的临时端口范围内",
    ),
    why=Text(
        "any client on this machine may hold it when training starts, once in a while",
        "训练启动时，本机任意客户端都有可能恰好占用该端口",
    ),
    seen=Text(
        "net.ipv4.ip_local_port_range = {first} {last}; {source}={port}",
        "内核参数 net.ipv4.ip_local_port_range = {first} {last}；{source}={port}",
    ),
    help=Text(
        "choose a port below {first}, such as torch's 29500", "请选择小于 {first} 的端口，例如 torch 默认的 29500"
    ),
    confirm="cat /proc/sys/net/ipv4/ip_local_port_range",
)

MASTER_PORT_INVALID = Problem(
    code="master-port-invalid",
    severity=Severity.ERROR,
    title=Text("`{given}` is no port number", "`{given}` 不是端口号"),
    why=Text(
        "torch stops with a ValueError before any rank is contacted",
        "torch 会在联系其他 rank 之前抛出 ValueError",
    ),
    seen=Text("given as {source}={given}", "取值来源：{source}={given}"),
    help=Text("a whole number from 1024 to 65535", "应为 1024 到 65535 之间的整数"),
    command="export {source}=29500",
    confirm="env | grep _PORT",
    situations={
        "list": Situation(
            title=Text("{source} holds a list of ports: `{given}`", "{source} 是端口列表：`{given}`"),
            help=Text(
                "the platform reserved several ports; the first one serves as the master port",
                "平台预留了多个端口；取第一个作为主端口",
            ),
            command="export {source}=${{{source}%%,*}}",
        ),
        "privileged": Situation(
            title=Text("port {given} is for root only", "端口 {given} 仅限 root 使用"),
            why=Text(
                "rank 0 cannot open its store there: `Permission denied`",
                "rank 0 无法在该端口建立 store：`Permission denied`",
            ),
            seen=Text(
                "binding port {given} ({source}) gives EACCES",
                "绑定端口 {given}（{source}）返回 EACCES",
            ),
        ),
        "zero": Situation(
            title=Text("{source} is 0, a port of the kernel's choice", "{source} 为 0，即由内核任选端口"),
            why=Text(
                "rank 0 listens on a port that the other ranks cannot know",
                "rank 0 监听的端口其他 rank 无从得知",
            ),
            help=Text(
                "only torchrun can share such a port, given as --rdzv-endpoint=host:0 on one node",
                "只有 torchrun 能共享这样的端口（单节点，--rdzv-endpoint=host:0）",
            ),
            severity=Severity.WARNING,
        ),
    },
)

MASTER_ADDR_MALFORMED = Problem(
    code="master-addr-malformed",
    severity=Severity.ERROR,
    title=Text(
        "{variable} is `{value}`, which is no host name or address", "{variable} 的值 `{value}` 不是主机名或地址"
    ),
    why=Text(
        "the name does not resolve: every rank waits for the store until its timeout",
        "该名称无法解析：所有 rank 会一直等待 store 直到超时",
    ),
    seen=Text("environment: {variable}=`{value}`", "环境变量：{variable}=`{value}`"),
    help=Text(
        "the bare host name or address of rank 0, without scheme, port, brackets, quotes or blanks",
        "应为 rank 0 的主机名或地址本身，不带协议、端口、方括号、引号或空白",
    ),
    confirm="printenv MASTER_ADDR | od -c | head",
)

HOST = re.compile(r"^(?!-)[\w.-]+$")
ADDRESS_6 = re.compile(r"^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%[\w.-]+)?$")


def _hosted_here(told: tuple[Launch, ...], reach: RendezvousReach | None) -> bool:
    """Whether rank 0, which binds the port, may run on this node."""
    stores = [target for target in (reach.targets if reach else ()) if target.kind == "store" and target.addresses]
    if stores:
        return any(target.local for target in stores)
    return (node_rank(told) or 0) == 0


@check(PORT_IN_USE)
def port_in_use(
    port: RendezvousPort, environment: Environment, asked: Asked | None, reach: RendezvousReach | None
) -> Iterable[Finding]:
    """Held by a process that is not of this job. An error where training is meant on that port, else a warning."""
    told = launches(environment)
    if not port.in_use or port.ours or not _hosted_here(told, reach):
        return
    holder = port.holders[0] if port.holders else None
    evidence: dict[str, Scalar] = {
        "port": port.port,
        "source": port.source,
        "free_port": port.free_port or None,
        "pid": holder.pid if holder else None,
        "user": holder.user if holder else None,
        "command": holder.command if holder else None,
        "address": holder.address if holder else None,
    }
    situation = "unseen" if holder is None else None if holder.pid else "hidden"
    finding = PORT_IN_USE.found(situation, **evidence).mended_by(_use_another(port))
    named = asked is not None and not {"rendezvous", "port-in-use"}.isdisjoint(asked.topics)
    meant = bool(port.source) or named or process(told) is not None
    yield finding if meant else finding.at(Severity.WARNING)


@check(PORT_IN_USE)
def port_was_in_use(result: AllreduceResult, port: RendezvousPort | None) -> Iterable[Finding]:
    """Rank 0 of a benchmark could not open it, and by now it is free: between its roll call and its store a run lets go
    of the port."""
    if port is not None and port.in_use:
        return  # who holds it is told above
    for failure in result.on("bind", "store"):
        if "EADDRINUSE" in failure.error or "already in use" in failure.error:
            node = result.named(failure.member)
            found = PORT_IN_USE.found(
                "taken",
                port=failure.port or result.master_port,
                node=node,
                rung=failure.rung,
                error=failure.error.splitlines()[0][:300],
            )
            yield replace(found, nodes=(node,))
            return


def _use_another(port: RendezvousPort) -> str:
    if not port.free_port:
        return f'ss -ltnp "sport = :{port.port}"'
    if port.source in ("MASTER_PORT", "PET_MASTER_PORT"):
        return f"export {port.source}={port.free_port}"
    return f"torchrun --master-port={port.free_port} ..."


@check(PORT_IN_EPHEMERAL_RANGE)
def port_in_ephemeral_range(port: RendezvousPort) -> Iterable[Finding]:
    """A chosen port; torch's usual ones lie below the range."""
    if port.source and port.may_be_taken_by_a_client:
        yield PORT_IN_EPHEMERAL_RANGE.found(
            port=port.port, source=port.source, first=port.ephemeral[0], last=port.ephemeral[1]
        )


@check(MASTER_PORT_INVALID)
def master_port_invalid(port: RendezvousPort) -> Iterable[Finding]:
    """What is set is no port, or none that this user may bind."""
    if not port.source:
        return
    if port.port is None:
        yield MASTER_PORT_INVALID.found("list" if "," in port.given else None, source=port.source, given=port.given)
    elif port.port == 0 and port.source == "MASTER_PORT":
        yield MASTER_PORT_INVALID.found("zero", source=port.source, given=port.given)
    elif port.error == "EACCES":
        finding = MASTER_PORT_INVALID.found("privileged", source=port.source, given=port.given)
        yield finding.mended_by("envdoctor check rendezvous --port 29500") if port.source == "--port" else finding


def meant_address(value: str) -> str:
    """The host that a malformed value most likely means, "" if none can be made out of it."""
    host = value.strip().strip("\"'` ").rstrip("/")
    host = re.sub(r"^[a-zA-Z][a-zA-Z0-9+.-]*://", "", host).partition("/")[0]
    bracketed = re.match(r"^\[([0-9A-Fa-f:.%\w]+)\](:\d+)?$", host)
    if bracketed:
        host = bracketed.group(1)
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    return host if HOST.match(host) or ADDRESS_6.match(host) else ""


@check(MASTER_ADDR_MALFORMED)
def master_addr_malformed(environment: Environment) -> Iterable[Finding]:
    """Neither a name nor an address. Blanks count: torch hands the value to the resolver as it is."""
    for name in ("MASTER_ADDR", "PET_MASTER_ADDR"):
        value = environment.get(name)
        if not value or HOST.match(value) or ADDRESS_6.match(value):
            continue
        meant = meant_address(value)
        finding = MASTER_ADDR_MALFORMED.found(variable=name, value=value, meant=meant or None)
        yield finding.mended_by(f"export {name}={meant}" if meant else f"export {name}=$(hostname -i)")


@summary
def line(port: RendezvousPort) -> tuple[Text, Mapping[str, Scalar]] | None:
    values: dict[str, Scalar] = {"port": port.port, "given": port.given}
    if port.port is None:
        return Text("{given} is no port", "{given} 不是端口号"), values
    if port.in_use and port.ours:
        return Text("port {port}, held by this job", "端口 {port}，由本任务占用"), values
    if port.error:
        return Text("port {port} cannot be bound", "端口 {port} 无法绑定"), values
    return Text("port {port} is free", "端口 {port} 空闲"), values
