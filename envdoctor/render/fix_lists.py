"""Lists for `envdoctor fix`: the fixes there are, those that were applied, and what the last check found."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from envdoctor.journal import STATES
from envdoctor.model import Text
from envdoctor.redact import Redactor
from envdoctor.remedy import Fix
from envdoctor.render import Style, clean
from envdoctor.render.fixes import Outcome, quoted
from envdoctor.render.text import COLOURS, Page, pad
from envdoctor.render.words import SEVERITIES

if TYPE_CHECKING:
    from envdoctor.journal import Entry
    from envdoctor.last_check import LastCheck

WORDS = {
    "no-history": Text("no fix has been applied yet", "尚未应用过任何修复"),
    "no-last": Text(
        "no check of this machine is remembered; `envdoctor check` says what is wrong",
        "没有本机的检查记录；请先执行 `envdoctor check`",
    ),
    "none-last": Text(
        "the last check ({at}) found nothing that a command mends", "上次检查（{at}）没有发现可用命令修复的问题"
    ),
    "last": Text(
        "the last check ({at}, {python}{only}) found, to be mended by:",
        "上次检查（{at}，{python}{only}）的发现及修复命令：",
    ),
    "now": Text("just now", "刚刚"),
    "minutes": Text("{count:.0f} {count:minute|minutes} ago", "{count:.0f} 分钟前"),
    "hours": Text("{count:.0f} {count:hour|hours} ago", "{count:.0f} 小时前"),
    "days": Text("{count:.0f} {count:day|days} ago", "{count:.0f} 天前"),
    "only": Text(", only {names}", "，仅 {names}"),
}


# The unit in which an age is told, its seconds, and from how many of them on.
UNITS = (("days", 86400, 2), ("hours", 3600, 2), ("minutes", 60, 1.5))


def _word(name: str, style: Style, **values: str | float) -> str:
    return WORDS[name].say(style.language, values)


def listing(known: tuple[Fix, ...], as_json: bool, style: Style) -> str:
    """All fixes and what each mends."""
    if as_json:
        told = [{"name": fix.name, "about": fix.about.say(style.language), "mends": list(fix.mends)} for fix in known]
        return Outcome("", {"fixes": told}).document()
    page = Page(style)
    width = max((len(fix.name) for fix in known), default=0)
    for fix in known:
        page.line((pad(fix.name, width), "bold"), ("  " + fix.about.say(style.language), ""), indent=width + 2)
        if fix.mends:
            page.line((" " * (width + 2) + ", ".join(fix.mends), "dim"), indent=width + 2)
    return page.text()


def history(entries: tuple[Entry, ...], as_json: bool, style: Style, redactor: Redactor) -> str:
    """The journal, the oldest first."""
    if as_json:
        told = [
            {"id": entry.id, "fix": entry.fix, "state": entry.state, "when": entry.when, "undoable": entry.undoable,
             "title": redactor.own(entry.title.get(style.language, "")),
             "files": [redactor.own(edit.path) for edit in entry.edits],
             "commands": [quoted(command.argv, redactor) for command in entry.commands]}
            for entry in entries
        ]  # fmt: skip
        return Outcome("", {"history": told}).document()
    page = Page(style)
    if not entries:
        page.line((_word("no-history", style), ""))
    for entry in entries:
        state = STATES[entry.state].say(style.language)
        heading = clean(redactor.own(entry.title.get(style.language) or entry.fix))
        page.line((f"{entry.id}  ", "bold"), (pad(state, 12), "dim"), (heading, ""), indent=4)
        for path in (edit.path for edit in entry.edits):
            page.line((f"    {clean(redactor.own(path))}", "dim"), indent=4)
        for command in entry.commands:
            page.line((f"    {quoted(command.argv, redactor)}", "dim"), indent=6)
    return page.text()


def ago(taken_at: str, now: datetime.datetime, style: Style) -> str:
    """How long a time of a JSON document (UTC) is past; as it is where it is no such time or still to come."""
    try:
        then = datetime.datetime.strptime(taken_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return clean(taken_at)
    seconds = (now - then).total_seconds()
    if seconds < 0:
        return clean(taken_at)
    unit = next(((name, seconds / unit) for name, unit, least in UNITS if seconds >= least * unit), None)
    return _word(unit[0], style, count=unit[1]) if unit else _word("now", style)


def found_last(
    last: LastCheck | None, as_json: bool, style: Style, redactor: Redactor, now: datetime.datetime | None = None
) -> str:
    """What the last check found, each with its command."""
    if as_json:
        found = [
            {"code": one.code, "severity": one.severity, "command": redactor.text(one.command),
             "automatic": one.automatic}
            for one in (last.mendable if last else ())
        ]  # fmt: skip
        told = {"checked_at": last.taken_at if last else None, "only": list(last.only if last else ())}
        return Outcome("", {**told, "mendable": found}).document()
    page = Page(style)
    at = ago(last.taken_at, now or datetime.datetime.now(datetime.timezone.utc), style) if last else ""
    if last is None:
        page.line((_word("no-last", style), ""))
    elif not last.mendable:
        page.line((_word("none-last", style, at=at), ""))
    else:
        only = _word("only", style, names=", ".join(last.only)) if last.only else ""
        told_of = clean(redactor.text(last.python))
        page.line((_word("last", style, at=at, python=told_of, only=clean(redactor.text(only))), ""))
        for line in _mendable(last, style, redactor):
            page.line(*line, indent=4)
    return page.text()


def _mendable(last: LastCheck, style: Style, redactor: Redactor) -> Iterator[tuple[tuple[str, str], ...]]:
    labels = {severity.value: text for severity, text in SEVERITIES.items()}
    for one in last.mendable:
        label = labels[one.severity].say(style.language) if one.severity in labels else one.severity
        heading = one.title_zh if style.language == "zh" else one.title_en
        yield (("", ""),)
        yield (
            (f"{label}[{one.code}]", COLOURS.get(one.severity, "")),
            (f": {clean(redactor.text(heading))}", ""),
        )
        yield (("  ", ""), (clean(redactor.text(one.command)), "cyan" if one.automatic else ""))
