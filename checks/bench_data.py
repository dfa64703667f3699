"""Did every collective of a benchmark return what it must?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.allreduce import AllreduceResult

TOPIC = Topic("allreduce", 906, Text("the sums themselves", "求和结果本身"), bench=True)

DATA_CORRUPT = Problem(
    code="data-corrupt",
    severity=Severity.ERROR,
    title=Text(
        "all-reduce returns wrong sums: the data of rank {suspects} on {node} is bad",
        "all-reduce 结果错误：{node} 上 rank {suspects} 的数据有误",
    ),
    why=Text(
        "training goes on with wrong gradients, without an error",
        "训练会带着错误的梯度继续进行，且不报错",
    ),
    seen=Text(
        "{wrong} {wrong:element differs|elements differ} from the exact sum at {size} bytes, seen by ranks "
        "{seen_by}; every group that rank "
        "{suspects} is in sums wrongly, the others do not",
        "{size} 字节时有 {wrong} 个元素与精确和不符，由 rank {seen_by} 发现；"
        "凡包含 rank {suspects} 的组结果都错，其他组都对",
    ),
    help=Text(
        "take that GPU or node out of the job; on PCIe paths an IOMMU or ACS that redirects peer-to-peer traffic does "
        "this too: NCCL_P2P_DISABLE=1 on that node tells",
        "请将该 GPU 或节点移出作业；PCIe 路径上的 IOMMU 或 ACS 重定向也会造成同样现象："
        "在该节点设 NCCL_P2P_DISABLE=1 可以验证",
    ),
    confirm="envdoctor bench allreduce",
    caused_by=("p2p-acs-iommu", "gpu-ecc"),
    refs=("https://github.com/pytorch/pytorch/issues/84803",),
    situations={
        "unlocated": Situation(
            title=Text(
                "all-reduce returns wrong sums, and no single rank is to blame",
                "all-reduce 结果错误，且无法归因于单个 rank",
            ),
            seen=Text(
                "{wrong} {wrong:element differs|elements differ} from the exact sum at {size} bytes, seen by ranks "
                "{seen_by}; in smaller "
                "groups none of {world} ranks stands out",
                "{size} 字节时有 {wrong} 个元素与精确和不符，由 rank {seen_by} 发现；"
                "在更小的组中，{world} 个 rank 无一突出",
            ),
            help=Text(
                "the path between them is to blame, or it comes now and then: run it again with --sizes of that size",
                "问题在它们之间的路径上，或只是偶尔出现：请用该大小的 --sizes 再运行一次",
            ),
        ),
    },
)


@check(DATA_CORRUPT)
def data_corrupt(result: AllreduceResult) -> Iterable[Finding]:
    """The first size that was wrong; the rank by the groups in which sums are wrong."""
    bad = next((size for size in result.sizes if size.wrong), None)
    if bad is None:
        return
    # A rank that alone sees it wrong receives badly, whatever the groups say.
    alone = bad.wrong_ranks if len(bad.wrong_ranks) == 1 and result.world_size > 1 else ()
    suspects = result.suspects if len(result.suspects) == 1 else alone
    node = next((result.named(one.index) for one in result.members if set(suspects) & set(one.ranks)), "")
    found = DATA_CORRUPT.found(
        None if suspects else "unlocated",
        suspects=", ".join(str(rank) for rank in suspects) or None,
        node=node or None,
        wrong=bad.wrong,
        size=bad.bytes,
        seen_by=", ".join(str(rank) for rank in bad.wrong_ranks),
        world=result.world_size,
    )
    yield replace(found, nodes=(node,)) if node else found
