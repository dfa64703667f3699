"""The results of `bench mirrors` as a table for people, the best first, and the one command that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envdoctor.model import Scalar, Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, line
from envdoctor.render.mirror_words import conclusion, duration, gigabytes, notes, shown, why
from envdoctor.render.text import Page, pad

if TYPE_CHECKING:
    from envdoctor.bench.mirrors import MirrorResult, Survey
    from envdoctor.bench.sites import Patient

MARKS = {"usable": ("✓", "ok"), "limited": ("!", "!"), "unusable": ("✗", "X")}
COLOURS = {"usable": "green", "limited": "yellow", "unusable": "red"}
COLUMNS = (
    Text("mirror", "镜像"),
    Text("newest torch", "最新 torch"),
    Text("latency", "延迟"),
    Text("throughput", "吞吐"),
    Text("expected", "预计用时"),
)


def render(survey: Survey, of: Patient, style: Style, redactor: Redactor) -> str:
    """The table, or with -q what follows from it alone."""
    page, language = Page(style), style.language
    if style.verbosity >= 0:
        _whole(page, survey, of, style, redactor)
    said, command = conclusion(survey, language)
    page.line((line(redactor.text(said)), "bold"))
    if command:
        page.line(("  " + line(redactor.text(command)), "cyan"), indent=None)
    return page.text()


def _whole(page: Page, survey: Survey, of: Patient, style: Style, redactor: Redactor) -> None:
    language = style.language
    rows, absent = shown(survey)
    python = of.python.executable if of.python else ""
    heading = Text(
        "package indexes, asked as {agent} of {python} asks; times are for {newest} and what it requires, {total}",
        "各软件包索引，以 {python} 的 {agent} 的方式访问；用时按 {newest} 及其依赖（共 {total}）估算",
    )
    values: dict[str, Scalar] = {
        "agent": survey.manner.short_agent, "python": python or "?", "newest": f"torch {survey.newest}",
        "total": gigabytes(survey.need.total_bytes),
    }  # fmt: skip
    page.line((line(redactor.text(heading.say(language, values))), "bold"))
    for note in notes(survey, of, absent, language):
        page.line((line(redactor.text(note)), "dim"))
    page.line(("", ""))
    _table(page, rows, survey.newest, style, redactor)
    page.line(("", ""))
    if any(result.site.in_effect for result in rows):
        page.line((Text("* the index pip asks now", "* pip 目前所用的索引").say(language), "dim"))


def _table(page: Page, rows: list[MirrorResult], newest: str, style: Style, redactor: Redactor) -> None:
    from rich.cells import cell_len

    language = style.language
    cells = [[column.say(language) for column in COLUMNS]]
    for result in rows:
        latency, rate = result.latency_s, result.bytes_per_s
        expected = duration(result.expected_s, language) if result.expected_s is not None else "-"
        if result.expected_s is None and result.at_least_s is not None:
            expected = f"> {duration(result.at_least_s, language)}"
        cells.append(
            [
                line(redactor.text(result.site.name)) + (" *" if result.site.in_effect else ""),
                line(result.newest) or "-",
                f"{latency * 1000:.0f} ms" if latency is not None else "-",
                (f"{rate / 1e6:.1f} MB/s" if rate >= 1e5 else f"{rate / 1e3:.1f} kB/s") if rate else "-",
                expected,
            ]
        )
    widths = [max(cell_len(row[number]) for row in cells) + 2 for number in range(len(COLUMNS))]
    for number, row in enumerate(cells):
        padded = [pad(row[0], widths[0]), pad(row[1], widths[1])]
        # Numbers are read from their right end.
        padded += [
            " " * (width - 2 - cell_len(cell)) + cell + "  " for cell, width in zip(row[2:], widths[2:], strict=True)
        ]
        if not number:
            page.line(("   " + "".join(padded), "dim"))
            continue
        result = rows[number - 1]
        mark = (pad(MARKS[result.state][0 if style.unicode else 1], 3), COLOURS[result.state])
        said = line(redactor.text(why(result, newest, language)))
        if result.state == "unusable":
            # There is nothing to compare: what is wrong takes the place of the numbers.
            page.line(mark, (padded[0], ""), (said, COLOURS[result.state]), indent=3 + widths[0])
        else:
            look = COLOURS[result.state] if result.state == "limited" else "dim"
            page.line(mark, ("".join(padded), ""), (said, look), indent=3 + widths[0])
