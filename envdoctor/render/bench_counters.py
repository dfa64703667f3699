"""The counters that moved while it was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envdoctor.facts.allreduce import AllreduceResult, Counter
from envdoctor.knowledge import fabric
from envdoctor.model import Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, line
from envdoctor.render.places import folded

MOST = 12  # counters of a node
MOST_NODES = 8

ON = Text("counted meanwhile on {node}: {words}", "期间 {node} 的计数：{words}")
FEW = Text(
    "TCP sent at most {share:.2g}% of its segments again meanwhile, as it does on a healthy link, on {nodes}",
    "期间 TCP 至多重传了 {share:.2g}% 的报文段，健康链路上也是如此：{nodes}",
)
MORE = Text("counted meanwhile on {count} more {count:node|nodes} (-v)", "另有 {count} 个节点的计数（-v 查看）")


def moved(result: AllreduceResult, style: Style, redactor: Redactor) -> Iterator[str]:
    """A line for each node, and one for all on which nothing moved but what TCP resends everywhere; with -v a line for
    each of these too. Nothing where none moved."""
    each = {one.member: [own for own in result.counters if own.member == one.member] for one in result.counters}
    usual = {index: share for index, own in each.items() if (share := _of_healthy_links(own)) is not None}
    rows = [(index, words) for index, own in sorted(each.items()) if (words := _words(own))]
    if style.verbosity < 1:
        rows = [(index, words) for index, words in rows if index not in usual]
    most = MOST_NODES if style.verbosity < 1 else len(rows)
    for index, words in rows[:most]:
        kept = words if style.verbosity >= 1 else words[:MOST]
        more = [f"... (+{len(words) - len(kept)}, -v)"] if len(words) > len(kept) else []
        values = {"node": result.named(index), "words": ", ".join([*kept, *more])}
        yield line(redactor.text(ON.say(style.language, values)))
    if len(rows) > most:
        yield MORE.say(style.language, {"count": len(rows) - most})
    again = {index: share for index, share in usual.items() if share}
    if again and style.verbosity < 1:
        share, nodes = max(again.values()) * 100, folded(result.named(index) for index in sorted(again))
        yield line(redactor.text(FEW.say(style.language, {"share": share, "nodes": nodes})))


def _of_healthy_links(own: Sequence[Counter]) -> float | None:
    """The share of segments that TCP sent again where nothing else moved and it is small; else None."""
    counted = {one.name: one.by for one in own if one.kind == "tcp"}
    sent = counted.get("OutSegs", 0)
    if any(one.kind != "tcp" for one in own) or not counted.keys() <= {"OutSegs", "RetransSegs"} or not sent:
        return None
    share = counted.get("RetransSegs", 0) / sent
    return share if share < fabric.RESENT else None


def _words(own: Sequence[Counter]) -> list[str]:
    """What moved, for people; how many segments TCP sent is only said beside those that it sent again."""
    sent = next((one.by for one in own if one.name == "OutSegs"), None)
    words = []
    for one in own:
        if one.name != "OutSegs":
            of = f" / {sent}" if one.name == "RetransSegs" and sent else ""
            words.append(f"{one.device or one.kind} {one.name} +{one.by}{of}")
    return words
