"""Can NCCL use the RDMA ports of this machine: are they up, open, of full rate, with a routable address?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, PerNode, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist
from envdoctor.facts.agreement import agreement
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.nccl import NcclSettings, view, view_of
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import peers
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.facts.rdma_choice import integer, named_but_idle, taken
from envdoctor.facts.several_nodes import rdma_is_meant, scale
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.drift import differs, situations
from envdoctor.model import Scalar

TOPIC = Topic("rdma", 220, Text("RDMA ports and NCCL's use of them", "RDMA 端口及 NCCL 对它们的使用"))

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

IB_PORT_DOWN = Problem(
    code="ib-port-down",
    severity=Severity.WARNING,
    title=Text("RDMA port {port} is {state}", "RDMA 端口 {port} 处于 {state} 状态"),
    why=Text(
        "NCCL leaves it out: less bandwidth, or other rails than on other nodes",
        "NCCL 会跳过该端口：带宽下降，或与其他节点的 rail 不一致",
    ),
    seen=Text(
        "{port}: state {state}, physical state {physical}, {link_layer}; {active} other {active:port is|ports are} "
        "active",
        "{port}：state {state}，phys_state {physical}，{link_layer}；其他活动端口 {active} 个",
    ),
    look="ibstat {device} {number}",
    help=Text("look at the cable, the transceiver and the switch port", "检查线缆、光模块与交换机端口"),
    confirm="cat /sys/class/infiniband/{device}/ports/{number}/state",
    hardware="unconfirmed",
    situations={
        "all": Situation(
            title=Text("no RDMA port is up: {port} is {state}", "没有可用的 RDMA 端口：{port} 处于 {state} 状态"),
            why=Text(
                "NCCL goes over TCP, or hangs where other nodes use RDMA", "NCCL 将走 TCP；若其他节点使用 RDMA 则会挂起"
            ),
            severity=Severity.ERROR,
        ),
        "subnet-manager": Situation(
            title=Text(
                "RDMA port {port} waits for a subnet manager ({state})",
                "RDMA 端口 {port} 正在等待子网管理器（{state}）",
            ),
            look="sminfo -C {device} -P {number}",
            help=Text(
                "the cable is fine; start opensm on one machine, or the subnet manager of the switch",
                "线缆正常；请在某台机器上启动 opensm，或启用交换机的子网管理器",
            ),
        ),
    },
)

IB_RATE_DEGRADED = Problem(
    code="ib-rate-degraded",
    severity=Severity.WARNING,
    title=Text(
        "RDMA port {port} runs at {rate:g} Gb/s, its siblings at {expected:g}",
        "RDMA 端口 {port} 速率为 {rate:g} Gb/s，同型号端口为 {expected:g} Gb/s",
    ),
    why=Text("the slowest rail sets the pace of every collective", "每次集合通信都受制于最慢的 rail"),
    seen=Text("{port}: {text}, board {board}", "{port}：{text}，板卡 {board}"),
    look="mlxlink -d {device} -p {number}",
    help=Text(
        "a bad lane, cable or transceiver, or a speed set by hand on one end",
        "通道、线缆或光模块故障，或某一端手动限速",
    ),
    confirm="cat /sys/class/infiniband/{device}/ports/{number}/rate",
    hardware="unconfirmed",
)

IB_HCA_WRONG = Problem(
    code="ib-hca-wrong",
    severity=Severity.ERROR,
    title=Text("NCCL_IB_HCA={value} selects no active port", "NCCL_IB_HCA={value} 没有选中任何活动端口"),
    why=Text(
        "NCCL falls back to TCP without an error, or hangs where other nodes do use RDMA",
        "NCCL 会不报错地退回 TCP；若其他节点仍使用 RDMA 则会挂起",
    ),
    seen=Text(
        "NCCL_IB_HCA={value} ({source})\nactive: {active}", "NCCL_IB_HCA={value}，来源：{source}\n活动端口：{active}"
    ),
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E 'NET/IB : Using'",
    hardware="unconfirmed",
    refs=(ENV_PAGE + "#nccl-ib-hca",),
    situations={
        "prefix": Situation(
            title=Text("NCCL_IB_HCA={value} also takes {extra}", "NCCL_IB_HCA={value} 还会选中 {extra}"),
            why=Text(
                "names are beginnings unless the list starts with `=`; a slow or unconnected device joins in",
                "列表不以 `=` 开头时按前缀匹配，会混入较慢或未接入的设备",
            ),
            severity=Severity.NOTE,
        ),
        "partly": Situation(
            title=Text("NCCL_IB_HCA names {extra}, which is not there", "NCCL_IB_HCA 中的 {extra} 不存在"),
            why=Text("NCCL uses the others and says nothing", "NCCL 会使用其余设备，且不作提示"),
            severity=Severity.WARNING,
        ),
        **situations(
            "nodes",
            Text("RDMA ports that NCCL will use", "NCCL 将使用的 RDMA 端口"),
            Text(
                "with unequal numbers NCCL goes on with an INFO line, and ranks may wait for channels that never come",
                "数量不等时 NCCL 只打印一行 INFO 后继续，rank 可能一直等待不会建立的通道",
            ),
            look="ibv_devinfo -l; echo $NCCL_IB_HCA",
            advice=Text(
                "let NCCL_IB_HCA name on every node the adapters that all of them have, or mend the odd node",
                "请让各节点的 NCCL_IB_HCA 只选共有的网卡，或修复个别节点",
            ),
        ),
    },
    caused_by=("ib-port-down", "ib-device-inaccessible", "libibverbs-missing", "nccl-env-mismatch"),
)

COUNTS = ("InfiniBand", "Ethernet")


def _name(device: RdmaDevice, port: Port) -> str:
    return f"{device.name}:{port.number}"


@check(IB_PORT_DOWN)
def ib_port_down(rdma: Rdma, environment: Environment) -> Iterable[Finding]:
    """Ports that are neither active nor switched off. Unconnected second ports are usual: beside active ports of the
    same link layer it is a warning only where all of the device's siblings of the same board are up, and an adapter of
    Ethernet that nobody trains over may stay unconnected."""
    active, nodes = len(rdma.active), scale(environment)
    boards = Counter(device.board for device, _ in rdma.active if device.board)
    told = False
    for device in rdma.devices:
        for port in device.ports:
            if port.active or port.switched_off or not port.state:
                continue
            evidence: dict[str, Scalar] = {
                "port": _name(device, port),
                "device": device.name,
                "number": port.number,
                "state": port.state,
                "physical": port.physical_state or None,
                "link_layer": port.link_layer,
                "active": active,
            }
            waiting = port.link_layer == "InfiniBand" and port.state in ("INIT", "ARMED")
            if waiting:
                yield IB_PORT_DOWN.found("subnet-manager", **evidence)
            elif not active and not told:
                severity = Severity.WARNING if port.link_layer == "InfiniBand" else Severity.NOTE
                yield IB_PORT_DOWN.found("all", **evidence).at(Severity.ERROR if nodes.several else severity)
                told = True
            elif active:
                alike = boards[device.board] >= 2 and not any(each.active for each in device.ports)
                alike = alike and (nodes.several is not None or rdma_is_meant(nodes, rdma))
                yield IB_PORT_DOWN.found(**evidence).at(Severity.WARNING if alike else Severity.NOTE)


@check(IB_RATE_DEGRADED)
def ib_rate_degraded(rdma: Rdma, environment: Environment | None) -> Iterable[Finding]:
    """An active port slower than most active ports of the same board; of a server's own network that is a note."""
    meant = environment is None or rdma_is_meant(scale(environment), rdma)
    rates: dict[tuple[str, str], list[float]] = {}
    for device, port in rdma.active:
        if device.board and port.rate_gbps:
            rates.setdefault((device.board, port.link_layer), []).append(port.rate_gbps)
    for device, port in rdma.active:
        siblings = rates.get((device.board, port.link_layer), [])
        expected, count = Counter(siblings).most_common(1)[0] if siblings else (0.0, 0)
        if count >= 2 and port.rate_gbps and port.rate_gbps < expected:
            found = IB_RATE_DEGRADED.found(
                port=_name(device, port),
                device=device.name,
                number=port.number,
                rate=port.rate_gbps,
                expected=expected,
                text=port.rate_text,
                board=device.board,
            )
            yield found if meant else found.at(Severity.NOTE)


