"""Do the launcher's variables give this process a place in the job that makes sense?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist
from envdoctor.facts.agreement import agreement
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.environment import Environment
from envdoctor.facts.launch import Launch, launches, node_count, process
from envdoctor.model import Scalar

TOPIC = Topic("launch", 230, Text("how the job is launched", "训练任务的启动方式"))

# What init_process_group reads with init_method="env://", torch/distributed/rendezvous.py.
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

LAUNCH_ENV_MISSING = Problem(
    code="launch-env-missing",
    severity=Severity.ERROR,
    title=Text(
        "{missing} {lacking:is|are} not set, though {present} {given:is|are}",
        "已设置 {present}，但缺少 {missing}",
    ),
    why=Text(
        "`init_process_group` stops with `environment variable ... expected, but not set`",
        "`init_process_group` 会报错 `environment variable ... expected, but not set` 并退出",
    ),
    seen=Text("environment: {values}; not set: {missing}", "环境变量：{values}；未设置：{missing}"),
    help=Text(
        "a launcher sets all of them for every process: start the script with torchrun instead of python",
        "启动器会为每个进程设置全部变量：请用 torchrun 而不是 python 启动脚本",
    ),
    command="torchrun --nproc-per-node=gpu train.py",
    confirm="env | grep -E '^(RANK|WORLD_SIZE|LOCAL_RANK|MASTER_)'",
    refs=("https://docs.pytorch.org/docs/stable/distributed.html",),
    situations={
        "not-a-number": Situation(
            title=Text("`{variable}` is `{value}`, which is no number", "`{variable}` 的值 `{value}` 不是数字"),
            why=Text(
                "`init_process_group` stops with a ValueError before any rank is contacted",
                "`init_process_group` 会在联系其他 rank 之前抛出 ValueError",
            ),
            seen=Text("environment: {variable}={value}", "环境变量：{variable}={value}"),
            help=Text(
                "set it to one whole number; a launcher does it",
                "请将其设为一个整数；通常由启动器设置",
            ),
            look="env | grep ^{variable}=",
        ),
    },
)

WORLD_SIZE_MISMATCH = Problem(
    code="world-size-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "{what} is {value}, which does not fit {other}={limit}",
        "{what}={value} 与 {other}={limit} 矛盾",
    ),
    why=Text(
        "the ranks that others wait for never come: `init_process_group` hangs until its timeout",
        "其他进程等待的 rank 永远不会出现：`init_process_group` 会一直挂起直到超时",
    ),
    seen=Text("environment: {what}={value}, {other}={limit}", "环境变量：{what}={value}，{other}={limit}"),
    help=Text(
        "ranks run from 0 to the world size less one; the world size is the sum of the processes of all nodes",
        "rank 的取值为 0 到 world size 减一；world size 等于所有节点进程数之和",
    ),
    confirm="env | grep -E 'RANK|WORLD_SIZE|NTASKS|PROCID'",
    situations={
        "frozen-rank": Situation(
            title=Text(
                "RANK is {value} in this process, which {launcher} numbers {limit}",
                "{launcher} 给本进程的编号为 {limit}，但 RANK={value}",
            ),
            why=Text(
                "two processes claim one rank: `init_process_group` hangs, or NCCL reports a duplicate rank",
                "两个进程占用同一个 rank：`init_process_group` 挂起，或 NCCL 报告 rank 重复",
            ),
            help=Text(
                "RANK was set before {launcher} started the tasks, and all of them inherit it: set it inside each task",
                "RANK 在 {launcher} 启动各任务之前就已设置，因此被所有任务继承：请在每个任务内部设置",
            ),
            command="export RANK=${other}",
        ),
        "same-node-rank": Situation(
            title=Text(
                "{node} and {other_node} both have node rank {value}", "{node} 与 {other_node} 的节点编号都是 {value}"
            ),
            why=Text(
                "their processes claim the same ranks: NCCL reports `rank ... has already checked in`, or all wait",
                "两个节点的进程占用相同的 rank:NCCL 报告 `rank ... has already checked in`，或全部空等",
            ),
            seen=Text("{what}={value} on {node} and on {other_node}", "{node} 与 {other_node} 上均为 {what}={value}"),
            help=Text("every node has its own, from 0 on", "每个节点应有各自的编号，从 0 开始"),
        ),
        "nodes-disagree": Situation(
            title=Text(
                "{what} is {value} on {node} and {limit} on {other_node}",
                "{what} 在 {node} 上为 {value}，在 {other_node} 上为 {limit}",
            ),
            seen=Text(
                "environment: {what}={value} on {node}, {limit} on {other_node}",
                "环境变量：{what} 在 {node} 上为 {value}，在 {other_node} 上为 {limit}",
            ),
            help=Text("all nodes of a job must be told the same", "同一任务的所有节点必须取相同的值"),
        ),
        "launcher-started-more": Situation(
            title=Text(
                "{launcher} started {limit} {limit:process|processes}, WORLD_SIZE says {value}",
                "{launcher} 启动了 {limit} 个进程，WORLD_SIZE 却是 {value}",
            ),
            command="export WORLD_SIZE=${other}",
        ),
    },
)

SRUN_TORCHRUN_NESTED = Problem(
    code="srun-torchrun-nested",
    severity=Severity.ERROR,
    title=Text(
        "{launcher} starts {tasks} {tasks:task|tasks} on this node, and each starts torchrun with {processes} "
        "{processes:process|processes}",
        "{launcher} 在本节点启动 {tasks} 个任务，每个任务又由 torchrun 启动 {processes} 个进程",
    ),
    why=Text(
        "there are {tasks} times as many processes as GPUs were meant for, and the agents fight for the port",
        "进程数变为预期的 {tasks} 倍，各 torchrun 还会争抢同一端口",
    ),
    seen=Text(
        "environment: {tasks_source}={tasks}, LOCAL_WORLD_SIZE={processes}, GROUP_WORLD_SIZE={groups}",
        "环境变量：{tasks_source}={tasks}，LOCAL_WORLD_SIZE={processes}，GROUP_WORLD_SIZE={groups}",
    ),
    help=Text(
        "start one task per node and let torchrun start the ranks, or start one task per GPU without torchrun",
        "每个节点只启动一个任务并由 torchrun 启动各 rank，或者每张 GPU 启动一个任务而不用 torchrun",
    ),
    situations={
        "slurm": Situation(command="srun --ntasks-per-node=1 torchrun ..."),
        "mpi": Situation(command="mpirun --map-by ppr:1:node torchrun ..."),
    },
)


def _is_number(value: str) -> bool:
    try:
        int(value)
    except ValueError:
        return False
    return True


@check(LAUNCH_ENV_MISSING)
def launch_env_missing(environment: Environment) -> Iterable[Finding]:
    """Some of what env:// needs is set and some is not. A shell with MASTER_ADDR alone is on its way to torchrun."""
    told = launches(environment)
    variables = {name: environment.get(name) or "" for name in (*NEEDED, "LOCAL_RANK", "LOCAL_WORLD_SIZE")}
    present = [name for name in NEEDED if variables.get(name)]
    missing = [name for name in NEEDED if not variables.get(name)]
    started_by_another = any(launch.launcher not in ("env", "nodes", "slurm-job") for launch in told)
    if present and missing:
        evidence: dict[str, Scalar] = {
            "missing": ", ".join(missing),
            "lacking": len(missing),
            "present": ", ".join(present),
            "given": len(present),
            "values": ", ".join(f"{name}={variables[name]}" for name in present),
        }
        if "RANK" in present:
            yield LAUNCH_ENV_MISSING.found(**evidence)
        elif missing == ["RANK"] and not started_by_another and not environment.get("SLURM_JOB_ID"):
            # Three set by hand for a plain python; a batch shell leaves the rank to its tasks.
            yield LAUNCH_ENV_MISSING.found(**evidence).at(Severity.WARNING)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        value = variables.get(name, "")
        if value and not _is_number(value):
            yield LAUNCH_ENV_MISSING.found("not-a-number", variable=name, value=value)


