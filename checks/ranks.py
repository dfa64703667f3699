"""Which rank failed first, and which only noticed?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.allreduce import AllreduceResult, Failure
from envdoctor.model import Scalar

# What tells that a member ended, the most certain first: of a process it is known, of a connection that ended that its
# machine or agent did, and of one that fell silent not even that.
_GONE = {"died": 0, "lost": 1, "unheard": 2, "cut": 3}

TOPIC = Topic("ranks", 250, Text("the ranks of a job that failed", "失败作业中的各个 rank"))

PEER_DIED = Problem(
    code="peer-died",
    severity=Severity.ERROR,
    title=Text("another rank ended, and this one lost its connection", "另一个 rank 已退出，本 rank 的连接因此中断"),
    why=Text(
        "what this rank reports is not the cause: that is the first error of the rank that ended",
        "本 rank 报告的不是原因：原因是先退出的那个 rank 的第一个错误",
    ),
    help=Text(
        "look for the earliest error over all ranks; a process that ends without one was killed: dmesg or the "
        "scheduler's record tells by whom",
        "请在所有 rank 中寻找最早的错误；没有报错就退出的进程是被杀死的：可从 dmesg 或调度器记录得知原因",
    ),
    look="sudo dmesg -T | grep -iE 'oom|killed|xid'",
    confirm="torchrun --redirects 3 --log-dir logs ...",
    caused_by=(
        "rank-out-of-memory",
        "out-of-memory",
        "host-out-of-memory",
        "gpu-fell-off-bus",
        "gpu-ecc",
        "gpu-xid",
        "shm-too-small",
        "disk-full",
    ),
    refs=("https://docs.pytorch.org/docs/stable/elastic/errors.html",),
    situations={
        "bench": Situation(
            title=Text("{who} on {node} ended while {rung} was under way", "{node} 上的 {who} 在 {rung} 阶段中途退出"),
            why=Text(
                "the other ranks wait for it, or report a connection that was closed",
                "其他 rank 会一直等待它，或报告连接被关闭",
            ),
            seen=Text("it ended: {how}{said}", "退出方式：{how}{said}"),
            help=Text(
                "somebody or something ended it: dmesg or the scheduler's record on {node} tells",
                "它是被终止的：{node} 上的 dmesg 或调度器记录会说明原因",
            ),
        ),
        "silent": Situation(
            title=Text("{node} fell silent while {rung} was under way", "{node} 在 {rung} 阶段失去响应"),
            why=Text(
                "the other ranks wait for it: in training this is a hang until the timeout",
                "其他 rank 会一直等待它：训练时表现为挂起，直到超时",
            ),
            seen=Text(
                "nothing has come from {node} for {seconds:.0f} s, which says a word every second; its connection was "
                "not closed",
                "{node} 每秒都会发出一个消息，而已有 {seconds:.0f} 秒没有任何消息；它的连接并未关闭",
            ),
            help=Text(
                "its network was cut, or the machine stopped, froze or lost power: see whether it still answers, and "
                "what its kernel says of the interface",
                "它的网络中断，或机器停机、死机、断电：请查看它是否仍有应答，以及其内核关于网络接口的消息",
            ),
            look="ping -c 3 {quoted}",
        ),
    },
)

RANK_OUT_OF_MEMORY = Problem(
    code="rank-out-of-memory",
    severity=Severity.ERROR,
    title=Text("rank {rank} ran out of GPU memory; the others lost it", "rank {rank} 显存耗尽，其他 rank 与其断开"),
    why=Text("errors of the network that other ranks report follow from it", "其他 rank 报告的网络错误都是由此引起的"),
    help=Text(
        "a smaller batch, or an even share of the work: the last pipeline stage and rank 0 often hold more",
        "减小 batch，或让各 rank 的负载均衡：流水线最后一级和 rank 0 往往占用更多显存",
    ),
    look="nvidia-smi",
    confirm="nvidia-smi",
    caused_by=("gpu-busy",),
    refs=("https://docs.pytorch.org/docs/stable/notes/cuda.html",),
)

COLLECTIVE_TIMEOUT_DESYNC = Problem(
    code="collective-timeout-desync",
    severity=Severity.ERROR,
    title=Text(
        "ranks are out of step: a collective was not joined by all", "各 rank 步调不一致：有 rank 没有参与集合通信"
    ),
    why=Text(
        "the watchdog ends the job after the timeout, though the network may be sound",
        "watchdog 在超时后终止作业，而网络本身可能没有问题",
    ),
    help=Text(
        "compare the last collective (SeqNum) of all ranks: one that lags is in another branch, in a long step "
        "(saving, evaluation, compiling) or has died; the flight recorder shows where: "
        "TORCH_NCCL_TRACE_BUFFER_SIZE=2000 TORCH_NCCL_DUMP_ON_TIMEOUT=1",
        "请比较各 rank 最后的集合通信（SeqNum）：落后的 rank 走了别的分支、处于耗时步骤（保存、评估、编译）或已退出；"
        "可用 flight recorder 定位：TORCH_NCCL_TRACE_BUFFER_SIZE=2000 TORCH_NCCL_DUMP_ON_TIMEOUT=1",
    ),
    look="py-spy dump --pid PID",
    confirm="TORCH_DISTRIBUTED_DEBUG=DETAIL torchrun ...",
    caused_by=(
        "out-of-memory",
        "host-out-of-memory",
        "gpu-xid",
        "gpu-fell-off-bus",
        "ib-port-down",
        "firewall-blocks-ports",
        "wrong-interface",
        "p2p-acs-iommu",
    ),
    refs=("https://docs.pytorch.org/docs/stable/torch_nccl_environment_variables.html",),
)


@check(PEER_DIED)
def peer_died(result: AllreduceResult | None) -> Iterable[Finding]:
    """In a benchmark: a process that ended before its time, not those that only noticed; of nodes that fell silent,
    all."""
    if result is None or result.done:
        return
    # What ends while it imports torch is told where imports are judged; what is killed, here.
    gone = [one for one in result.failures if one.how in _GONE and (not _in_the_import(one) or one.signal == "SIGKILL")]
    first = sorted(gone, key=lambda one: _GONE[one.how])[:1]
    for failure in [one for one in gone if one.how == "unheard"] if first and first[0].how == "unheard" else first:
        member = 0 if failure.how == "cut" else failure.member
        node = result.named(member)
        if failure.how == "unheard" or (failure.how == "cut" and failure.seconds is not None):
            silent = {"node": node, "quoted": shlex.quote(node), "rung": failure.rung, "seconds": failure.seconds}
            yield replace(PEER_DIED.found("silent", **silent), nodes=(node,))
            continue
        ranks = failure.ranks if failure.how == "died" else (found.ranks if (found := result.member(member)) else ())
        numbers = ", ".join(str(rank) for rank in ranks)
        ended = failure.signal or (f"exit status {failure.status}" if failure.status is not None else "")
        found_ = PEER_DIED.found(
            "bench",
            who=f"rank {numbers}" if len(ranks) == 1 else f"ranks {numbers}" if ranks else "a process",
            node=node,
            rung=failure.rung,
            how=ended or "the connection to it ended",
            said=f"\n{failure.said}" if failure.said else "",
        )
        yield replace(found_, nodes=(node,))


def _in_the_import(failure: Failure) -> bool:
    return failure.how == "died" and failure.rung == "torch"


@summary
def line(result: AllreduceResult) -> tuple[Text, Mapping[str, Scalar]] | None:
    if not result.done:
        return None
    return Text("{count} {count:rank|ranks}, none died", "{count} 个 rank，均未退出"), {"count": result.world_size}
