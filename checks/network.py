"""Which interface will NCCL and gloo use, and can other nodes be reached over it?"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, each, summary
from envdoctor.facts import hostlist
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.meeting import Chosen, misfits
from envdoctor.facts.names import HostNames, NameResolution
from envdoctor.facts.nccl import NcclSettings, View, view, view_of
from envdoctor.facts.nics import Address, Nic, Nics
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import of, peers
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.reach import barrier, best
from envdoctor.facts.several_nodes import Scale, scale
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.socket_choice import Choice, gloo_choice, nccl_choice, own_addresses
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Scalar

TOPIC = Topic("network", 200, Text("the network interface NCCL and gloo will use", "NCCL 与 gloo 将使用的网络接口"))

NCCL_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
# What docker and podman give their first bridge unless told otherwise, and slirp4netns a rootless container.
ENGINE_NETWORKS = tuple(map(ipaddress.ip_network, ("172.17.0.0/16", "10.88.0.0/16", "10.0.2.0/24")))
DOCKER_POOL = ipaddress.ip_network("172.16.0.0/12")
# A private network may well lead to the other nodes, slowly.
MAY_REACH = ("vpn", "overlay")

WRONG_INTERFACE = Problem(
    code="wrong-interface",
    severity=Severity.ERROR,
    title=Text(
        "NCCL will talk through `{interface}`, which other nodes cannot reach",
        "NCCL 将通过 `{interface}` 通信，而其他节点无法到达该接口",
    ),
    why=Text(
        "over several nodes every rank waits in init_process_group or its first collective until it times out",
        "多机训练时，各 rank 会卡在 init_process_group 或首个集合通信操作，直到超时",
    ),
    seen=Text(
        "{decided}\n{interface} {address}: {kind}\n{better} {better_address}: {why_better}\n{scale}",
        "{decided}\n所选接口 {interface} {address}：{kind}\n可用接口 {better} {better_address}：{why_better}\n{scale}",
    ),
    command="export NCCL_SOCKET_IFNAME='={better}'",
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E 'Bootstrap ?: Using|NET/Socket : Using'",
    caused_by=("hostname-loopback", "hostname-unresolvable"),
    refs=(NCCL_PAGE,),
    situations={
        "gloo": Situation(
            title=Text(
                "gloo will talk through `{interface}`, which other nodes cannot reach",
                "gloo 将通过 `{interface}` 通信，而其他节点无法到达该接口",
            ),
            why=Text(
                "gloo tells this address to the other ranks, who connect to it and are refused or time out",
                "gloo 会把该地址告知其他 rank，对方连接时被拒绝或超时",
            ),
            command="export GLOO_SOCKET_IFNAME={better}",
        ),
        "also": Situation(
            title=Text(
                "NCCL's socket transport will also use `{interface}`, which other nodes cannot reach",
                "NCCL 的 socket 传输还会使用其他节点无法到达的 `{interface}`",
            ),
            why=Text(
                "start-up goes over {first}; channels that are put on {interface} hang or time out in the first "
                "collective",
                "启动阶段走 {first}；分配到 {interface} 的通道会在首个集合通信操作时挂起或超时",
            ),
            severity=Severity.WARNING,
        ),
        "private": Situation(
            title=Text(
                "NCCL will talk through `{interface}`, a private or overlay network",
                "NCCL 将通过 `{interface}`（VPN 或 overlay 网络）通信",
            ),
            why=Text(
                "a tunnel is slow, and its small MTU stalls large messages, where it leads to the other nodes at all",
                "隧道即使能到达其他节点，也很慢，而且 MTU 较小，会使大消息停滞",
            ),
            severity=Severity.WARNING,
        ),
        "same-address": Situation(
            title=Text(
                "NCCL will use {address} on {nodes}: one address on {count} nodes",
                "NCCL 将在 {nodes} 上使用同一个地址 {address}（共 {count} 个节点）",
            ),
            why=Text(
                "each node connects to itself where it means another one, and all wait until they time out",
                "节点本想连接其他节点，实际却连到自己，全部等待直到超时",
            ),
            seen=Text("{address} of {interface} on {nodes}", "{nodes} 上的 {interface} 均为 {address}"),
            help=Text(
                "name an interface with an address of its own on every node: NCCL_SOCKET_IFNAME, GLOO_SOCKET_IFNAME",
                "请用 NCCL_SOCKET_IFNAME 与 GLOO_SOCKET_IFNAME 指定各节点地址互不相同的接口",
            ),
            look="ip -br address",
        ),
        "no-way": Situation(
            title=Text(
                "no route leads from {nodes} to {network}, where NCCL will be on {others}",
                "{nodes} 没有通往 {network} 的路由，而 NCCL 在 {others} 上将使用该网络",
            ),
            why=Text(
                "the ranks there are told addresses that they cannot reach, and end with an error or a time-out",
                "这些 rank 得到的地址无法到达，最终报错或超时",
            ),
            seen=Text(
                "{others}: {interface} in {network}\n{nodes}: no route to it",
                "{others}：{interface} 位于 {network}\n{nodes}：没有到该网络的路由",
            ),
            help=Text(
                "let NCCL_SOCKET_IFNAME name on every node the interface of the network that all of them share",
                "请在各节点用 NCCL_SOCKET_IFNAME 指定共有网络的接口",
            ),
            look="ip route",
        ),
        "another-network": Situation(
            title=Text(
                "NCCL will use {interface} ({network}) on {nodes}, and the network {usual} on the other {usual_count}",
                "NCCL 在 {nodes} 上将使用 {interface}（{network}），在其余 {usual_count} 个节点上使用网络 {usual}",
            ),
            why=Text(
                "the nodes share a network and meet over another one, which may be slower, or closed between them",
                "各节点有共同网络却会走另一网络，可能更慢或互不相通",
            ),
            seen=Text(
                "{nodes}: {interface}, though {better} is in {usual}",
                "{nodes}：选用 {interface}，但 {better} 位于 {usual}",
            ),
            command="export NCCL_SOCKET_IFNAME='={better}'",
            severity=Severity.WARNING,
        ),
    },
)

CONTAINER_BRIDGE_NETWORK = Problem(
    code="container-bridge-network",
    severity=Severity.ERROR,
    title=Text(
        "this container sits on a bridge network, and training over several nodes is meant",
        "容器位于 bridge 网络中，却要进行多机训练",
    ),
    why=Text(
        "NCCL and gloo tell {address} to ranks on other hosts, which cannot reach it; they listen on random ports, so "
        "publishing ports does not help",
        "NCCL 与 gloo 会把 {address} 告知其他主机上的 rank，而对方无法到达；监听端口是随机的，映射端口也无济于事",
    ),
    seen=Text(
        "{interface} {address}, a {kind} of {container}\n{scale}",
        "{interface} {address}，{container} 的 {kind}\n{scale}",
    ),
    command="docker run --network=host --ipc=host ...",
    confirm="ip -br address",
    refs=("https://docs.docker.com/engine/network/drivers/host/",),
)


def _decided(choice: Choice, seen: View) -> str:
    if choice.by_variable:
        return f"{choice.by}={choice.value} ({seen.source(choice.by) or 'environment'})"
    if choice.by in ("hostname", "fallback"):
        return "GLOO_SOCKET_IFNAME unset; hostname -> " + choice.addresses[0].address
    return "NCCL_SOCKET_IFNAME unset -> " + ", ".join(address.label for address in choice.addresses)


def _evidence(
    nics: Nics, choice: Choice, taken: Address, better: Nic | None, seen: View, told: Scale
) -> dict[str, Scalar]:
    nic = nics.nic(taken.interface)
    addresses = nics.addresses_of(better.name) if better else ()
    return {
        "interface": taken.label,
        "address": str(taken),
        "kind": " / ".join(dict.fromkeys((nic.kind if nic else "?", barrier(nics, taken.interface, taken.family)))),
        "better": better.name if better else None,
        "better_address": str(addresses[0]) if addresses else None,
        "why_better": "route -> MASTER_ADDR" if better and better == nics.to_master else "default route",
        "decided": _decided(choice, seen),
        "scale": told.shown_by or "WORLD_SIZE, NNODES: unset",
    }


def _severity(told: Scale, choice: Choice) -> Severity:
    """Several nodes cannot work; one can. Where nothing tells, a choice by hand says that somebody means to."""
    if told.several is None and choice.by_variable:
        return Severity.WARNING
    return Severity.ERROR if told.several else Severity.NOTE


@check(WRONG_INTERFACE)
def nccl_interface(
    nics: Nics,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    rdma: Rdma | None,
    resolution: NameResolution | None,
    host: Host | None,
    shell: ShellFiles | None,
) -> Iterable[Finding]:
    """The first interface NCCL takes has a barrier, or one of the further ones where sockets carry the data."""
    seen = view(settings, environment, torch)
    choice = nccl_choice(nics, seen.get, seen.version)
    told, better = scale(environment, nics, resolution), best(nics)
    if choice.first is None:
        return
    obstacle = barrier(nics, choice.first.interface, choice.first.family)
    if obstacle in MAY_REACH:
        if better is not None and not choice.by_variable:
            evidence = _evidence(nics, choice, choice.first, better, seen, told)
            severity = Severity.WARNING if told.several else Severity.NOTE
            yield WRONG_INTERFACE.found("private", **evidence).at(severity)
    elif obstacle and (better is not None or told.several):
        finding = WRONG_INTERFACE.found(**_evidence(nics, choice, choice.first, better, seen, told))
        yield _mended(finding.at(_severity(told, choice)), seen.mend, better, _starts_here(host, shell))
    elif told.several and not (rdma is not None and rdma.active):
        for further in choice.addresses[1:]:
            obstacle = barrier(nics, further.interface, further.family)
            if obstacle and obstacle not in MAY_REACH:
                evidence = _evidence(nics, choice, further, better, seen, told)
                yield WRONG_INTERFACE.found("also", first=choice.first.label, **evidence)
                return


def _starts_here(host: Host | None, shell: ShellFiles | None) -> bool:
    """Whether training is started from the user's own shell, whose start-up files then decide: not in a container or
    job, nor where jobs are submitted."""
    if host is None or host.container or host.scheduler.kind:
        return False
    return shell is not None and not shell.sbatch


def _mended(finding: Finding, mend: Callable[[str, str], str], better: Nic | None, starts_here: bool) -> Finding:
    if better is None:
        return finding.mended_by("ip -br address")
    if starts_here:
        return finding.fixed_by("nccl-interface", better.name)
    if finding.situation == "gloo":
        return finding
    return finding.mended_by(mend("NCCL_SOCKET_IFNAME", f"={better.name}"))


@check(WRONG_INTERFACE)
def gloo_interface(
    nics: Nics,
    environment: Environment,
    names: HostNames | None,
    resolution: NameResolution | None,
    host: Host | None,
    shell: ShellFiles | None,
) -> Iterable[Finding]:
    """gloo's interface has a barrier. Its address comes from the own host name, which on many healthy single machines
    is 127.0.1.1: that is a problem only where several nodes take part, or where a variable chose it."""
    choice = gloo_choice(nics, environment.get, own_addresses(names, resolution))
    told, better = scale(environment, nics, resolution), best(nics)
    if choice.absent or not (told.several or (choice.by_variable and told.several is None)):
        return
    for taken in choice.addresses:
        obstacle = barrier(nics, taken.interface, taken.family)
        if obstacle and obstacle not in MAY_REACH and (better is not None or told.several):
            evidence = _evidence(nics, choice, taken, better, View({}), told)
            finding = WRONG_INTERFACE.found("gloo", **evidence).at(_severity(told, choice))
            yield _mended(finding, View({}).mend, better, _starts_here(host, shell))
            return


@check(WRONG_INTERFACE)
def nodes_meet(
    nics: PerNode[Nics],
    environments: PerNode[Environment],
    settings: PerNode[NcclSettings],
    installs: PerNode[TorchInstall],
    hosts: PerNode[Host],
    gpus: PerNode[Gpus],
    pci: PerNode[PciDevices],
) -> Iterable[Finding]:
    """Over the nodes that were examined: what each chooses leads to the others. One machine that was looked at twice is
    one."""
    chosen: dict[str, Chosen] = {}
    boots: set[str] = set()
    places = each(_place, nics, environments, settings, installs)
    for node, own in of(nics, peers(gpus, pci), Nics).items():
        host = hosts.get(node)
        boot = host.boot_id if isinstance(host, Host) else ""
        place = places.get(node) if boot not in boots else None
        if own is not None and place is not None:
            chosen[node] = Chosen(own, own.addresses[place])
            boots.update((boot,) if boot else ())
    for misfit in misfits(chosen):
        found = WRONG_INTERFACE.found(
            misfit.kind,
            nodes=hostlist.fold(misfit.nodes),
            others=hostlist.fold(misfit.others) or None,
            count=len(misfit.nodes),
            interface=misfit.interface,
            address=misfit.address or None,
            network=misfit.network or None,
            usual=misfit.usual or None,
            usual_count=misfit.usual_count or None,
            better=misfit.better or None,
        )
        yield replace(found, nodes=misfit.nodes)


def _place(nics: object, environment: object, settings: object, install: object) -> int | None:
    """Where the address that NCCL takes stands among those of a node."""
    if not isinstance(nics, Nics):
        return None
    seen = view_of(settings, environment, install)
    first = nccl_choice(nics, seen.get, seen.version).first
    return next((place for place, address in enumerate(nics.addresses) if address is first), None)


@check(CONTAINER_BRIDGE_NETWORK)
def container_bridge_network(
    nics: Nics, host: Host, environment: Environment, resolution: NameResolution | None
) -> Iterable[Finding]:
    """Inside docker or podman, on the engine's own first network, with several nodes meant.

    Networks made by `docker network create` come from 172.16.0.0/12 too, but so do some real ones, and several
    containers of one host may share one: there it is a warning.
    """
    told, nic = scale(environment, nics, resolution), nics.default
    if host.container not in ("docker", "podman") or not told.several or nic is None or nic.kind not in ("veth", "tun"):
        return
    own = next((address for address in nics.addresses_of(nic.name) if address.family == 4), None)
    if own is None:
        return
    address = ipaddress.ip_address(own.address)
    shared = bool(nics.master) and ":" not in nics.master and own.holds(nics.master)
    evidence: dict[str, Scalar] = {
        "interface": nic.name,
        "address": str(own),
        "kind": nic.kind,
        "container": host.container,
        "scale": told.shown_by,
    }
    if any(address in network for network in ENGINE_NETWORKS) and not shared:
        yield CONTAINER_BRIDGE_NETWORK.found(**evidence)
    elif address in DOCKER_POOL:
        yield CONTAINER_BRIDGE_NETWORK.found(**evidence).at(Severity.WARNING)


@summary
def line(
    nics: Nics,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    names: HostNames | None,
    resolution: NameResolution | None,
) -> tuple[Text, Mapping[str, Scalar]] | None:
    seen = view(settings, environment, torch)
    nccl = nccl_choice(nics, seen.get, seen.version).first
    gloo = gloo_choice(nics, environment.get, own_addresses(names, resolution)).first
    nic = best(nics) or nics.default
    own = nics.addresses_of(nic.name) if nic else ()
    speed = nic.speed_mbps if nic and nic.speed_is_real else None
    values: dict[str, Scalar] = {
        "shown": (f"{nic.name} {own[0]}" if nic and own else "") + (f" {speed / 1000:g} Gb/s" if speed else ""),
        "count": len(nics.nics),
        "nccl": nccl.label if nccl else None,
        "gloo": gloo.label if gloo else None,
    }
    if not (nic and own) and nccl is None:
        return Text("{count} {count:interface|interfaces}", "{count} 个网络接口"), values
    if not (nic and own):
        told = "{count} {count:interface|interfaces}; NCCL will use {nccl}", "{count} 个网络接口；NCCL 将使用 {nccl}"
        return Text(*told), values
    if gloo is None:
        return Text("{shown}; NCCL will use {nccl}", "{shown}；NCCL 将使用 {nccl}"), values
    if nccl is not None and gloo.label == nccl.label:
        return Text("{shown}; NCCL and gloo will use {nccl}", "{shown}；NCCL 与 gloo 将使用 {nccl}"), values
    return Text("{shown}; NCCL will use {nccl}, gloo {gloo}", "{shown}；NCCL 将使用 {nccl}，gloo 将使用 {gloo}"), values
