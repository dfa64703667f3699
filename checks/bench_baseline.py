"""Is a benchmark slower than the earlier one it is compared with?"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts.allreduce import AllreduceResult

TOPIC = Topic("allreduce", 908, Text("against an earlier run", "与之前的运行相比"), bench=True)

# From here on the time is that of the data and not of waking up; below, runs of one machine differ by half.
LARGE = 1 << 20  # bytes
LESS = 0.9  # superbench's rule is 5 % on a quiet machine; the median of few iterations varies more

SLOWER_THAN_BASELINE = Problem(
    code="slower-than-baseline",
    severity=Severity.WARNING,
    title=Text("all-reduce is at {share:.0%} of the earlier run", "all-reduce 只有之前运行的 {share:.0%}"),
    why=Text("each step waits longer for its gradients", "每一步等待梯度的时间都变长"),
    seen=Text(
        "{size} bytes: {now:.3f} GB/s now, {before:.3f} then; the median over {count} sizes counts",
        "{size} 字节：现在 {now:.3f} GB/s，之前 {before:.3f} GB/s；以 {count} 个大小的中位数为准",
    ),
    help=Text(
        "the same ranks on the same nodes? if so, compare the nodes: `envdoctor check` on each",
        "rank 与节点是否与之前相同？若相同，请在各节点上运行 `envdoctor check` 进行比较",
    ),
    confirm="envdoctor bench allreduce --baseline FILE",
    caused_by=("data-corrupt",),
)


@check(SLOWER_THAN_BASELINE)
def slower_than_baseline(result: AllreduceResult) -> Iterable[Finding]:
    """By the median over the sizes of 1 MiB and more that both have measured, or over all where none is so large."""
    before = {size.bytes: size.busbw_gb_s for size in result.baseline if size.busbw_gb_s > 0}
    both = [size for size in result.sizes if size.bytes in before]
    large = [size for size in both if size.bytes >= LARGE] or both
    if not large or result.oversubscribed:
        return
    share = median(size.busbw_gb_s / before[size.bytes] for size in large)
    if share < LESS:
        last = large[-1]
        yield SLOWER_THAN_BASELINE.found(
            share=share, size=last.bytes, now=last.busbw_gb_s, before=before[last.bytes], count=len(large)
        )
