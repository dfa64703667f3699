"""What carries the data between nodes: the fast fabric that is there, or plain TCP?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.nccl import NcclSettings, view
from envdoctor.facts.nics import Nics
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.rdma_choice import integer, taken
from envdoctor.facts.several_nodes import rdma_is_meant, scale
from envdoctor.facts.socket_choice import nccl_choice
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Scalar

TOPIC = Topic("network", 215, Text("what carries the data between nodes", "节点间数据的传输方式"))

# NCCL opens more than one socket per connection on the NICs of AWS and Google only (src/transport/net_socket.cc).
TUNED_BY_NCCL = ("0x1d0f", "0x1ae0")
# One TCP stream moves some 20 to 40 Gb/s on current processors; from 100 Gb/s on one socket wastes most of the link.
FAST_MBPS = 100_000
# libfabric devices that NCCL reaches through a plugin, never through its own verbs transport.
BY_PLUGIN = ("efa",)

SLOW_TCP_FALLBACK = Problem(
    code="slow-tcp-fallback",
    severity=Severity.WARNING,
    title=Text(
        "NCCL will use TCP although {ports} active RDMA ports are there",
        "存在 {ports} 个活动的 RDMA 端口，但 NCCL 将使用 TCP",
    ),
    why=Text(
        "traffic between nodes falls to what TCP and the processor can do, often a tenth of {rate:g} Gb/s",
        "节点间带宽降到 TCP 与 CPU 所能达到的水平，往往只有 {rate:g} Gb/s 的十分之一",
    ),
    seen=Text("{shown}\nfastest port: {device}, {rate:g} Gb/s", "{shown}\n最快端口：{device}，{rate:g} Gb/s"),
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E 'NET/(IB|Socket) : Using'",
    hardware="unconfirmed",
    caused_by=(
        "nccl-net-plugin-broken",
        "ib-device-inaccessible",
        "libibverbs-missing",
        "ib-hca-wrong",
        "nccl-debug-leftover",
    ),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-ib-disable",),
    situations={
        "unusable": Situation(
            help=Text(
                "NCCL's variables allow RDMA; its devices cannot be opened or are not selected",
                "NCCL 变量允许使用 RDMA，但设备无法打开或未被选中",
            ),
            look="ls -l /dev/infiniband; echo $NCCL_IB_HCA",
        ),
        "plugin": Situation(
            title=Text(
                "NCCL will use TCP: {device} needs a network plugin, and none is found",
                "NCCL 将使用 TCP：{device} 需要网络插件，但未找到",
            ),
            look="ldconfig -p | grep libnccl-net",
            help=Text(
                "EFA is reached through aws-ofi-nccl (libnccl-net.so, or libnccl-net-ofi.so with "
                "NCCL_NET_PLUGIN=ofi); its folder must be known to the loader",
                "EFA 需经 aws-ofi-nccl（libnccl-net.so，或 libnccl-net-ofi.so 配合 NCCL_NET_PLUGIN=ofi），"
                "其所在目录须能被动态加载器找到",
            ),
        ),
    },
)

NCCL_SINGLE_SOCKET = Problem(
    code="nccl-single-socket",
    severity=Severity.WARNING,
    title=Text(
        "NCCL will use one TCP socket per connection on a {speed:g} Gb/s link",
        "NCCL 在 {speed:g} Gb/s 链路上每个连接只用一个 TCP socket",
    ),
    why=Text(
        "one stream fills 20 to 40 Gb/s at best; NCCL uses several by itself on the NICs of AWS and Google only",
        "单个流最多跑到 20~40 Gb/s；NCCL 仅在 AWS 与 Google 的网卡上自动使用多个 socket",
    ),
    seen=Text(
        "{interface}: {speed:g} Gb/s, {driver}\nNCCL_SOCKET_NTHREADS, NCCL_NSOCKS_PERTHREAD: unset; no RDMA port",
        "{interface}：{speed:g} Gb/s，{driver}\n未设置 NCCL_SOCKET_NTHREADS 与 NCCL_NSOCKS_PERTHREAD；没有 RDMA 端口",
    ),
    command="export NCCL_SOCKET_NTHREADS=4 NCCL_NSOCKS_PERTHREAD=4",
    help=Text(
        "at most 16 threads and 64 sockets; the same on every node",
        "最多 16 个线程、64 个 socket；各节点须一致",
    ),
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E 'sockets per thread'",
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-socket-nthreads",),
)


@check(SLOW_TCP_FALLBACK)
def slow_tcp_fallback(
    rdma: Rdma,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    nics: Nics | None,
    host: Host | None,
) -> Iterable[Finding]:
    """Active RDMA ports that NCCL may not or cannot use. On one node nothing goes over them: a note."""
    if not rdma.active:
        return
    seen = view(settings, environment, torch)
    device, _ = max(rdma.active, key=lambda each: each[1].rate_gbps or 0.0)
    evidence: dict[str, Scalar] = {"ports": len(rdma.active), "device": device.name, "rate": rdma.fastest_gbps}
    severity = Severity.WARNING if rdma_is_meant(scale(environment, nics), rdma, host) else Severity.NOTE
    if (seen.get("NCCL_NET") or "").lower() == "socket":
        shown = f"NCCL_NET={seen.get('NCCL_NET')} ({seen.source('NCCL_NET')})"
        yield SLOW_TCP_FALLBACK.found(shown=shown, **evidence).at(severity).mended_by(seen.mend("NCCL_NET", None))
    elif integer(seen.get("NCCL_IB_DISABLE"), 0):
        shown = f"NCCL_IB_DISABLE={seen.get('NCCL_IB_DISABLE')} ({seen.source('NCCL_IB_DISABLE')})"
        finding = SLOW_TCP_FALLBACK.found(shown=shown, **evidence).at(severity)
        yield finding.mended_by(seen.mend("NCCL_IB_DISABLE", None))
    elif any(plugin.error == "" for plugin in settings.net_plugins) if settings is not None else False:
        return  # another transport than NCCL's own: what it uses is not known here
    elif all(each.driver in BY_PLUGIN for each, _ in rdma.active):
        if settings is not None:
            yield SLOW_TCP_FALLBACK.found("plugin", shown="libnccl-net.so: not found", **evidence).at(severity)
    elif not taken(rdma, seen.get, seen.version):
        reasons = {f"{each.name}: {each.node} {each.node_error}" for each, _ in rdma.active if each.node_error}
        hca = seen.get("NCCL_IB_HCA")
        shown = "; ".join(sorted(reasons)) or (f"NCCL_IB_HCA={hca}" if hca else "libibverbs offers no device")
        yield SLOW_TCP_FALLBACK.found("unusable", shown=shown, **evidence).at(severity)


@check(NCCL_SINGLE_SOCKET)
def nccl_single_socket(
    nics: Nics,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    rdma: Rdma | None,
) -> Iterable[Finding]:
    """Real Ethernet of 100 Gb/s or more, no RDMA, and no variable that asks for more sockets."""
    told = scale(environment, nics)
    seen = view(settings, environment, torch)
    plugin = settings is not None and any(tried.error == "" for tried in settings.net_plugins)
    if told.several is False or plugin or (rdma is not None and rdma.active):
        return
    if seen.get("NCCL_NSOCKS_PERTHREAD") or seen.get("NCCL_SOCKET_NTHREADS"):
        return
    first = nccl_choice(nics, seen.get, seen.version).first
    nic = nics.nic(first.interface) if first else None
    if nic is None or not nic.speed_is_real or nic.vendor in TUNED_BY_NCCL or nic.kind == "ipoib":
        return
    if (nic.speed_mbps or 0) >= FAST_MBPS:
        evidence: dict[str, Scalar] = {
            "interface": nic.name,
            "speed": (nic.speed_mbps or 0) / 1000,
            "driver": nic.driver or nic.kind,
        }
        yield NCCL_SINGLE_SOCKET.found(**evidence).at(Severity.WARNING if told.several else Severity.NOTE)


@summary
def line(
    environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None, rdma: Rdma | None
) -> tuple[Text, Mapping[str, Scalar]] | None:
    seen = view(settings, environment, torch)
    plugin = next((tried.name for tried in settings.net_plugins if not tried.error), "") if settings else ""
    ports = taken(rdma, seen.get, seen.version) if rdma is not None else ()
    if (seen.get("NCCL_NET") or "").lower() == "socket":
        ports = ()
    if plugin:
        return Text("the plugin {plugin}", "插件 {plugin}"), {"plugin": plugin}
    if not ports:
        return Text("TCP", "TCP"), {}
    shown = ", ".join(map(str, ports[:8]))
    values: dict[str, Scalar] = {"ports": shown, "rate": max(each.port.rate_gbps or 0.0 for each in ports)}
    return Text("RDMA over {ports}, {rate:g} Gb/s", "RDMA：{ports}，{rate:g} Gb/s"), values
