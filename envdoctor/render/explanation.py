"""A problem explained, and the list of all problems: what `envdoctor explain CODE` and `envdoctor list` print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len

from envdoctor.filling import pieces
from envdoctor.model import Language, Problem, Severity, Text, TopicFile
from envdoctor.render import Style
from envdoctor.render.text import COLOURS, Page, pad
from envdoctor.render.words import SEVERITIES

HARDWARE = Text(
    "proven against a simulated driver or recorded data; not yet seen on real hardware",
    "仅以模拟驱动或录制数据验证过，尚未在真实硬件上出现",
)
LABELS = {
    "what": Text("what", "现象"),
    "so": Text("so", "后果"),
    "fix": Text("fix", "修复"),
    "look": Text("look", "验证"),
    "cause": Text("cause", "可能起因"),
    "when": Text("or", "或者"),
    "refs": Text("read", "参考"),
    "seen": Text("note", "说明"),
}
# Where a sentence may be cut: behind a mark, so that what is left out is a whole part of it.
PART = re.compile(r"[,;:.] |[，；：。]")
LONG = 60  # cells of a part; an ellipsis for a shorter one hides more than it spares


def named(text: Text, language: Language) -> str:
    """A text without a finding: each hole shows its name, as in `<driver>`."""
    template = text.zh if language == "zh" else text.en
    return "".join(said + (f"<{hole}>" if hole else "") for said, hole in pieces(template))


def apart(text: str, told: str) -> str:
    """A sentence without the long parts at its beginning and end that `told` has there too, "…" in their place."""
    marks = [mark.end() for mark in PART.finditer(text)]
    whole = [0, *(place for place in marks if _closed(text[:place])), len(text)]
    start = max(place for place in whole if told.startswith(text[:place]))
    start = start if cell_len(text[:start]) >= LONG else 0
    end = min(place for place in whole if told.endswith(text[place:]))
    end = end if cell_len(text[end:]) >= LONG else len(text)
    if start >= end:
        return text
    return ("… " if start else "") + text[start:end].rstrip(" ,;:，；：") + (" …" if end < len(text) else "")


def _closed(text: str) -> bool:
    return text.count("(") + text.count("（") == text.count(")") + text.count("）")


def _command(template: str | None) -> str:
    return named(Text(template, template), "en") if template else ""


def document(problem: Problem, topic: str, fixes: Sequence[str], language: Language) -> dict[str, Any]:
    """The problem as JSON. `fixes`: the names of those that mend it."""

    def say(text: Text | None) -> str | None:
        return named(text, language) if text else None

    return {
        "code": problem.code,
        "topic": topic,
        "severity": problem.severity.value,
        "title": say(problem.title),
        "why": say(problem.why),
        "help": say(problem.help),
        "command": _command(problem.command) or None,
        "fixes": list(fixes),
        "confirm": _command(problem.confirm) or None,
        "caused_by": list(problem.caused_by),
        "hardware": problem.hardware,
        "refs": list(problem.refs),
        "situations": {
            name: {
                "title": say(own.title),
                "why": say(own.why),
                "help": say(own.help),
                "command": _command(own.command) or None,
            }
            for name, own in problem.situations.items()
        },
    }


def render(problem: Problem, topic: str, fixes: Sequence[str], as_json: bool, style: Style) -> str:
    """The explanation of one problem. `fixes`: the names of those that mend it."""
    language = style.language
    if as_json:
        return json.dumps(document(problem, topic, fixes, language), indent=1) + "\n"
    page = Page(style)
    colour = COLOURS[problem.severity.value] if problem.severity is not Severity.NOTE else "cyan"
    page.line(
        (f"{SEVERITIES[problem.severity].say(language)}[{problem.code}]", f"bold {colour}"), (f" ({topic})", "dim")
    )
    rows: list[tuple[str, str, str]] = [
        ("what", named(problem.title, language), ""),
        ("so", named(problem.why, language), ""),
    ]
    # By the code: the finding knows the options that the fix needs here.
    commands = [f"envdoctor fix {problem.code}"] if fixes else []
    commands += _command(problem.command).splitlines()[:1]
    rows += [("fix" if not number else "when", line, "cyan") for number, line in enumerate(commands)]
    if problem.help:
        rows.append(("" if commands else "fix", named(problem.help, language), ""))
    usual = named(problem.help, language) if problem.help else ""
    for own in problem.situations.values():
        told = [named(own.title, language)] if own.title else []
        if own.help:
            told.append(apart(named(own.help, language), usual))
        rows += [("when" if not number else "", line, "") for number, line in enumerate(told)]
        label = "when" if not told else "fix" if own.command else "look"
        if own.command or own.look:
            rows.append((label, _command(own.command or own.look), "cyan"))
    looks = dict.fromkeys(look for look in (_command(problem.look), _command(problem.confirm)) if look)
    rows += [("look", look, "cyan") for look in looks]
    if problem.caused_by:
        rows.append(("cause", ", ".join(problem.caused_by), ""))
    if problem.hardware == "unconfirmed":
        rows.append(("seen", HARDWARE.say(language), "dim"))
    rows += [("refs" if not number else "", ref, "dim") for number, ref in enumerate(problem.refs)]
    width = 10
    for label, text, look in rows:
        page.line(
            ("  " + pad(LABELS[label].say(language) if label else "", width), "dim"), (text, look), indent=width + 2
        )
    return page.text()


def listing(files: Iterable[TopicFile], language: Language) -> list[dict[str, Any]]:
    """Topics and problems as JSON."""
    topics: dict[str, dict[str, Any]] = {}
    for file in files:
        entry = {"topic": file.topic.name, "about": file.topic.about.say(language), "checks": [], "problems": []}
        topic = topics.setdefault(file.topic.name, entry)
        topic["checks"] += [check.name for check in file.checks]
        topic["problems"] += [
            {"code": problem.code, "severity": problem.severity.value, "title": named(problem.title, language)}
            for problem in file.problems
        ]
    return list(topics.values())


def render_listing(files: Iterable[TopicFile], style: Style) -> str:
    """Topics and problems, a line each."""
    page = Page(style)
    topics = listing(files, style.language)
    width = max((len(problem["code"]) for topic in topics for problem in topic["problems"]), default=0) + 2
    for number, topic in enumerate(topics):
        if number:
            page.line(("", ""))
        page.line((topic["topic"], "bold"), (f"  {topic['about']}", "dim"), indent=4)
        for problem in topic["problems"]:
            page.line((f"  {pad(problem['code'], width)}", "cyan"), (problem["title"], ""), indent=width + 2)
    return page.text()
