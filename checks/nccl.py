"""Are NCCL's variables known, readable, and not left over from debugging?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.nccl import NcclSettings, Setting, View, view
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.rdma_choice import integer
from envdoctor.facts.several_nodes import Scale, rdma_is_meant, scale
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import nccl_variables
from envdoctor.model import Scalar

TOPIC = Topic("nccl", 210, Text("NCCL's variables", "NCCL 环境变量"))

NCCL_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
# torch reads TORCH_NCCL_... since 2.2 (pytorch/pytorch#114077) and the former NCCL_... names with a warning since.
TORCH_PREFIX_SINCE = (2, 2)
# The driver offers no peer-to-peer between these, and turning it off is what their owners are told to do.
NO_PEERS = re.compile(r"GeForce RTX (30|40|50)\d\d|RTX \d{4} Ada|RTX PRO|TITAN RTX")
# From so few channels on, NVLink and fast NICs stay unused.
FEW_CHANNELS = 2

NCCL_DEBUG_LEFTOVER = Problem(
    code="nccl-debug-leftover",
    severity=Severity.WARNING,
    title=Text(
        "{variable}={value}, as one sets it for debugging, is in effect", "调试用的 {variable}={value} 仍在生效"
    ),
    why=Text("{variable} takes away a fast path between GPUs or nodes", "{variable} 关闭了 GPU 或节点之间的快速路径"),
    seen=Text("{variable}={value} ({source})", "{variable}={value}，来源：{source}"),
    command="unset {variable}",
    confirm="env | grep NCCL; cat ~/.nccl.conf /etc/nccl.conf",
    refs=(NCCL_PAGE,),
    situations={
        "peers": Situation(
            why=Text(
                "GPUs of one node exchange data through host memory instead of NVLink or PCIe peer-to-peer",
                "同一节点的 GPU 不再使用 NVLink 或 PCIe 点对点，而是经主机内存交换数据",
            )
        ),
        "shm": Situation(
            why=Text(
                "processes of one node talk through the network instead of shared memory",
                "同一节点的进程不再使用共享内存，而是经网络通信",
            )
        ),
        "rdma": Situation(
            why=Text("traffic between nodes goes over TCP instead of RDMA", "节点间流量走 TCP 而不是 RDMA")
        ),
        "log": Situation(
            why=Text(
                "every collective writes log lines from every rank, which slows training and fills disks",
                "每个 rank 的每次集合通信都会写日志，拖慢训练并占满磁盘",
            )
        ),
        "detail": Situation(
            why=Text(
                "torch checks every collective across ranks before it runs it", "torch 在每次集合通信前都要跨 rank 校验"
            )
        ),
        "unhandled": Situation(
            why=Text(
                "a collective that times out or fails no longer ends the process: an error becomes a hang",
                "集合通信超时或失败后进程不再退出，错误变成挂起",
            )
        ),
        "forced": Situation(
            why=Text(
                "NCCL cannot choose by size and topology any more; what helped one job slows another",
                "NCCL 无法再按数据量与拓扑自动选择；对某个作业有利的设置会拖慢另一个",
            ),
            severity=Severity.NOTE,
        ),
    },
)

NCCL_ENV_RENAMED = Problem(
    code="nccl-env-renamed",
    severity=Severity.NOTE,
    title=Text("{variable} is an old name of {new}", "{variable} 是 {new} 的旧名称"),
    why=Text(
        "it is read with a deprecation warning today and not at all once it is dropped",
        "目前仍会读取并给出弃用警告，将来移除后就不再生效",
    ),
    seen=Text("{variable}={value} ({source})", "{variable}={value}，来源：{source}"),
    command="export {new}={value}; unset {variable}",
    refs=("https://github.com/pytorch/pytorch/pull/114077",),
    situations={
        "unread": Situation(
            title=Text("{variable} is an old name; NCCL reads {new}", "{variable} 是旧名称，NCCL 读取的是 {new}"),
            why=Text("the setting has no effect", "该设置不起作用"),
            command="unset {variable}",
            help=Text("the values of {new} may differ: look them up", "{new} 的取值可能不同，请查阅文档"),
        ),
        "too-new": Situation(
            title=Text(
                "{variable} is not read by torch {torch}, which knows it as {new}",
                "torch {torch} 不读取 {variable}，它对应的名称是 {new}",
            ),
            why=Text("the setting has no effect", "该设置不起作用"),
        ),
    },
)

NCCL_ENV_INVALID = Problem(
    code="nccl-env-invalid",
    severity=Severity.WARNING,
    title=Text("{variable}={value} is read as {taken_as}", "{variable}={value} 会被读作 {taken_as}"),
    why=Text(
        "NCCL takes what it can read of a value and says nothing: the setting does not do what it says",
        "NCCL 只取能解析的部分且不作提示，该设置并未按字面生效",
    ),
    seen=Text(
        "{variable}={value} ({source})\nread as: {taken_as}; accepted: {accepts}",
        "{variable}={value}，来源：{source}\n读作：{taken_as}；可用值：{accepts}",
    ),
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E 'set by environment'",
    refs=(NCCL_PAGE,),
    situations={
        "refused": Situation(
            title=Text("{variable}={value} is refused at start-up", "{variable}={value} 会导致启动失败"),
            why=Text(
                "creating the communicator or the process group ends with an error",
                "创建通信器或进程组时报错退出",
            ),
            seen=Text(
                "{variable}={value} ({source})\naccepted: {accepts}",
                "{variable}={value}，来源：{source}\n可用值：{accepts}",
            ),
            severity=Severity.ERROR,
        ),
        "quotes": Situation(
            title=Text("the quotes are part of the value of {variable}", "{variable} 的值中包含了引号"),
            why=Text(
                "neither NCCL nor `docker --env-file` removes quotes: the value matches nothing",
                "NCCL 与 `docker --env-file` 都不会去掉引号，该值匹配不到任何对象",
            ),
            seen=Text("{variable}={value} ({source})", "{variable}={value}，来源：{source}"),
            help=Text("write the value without quotes", "去掉引号"),
        ),
        "blanks": Situation(
            title=Text("the line `{line}` of NCCL's configuration sets nothing", "NCCL 配置中的 `{line}` 一行不起作用"),
            why=Text(
                "blanks around = and words such as export become part of the name or the value",
                "等号两侧的空格以及 export 等单词会成为名称或值的一部分",
            ),
            seen=Text("{source}: {line}", "{source} 的原文：{line}"),
            help=Text(
                "write {variable}={value}, without blanks and quotes", "请写成 {variable}={value}，不带空格与引号"
            ),
        ),
        "line-end": Situation(
            title=Text(
                "a Windows line end is part of the value of {variable}", "{variable} 的值中包含了 Windows 换行符"
            ),
            why=Text(
                "NCCL before 2.30.3 keeps the carriage return: names and words match nothing",
                "NCCL 2.30.3 之前会保留回车符，名称与单词匹配不到任何对象",
            ),
            seen=Text("{variable}={value} ({source})", "{variable}={value}，来源：{source}"),
            help=Text("convert the file with sed -i 's/\\r$//'", "用 sed -i 's/\\r$//' 转换该文件"),
        ),
    },
)

NCCL_ENV_UNKNOWN = Problem(
    code="nccl-env-unknown",
    severity=Severity.NOTE,
    title=Text("nothing reads {variable}; {meant} is near", "{variable} 不会被读取；相近的名称是 {meant}"),
    why=Text("the setting has no effect", "该设置不起作用"),
    seen=Text("{variable}={value} ({source})", "{variable}={value}，来源：{source}"),
    help=Text(
        "a network plugin may read names of its own; this one is not known", "网络插件可能有自己的变量，但此名称未知"
    ),
    refs=(NCCL_PAGE,),
)


def _evidence(setting: Setting) -> dict[str, Scalar]:
    return {"variable": setting.name, "value": setting.value, "source": setting.source}


def _leftovers(
    seen: View, gpus: Gpus | None, rdma: Rdma | None, told: Scale, host: Host | None
) -> Iterable[tuple[str, str, Severity]]:
    """Variable, situation and severity. A note where the hardware that it leaves unused is not there."""
    warning, note = Severity.WARNING, Severity.NOTE
    together = gpus is None or gpus.count > 1
    peers = together and not (gpus is not None and all(NO_PEERS.search(gpu.name) for gpu in gpus.gpus))
    fabric = rdma is not None and bool(rdma.active) and rdma_is_meant(told, rdma, host)
    get = seen.get
    if integer(get("NCCL_P2P_DISABLE"), 0) == 1:
        yield "NCCL_P2P_DISABLE", "peers", warning if peers else note
    elif get("NCCL_P2P_LEVEL") in ("LOC", "0"):
        yield "NCCL_P2P_LEVEL", "peers", warning if peers else note
    if integer(get("NCCL_SHM_DISABLE"), 0):
        yield "NCCL_SHM_DISABLE", "shm", warning if together else note
    if integer(get("NCCL_IB_DISABLE"), 0):
        yield "NCCL_IB_DISABLE", "rdma", warning if fabric else note
    if (get("NCCL_NET") or "").lower() == "socket":
        yield "NCCL_NET", "rdma", warning if fabric else note
    if (get("NCCL_DEBUG") or "").upper() == "TRACE":
        yield "NCCL_DEBUG", "log", warning
    elif (get("NCCL_DEBUG") or "").upper() == "INFO" and re.search(
        r"\b(ALL|COLL|CALL)\b", get("NCCL_DEBUG_SUBSYS") or ""
    ):
        yield "NCCL_DEBUG_SUBSYS", "log", warning
    if (get("TORCH_DISTRIBUTED_DEBUG") or "").upper() == "DETAIL":
        yield "TORCH_DISTRIBUTED_DEBUG", "detail", warning
    for name in ("TORCH_NCCL_ASYNC_ERROR_HANDLING", "NCCL_ASYNC_ERROR_HANDLING"):
        if get(name) == "0":
            yield name, "unhandled", warning
    if 0 < integer(get("NCCL_MAX_NCHANNELS"), -2) <= FEW_CHANNELS:
        yield "NCCL_MAX_NCHANNELS", "forced", warning if together else note
    for name in ("NCCL_ALGO", "NCCL_PROTO"):
        if get(name):
            yield name, "forced", note


@check(NCCL_DEBUG_LEFTOVER)
def nccl_debug_leftover(
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    gpus: Gpus | None,
    rdma: Rdma | None,
    host: Host | None,
    shell: ShellFiles | None,
) -> Iterable[Finding]:
    seen = view(settings, environment, torch)
    for name, situation, severity in _leftovers(seen, gpus, rdma, scale(environment), host):
        finding = NCCL_DEBUG_LEFTOVER.found(situation, **_evidence(seen.settings[name])).at(severity)
        line = shell.sets(name) if shell is not None and seen.source(name) == "environment" else None
        yield finding.fixed_by("env", f"{name}=") if line else finding.mended_by(seen.mend(name, None))


@check(NCCL_ENV_RENAMED)
def nccl_env_renamed(
    environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """Old names, and names newer than the torch that is installed."""
    seen = view(settings, environment, torch)
    release = torch.release if torch is not None else ""
    found = re.match(r"(\d+)\.(\d+)", release)
    old_torch = found is not None and tuple(map(int, found.groups())) < TORCH_PREFIX_SINCE
    for name, setting in seen.settings.items():
        new = nccl_variables.renamed(name)
        if new.startswith("TORCH_"):
            if not old_torch and not seen.get(new):
                yield NCCL_ENV_RENAMED.found(None, new=new, **_evidence(setting))
        elif new:
            yield NCCL_ENV_RENAMED.found("unread", new=new, **_evidence(setting))
        elif old_torch and name.startswith("TORCH_NCCL_"):
            former = name.removeprefix("TORCH_")
            if nccl_variables.renamed(former) and not seen.get(former):
                yield NCCL_ENV_RENAMED.found("too-new", new=former, torch=release, **_evidence(setting))


@check(NCCL_ENV_INVALID)
def nccl_env_invalid(
    environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """Values that do not mean what they say, and lines of configuration files that NCCL cuts in another way."""
    seen = view(settings, environment, torch)
    for name, setting in seen.settings.items():
        plain = re.search(r"(?:TORCH_)?NCCL_\w+", name)
        if plain is not None and (plain.group() != name or setting.value != setting.value.lstrip(" ")):
            line = f"{name}={setting.value}".rstrip("\r")
            evidence = {**_evidence(setting), "variable": plain.group(), "value": setting.value.strip("\"' \r")}
            yield NCCL_ENV_INVALID.found("blanks", line=line, **evidence)
        elif setting.value.endswith("\r"):
            yield NCCL_ENV_INVALID.found("line-end", **{**_evidence(setting), "value": setting.value.rstrip("\r")})
        elif re.fullmatch(r"(['\"]).*\1", setting.value):
            bare = setting.value[1:-1]
            yield NCCL_ENV_INVALID.found("quotes", **_evidence(setting)).mended_by(seen.mend(name, bare))
        else:
            misread = nccl_variables.misread(name, setting.value, seen.version)
            if misread is not None:
                told = {**_evidence(setting), "taken_as": misread.taken_as, "accepts": misread.accepts}
                finding = NCCL_ENV_INVALID.found("refused" if misread.fails else None, **told)
                yield finding.mended_by(seen.mend(name, misread.meant or None))


@check(NCCL_ENV_UNKNOWN)
def nccl_env_unknown(
    environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """Names that nothing reads and that resemble one that is read."""
    seen = view(settings, environment, torch)
    for name, setting in seen.settings.items():
        meant = nccl_variables.meant(name) if re.fullmatch(r"\w+", name) else None
        if meant:
            finding = NCCL_ENV_UNKNOWN.found(meant=meant, **_evidence(setting))
            yield finding.mended_by(f"export {meant}" if "=" in meant else f"export {meant}='{setting.value}'")


@summary
def line(
    environment: Environment, settings: NcclSettings | None, torch: TorchInstall | None
) -> tuple[Text, Mapping[str, Scalar]]:
    seen = view(settings, environment, torch)
    names = [name for name in seen.settings if "NCCL_" in name]
    values: dict[str, Scalar] = {"count": len(names), "version": seen.version, "names": ", ".join(sorted(names)[:4])}
    en, zh = ("{version}, ", "{version}，") if seen.version else ("", "")
    if not names:
        return Text(en + "no variable set", zh + "未设置变量"), values
    more = ", ..." if len(names) > 4 else ""
    return Text(en + "{count} set: {names}" + more, zh + "设置了 {count} 个变量：{names}" + more), values
