"""Where did a benchmark stop for which nothing else tells why?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.allreduce import RUNGS, AllreduceResult, Failure

TOPIC = Topic("allreduce", 909, Text("whether the benchmark came to its end", "基准测试是否完成"), bench=True)

BENCH_STOPPED = Problem(
    code="bench-stopped",
    severity=Severity.ERROR,
    title=Text(
        "the benchmark stopped on {rung}, and nothing tells why; last there: {who}",
        "基准测试停在 {rung} 阶段，原因不明；最后停在该级的是：{who}",
    ),
    why=Text(
        "training between these nodes would climb the same rungs",
        "在这些节点之间训练也要经过同样的各级",
    ),
    seen=Text("the last rung of each node: {rungs}", "各节点的最后一级：{rungs}"),
    help=Text(
        "run it again, and on these nodes look at what else happens there: load, memory, the kernel's messages",
        "请再运行一次，并查看这些节点上的其他情况：负载、内存、内核消息",
    ),
    look="uptime; dmesg -T | tail",
    confirm="envdoctor bench allreduce -v ...",
    last_resort=True,
    situations={
        "told": Situation(
            title=Text("{rung} failed on {who}: {how}", "{who} 的 {rung} 阶段失败：{how}"),
            seen=Text(
                "{how}: {error}\nthe last rung of each node: {rungs}",
                "{how}：{error}\n各节点的最后一级：{rungs}",
            ),
        ),
    },
)

MOST_NAMED = 8


@check(BENCH_STOPPED)
def bench_stopped(result: AllreduceResult) -> Iterable[Finding]:
    """A run that did not come to its end is never fine. Said only where no other error is found."""
    if result.done:
        return
    rungs = ", ".join(f"{result.named(one.index)} {one.rung or '-'}" for one in result.members[:MOST_NAMED])
    if result.failures:
        failure = next((one for one in result.failures if one.how not in ("cut", "lost")), result.failures[0])
        alike = [one for one in result.failures if (one.rung, one.how) == (failure.rung, failure.how)]
        nodes = _names(result, [one.member for one in alike])
        yield replace(
            BENCH_STOPPED.found(
                "told", rung=failure.rung, who=_listed(nodes), how=failure.how, error=_words(failure), rungs=rungs
            ),
            nodes=nodes,
        )
        return
    nodes = _names(result, _behind(result))
    yield replace(BENCH_STOPPED.found(rung=result.stage or "start", who=_listed(nodes), rungs=rungs), nodes=nodes)


def _behind(result: AllreduceResult) -> list[int]:
    """Who never came, else who is on the lowest rung."""
    if result.missing:
        return list(result.missing)
    places = {one.index: RUNGS.index(one.rung) if one.rung in RUNGS else -1 for one in result.members}
    lowest = min(places.values(), default=-1)
    return [index for index, place in places.items() if place == lowest] or [result.own]


def _names(result: AllreduceResult, members: list[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(result.named(member) for member in members if member >= 0)) or (
        result.named(result.own),
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (" ..." if len(names) > MOST_NAMED else "")


def _words(failure: Failure) -> str | None:
    ways = ", ".join(f"{way.a}-{way.b} {way.outcome}" for way in failure.ways[:MOST_NAMED])
    said = failure.error or failure.said or ways or failure.kind
    return said[:300] or None