@check(WORLD_SIZE_MISMATCH)
def world_size_mismatch(environment: Environment) -> Iterable[Finding]:
    """A number outside its range, or two launchers that contradict each other."""
    told = launches(environment)
    for launch in told:
        yield from _out_of_range(launch)
    own = next((launch for launch in told if launch.launcher == "env"), None)
    other = next((launch for launch in told if launch.per == "process" and launch.launcher not in ("env",)), None)
    if own and other and other.launcher != "torchrun":
        yield from _contradiction(own, other)


def _out_of_range(launch: Launch) -> Iterable[Finding]:
    """An index must be below its count, and no part larger than the whole."""
    pairs = (
        ("rank", launch.rank, "world_size", launch.world_size),
        ("local_rank", launch.local_rank, "local_world_size", launch.local_world_size),
        ("node_rank", launch.node_rank, "nodes", launch.nodes),
    )
    for index, value, count, limit in pairs:
        if value is not None and limit is not None and not 0 <= value < limit:
            yield _misfit(launch, index, value, count, limit)
    for part, value, whole, limit in (
        ("local_world_size", launch.local_world_size, "world_size", launch.world_size),
        ("nodes", launch.nodes, "world_size", launch.world_size),
    ):
        if value is not None and limit is not None and value > limit:
            yield _misfit(launch, part, value, whole, limit)
    local, world = launch.local_world_size, launch.world_size
    if (
        launch.launcher == "torchrun"
        and launch.nodes == 1
        and local is not None
        and world is not None
        and local < world
    ):
        yield _misfit(launch, "local_world_size", local, "world_size", world)


@check(WORLD_SIZE_MISMATCH)
def nodes_fit_together(environments: PerNode[Environment]) -> Iterable[Finding]:
    """Over the nodes that were examined: node ranks differ, counts are the same. Only one launcher's word is compared
    with another's."""
    told = {
        node: launches(environment)[0]
        for node, environment in environments.items()
        if isinstance(environment, Environment) and launches(environment)
    }
    launchers = agreement({node: launch.launcher for node, launch in told.items()})
    for side in launchers.sides:
        yield from _among({node: told[node] for node in side.nodes})


