"""The counters that moved while it was measured, a line for each node."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.model import Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, line

MOST = 12  # counters of a node


def moved(result: AllreduceResult, style: Style, redactor: Redactor) -> Iterator[str]:
    """Nothing where none moved; how many segments TCP sent is only said beside those that it sent again."""
    for index in sorted({one.member for one in result.counters}):
        own = [one for one in result.counters if one.member == index]
        sent = next((one.by for one in own if one.name == "OutSegs"), None)
        words = []
        for one in own:
            if one.name == "OutSegs":
                continue
            of = f" / {sent}" if one.name == "RetransSegs" and sent else ""
            words.append(f"{one.device or one.kind} {one.name} +{one.by}{of}")
        if words:
            said = Text("counted meanwhile on {node}: {words}", "期间 {node} 的计数：{words}")
            most = MOST if style.verbosity < 1 else len(words)
            more = [f"... (+{len(words) - most}, -v)"] if len(words) > most else []
            values = {"node": result.named(index), "words": ", ".join([*words[:most], *more])}
            yield line(redactor.text(said.say(style.language, values)))
