"""Did all ranks of a benchmark come, each once, and did every rung hold?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.allreduce import LARGE, AllreduceResult, Failure
from envdoctor.model import Scalar

TOPIC = Topic("allreduce", 900, Text("the all-reduce benchmark", "all-reduce 基准测试"), bench=True)

RANK_MISSING = Problem(
    code="rank-missing",
    severity=Severity.ERROR,
    title=Text("{missing} never came to {address}:{port}", "{missing} 始终没有到达 {address}:{port}"),
    why=Text(
        "the others wait for it: in training until init_process_group times out",
        "其他进程一直等待它：训练时会等到 init_process_group 超时",
    ),
    seen=Text(
        "{come} of {expected} came: {names}; ranks {ranks} are missing",
        "{expected} 个中到达 {come} 个：{names}；缺少 rank {ranks}",
    ),
    help=Text(
        "start it with the same --nnodes, --master-addr and --master-port; if it was started, it prints there on which "
        "rung it stopped",
        "请以相同的 --nnodes、--master-addr、--master-port 启动它；若已启动，它会在自己的终端上说明停在哪一级",
    ),
    confirm="envdoctor bench allreduce --nnodes N --node-rank I --master-addr A",
    situations={
        "launched": Situation(
            help=Text(
                "{launcher} has started it: see whether it still runs there, and what it printed",
                "{launcher} 已启动它：请查看它是否仍在运行，以及输出了什么",
            ),
            look="ps -ef | grep -F 'bench allreduce'   # on {nodes}",
        ),
        "launched-somewhere": Situation(
            help=Text(
                "{launcher} has started it on a node that is not listed here, or has not: look at what it printed",
                "{launcher} 可能在未列出的节点上启动了它，也可能没有启动：请查看它的输出",
            ),
            look="ps -ef | grep -F 'bench allreduce'   # on each node",
        ),
    },
)

RANK_DUPLICATE = Problem(
    code="rank-duplicate",
    severity=Severity.ERROR,
    title=Text("{node} and {other} both claim {what} {index}", "{node} 与 {other} 都声称自己是 {what} {index}"),
    why=Text(
        "their processes would claim the same ranks: NCCL reports a rank that has already checked in, or all wait",
        "它们的进程会占用相同的 rank:NCCL 报告某 rank 已经登记，或全部空等",
    ),
    seen=Text(
        "{what} {index} was told by {other} ({other_address}) and by {node} ({address})",
        "{other}（{other_address}）与 {node}（{address}）给出的 {what} 均为 {index}",
    ),
    help=Text(
        "every node has a --node-rank of its own, from 0 on; a process left over from an earlier run claims one too",
        "每个节点应有各自的 --node-rank，从 0 开始；上次运行残留的进程也会占用编号",
    ),
    look="ps -ef | grep -F 'bench allreduce'   # on {other}, then on {node}",
    confirm="env | grep -E 'RANK|PROCID'",
)

COLLECTIVE_FAILS = Problem(
    code="collective-fails",
    severity=Severity.ERROR,
    title=Text("{rung} failed on {node}: {error}", "{node} 在 {rung} 阶段失败：{error}"),
    why=Text(
        "the rungs below it held on all nodes, so what it needs beyond them does not work",
        "其下各级在所有节点上均通过，因此问题出在该级新增的依赖上",
    ),
    seen=Text("{rung} on {node}, ranks {ranks}: {error}", "{node} 的 {rung}，rank {ranks}：{error}"),
    help=Text(
        "gloo and NCCL choose their own interface: name it on all nodes and try again",
        "gloo 与 NCCL 会自行选择网络接口：请在所有节点上指定接口后重试",
    ),
    look="NCCL_DEBUG=INFO TORCH_CPP_LOG_LEVEL=INFO envdoctor bench allreduce ...",
    confirm="ip -br address",
    caused_by=(
        "peer-died",
        "data-corrupt",
        "torch-version-mismatch",
        "nccl-version-mismatch",
        "interface-missing",
        "wrong-interface",
        "hostname-loopback",
        "hostname-unresolvable",
        "mtu-mismatch",
        "firewall-blocks-ports",
        "torch-missing",
        "port-in-use",
    ),
    situations={
        "silent": Situation(
            title=Text(
                "{rung} did not come to an end on {node} within {seconds:.0f} s",
                "{node} 的 {rung} 在 {seconds:.0f} 秒内没有结束",
            ),
            why=Text(
                "a rank waits for another: in training this is a hang without a word",
                "有 rank 在等待另一个 rank：训练时表现为无声的挂起",
            ),
            seen=Text(
                "ranks {ranks} of {node} gave no answer on {rung}", "{node} 的 rank {ranks} 在 {rung} 上没有应答"
            ),
        ),
    },
)


@check(RANK_MISSING)
def rank_missing(result: AllreduceResult) -> Iterable[Finding]:
    """Only the node of rank 0 knows who came, and only once nobody contradicted."""
    if not result.missing or result.stage != "join" or 0 in result.missing or result.on("join"):
        # Rank 0's own agent did not get through, or one was turned away that may stand for the missing one: that is
        # told, and who else would have come is not known.
        return
    if set(result.missing) <= {failure.member for failure in result.failures}:
        return  # each has told itself what kept it
    kind = "node" if result.per == "node" else "rank"
    situation = None
    if result.per == "process":
        situation = "launched" if result.awaited else "launched-somewhere"
    found = RANK_MISSING.found(
        situation,
        missing=f"{kind} {_numbers(result.missing)}",
        address=result.master_addr,
        port=result.master_port,
        come=len(result.members),
        expected=result.expected_members,
        names=", ".join(dict.fromkeys(member.node for member in result.members if member.node)) or None,
        ranks=_numbers(result.missing_ranks),
        launcher=result.launcher or None,
        nodes=", ".join(result.awaited) or None,
    )
    yield replace(found, nodes=result.awaited) if result.awaited else found


def _numbers(numbers: tuple[int, ...]) -> str:
    """ "1, 3-7" of (1, 3, 4, 5, 6, 7)."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


