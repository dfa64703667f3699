"""Does NCCL take two of the nodes for one?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts import hostlist
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.nics import Nics
from envdoctor.facts.reach import barrier

TOPIC = Topic("drift", 303, Text("what the nodes must have in common", "各节点是否一致"), nodes=True)

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
HELP = Text(
    "give every container or clone a host name of its own (docker run --hostname), or NCCL_HOSTID a value of its own "
    "on each; ranks in several containers of one host need --ipc=host as well",
    "为每个容器或克隆机设置各自的主机名（docker run --hostname），或在各处设置不同的 NCCL_HOSTID；同一主机上"
    "多个容器内的 rank 还需要 --ipc=host",
)

DUPLICATE_HOST_ID = Problem(
    code="duplicate-host-id",
    severity=Severity.ERROR,
    title=Text("NCCL takes {nodes} for one host", "NCCL 会把 {nodes} 当成同一台主机"),
    why=Text(
        "a host is told by its name and /proc/sys/kernel/random/boot_id: where both are the same, ranks look for each "
        "other in shared memory, or their GPUs are taken for one",
        "NCCL 以主机名与 /proc/sys/kernel/random/boot_id 识别主机：两者相同时，rank 会在共享内存中寻找对方，或其 GPU "
        "被视为同一块",
    ),
    seen=Text(
        "name {name}, boot_id {boot_id} on all of them; they have no address and no GPU in common",
        "它们的主机名均为 {name}，boot_id 均为 {boot_id}；但没有共同的地址或 GPU",
    ),
    help=HELP,
    look="hostname; cat /proc/sys/kernel/random/boot_id; echo $NCCL_HOSTID",
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep nNodes",
    refs=(ENV_PAGE,),
    situations={
        "variable": Situation(
            seen=Text("NCCL_HOSTID={name} on all of them", "它们的 NCCL_HOSTID 均为 {name}"),
            command="unset NCCL_HOSTID",
        ),
        "in-text": Situation(
            title=Text("NCCL takes two hosts for one", "NCCL 把两台主机当成了一台"),
            help=HELP,
            look="hostname; cat /proc/sys/kernel/random/boot_id; echo $NCCL_HOSTID",
        ),
    },
)


@check(DUPLICATE_HOST_ID)
def duplicate_host_id(
    hosts: PerNode[Host], environments: PerNode[Environment], nics: PerNode[Nics], gpus: PerNode[Gpus]
) -> Iterable[Finding]:
    """What NCCL's getHostHash takes (src/misc/utils.cc): NCCL_HOSTID, else the host's name and boot_id. Snapshots of
    one machine at two times agree in these too: their addresses and GPUs tell them from clones."""
    alike: dict[tuple[str, str], list[str]] = {}
    for node, host in hosts.items():
        environment = environments.get(node)
        given = (environment.get("NCCL_HOSTID") if isinstance(environment, Environment) else None) or ""
        if given:
            alike.setdefault((given, ""), []).append(node)
        elif isinstance(host, Host) and host.name and host.boot_id:
            alike.setdefault((host.name, host.boot_id), []).append(node)
    for (name, boot_id), nodes in alike.items():
        apart = _apart({node: _marks(nics.get(node), gpus.get(node)) for node in nodes}) if len(nodes) > 1 else ()
        if len(apart) > 1:
            found = DUPLICATE_HOST_ID.found(
                None if boot_id else "variable", nodes=hostlist.fold(apart), name=name, boot_id=boot_id or None
            )
            yield replace(found, nodes=apart)


def _marks(nics: object, gpus: object) -> frozenset[str]:
    """What a machine shares with no other: UUIDs of its GPUs, addresses that other nodes can reach."""
    uuids = {gpu.uuid for gpu in gpus.gpus if gpu.uuid} if isinstance(gpus, Gpus) else set()
    if not isinstance(nics, Nics):
        return frozenset(uuids)
    return frozenset(
        uuids
        | {one.address for one in nics.addresses if not one.link_local and not barrier(nics, one.interface, one.family)}
    )


def _apart(marks: dict[str, frozenset[str]]) -> tuple[str, ...]:
    """The nodes that are machines of their own for certain: nothing that marks one is seen on another."""
    owners: dict[str, str] = {}
    found: list[str] = []
    for node, own in marks.items():
        if own and not any(mark in owners for mark in own):
            found.append(node)
        owners.update(dict.fromkeys(own, node))
    return tuple(found)
