"""What this process is to do in a benchmark: alone, one node of several, or one rank of a launcher's.

A pure function of the options and the launchers' variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envdoctor.bench import lifeline, mpirun
from envdoctor.errors import UsageError
from envdoctor.facts import hostlist
from envdoctor.facts.environment import Environment
from envdoctor.facts.launch import Launch, launches, process

PORT = 29500  # torch's usual one, torch/distributed/run.py


@dataclass(frozen=True)
class Given:
    """What the command line says; None and "" where it says nothing."""

    nnodes: int | None = None
    node_rank: int | None = None
    master_addr: str = ""
    master_port: int | None = None
    nproc_per_node: int | None = None


@dataclass(frozen=True)
class Part:
    """This process's part.

    Attributes:
        master_port: 0 where any will do.
        index, members: which of how many. per: what a member is, "node" or "process".
        nproc: ranks it starts. local_rank: where the launcher has numbered them.
        store_is_there: torchrun's agent keeps the store at the master's port, and the workers join it.
        launcher: who started this, for people. given_by: the option or variable that named the master.
        started: nodes, and how many members the launcher starts on each; empty where it does not say.
    """

    index: int = 0
    members: int = 1
    per: str = "node"
    nproc: int = 1
    local_rank: int | None = None
    master_addr: str = "127.0.0.1"
    master_port: int = PORT
    store_is_there: bool = False
    launcher: str = ""
    given_by: str = "--master-addr"
    started: tuple[tuple[str, int], ...] = ()

    @property
    def reports(self) -> bool:
        """Whether this is where the whole report is printed: beside rank 0."""
        return self.index == 0


def part(given: Given, variables: Mapping[str, str], gpus: int) -> Part:
    """What this process is to do.

    Args:
        gpus: visible to it.

    Raises:
        UsageError: options or variables that do not fit together, or that leave the place of rank 0 unknown.
    """
    told = launches(Environment(dict(variables)))
    if given.nnodes is not None or given.node_rank is not None or given.master_addr:
        return _by_hand(given, gpus)
    rank = process(told)
    if rank is not None and rank.rank is not None and rank.world_size is not None:
        return _as_rank(given, rank, told, variables)
    node = next((one for one in told if one.per == "node" and (one.nodes or 0) > 1), None)
    if node is not None and node.node_rank is not None:
        return _as_node(given, node, gpus)
    # Alone nobody else must know the port: the kernel chooses a free one.
    return Part(
        nproc=_nproc(given, gpus, alone=True), master_port=_port(given.master_port, PORT) if given.master_port else 0
    )


def _by_hand(given: Given, gpus: int) -> Part:
    members = 1 if given.nnodes is None else given.nnodes
    index = given.node_rank
    if members < 1:
        raise UsageError(
            f"--nnodes {members}: a job has at least one node", f"--nnodes {members}：作业至少要有一个节点"
        )
    if index is None:
        if members > 1:
            raise UsageError(
                "--nnodes needs --node-rank I as well: 0 on the first node, 1 on the second ...",
                "--nnodes 还需要 --node-rank I：第一个节点为 0，第二个为 1，依此类推",
            )
        index = 0
    if not 0 <= index < members:
        raise UsageError(
            f"--node-rank {index} does not fit --nnodes {members}: it runs from 0 to {members - 1}",
            f"--node-rank {index} 与 --nnodes {members} 不符：应为 0 到 {members - 1}",
        )
    if members > 1 and not given.master_addr:
        raise UsageError(
            "--nnodes needs --master-addr A as well: the address of the node with --node-rank 0",
            "--nnodes 还需要 --master-addr A：即 --node-rank 0 所在节点的地址",
        )
    return Part(
        index=index,
        members=members,
        nproc=_nproc(given, gpus, alone=members == 1),
        master_addr=given.master_addr or "127.0.0.1",
        master_port=_port(given.master_port, PORT),
    )


def _as_rank(given: Given, own: Launch, told: tuple[Launch, ...], variables: Mapping[str, str]) -> Part:
    assert own.rank is not None and own.world_size is not None
    if not 0 <= own.rank < own.world_size:
        raise UsageError(
            f"{own.sources['rank']}={own.rank} does not fit {own.sources['world_size']}={own.world_size}; "
            f"`envdoctor check launch` says more",
            f"{own.sources['rank']}={own.rank} 与 {own.sources['world_size']}={own.world_size} 不符；"
            "详见 `envdoctor check launch`",
        )
    if given.nproc_per_node not in (None, 1):
        raise UsageError(
            f"--nproc-per-node: {own.title} has started every rank already; leave it out",
            f"--nproc-per-node：{own.title} 已启动所有 rank，请去掉该选项",
        )
    address = variables.get("MASTER_ADDR") or next((one.master_addr for one in told if one.master_addr), "")
    if not address and own.hosts:
        address = own.hosts[0]
    if not address and own.local_world_size == own.world_size:
        address = "127.0.0.1"
    if not address:
        address = mpirun.address(variables, own, told)
    if not address:
        hint = mpirun.HANDS_ON.get(own.launcher, "")
        raise UsageError(
            f"{own.title} does not say where rank 0 is; set MASTER_ADDR for all ranks{f': {hint}' if hint else ''}",
            f"{own.title} 没有说明 rank 0 在哪里；请为所有 rank 设置 MASTER_ADDR{f'：{hint}' if hint else ''}",
        )
    port = given.master_port or next((one.master_port for one in told if one.master_port), None)
    agent_store = own.launcher == "torchrun" and variables.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return Part(
        index=own.rank,
        members=own.world_size,
        per="process",
        local_rank=own.local_rank if own.local_rank is not None else 0,
        master_addr=address.strip(),
        master_port=_port(port, PORT),
        store_is_there=agent_store,
        launcher=own.title,
        given_by="MASTER_ADDR",
        started=_started(own, variables),
    )


def _started(own: Launch, variables: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """The nodes of a job whose ranks a launcher has started, and how many on each, as far as its variables tell."""
    try:
        counts = hostlist.per_node(variables.get(own.sources.get("local_world_size", ""), ""))
    except ValueError:
        return ()
    if len(counts) != len(own.hosts) or sum(counts) != own.world_size:
        return ()
    return tuple(zip(own.hosts, counts, strict=True))


def _as_node(given: Given, own: Launch, gpus: int) -> Part:
    assert own.nodes is not None and own.node_rank is not None
    address = own.master_addr or (own.hosts[0] if own.hosts else "")
    if not address:
        raise UsageError(
            f"{own.title} does not say where node 0 is; give --master-addr on every node",
            f"{own.title} 没有说明节点 0 在哪里；请在每个节点上给出 --master-addr",
        )
    return Part(
        index=own.node_rank,
        members=own.nodes,
        nproc=given.nproc_per_node or own.local_world_size or max(1, gpus),
        master_addr=address.strip(),
        master_port=_port(given.master_port or own.master_port, PORT),
        launcher=own.title,
        given_by=own.sources.get("master_addr", "MASTER_ADDR"),
    )


def ranks_of(given: Given) -> int:
    """--nproc-per-node, 0 where it is not given. Raises UsageError for a number that cannot be."""
    if given.nproc_per_node is None:
        return 0
    if not 1 <= given.nproc_per_node <= 1024:
        raise UsageError(
            f"--nproc-per-node {given.nproc_per_node}: a whole number from 1 to 1024",
            f"--nproc-per-node {given.nproc_per_node}：应为 1 到 1024 的整数",
        )
    return given.nproc_per_node


def _nproc(given: Given, gpus: int, alone: bool) -> int:
    return ranks_of(given) or gpus or (2 if alone else 1)


def _port(given: int | None, usual: int) -> int:
    port = usual if given is None else given
    if not 1 <= port <= 65535:
        raise UsageError(
            f"--master-port {port}: a port is a whole number from 1 to 65535",
            f"--master-port {port}：端口应为 1 到 65535 的整数",
        )
    return port


def visible_gpus(variables: Mapping[str, str]) -> int:
    """GPUs that a process with these variables may use, without asking CUDA."""
    return lifeline.visible_gpus(variables)