@check(RANK_DUPLICATE)
def rank_duplicate(result: AllreduceResult) -> Iterable[Finding]:
    """Two came with one number; both are told, and both are named."""
    for failure in result.on("join"):
        if failure.how == "duplicate":
            found = RANK_DUPLICATE.found(
                node=failure.node,
                other=failure.other,
                address=failure.address,
                other_address=failure.other_address,
                index=failure.member,
                what="--node-rank" if result.per == "node" else "RANK",
            )
            yield replace(found, nodes=tuple(dict.fromkeys((failure.node, failure.other))))


@check(COLLECTIVE_FAILS)
def collective_fails(result: AllreduceResult) -> Iterable[Finding]:
    """From the store on: what no other check names is named by its rung."""
    if result.departed:
        return  # the others raise, or wait, for that reason: checks/ranks.py and checks/torch_import.py
    heard = [
        failure for failure in result.failures if failure.rung in ("store", "gloo", "nccl", "first", "large", "sweep")
    ]
    for failure in _first(heard):
        node = result.named(failure.member)
        member = result.member(failure.member)
        ranks = failure.ranks or (member.ranks if member else ())
        values: dict[str, Scalar] = {
            "rung": failure.rung,
            "node": node,
            "quoted": shlex.quote(node),
            "ranks": _numbers(ranks),
            "error": _one_line(failure),
            "seconds": failure.seconds,
        }
        situation = "silent" if failure.how in ("silent", "no-answer") else None
        yield replace(COLLECTIVE_FAILS.found(situation, **values), nodes=(node,))


def _first(failures: list[Failure]) -> list[Failure]:
    """What was raised says more than a silence; one of them is enough."""
    order = {"raised": 0, "silent": 1, "no-answer": 2}
    return sorted((one for one in failures if one.how in order), key=lambda one: order[one.how])[:1]


def _one_line(failure: Failure) -> str:
    lines = [line for line in failure.error.splitlines() if line.strip()]
    said = lines[0] if lines else failure.kind or failure.how
    # gloo and c10d put the place in their own sources first, which says nothing to anybody else.
    return re.sub(r"\[[^\]\s]*\.(cc|cpp|h):\d+\] ?", "", said)[:300]


@summary
def line(result: AllreduceResult) -> tuple[Text, Mapping[str, Scalar]] | None:
    best = result.best
    values: dict[str, Scalar] = {"ranks": result.world_size, "backend": result.backend, "stage": result.stage}
    if not result.done or best is None:
        return Text("stopped at {stage}", "停在 {stage}"), values
    if best.bytes < LARGE:
        # A check of the way, not of its speed.
        took = Text(
            "{ranks} {ranks:rank exchanges|ranks exchange} data over {backend}; 8 bytes take {time_us:.0f} us",
            "{ranks} 个 rank 可通过 {backend} 交换数据；8 字节耗时 {time_us:.0f} 微秒",
        )
        return took, {**values, "time_us": best.median_us}
    said = Text(
        "{ranks} {ranks:rank|ranks}, {backend}: busbw {busbw:.3g} GB/s",
        "{ranks} 个 rank，{backend}：busbw {busbw:.3g} GB/s",
    )
    return said, {**values, "busbw": best.busbw_gb_s}