def _among(told: Mapping[str, Launch]) -> Iterable[Finding]:
    """Nodes that the same launcher started."""
    for count in ("nodes", "world_size"):
        counts = agreement({node: getattr(launch, count) for node, launch in told.items()})
        if counts.differs:
            usual, odd = counts.sides[:2]
            found = _between(
                "nodes-disagree",
                hostlist.fold(usual.nodes),
                hostlist.fold(odd.nodes),
                what=told[usual.nodes[0]].sources[count],
                value=usual.value,
                limit=odd.value,
                launcher="",
            )
            yield replace(found, nodes=counts.odd_nodes)
    ranks = agreement({node: launch.node_rank for node, launch in told.items() if (launch.nodes or 0) > 1})
    for side in ranks.sides:
        if len(side.nodes) > 1:
            found = _between(
                "same-node-rank",
                side.nodes[0],
                hostlist.fold(side.nodes[1:]),
                what=told[side.nodes[0]].sources["node_rank"],
                value=side.value,
            )
            yield replace(found, nodes=side.nodes)


@check(WORLD_SIZE_MISMATCH)
def nodes_were_told_the_same(result: AllreduceResult | None) -> Iterable[Finding]:
    """At the roll call of a benchmark: one says that there are more or fewer than rank 0 was told."""
    for failure in result.on("join") if result is not None else ():
        if failure.how == "world-size" and result is not None:
            first, node = result.named(0), failure.node or failure.address
            yield _between(
                "nodes-disagree",
                first,
                node,
                what="--nnodes" if result.per == "node" else "WORLD_SIZE",
                value=failure.expected,
                limit=failure.given,
            )


def _between(situation: str, node: str, other_node: str, **evidence: Scalar) -> Finding:
    found = WORLD_SIZE_MISMATCH.found(situation, node=node, other_node=other_node, **evidence)
    return replace(found, nodes=(node, other_node))


def _misfit(launch: Launch, what: str, value: int, other: str, limit: int) -> Finding:
    return WORLD_SIZE_MISMATCH.found(
        what=launch.sources[what], value=value, other=launch.sources[other], limit=limit, launcher=launch.title
    )


def _contradiction(own: Launch, other: Launch) -> Iterable[Finding]:
    """RANK and WORLD_SIZE were set by hand inside tasks that another launcher has numbered."""
    if own.world_size is None or other.world_size is None or other.world_size == 1:
        return
    if own.world_size < other.world_size:
        yield WORLD_SIZE_MISMATCH.found(
            "launcher-started-more",
            what="WORLD_SIZE",
            value=own.world_size,
            other=other.sources["world_size"],
            limit=other.world_size,
            launcher=other.title,
        )
    elif own.world_size == other.world_size and own.rank != other.rank and None not in (own.rank, other.rank):
        finding = WORLD_SIZE_MISMATCH.found(
            "frozen-rank",
            what="RANK",
            value=own.rank,
            other=other.sources["rank"],
            limit=other.rank,
            launcher=other.title,
        )
        # Other numbers may be an order chosen on purpose; a 0 in another task than the first is the inherited one.
        yield finding if own.rank == 0 else finding.at(Severity.WARNING)


@check(SRUN_TORCHRUN_NESTED)
def srun_torchrun_nested(environment: Environment) -> Iterable[Finding]:
    """torchrun's workers inside one of several tasks of a node, where torchrun counts fewer agents than there are."""
    told = launches(environment)
    inner = next((launch for launch in told if launch.launcher == "torchrun"), None)
    outer = next((launch for launch in told if launch.per == "process" and launch is not inner), None)
    if inner is None or outer is None or outer.local_world_size is None or outer.world_size is None:
        return
    if outer.local_world_size > 1 and (inner.local_world_size or 1) > 1 and (inner.nodes or 1) < outer.world_size:
        yield SRUN_TORCHRUN_NESTED.found(
            "slurm" if outer.launcher == "slurm" else "mpi",
            launcher=outer.title,
            tasks=outer.local_world_size,
            tasks_source=outer.sources["local_world_size"],
            processes=inner.local_world_size,
            groups=inner.nodes,
        )


@summary
def line(environment: Environment) -> tuple[Text, Mapping[str, Scalar]] | None:
    told = launches(environment)
    rank = process(told)
    if rank is not None and rank.rank is not None:
        return Text("rank {rank} of {size}, {title}", "rank {rank}，共 {size} 个，{title}"), {
            "rank": rank.rank,
            "size": rank.world_size,
            "title": rank.title,
        }
    if told:
        return Text("{title}, {nodes} {nodes:node|nodes}", "{title}，{nodes} 个节点"), {
            "title": told[0].title,
            "nodes": node_count(told),
        }
    return Text("no launcher's variables are set", "未设置任何启动器的变量"), {}
