"""Do NCCL's configuration files and plugin libraries do what they are there for?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.agreement import agreement
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.nccl import NcclSettings, lost, view
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import of, peers
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.drift import differs, situations

TOPIC = Topic("nccl", 212, Text("NCCL's configuration files and plugins", "NCCL 配置文件与插件"))

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
# NCCL's own transports; any other name in NCCL_NET must come from a plugin.
BUILT_IN = ("ib", "socket")

NCCL_NET_PLUGIN_BROKEN = Problem(
    code="nccl-net-plugin-broken",
    severity=Severity.WARNING,
    title=Text("the network plugin `{name}` does not load", "网络插件 `{name}` 无法加载"),
    why=Text(
        "NCCL goes on with its own transports, which is slow on fabrics that need the plugin, and hangs where other "
        "nodes have it",
        "NCCL 会改用内置传输：在依赖该插件的网络上会很慢；若其他节点装有插件，则会挂起",
    ),
    seen=Text("NCCL_NET_PLUGIN: {asked}\n{error}", "NCCL_NET_PLUGIN：{asked}\n加载错误：{error}"),
    look="ldconfig -p | grep libnccl-net",
    help=Text(
        "install the plugin on every node and let the loader find it, or set NCCL_NET_PLUGIN=none on every node",
        "在每个节点安装该插件并确保动态加载器能找到，或在所有节点设置 NCCL_NET_PLUGIN=none",
    ),
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E NET/Plugin",
    refs=(ENV_PAGE + "#nccl-net-plugin",),
    situations={
        "required": Situation(
            title=Text(
                "NCCL_NET={net} needs the network plugin `{name}`, which does not load",
                "NCCL_NET={net} 需要网络插件 `{name}`，但该插件无法加载",
            ),
            why=Text(
                "NCCL ends with an error: no transport of that name is left", "没有该名称的传输可用，NCCL 报错退出"
            ),
            severity=Severity.ERROR,
        ),
        **situations(
            "nodes",
            Text("network plugin that NCCL will load", "NCCL 将加载的网络插件"),
            Text(
                "ranks with the plugin and ranks without it speak different transports: they wait for each other",
                "有插件与没有插件的 rank 使用不同的传输方式，会互相等待",
            ),
            Severity.ERROR,
            look="ldconfig -p | grep libnccl-net; echo $NCCL_NET_PLUGIN",
            advice=Text(
                "install the plugin on every node, or set NCCL_NET_PLUGIN=none on every node",
                "在每个节点安装该插件，或在所有节点设置 NCCL_NET_PLUGIN=none",
            ),
        ),
    },
    caused_by=("nccl-env-mismatch",),
)

NCCL_CONF_UNREADABLE = Problem(
    code="nccl-conf-unreadable",
    severity=Severity.WARNING,
    title=Text("NCCL cannot read its configuration file {path}", "NCCL 无法读取配置文件 {path}"),
    why=Text("NCCL says nothing and goes on without these settings", "NCCL 不作提示，直接忽略其中的设置"),
    seen=Text("{path}: {error}", "读取 {path}：{error}"),
    look="ls -l {path}",
    refs=(ENV_PAGE,),
    situations={
        "absent": Situation(
            title=Text("NCCL_CONF_FILE names {path}, which does not exist", "NCCL_CONF_FILE 指向不存在的 {path}"),
            why=Text(
                "NCCL says nothing and goes on without it; ~/.nccl.conf is not read either while the variable is set",
                "NCCL 不作提示并跳过该文件；设置该变量后也不会再读取 ~/.nccl.conf",
            ),
            command="unset NCCL_CONF_FILE",
        ),
        "hangs": Situation(
            title=Text(
                "the file system of NCCL's configuration file {path} does not answer",
                "NCCL 配置文件 {path} 所在的文件系统没有响应",
            ),
            why=Text("every rank hangs when NCCL starts", "NCCL 启动时每个 rank 都会挂起"),
            look="df $(dirname {path})",
            severity=Severity.ERROR,
        ),
    },
    caused_by=("filesystem-hangs",),
)

NCCL_CONF_SHADOWED = Problem(
    code="nccl-conf-shadowed",
    severity=Severity.NOTE,
    title=Text("{variable}={value} in {source} has no effect", "{source} 中的 {variable}={value} 不起作用"),
    why=Text(
        "{winner_source} sets {variable}={winner} before it; the environment wins over files, and the first line that "
        "names a variable wins over later ones",
        "{winner_source} 先设置了 {variable}={winner}；环境变量优先于文件，同名设置以先读到的为准",
    ),
    seen=Text(
        "{source}: {variable}={value}\n{winner_source}: {variable}={winner}",
        "{source}：{variable}={value}\n生效的 {winner_source}：{variable}={winner}",
    ),
    help=Text("keep one of the two", "只保留其中一处"),
    refs=(ENV_PAGE,),
)


@check(NCCL_NET_PLUGIN_BROKEN)
def nccl_net_plugin_broken(
    settings: NcclSettings, environment: Environment, torch: TorchInstall | None
) -> Iterable[Finding]:
    """The loader refuses a plugin that a variable asks for, or that is there under NCCL's default name."""
    seen = view(settings, environment, torch)
    net = seen.get("NCCL_NET") or ""
    asked = seen.get("NCCL_NET_PLUGIN")
    told = "unset" if asked is None else f"{asked} ({seen.source('NCCL_NET_PLUGIN')})"
    # Of several plugins NCCL takes the first that works.
    if not settings.net_plugins or not all(tried.error for tried in settings.net_plugins):
        return
    tried = settings.net_plugins[0]
    required = bool(net) and net.lower() not in BUILT_IN
    yield NCCL_NET_PLUGIN_BROKEN.found(
        "required" if required else None, name=tried.name, error=tried.error, asked=told, net=net
    )


@check(NCCL_NET_PLUGIN_BROKEN)
def plugins_agree(settings: PerNode[NcclSettings], gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> Iterable[Finding]:
    """Some nodes load a plugin and some do not, or another: nccl issue 1634."""
    told = of(settings, peers(gpus, pci), NcclSettings)
    loaded = {
        node: next((tried.name for tried in fact.net_plugins if not tried.error), "-") if fact else None
        for node, fact in told.items()
    }
    yield from differs(NCCL_NET_PLUGIN_BROKEN, "nodes", agreement(loaded))


@check(NCCL_CONF_UNREADABLE)
def nccl_conf_unreadable(settings: NcclSettings) -> Iterable[Finding]:
    for file in settings.files:
        if not file.found:
            yield NCCL_CONF_UNREADABLE.found("absent", path=file.path, error="No such file or directory")
        elif file.error in ("hung", "slow"):
            severity = Severity.ERROR if file.error == "hung" else Severity.WARNING
            yield NCCL_CONF_UNREADABLE.found("hangs", path=file.path, error="no answer in 1.5 s").at(severity)
        elif file.error:
            yield NCCL_CONF_UNREADABLE.found(path=file.path, error=file.error)


@check(NCCL_CONF_SHADOWED)
def nccl_conf_shadowed(
    settings: NcclSettings, environment: Environment, torch: TorchInstall | None
) -> Iterable[Finding]:
    version = view(settings, environment, torch).version
    for setting, winner in lost(settings, environment, version):
        yield NCCL_CONF_SHADOWED.found(
            variable=setting.name,
            value=setting.value,
            source=setting.source,
            winner=winner.value,
            winner_source=winner.source,
        )
