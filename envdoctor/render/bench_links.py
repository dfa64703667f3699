"""The links between machines for people: the map of all pairs, what was found, the verdict last."""

from __future__ import annotations

from envdoctor.facts import link_fit as fit
from envdoctor.facts import link_kinds
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.model import Report, Scalar, Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, bench, bench_counters, heat, line
from envdoctor.render.text import Page


def verdict(result: AllreduceResult, style: Style) -> str:
    """What the links usually carry, and the slowest of them."""
    slowest = min(result.pairs, key=lambda pair: pair.gb_s, default=None)
    if slowest is None:
        alone = Text("one machine: there is no link to measure", "只有一台机器：没有可测的链路")
        return alone.say(style.language)
    values: dict[str, Scalar] = {
        "pairs": len({(pair.a, pair.b, pair.rail) for pair in result.pairs}),
        "usual": fit.usual(result.pairs) * 8,
        "slow": slowest.gb_s * 8,
        "a": result.named(slowest.a),
        "b": result.named(slowest.b),
    }
    said = Text(
        "{pairs} {pairs:stream|streams} over TCP: usually {usual:.3g} Gbit/s, the slowest {slow:.3g} from {a} to {b}",
        "共 {pairs} 条 TCP 数据流：通常 {usual:.3g} Gbit/s，最慢 {slow:.3g} Gbit/s（{a} 到 {b}）",
    )
    if link_kinds.of_run(result):
        values["fast"] = max(pair.gb_s for pair in result.pairs) * 8
        said = Text(
            "{pairs} {pairs:stream|streams} over TCP: no rate is the usual one, they carry {slow:.3g} Gbit/s ({a} to "
            "{b}) to {fast:.3g}",
            "共 {pairs} 条 TCP 数据流：没有通常的速率，介于 {slow:.3g} Gbit/s（{a} 到 {b}）与 {fast:.3g} 之间",
        )
    told = said.say(style.language, values)
    ends = {pair.a for pair in result.pairs}
    met, every = len({frozenset((pair.a, pair.b)) for pair in result.pairs}), len(ends) * (len(ends) - 1) // 2
    whole = not any(pair.kind for pair in result.pairs)
    if met < every and not whole:
        some = Text(
            "; {met} of {every} {every:pair|pairs} of nodes {met:was|were} measured, those next to each other and a "
            "spread: a slow path "
            "between two others is not seen",
            "；在 {every} 对节点中测了 {met} 对（环上相邻的各对和均匀抽取的一部分），其余节点对之间若有慢路径则看不到",
        )
        told += some.say(style.language, {"met": met, "every": every})
    if result.cut_short:
        pairs = Text("; the budget ended before all pairs were measured", "；时间预算用尽，未测完所有节点对")
        rounds = Text("; the budget ended before all rounds were run", "；时间预算用尽，未跑完所有轮次")
        short = pairs if whole else rounds
        told += short.say(style.language)
    return told


def ending(result: AllreduceResult, report: Report, style: Style, redactor: Redactor) -> str:
    """The whole report."""
    from rich.cells import cell_len

    page = Page(style)
    names = {end: result.named(end) for end in sorted({pair.a for pair in result.pairs})}
    shown = {end: redactor.text(name) for end, name in names.items()}
    rates = [fit.usual(pairs) for pairs in fit.by_rail(result.pairs).values()]
    # Where nothing is usual, what the faster ones carry is blank.
    best = max([*rates, *(one.usual for one in link_kinds.of_run(result))], default=0.0)
    fits = len(names) <= heat.MOST
    for rail, pairs in fit.by_rail(result.pairs).items():
        drawn = list(heat.heat(pairs, shown, best, style.unicode))
        if style.width and any(cell_len(row) > style.width for row in drawn):
            fits = False
        elif drawn and style.verbosity >= 0:
            interface = result.nic(0, rail)
            head = Text(
                "who sends (rows) to whom (columns){over}; the darker, the slower",
                "行为发送方，列为接收方{over}；颜色越深越慢",
            )
            over = Text(" over {interface}", "（经 {interface}）").say(style.language, {"interface": interface})
            page.line((line(redactor.text(head.say(style.language, {"over": over if interface else ""}))), ""))
            for row in drawn:
                page.line((row, "cyan"), indent=2)
    if not fits and style.verbosity >= 0:
        many = Text(
            "a map of {count} nodes does not fit the screen; --json holds every stream",
            "{count} 个节点的热力图无法在屏幕上显示；--json 包含每条数据流",
        )
        page.line((many.say(style.language, {"count": len(names)}), "dim"))
    if style.verbosity >= 0:
        for row in bench_counters.moved(result, style, redactor):
            page.line((row, "dim"), indent=2)
    told = result.done and result.own == 0
    last = line(redactor.text(verdict(result, style))) if told else bench.verdict(result, report, style, redactor)
    bench.conclusion(page, report, last, style, redactor)
    return page.text().lstrip("\n")
