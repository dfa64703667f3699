"""Is a benchmark slower than the earlier one it is compared with?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.allreduce import AllreduceResult, Size

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
        "{size} bytes: {now:.3g} GB/s now, {before:.3g} then; the median over {count} {count:size|sizes} counts",
        "{size} 字节：现在 {now:.3g} GB/s，之前 {before:.3g} GB/s；以 {count} 个大小的中位数为准",
    ),
    help=Text(
        "the same ranks on the same nodes? if so, compare the nodes: `envdoctor check` on each",
        "rank 与节点是否与之前相同？若相同，请在各节点上运行 `envdoctor check` 进行比较",
    ),
    confirm="envdoctor bench allreduce --baseline FILE",
    caused_by=("data-corrupt",),
)

BASELINE_DIFFERS = Problem(
    code="baseline-differs",
    severity=Severity.NOTE,
    title=Text("the earlier run measured something else", "之前的运行测的不是同一件事"),
    why=Text(
        "the two results are not compared: a slowdown would go unseen",
        "两次结果不作比较：即使变慢也看不出来",
    ),
    seen=Text("{what}: {now} now, {before} then", "{what}：现在为 {now}，之前为 {before}"),
    help=Text(
        "measure again as then, or write a new file to compare with: `envdoctor bench allreduce -o FILE`",
        "请按当时的方式重测，或用 `envdoctor bench allreduce -o FILE` 写一份新的基准文件",
    ),
    confirm="envdoctor bench allreduce --baseline FILE",
    situations={
        "sizes": Situation(
            seen=Text(
                "no size was measured both times: {now} now, {before} then",
                "没有两次都测过的大小：现在为 {now}，之前为 {before}",
            )
        )
    },
)


def _how(result: AllreduceResult) -> Iterator[tuple[str, str | int, str | int]]:
    """In what the two runs differ, with the option that says it."""
    yield "--backend", result.backend, result.baseline_backend
    yield "--dtype", result.dtype, result.baseline_dtype
    yield "ranks", result.world_size, result.baseline_world_size


def _span(sizes: Sequence[Size]) -> str:
    return f"{sizes[0].bytes} to {sizes[-1].bytes} B"


@check(BASELINE_DIFFERS)
def baseline_differs(result: AllreduceResult) -> Iterable[Finding]:
    """Another backend, dtype or number of ranks, or no size in common."""
    if not result.baseline or not result.sizes:
        return
    other = [(what, now, before) for what, now, before in _how(result) if before and before != now]
    for what, now, before in other:
        yield BASELINE_DIFFERS.found(what=what, now=now, before=before)
    if not other and not {size.bytes for size in result.sizes} & {size.bytes for size in result.baseline}:
        yield BASELINE_DIFFERS.found("sizes", now=_span(result.sizes), before=_span(result.baseline))


@check(SLOWER_THAN_BASELINE)
def slower_than_baseline(result: AllreduceResult) -> Iterable[Finding]:
    """By the median over the sizes of 1 MiB and more that both have measured, or over all where none is so large."""
    if any(before and before != now for _, now, before in _how(result)):
        return
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
