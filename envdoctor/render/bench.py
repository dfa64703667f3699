"""A benchmark for people: the table while it runs, busbw over size, what was found, the verdict last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from envdoctor.bench import expectation
from envdoctor.facts.allreduce import LARGE, AllreduceResult, Size
from envdoctor.model import Report, Scalar, Severity, Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, bench_counters, line
from envdoctor.render.places import folded
from envdoctor.render.text import Page, findings, not_run
from envdoctor.render.words import tally

WIDTH = 60  # columns of the plot
LEAST = 2  # columns of a size in it: a bar, and a gap
HEIGHT = 8  # lines of it
MARGIN = 11  # left of it
BLOCKS = " ▁▂▃▄▅▆▇█"
UNITS = ("B/s", "kB/s", "MB/s", "GB/s", "TB/s")
COLUMNS = {
    "size": 8, "iterations": 6, "time": 12, "p5": 12, "p95": 12, "algbw": 11, "busbw": 11, "wrong": 7,
}  # fmt: skip
# What is left out, one after the other, where the screen is too narrow for all: 79 cells.
LEFT_OUT = ("p5", "p95", "algbw", "iterations", "wrong", "time")
KEPT_BACK = Text("; -v shows the notes on these counters", "；-v 显示关于计数器的提示")
COUNTED = ("packets-lost",)  # notes that repeat the counters below the table
HEADINGS = {
    "size": Text("size", "大小"),
    "iterations": Text("iter", "次数"),
    "time": Text("time us", "时间 us"),
    "p5": Text("p5", "p5"),
    "p95": Text("p95", "p95"),
    "algbw": Text("algbw", "algbw"),
    "busbw": Text("busbw", "busbw"),
    "wrong": Text("wrong", "错误"),
}


def size_of(count: int) -> str:
    """Bytes as the option --sizes takes them: "8", "64K", "64M"."""
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if count >= unit and count % unit == 0:
            return f"{count // unit}{letter}"
    return str(count)


def rate_of(gb_s: float) -> str:
    """A rate in three digits and the unit that suits it, of 1000s: "1.25 GB/s", "118 MB/s", "640 kB/s", "50 B/s"."""
    value, unit = gb_s * 1e9, 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = 0 if value >= 99.95 or not unit else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {UNITS[unit]}"


def duration_of(us: float) -> str:
    """Microseconds in three digits and the unit that suits them: "48 us", "1.25 ms", "5.6 s"."""
    value, unit = (us, "us") if us < 999.5 else (us / 1e3, "ms") if us < 999.5e3 else (us / 1e6, "s")
    return f"{value:.{0 if value >= 99.95 or unit == 'us' else 1 if value >= 9.995 else 2}f} {unit}"


def heading(result: AllreduceResult, style: Style, redactor: Redactor) -> str:
    """Who measures what."""
    nodes = len({member.host for member in result.members}) or 1
    said = Text(
        "all-reduce, {backend}, {dtype}: {world} {world:rank|ranks} on {nodes} {nodes:machine|machines} ({names})",
        "all-reduce，{backend}，{dtype}：{world} 个 rank，{nodes} 台机器（{names}）",
    )
    names = folded(dict.fromkeys(member.node for member in result.members))
    values: dict[str, Scalar] = {
        "backend": result.backend,
        "dtype": result.dtype,
        "world": result.world_size,
        "nodes": nodes,
        "names": names,
    }
    return line(redactor.text(said.say(style.language, values)))


def columns(style: Style) -> dict[str, int]:
    """The columns that fit the screen, and how wide they are."""
    kept = dict(COLUMNS)
    for name in LEFT_OUT:
        if not style.width or sum(kept.values()) <= style.width:
            break
        del kept[name]
    return kept


def table_head(style: Style) -> str:
    """The line above the rows."""
    return "".join(_right(HEADINGS[name].say(style.language), width) for name, width in columns(style).items())


def _right(cell: str, width: int) -> str:
    from rich.cells import cell_len

    return " " * max(1, width - cell_len(cell)) + cell


def table_row(size: Size, style: Style) -> str:
    """A row of the table."""
    cells = {
        "size": size_of(size.bytes),
        "iterations": str(size.iterations),
        "time": f"{size.median_us:.1f}",
        "p5": f"{size.p5_us:.1f}",
        "p95": f"{size.p95_us:.1f}",
        "algbw": rate_of(size.algbw_gb_s),
        "busbw": rate_of(size.busbw_gb_s),
        "wrong": str(size.wrong),
    }
    return "".join(cells[name].rjust(width) for name, width in columns(style).items())


def plot(result: AllreduceResult, style: Style) -> Iterator[str]:
    """Bus bandwidth over size, a column per size, with a line where the expectation lies. Of more sizes than fit the
    screen the largest, which show a rate."""
    wide = min(WIDTH, style.width - MARGIN) if style.width else WIDTH
    sizes = [size for size in result.sizes if size.busbw_gb_s > 0][-max(1, wide // LEAST) :]
    if len(sizes) < 2:
        return
    top = max([size.busbw_gb_s for size in sizes] + [result.expected_busbw_gb_s or 0.0])
    each = min(6, wide // len(sizes))
    expected = result.expected_busbw_gb_s
    for row in range(HEIGHT, 0, -1):
        low, high = top * (row - 1) / HEIGHT, top * row / HEIGHT
        label = (rate_of(high) if row in (HEIGHT, HEIGHT // 2) else "").rjust(MARGIN - 1) + " "
        mark = expected is not None and low < expected <= high
        yield label + "".join(_column(size.busbw_gb_s, low, high, each, mark, style.unicode) for size in sizes).rstrip()
    yield _under([size_of(size.bytes) for size in sizes], each)


def _under(labels: Sequence[str], each: int) -> str:
    """The line below the plot: of the labels as many as fit beside each other, the last one always."""
    row = " " * (MARGIN + each * len(labels))
    every = math.ceil((max(map(len, labels)) + 1) / each)
    for place in range(len(labels) - 1, -1, -every):
        end = MARGIN + each * (place + 1)
        row = row[: end - len(labels[place])] + labels[place] + row[end:]
    return row


def _column(value: float, low: float, high: float, width: int, mark: bool, unicode: bool) -> str:
    share = (value - low) / (high - low) if high > low else 0.0
    share = min(1.0, max(0.0, share))
    gap = ("·" if unicode else ".") if mark else " "
    if unicode:
        block = BLOCKS[math.ceil(share * 8) if share > 0 else 0]
    else:
        block = "#" if share >= 0.5 else " "
    block = gap if block == " " else block
    return gap + block * (width - 1)


def verdict(result: AllreduceResult, report: Report, style: Style, redactor: Redactor) -> str:
    """The last line: how far it came, or how fast it was and how fast it should be."""
    best = result.best
    if result.done and result.own != 0:
        said = Text("done; {node} tells how fast it was", "完成；速度见 {node} 上的报告")
        return line(redactor.text(said.say(style.language, {"node": result.named(0)})))
    if result.stage == "start":
        return Text("not every host could be started; nothing was measured", "并非所有主机都能启动；未做测量").say(
            style.language
        )
    if not result.done:
        said = Text(
            "stopped at {stage}; the rungs before it held",
            "停在 {stage} 这一级；此前各级均通过",
        )
        return line(redactor.text(said.say(style.language, {"stage": result.stage})))
    if best is None:
        return Text("the ladder holds; nothing was measured", "各级均通过；未做测量").say(style.language)
    if best.bytes < LARGE:
        return _of_small_sums(result.sizes, style)
    values: dict[str, Scalar] = {
        "busbw": rate_of(best.busbw_gb_s),
        "size": size_of(best.bytes),
        "expected": rate_of(result.expected_busbw_gb_s or 0.0),
        "share": best.busbw_gb_s / result.expected_busbw_gb_s * 100 if result.expected_busbw_gb_s else None,
        "why": expectation.said(result, style.language),
    }
    if result.expected_busbw_gb_s is None:
        said = Text(
            "busbw {busbw} at {size}; nothing to compare it with" + (": {why}" if values["why"] else ""),
            "busbw {busbw}（{size}）；没有可供比较的预期值" + ("：{why}" if values["why"] else ""),
        )
    else:
        said = Text(
            "busbw {busbw} at {size}, {share:.0f}% of the {expected} expected: {why}",
            "busbw {busbw}（{size}），为预期 {expected} 的 {share:.0f}%：{why}",
        )
    told = said.say(style.language, values)
    if result.oversubscribed:
        crowded = Text(
            "; more ranks than cores here, so that speed is not judged", "；这里的 rank 数多于 CPU 核数，因此不评判速度"
        )
        told += crowded.say(style.language)
    return line(redactor.text(told))


def _of_small_sums(sizes: Sequence[Size], style: Style) -> str:
    """The verdict where nothing was summed that is large enough to show a rate."""
    least, most = (select(sizes, key=lambda size: size.bytes) for select in (min, max))
    values: dict[str, Scalar] = {
        "small": least.bytes, "least": duration_of(least.median_us), "large": size_of(most.bytes),
        "most": duration_of(most.median_us),
    }  # fmt: skip
    if least is most:
        said = Text(
            "{small} bytes take {least}; a sum this small shows how long the way is and not how wide",
            "{small} 字节耗时 {least}；这么小的数据反映的是延迟而不是带宽",
        )
    else:
        said = Text(
            "{small} bytes take {least}, {large} take {most}; sums this small show how long the way is and not how "
            "wide",
            "{small} 字节耗时 {least}，{large} 耗时 {most}；这么小的数据反映的是延迟而不是带宽",
        )
    return said.say(style.language, values)


def opening(result: AllreduceResult, style: Style, redactor: Redactor) -> str:
    """What stands above the rows, for a table that grows."""
    page = Page(style)
    _open(page, result, style, redactor)
    return page.text()


def _open(page: Page, result: AllreduceResult, style: Style, redactor: Redactor) -> None:
    page.line((heading(result, style, redactor), ""))
    page.line(("", ""))
    page.line((table_head(style), "dim"), indent=None)


def ending(
    result: AllreduceResult, report: Report, style: Style, redactor: Redactor, printed: Sequence[Size] | None = None
) -> str:
    """The report below the rows that are on the screen already; `printed` None is none, with heading and table."""
    page = Page(style)
    if style.verbosity >= 0 and result.own == 0:
        if printed is None and result.sizes:
            _open(page, result, style, redactor)
        for size in result.sizes[len(printed or ()) :]:
            page.line((table_row(size, style), ""), indent=None)
        if result.left_out:
            said = Text("left out, too long or too large here: {sizes}", "未测（在此耗时过长或内存不足）：{sizes}")
            sizes = ", ".join(size_of(size) for size in result.left_out)
            page.line((said.say(style.language, {"sizes": sizes}), "dim"), indent=2)
        drawn = list(plot(result, style))
        if drawn:
            page.line(("", ""))
        for row in drawn:
            page.line((row, "cyan"), indent=None)
        for row in bench_counters.moved(result, style, redactor):
            page.line((row, "dim"), indent=2)
    conclusion(page, report, verdict(result, report, style, redactor), style, redactor)
    return page.text() if printed else page.text().lstrip("\n")


def conclusion(page: Page, report: Report, last: str, style: Style, redactor: Redactor) -> None:
    """What was found, with -v what was not checked, the verdict `last`, and the tally.

    A benchmark was asked about speed, so what is only worth knowing of that is said as well; notes on what stands among
    the counters already wait for -v.
    """
    repeated = [
        one for one in report.findings if style.verbosity < 1 and one.severity is Severity.NOTE and one.code in COUNTED
    ]
    shown = replace(report, findings=tuple(one for one in report.findings if one not in repeated))
    findings(page, shown, replace(style, notes=style.verbosity >= 0), redactor)
    if style.verbosity >= 1:
        not_run(page, report, style, redactor)
    if style.verbosity >= 0:
        page.line(("", ""))
        page.line((last, "bold"), indent=2)
        more = KEPT_BACK.say(style.language) if repeated else ""
        page.line((tally(report, style, at_hand=True) + more, "bold"))
