"""The report for people: who and where, a line per topic, the problems with the worst first, the tally last."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from envdoctor.model import Finding, Outcome, Report, Scalar, Severity, Text, TopicLine
from envdoctor.redact import Redactor
from envdoctor.render import Style, clean
from envdoctor.render import line as one_line
from envdoctor.render.alike import alike
from envdoctor.render.places import folded, places
from envdoctor.render.words import (
    AND,
    COLON,
    SEVERITIES,
    lacking,
    not_checked,
    seen,
    sentence,
    summed_up,
    tally,
    title,
    why_missing,
)

if TYPE_CHECKING:
    from rich.text import Text as RichText

MARKS = {"fine": ("✓", "ok"), "warning": ("!", "!"), "error": ("✗", "X"), "none": ("-", "-"), "note": ("✓", "ok")}
COLOURS = {"fine": "green", "note": "green", "warning": "yellow", "error": "red", "none": "dim"}
LABELS = {
    "seen": Text("seen", "观测"),
    "so": Text("so", "后果"),
    "fix": Text("fix", "修复"),
    "look": Text("look", "查看"),
    "thus": Text("thus", "连带"),
    "more": Text("more", "详情"),
    "because": Text("because of", "起因"),
}


ASIDE = Text("{said} ({more})", "{said}（{more}）")
NOTHING_FOUND = Text("{n} {n:check|checks}, nothing found", "{n} 项检查，没有发现问题")
REASON = Text("{said}: {why}", "{said}：{why}")


class Page:
    """Lines of styled pieces, written through rich so that widths, colour and encodings are right."""

    def __init__(self, style: Style) -> None:
        from rich.console import Console

        self._buffer = io.StringIO()
        # markup, emoji and highlighting are for people's own text, not for paths such as [eth0] or 12:key:00.
        self._console = Console(
            file=self._buffer, markup=False, highlight=False, emoji=False, soft_wrap=not style.width,
            width=style.width or 10_000, force_terminal=style.colour, color_system="standard" if style.colour else None,
            no_color=not style.colour, legacy_windows=False,
        )  # fmt: skip
        self._width = style.width

    def line(self, *pieces: tuple[str, str], indent: int | None = 0) -> None:
        """One line of (text, style) pieces; on a terminal, broken lines continue at `indent`, None breaks none."""
        from rich.text import Text as Rich

        whole = Rich()
        for text, look in pieces:
            whole.append(text, look)
        for number, line in enumerate(whole.split("\n", allow_blank=True)):
            # What follows a line break inside a value must not stand where our own lines begin.
            before = Rich(" " * (indent or 2) if number else "")
            if self._width and indent is not None:
                self._broken(before + line, indent)
            else:
                self._console.print(before + line, soft_wrap=True)

    def _broken(self, whole: RichText, indent: int) -> None:
        """The first line has the whole width, what does not fit on it the width from `indent` on."""
        from rich.text import Text as Rich

        whole.expand_tabs()
        first = whole.wrap(self._console, max(20, self._width))[0]
        first.rstrip()
        self._console.print(first, soft_wrap=True)
        rest = whole[len(first) :]
        rest = rest[len(rest) - len(rest.plain.lstrip()) :]
        for line in rest.wrap(self._console, max(20, self._width - indent)) if rest else ():
            line.rstrip()
            self._console.print(Rich(" " * indent) + line, soft_wrap=True)

    def text(self) -> str:
        return "".join(f"{line.rstrip()}\n" for line in self._buffer.getvalue().splitlines())


def pad(text: str, width: int) -> str:
    """`text` filled up to `width` terminal cells, where a Chinese character takes two."""
    from rich.cells import cell_len

    return text + " " * max(0, width - cell_len(text))


def opening(report: Report, style: Style, redactor: Redactor, topics: int) -> str:
    """The heading and the lines of the first `topics` topics: a prefix of what `render` will say of the whole."""
    page = Page(style)
    _open(page, report, style, redactor, topics)
    return page.text()


def render(report: Report, style: Style, redactor: Redactor) -> str:
    page = Page(style)
    if style.verbosity >= 0:
        _open(page, report, style, redactor, len(report.topics))
    findings(page, report, style, redactor)
    if style.verbosity >= 1:
        not_run(page, report, style, redactor)
    if style.verbosity >= 0:
        page.line(("", ""))
        page.line((tally(report, style, at_hand=True), "bold"))
    return page.text()


def findings(page: Page, report: Report, style: Style, redactor: Redactor) -> None:
    """The problems, the worst first, and the checks that crashed."""
    for number, chain in enumerate(_chains(report, style)):
        if number or style.verbosity >= 0:
            page.line(("", ""))
        _block(page, chain, report, style, redactor)
    _crashes(page, report, style, redactor)


def _chains(report: Report, style: Style) -> list[list[Finding]]:
    """The findings to show: each with those that follow from it, which need no block of their own.

    With -v nothing is folded and notes are shown. What a text showed is always said: somebody asked about it.
    """
    chains: list[list[Finding]] = []
    for finding in alike(report):
        if style.verbosity >= 1:
            chains.append([finding])
        elif finding.severity is Severity.NOTE and not style.notes and finding.order is None:
            continue
        elif chains and finding.because_of in {earlier.code for earlier in chains[-1]}:
            chains[-1].append(finding)
        else:
            chains.append([finding])
    return chains


def _heading(report: Report, style: Style, redactor: Redactor) -> Iterator[str]:
    from envdoctor.transport.target import CHOICES

    # Nodes whose Python is the same share a line; which it is was chosen on each by itself.
    groups: dict[tuple[str, str, str], list[str]] = {}
    for node in report.nodes:
        groups.setdefault((node.python, node.python_version, node.python_why), []).append(node.name)
    for (path, version, why), names in groups.items():
        python = f"{path} ({version})" if version else path
        values: dict[str, Scalar] = {
            "made_by": report.made_by,
            "name": folded(names),
            "python": python,
            "count": len(names),
        }
        if not path and any(node.unheard for node in report.nodes if node.name in names):
            told = Text("{made_by} did not get to look at {name}", "{made_by} 未能检查 {name}")
        elif not path:
            told = Text("{made_by} on the text of {name}", "{made_by}，所读文本：{name}")
        elif len(names) == 1:
            told = Text("{made_by} on {name}, looking at {python}", "{made_by}，主机 {name}，检查对象 {python}")
        else:
            told = Text(
                "{made_by} on {count} nodes, {name}, looking at {python}",
                "{made_by}，{count} 个节点 {name}，检查对象 {python}",
            )
        chosen = CHOICES.get(why) if path else None
        said = told.say(style.language, values) + (f" - {chosen.say(style.language)}" if chosen else "")
        yield one_line(redactor.text(said))


def _open(page: Page, report: Report, style: Style, redactor: Redactor, topics: int) -> None:
    for heading in _heading(report, style, redactor):
        page.line((heading, ""))
    if report.topics:
        page.line(("", ""))
    width = max((_cells(line.topic.name) for line in report.topics), default=0) + 2
    for line in report.topics[:topics]:
        outcomes = [outcome for outcome in report.outcomes if outcome.check.topic == line.topic.name]
        state, said = _topic_state(report, line, outcomes, style, redactor)
        if state in ("none", "fine") and report.nodes and all(node.unheard for node in report.nodes):
            continue  # nothing is known of any topic, and the one about the nodes says why
        mark = MARKS[state][0 if style.unicode else 1]
        look = COLOURS[state]
        # Without colour and marks the state must still be read: it is a word then.
        page.line(
            (pad(mark, 2 if style.unicode else 3), look),
            (pad(line.topic.name, width), "dim" if state == "none" else ""),
            (said, "dim" if state == "none" else ""),
            indent=width + 2,
        )


def _topic_state(
    report: Report, line: TopicLine, outcomes: list[Outcome], style: Style, redactor: Redactor
) -> tuple[str, str]:
    codes = {problem.code for outcome in outcomes for problem in outcome.check.problems}
    found = [finding for finding in report.findings if finding.code in codes]
    ran = [outcome for outcome in outcomes if outcome.status == "ran"]
    skipped = [outcome for outcome in outcomes if outcome.status == "skipped"]
    said = summed_up(line, style.language, redactor)
    worst = min((finding.severity for finding in found), key=lambda severity: severity.rank, default=None)
    if not said and worst:
        first = next(finding for finding in found if finding.severity is worst)
        said = title(first, style.language, redactor)
    if not ran and not found:
        reason = next((outcome.missing for outcome in skipped if outcome.missing), None)
        not_checked = Text("not checked", "未检查").say(style.language)
        why = why_missing(reason, style.language, redactor) if reason else ""
        told = REASON.say(style.language, {"said": not_checked, "why": why}) if why else not_checked
        return "none", said or told
    left = []
    if skipped:
        left.append(Text("{n} not checked", "{n} 项未检查").say(style.language, {"n": len(skipped)}))
    partly = [outcome for outcome in ran if outcome.skipped_on]
    unheard = {node.name for node in report.nodes if node.unheard}
    where = folded(one_line(redactor.text(node)) for node in lacking(partly) if node not in unheard)
    if where:
        some = Text("{n} not checked on {where}", "{where} 上 {n} 项未检查")
        n = sum(1 for outcome in partly if set(lacking([outcome])) - unheard)
        left.append(some.say(style.language, {"n": n, "where": where}))
    if left and style.verbosity < 1:
        more = AND.say(style.language).join(left)
        reason = next((outcome.missing for outcome in skipped if outcome.missing), None)
        why = why_missing(reason, style.language, redactor) if reason else ""
        if said:
            said = ASIDE.say(style.language, {"said": said, "more": more})
        else:
            said = REASON.say(style.language, {"said": more, "why": why}) if why else more
    # What failed is not fine because another topic tells why.
    failed = [one.severity for outcome in outcomes for one in outcome.findings if one.problem.last_resort]
    worst = min([*failed, *([worst] if worst else [])], key=lambda severity: severity.rank, default=None)
    if not said and not worst:
        said = NOTHING_FOUND.say(style.language, {"n": len(ran)})
    if not line.text and (worst is Severity.NOTE or (skipped and not worst)):
        # "there is no torch in ..." and "7 not checked" are no good news, and a tick beside them says so.
        return "none", said
    return (worst.value if worst else "fine"), said


def _block(page: Page, chain: list[Finding], report: Report, style: Style, redactor: Redactor) -> None:
    finding = chain[0]
    colour = COLOURS[finding.severity.value] if finding.severity is not Severity.NOTE else "cyan"
    words = finding.words
    language = style.language
    where = places(finding, report, redactor)
    severity, colon = SEVERITIES[finding.severity].say(language), COLON.say(language)
    page.line(
        (f"{severity}[{finding.code}]", f"bold {colour}"),
        (f"{colon}{title(finding, language, redactor)}{where}", "bold"),
        indent=2,
    )
    rows: list[tuple[str, str, str]] = []
    if finding.because_of:
        rows.append(("because", finding.because_of, ""))
    rows += [("seen" if not number else "", line, "") for number, line in enumerate(seen(finding, language, redactor))]
    rows.append(("so", sentence(words.why, finding, language, redactor), ""))
    help_text = sentence(words.help, finding, language, redactor)
    if finding.command:
        rows += [
            ("fix" if not number else "", line, "cyan")
            for number, line in enumerate(clean(redactor.text(finding.command)).splitlines())
        ]
        if help_text:
            rows.append(("", help_text, "dim"))
    elif help_text:
        rows.append(("fix", help_text, ""))
    if finding.look:
        rows.append(("look", clean(redactor.text(finding.look)), "cyan"))
    for number, (said, code) in enumerate(_consequences(chain, report, style, redactor)):
        rows.append(("thus" if not number else "", f"{said} [{code}]", ""))
    more = shlex.join(("envdoctor", "explain", finding.code, *finding.explained_with))
    rows.append(("more", clean(redactor.text(more)), "dim"))
    width = max(len("seen"), *(_cells(LABELS[label].say(language)) for label, _, _ in rows if label)) + 2
    for label, text, look in rows:
        if text:
            name = LABELS[label].say(language) if label else ""
            # A command is never broken: it must survive being copied.
            indent = width + 2 if look != "cyan" and label != "more" else None
            page.line(("  " + pad(name, width), "dim"), (text, look), indent=indent)


def _consequences(
    chain: list[Finding], report: Report, style: Style, redactor: Redactor
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """What follows from the first: titles and codes, the same of many nodes once."""
    by_code: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in chain[1:]:
        by_code.setdefault((finding.code, finding.situation), []).append(finding)
    for (code, _), same in by_code.items():
        shown = same[:1] if len(report.nodes) > 1 else same
        for finding in shown:
            more = f" (+{len(same) - 1})" if len(shown) < len(same) else ""
            yield title(finding, style.language, redactor) + more, code


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _crashes(page: Page, report: Report, style: Style, redactor: Redactor) -> None:
    language = style.language
    for path, error in report.unloaded.items():
        said = Text("this check file could not be loaded: {path}: {error}", "检查文件无法加载：{path}：{error}")
        page.line(("", ""))
        page.line(
            ("doctor: ", "bold red"),
            (clean(redactor.text(said.say(language, {"path": path, "error": error}))), ""),
            indent=2,
        )
    for outcome in report.with_status("crashed"):
        said = Text("the check {check} ({topic}) crashed: {error}", "检查 {check}（{topic}）崩溃：{error}")
        values = {"check": outcome.check.name, "topic": outcome.check.topic, "error": outcome.error}
        page.line(("", ""))
        page.line(("doctor: ", "bold red"), (clean(redactor.text(said.say(language, values))), ""), indent=2)
        if style.verbosity >= 2:
            for line in outcome.traceback.splitlines():
                page.line(("  " + clean(redactor.text(line)), "dim"))


def not_run(page: Page, report: Report, style: Style, redactor: Redactor) -> None:
    """What was not checked, because of what; with -vv how long each check took."""
    if any(outcome.missing or outcome.skipped_on for outcome in report.outcomes):
        page.line(("", ""))
        page.line((Text("Not checked, because:", "未检查，原因：").say(style.language), "bold"))
    for reason, where, names in not_checked(report, style.language, redactor):
        page.line((f"  {reason}{where}: ", ""), (", ".join(names), "dim"), indent=4)
    if style.verbosity >= 2:
        page.line(("", ""))
        for outcome in report.outcomes:
            name = f"{outcome.check.topic}/{outcome.check.name}"
            page.line(
                (
                    f"  {outcome.seconds * 1000:7.2f} ms  {outcome.status:<8}{name}",
                    "dim",
                )
            )