@check(IB_HCA_WRONG)
def ib_hca_wrong(
    rdma: Rdma, environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """NCCL_IB_HCA leaves no active port, names what is not there, or takes mlx5_10 for mlx5_1."""
    seen = view(settings, environment, torch)
    value = seen.get("NCCL_IB_HCA") or ""
    ports = [(device, port) for device, port in rdma.active if port.link_layer in COUNTS]
    if not value or not ports or integer(seen.get("NCCL_IB_DISABLE"), 0):
        return
    chosen = taken(rdma, seen.get, seen.version)
    everything = taken(rdma, lambda name: None if name == "NCCL_IB_HCA" else seen.get(name), seen.version)
    absent = named_but_idle(rdma, seen.get)
    evidence: dict[str, Scalar] = {
        "value": value,
        "source": seen.source("NCCL_IB_HCA"),
        "active": ", ".join(_name(device, port) for device, port in ports[:16]),
        "extra": ", ".join(absent) or None,
    }
    mend = seen.mend("NCCL_IB_HCA", "=" + ",".join(sorted({each.device.name for each in everything})))
    if not chosen and everything:
        severity = Severity.WARNING if scale(environment).several is False else Severity.ERROR
        yield IB_HCA_WRONG.found(**evidence).at(severity).mended_by(mend)
    elif absent and chosen:
        yield IB_HCA_WRONG.found("partly", **evidence).mended_by(mend)
    elif chosen and value[0] not in "^=":
        named = [word.partition(":")[0] for word in value.split(",")]
        devices = {device.name for device in rdma.devices}
        extra = sorted(
            {
                each.device.name
                for each in chosen
                if each.device.name not in named
                and any(name in devices and each.device.name.startswith(name) for name in named)
            }
        )
        if extra:
            told = {**evidence, "extra": ", ".join(extra)}
            yield IB_HCA_WRONG.found("prefix", **told).mended_by(seen.mend("NCCL_IB_HCA", f"={value}"))


@check(IB_HCA_WRONG)
def as_many_everywhere(
    rdma: PerNode[Rdma],
    environments: PerNode[Environment],
    settings: PerNode[NcclSettings],
    gpus: PerNode[Gpus],
    pci: PerNode[PciDevices],
) -> Iterable[Finding]:
    """NCCL_IGNORE_NET_MISMATCH is 1 unless set: nccl issue 2428; src/init.cc at 2.30.7. Names may differ."""
    ports: dict[str, tuple[str, ...] | None] = {}
    for node in peers(gpus, pci):
        devices, seen = rdma.get(node), view_of(settings.get(node), environments.get(node), None)
        if isinstance(devices, Rdma):
            ports[node] = tuple(str(each).removesuffix(":1") for each in taken(devices, seen.get))
        else:
            ports[node] = () if isinstance(devices, Missing) and devices.reason == "not-here" else None
    names: dict[int, str] = {0: "0"}
    for own_ports in ports.values():
        if own_ports:
            names.setdefault(len(own_ports), f"{len(own_ports)} ({hostlist.fold(own_ports)})")
    counted = {node: None if own_ports is None else names[len(own_ports)] for node, own_ports in ports.items()}
    yield from differs(IB_HCA_WRONG, "nodes", agreement(counted))


@summary
def line(rdma: Rdma) -> tuple[Text, Mapping[str, Scalar]]:
    ports = sum(len(device.ports) for device in rdma.devices)
    kinds = sorted({port.link_layer for _, port in rdma.active if port.link_layer})
    values: dict[str, Scalar] = {
        "devices": len(rdma.devices),
        "active": len(rdma.active),
        "ports": ports,
        "kinds": "/".join(kinds) or "-",
        "rate": rdma.fastest_gbps,
    }
    return (
        Text(
            "{active} of {ports} {ports:port|ports} active ({kinds}, {rate:g} Gb/s)",
            "{ports} 个端口中 {active} 个活动（{kinds}，{rate:g} Gb/s）",
        ),
        values,
    )
