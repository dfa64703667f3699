"""Do all nodes have the same NCCL variables?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, each
from envdoctor.facts import hostlist
from envdoctor.facts.agreement import Agreement, agreement
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.nccl import NcclSettings, effective, nccl_version
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import peers
from envdoctor.facts.torch import TorchInstall

TOPIC = Topic("drift", 302, Text("what the nodes must have in common", "各节点是否一致"), nodes=True)

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
# What both ends of a connection must do alike: which transport, which algorithm and protocol, in pieces of which size
# ("should be set to the same value on all ranks", NCCL's page; src/graph/tuning.cc, src/init.cc at 2.30.7). With
# TORCH_DISTRIBUTED_DEBUG=DETAIL torch sends a message of its own before each collective.
BINDING = re.compile(
    r"NCCL_(ALGO|PROTO|NET|NET_PLUGIN|IB_DISABLE|SOCKET_FAMILY|COMM_ID|(LL|LL128)?_?BUFFSIZE|CHUNK_SIZE|SOCKET_MAGIC"
    r"|P2P_(NET|PCI|NVL)_CHUNKSIZE|IB_ROCE_VERSION_NUM|IB_ADDR_FAMILY|IB_PKEY)$|TORCH_DISTRIBUTED_DEBUG$"
)
# What may well be another on each node: names of its interfaces and adapters, its files, what it prints.
OWN = re.compile(
    r"NCCL_(SOCKET_IFNAME|OOB_NET_IFNAME|IB_HCA|IB_GID_INDEX|HOSTID|TOPO_FILE|GRAPH_FILE|TOPO_DUMP_.*|GRAPH_DUMP_.*"
    r"|CONF_FILE|DEBUG.*|IBVERBS_LIB|PROXY_CPUSET|RAS_ADDR|PARAM_DUMP_ALL|SET_THREAD_NAME|WARN_ENABLE_DEBUG_INFO)$"
    r"|GLOO_SOCKET_IFNAME$|UCX_NET_DEVICES$|UCX_LOG.*|FI_LOG.*|FI_.*IFACE$|TORCH_NCCL_(DEBUG|TRACE|DUMP).*"
)
MOST = 6  # variables shown

NCCL_ENV_MISMATCH = Problem(
    code="nccl-env-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "{odd_nodes} has other NCCL variables than the other {usual_count}: {variables}",
        "{odd_nodes} 的 NCCL 变量与其余 {usual_count} 个节点不同：{variables}",
    ),
    why=Text(
        "algorithm, protocol, transport and chunk sizes must be the same on both ends: otherwise ranks hang, or "
        "messages are truncated",
        "两端的算法、协议、传输方式和分块大小必须一致，否则会挂起或出现消息截断",
    ),
    seen=Text("{sides}", "各节点的值：\n{sides}"),
    help=Text(
        "give all nodes the same NCCL_ variables: the launcher's environment, ~/.nccl.conf and /etc/nccl.conf",
        "让所有节点的 NCCL_ 变量保持一致：启动器的环境、~/.nccl.conf 与 /etc/nccl.conf",
    ),
    look="env | grep NCCL; cat ~/.nccl.conf /etc/nccl.conf",
    confirm="NCCL_DEBUG=INFO NCCL_DEBUG_SUBSYS=ENV torchrun ... 2>&1 | grep 'set by environment'",
    refs=(ENV_PAGE,),
    situations={
        "split": Situation(
            title=Text("the nodes have different NCCL variables: {variables}", "各节点的 NCCL 变量不同：{variables}"),
        ),
        "in-text": Situation(
            title=Text("ranks were given different NCCL variables", "各 rank 的 NCCL 变量不同"),
            help=Text(
                "give all nodes the same NCCL_ variables: the launcher's environment, ~/.nccl.conf and /etc/nccl.conf",
                "让所有节点的 NCCL_ 变量保持一致：启动器的环境、~/.nccl.conf 与 /etc/nccl.conf",
            ),
            look="env | grep NCCL; cat ~/.nccl.conf /etc/nccl.conf",
        ),
    },
)


@check(NCCL_ENV_MISMATCH)
def nccl_env_mismatch(
    environments: PerNode[Environment],
    settings: PerNode[NcclSettings],
    installs: PerNode[TorchInstall],
    gpus: PerNode[Gpus],
    pci: PerNode[PciDevices],
) -> Iterable[Finding]:
    """As NCCL sees them, environment and files. Variables that set the same nodes apart are told together; those that
    both ends need not share cost speed at most."""
    told_by = each(_values, environments, settings, installs)
    seen = {node: values for node in peers(gpus, pci) if (values := told_by.get(node)) is not None}
    names = sorted({name for values in seen.values() for name in values})
    alike: dict[tuple[Severity, tuple[str, ...], bool], list[tuple[str, Agreement[str]]]] = {}
    for name in names:
        told = agreement({node: values.get(name, "-") for node, values in seen.items()})
        if told.differs:
            severity = Severity.ERROR if BINDING.match(name) else Severity.WARNING
            alike.setdefault((severity, told.odd_nodes, told.usual is None), []).append((name, told))
    for (severity, nodes, split), variables in alike.items():
        usual = variables[0][1].usual
        found = NCCL_ENV_MISMATCH.found(
            "split" if split else None,
            variables=", ".join(name for name, _ in variables[:MOST]) + (", ..." if len(variables) > MOST else ""),
            odd_nodes=hostlist.fold(nodes),
            usual_count=None if usual is None else len(usual.nodes),
            sides="\n".join(
                f"{hostlist.fold(side.nodes)}: {name}={side.value}"
                for name, told in variables[:MOST]
                for side in (*told.odd[:MOST], *((told.usual,) if told.usual else ()))
            ),
        ).at(severity)
        yield replace(found, nodes=nodes)


def _values(environment: object, settings: object, install: object) -> Mapping[str, str] | None:
    """Name -> value of every variable of NCCL and its like that nodes should share."""
    if not isinstance(environment, Environment):
        return None
    version = nccl_version(install if isinstance(install, TorchInstall) else None)
    found = effective(settings if isinstance(settings, NcclSettings) else None, environment, version)
    return {name: setting.value for name, setting in found.items() if not OWN.match(name)}
