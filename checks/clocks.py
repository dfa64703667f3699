"""Do the clocks of the nodes agree?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist
from envdoctor.facts.clock import Clock
from envdoctor.model import Scalar

TOPIC = Topic("clocks", 305, Text("the clocks of the nodes", "各节点的时钟"), nodes=True)

# Lines of logs are put in order by the second.
APART_S = 1.0
MOST = 6  # nodes shown
HELP = Text("let chronyd or systemd-timesyncd run on every node", "请在每个节点运行 chronyd 或 systemd-timesyncd")

CLOCK_SKEW = Problem(
    code="clock-skew",
    severity=Severity.WARNING,
    title=Text(
        "the clock of {odd_nodes} is off by {offset:+.0f} s from that of the other {usual_count}",
        "{odd_nodes} 的时钟与其余 {usual_count} 个节点相差 {offset:+.0f} 秒",
    ),
    why=Text(
        "logs of several nodes cannot be put in order; munge, Kerberos and TLS refuse what comes from the future",
        "多节点日志无法排序；munge、Kerberos 与 TLS 会拒绝来自“未来”的请求",
    ),
    seen=Text("against the doctor's clock:\n{sides}", "与本机时钟相比：\n{sides}"),
    help=HELP,
    look="chronyc tracking || timedatectl",
    confirm="timedatectl",
    refs=("https://chrony-project.org/documentation.html",),
    situations={
        "split": Situation(
            title=Text(
                "the clocks of the nodes differ by up to {offset:.0f} s", "各节点的时钟最多相差 {offset:.0f} 秒"
            ),
        ),
        "doctor": Situation(
            title=Text(
                "the nodes' clocks agree, and that of this machine is off by {offset:+.0f} s",
                "各节点的时钟一致，但本机时钟相差 {offset:+.0f} 秒",
            ),
            severity=Severity.NOTE,
        ),
        "in-text": Situation(
            title=Text("the clocks of the nodes differ", "各节点的时钟不一致"),
            help=HELP,
            look="chronyc tracking || timedatectl",
        ),
    },
)


def most_agreed(ahead: Mapping[str, tuple[float, float]]) -> tuple[tuple[float, float], int]:
    """The interval that most intervals have in common, and of how many it is a part: Marzullo's algorithm, by which
    NTP chooses among servers (RFC 5905, section 11.2.1)."""
    # At the same time, an interval begins before another ends.
    edges = sorted([(low, -1) for low, _ in ahead.values()] + [(high, 1) for _, high in ahead.values()])
    best, depth, found = 0, 0, (0.0, 0.0)
    for number, (at, step) in enumerate(edges):
        depth -= step
        if depth > best:
            best, found = depth, (at, edges[number + 1][0])
    return found, best


@summary
def line(clocks: PerNode[Clock]) -> tuple[Text, Mapping[str, Scalar]] | None:
    ahead = [one for clock in clocks.values() if isinstance(clock, Clock) and (one := clock.ahead_s) is not None]
    if len(ahead) < 2:
        return None
    apart = max(high for _, high in ahead) - min(low for low, _ in ahead)
    told = Text("{count} clocks, at most {apart:.1f} s apart", "{count} 个节点的时钟，最多相差 {apart:.1f} 秒")
    return told, {"count": len(ahead), "apart": math.ceil(apart * 10) / 10}


def _off(ahead: tuple[float, float], usual: tuple[float, float]) -> float:
    """Seconds by which a clock is off at least, positive if it is ahead; 0 if it may be right."""
    return max(0.0, ahead[0] - usual[1]) + min(0.0, ahead[1] - usual[0])


@check(CLOCK_SKEW)
def clock_skew(clocks: PerNode[Clock]) -> Iterable[Finding]:
    """What most clocks may have in common is taken for the time; those for certain more than a second off are odd."""
    told = {node: clock.ahead_s for node, clock in clocks.items() if isinstance(clock, Clock)}
    ahead = {node: one for node, one in told.items() if one is not None}
    if not ahead:
        return
    usual, agreeing = most_agreed(ahead)
    off = {node: _off(one, usual) for node, one in ahead.items()}
    odd = {node: by for node, by in off.items() if abs(by) > APART_S}
    if odd and 2 * agreeing > len(ahead):
        yield _found(None, odd, ahead, usual, len(ahead) - len(odd), max(odd.values(), key=abs))
    elif odd:
        widest = max(low for low, _ in ahead.values()) - min(high for _, high in ahead.values())
        yield _found("split", ahead, ahead, usual, 0, widest)
    elif abs(_off((0.0, 0.0), usual)) > APART_S:
        yield _found("doctor", ahead, ahead, usual, len(ahead), _off((0.0, 0.0), usual))


def _found(
    situation: str | None,
    odd: Mapping[str, object],
    ahead: Mapping[str, tuple[float, float]],
    usual: tuple[float, float],
    usual_count: int,
    offset: float,
) -> Finding:
    shown = [f"{node}: {ahead[node][0]:+.1f} .. {ahead[node][1]:+.1f} s" for node in list(odd)[:MOST]]
    others = [node for node in ahead if node not in odd]
    shown += ["..."] if len(odd) > MOST else []
    shown += [f"{hostlist.fold(others)}: {usual[0]:+.1f} .. {usual[1]:+.1f} s"] if others else []
    found = CLOCK_SKEW.found(
        situation, odd_nodes=hostlist.fold(odd), usual_count=usual_count, offset=offset, sides="\n".join(shown)
    )
    return replace(found, nodes=tuple(odd))
