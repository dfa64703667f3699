"""Do the variables that name interfaces and address families fit the interfaces of this machine?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.environment import Environment
from envdoctor.facts.nccl import NcclSettings, View, view
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.reach import best
from envdoctor.facts.several_nodes import scale
from envdoctor.facts.socket_choice import Choice, gloo_choice, nccl_choice
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Scalar

TOPIC = Topic("network", 205, Text("interface names and address families", "接口名称与地址族"))

NCCL_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

INTERFACE_MISSING = Problem(
    code="interface-missing",
    severity=Severity.ERROR,
    title=Text(
        "{variable} names `{name}`, which no usable interface matches",
        "{variable} 指定的 `{name}` 没有匹配到任何可用接口",
    ),
    why=Text(
        "{library} finds no interface and ends with an error at start-up",
        "{library} 找不到接口，启动时即报错退出",
    ),
    seen=Text(
        "{variable}={value} ({source})\ninterfaces with an address: {existing}",
        "{variable}={value}，来源：{source}\n有地址的接口：{existing}",
    ),
    help=Text(
        "NCCL takes beginnings of names unless the list starts with `=`; gloo takes whole names only, without ^ and =",
        "NCCL 按名称前缀匹配，列表以 `=` 开头时才精确匹配；gloo 只接受完整接口名，不支持 ^ 与 =",
    ),
    confirm="ip -br address",
    refs=(NCCL_PAGE,),
    situations={
        "idle": Situation(
            title=Text(
                "{variable} names `{name}`, which is there but not in use",
                "{variable} 指定的 `{name}` 存在但未启用",
            ),
            seen=Text(
                "{variable}={value} ({source})\n{name}: {state}",
                "{variable}={value}，来源：{source}\n{name}：{state}",
            ),
        ),
        "family": Situation(
            title=Text(
                "NCCL_SOCKET_FAMILY={value} leaves no interface",
                "NCCL_SOCKET_FAMILY={value} 使可用接口为空",
            ),
            help=Text(
                "no interface that NCCL would take has an address of this family",
                "NCCL 会选用的接口都没有该协议族的地址",
            ),
        ),
        "partly": Situation(
            title=Text(
                "{variable} also names `{name}`, which no usable interface matches",
                "{variable} 中的 `{name}` 没有匹配到任何可用接口",
            ),
            why=Text("NCCL uses the others and says nothing", "NCCL 会使用其余接口，且不作提示"),
            severity=Severity.NOTE,
        ),
    },
)

IPV6_ONLY = Problem(
    code="ipv6-only",
    severity=Severity.NOTE,
    title=Text("this machine has IPv6 addresses only", "本机只有 IPv6 地址"),
    why=Text(
        "MASTER_ADDR must resolve to IPv6, and an address in an endpoint needs brackets: [2001:db8::1]:29500",
        "MASTER_ADDR 必须能解析为 IPv6 地址，端点中的地址要加方括号：[2001:db8::1]:29500",
    ),
    seen=Text(
        "{interface} {address}\nno IPv4 address beside the loopback", "{interface} {address}\n除回环外没有 IPv4 地址"
    ),
    help=Text("leave NCCL_SOCKET_FAMILY unset or set it to AF_INET6", "不要设置 NCCL_SOCKET_FAMILY，或设为 AF_INET6"),
    situations={
        "master": Situation(
            title=Text(
                "MASTER_ADDR is an IPv4 address, and this machine has IPv6 addresses only",
                "MASTER_ADDR 是 IPv4 地址，而本机只有 IPv6 地址",
            ),
            why=Text(
                "the rendezvous at {master} cannot be reached from here", "从本机无法连接位于 {master} 的 rendezvous"
            ),
            severity=Severity.ERROR,
        ),
    },
)


def _state(nic: Nic) -> str:
    return "up" if nic.up and nic.running else "no carrier" if nic.up else "down"


@check(INTERFACE_MISSING)
def interface_missing(
    nics: Nics,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    pci: PciDevices | None,
) -> Iterable[Finding]:
    """A variable leaves NCCL or gloo without an interface. On a machine without GPUs where no job runs, such as a login
    node that shares its start-up files with the compute nodes, it is a warning."""
    seen = view(settings, environment, torch)
    meant = scale(environment, nics).several is not None or pci is None or bool(pci.nvidia_gpus)
    severity = Severity.ERROR if meant else Severity.WARNING
    nccl = nccl_choice(nics, seen.get, seen.version)
    if nccl.by == "NCCL_SOCKET_IFNAME" and not nccl.addresses:
        yield _missing(nics, nccl, seen, "NCCL").at(severity)
    elif nccl.absent:
        yield INTERFACE_MISSING.found("partly", **_missing(nics, nccl, seen, "NCCL").evidence)
    elif not nccl.addresses and seen.get("NCCL_SOCKET_FAMILY"):
        evidence = _missing(nics, Choice((), "NCCL_SOCKET_FAMILY", seen.get("NCCL_SOCKET_FAMILY") or ""), seen, "NCCL")
        yield (
            INTERFACE_MISSING.found("family", **evidence.evidence)
            .at(severity)
            .mended_by(seen.mend("NCCL_SOCKET_FAMILY", None))
        )
    gloo = gloo_choice(nics, environment.get, None)
    if gloo.absent:
        yield _missing(nics, gloo, View({}), "gloo").at(severity)


def _missing(nics: Nics, choice: Choice, seen: View, library: str) -> Finding:
    better = best(nics)
    name = choice.absent[0] if choice.absent else choice.value
    nic = nics.nic(name)
    addressed = list(dict.fromkeys(address.label for address in nics.addresses))
    evidence: dict[str, Scalar] = {
        "variable": choice.by,
        "name": name,
        "value": choice.value,
        "source": seen.source(choice.by) or "environment",
        "library": library,
        "existing": ", ".join(addressed) or "none",
        "state": None if nic is None else "no address" if _state(nic) == "up" else _state(nic),
    }
    finding = INTERFACE_MISSING.found("idle" if nic is not None else None, **evidence)
    if better is None:
        return finding.mended_by("ip -br address")
    return finding.mended_by(seen.mend(choice.by, f"={better.name}" if library == "NCCL" else better.name))


@check(IPV6_ONLY)
def ipv6_only(nics: Nics, environment: Environment) -> Iterable[Finding]:
    """No IPv4 address but loopback and link-local ones, and a global IPv6 address."""
    useful = [address for address in nics.addresses if address.scope == "global" and not address.link_local]
    six = [address for address in useful if address.family == 6]
    if not six or any(address.family == 4 and not address.address.startswith("127.") for address in useful):
        return
    evidence: dict[str, Scalar] = {"interface": six[0].interface, "address": str(six[0]), "master": nics.master or None}
    if nics.master and ":" not in nics.master and nics.owner(nics.master) is None:
        yield IPV6_ONLY.found("master", **evidence)
    else:
        unsettled = scale(environment, nics).several and not nics.master
        yield IPV6_ONLY.found(**evidence).at(Severity.WARNING if unsettled else Severity.NOTE)
