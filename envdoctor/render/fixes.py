"""What a fix is going to do, and what came of it: for people and as JSON (`envdoctor/fix/1`).

It is for the user whose files they are: secrets are hidden, but lines of files and commands are shown as they are,
names and paths included, since nobody can agree to what is shown otherwise.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from envdoctor.model import Finding, Text
from envdoctor.redact import Redactor
from envdoctor.remedy import EditFile, Fix, Plan, RunCommand, Verdict
from envdoctor.render import Style, clean
from envdoctor.render.json_report import portable
from envdoctor.render.text import COLOURS, Page
from envdoctor.render.words import COLON, SEVERITIES, seen, sentence, title
from envdoctor.transport.target import CHOICES

if TYPE_CHECKING:
    from envdoctor.errors import Changed
    from envdoctor.journal import Edited, Entry
    from envdoctor.transport.target import Target

SCHEMA = "envdoctor/fix/1"
LINE = re.compile(r"[^\n]*\n|[^\n]+")  # what editors and diff(1) call a line: Python's own lines end at more
MARKS = {"done": ("✓", "ok"), "not": ("✗", "X"), "note": ("-", "-"), "warning": ("!", "!")}

WORDS = {
    "by-hand": Text("not automatic: {why}", "需手动执行：{why}"),
    "hidden": Text(
        "a secret in it is shown as ***: put it back before you run it", "其中的密码以 *** 代替：执行前请改回"
    ),
    "no-undo": Text("which nothing takes back", "该命令无法撤销"),
    "undo-by": Text("undone by: {command}", "撤销命令：{command}"),
    "no-files": Text("no file changes", "不修改文件"),
    "files": Text("{count} {count:file changes|files change}", "修改 {count} 个文件"),
    "no-commands": Text("no command runs", "不执行命令"),
    "commands": Text("{count} {count:command runs|commands run}", "执行 {count} 条命令"),
    "and": Text("; ", "；"),
    "note": Text("note: ", "提示："),
    "warning": Text("warning: ", "警告："),
    "wrote": Text("wrote {path}", "已写入 {path}"),
    "removed": Text("removed {path}", "已删除 {path}"),
    "ran": Text("ran {command}", "已执行 {command}"),
    "gone": Text("checked again: {code} is gone", "复查：{code} 已消失"),
    "effective": Text("checked again: it is in effect", "复查：已生效"),
    "against": Text("not in effect: {why}", "未生效：{why}"),
    "unmended": Text("checked again: {code} is still there", "复查：{code} 仍然存在"),
    "back": Text("rolled back: {code} appeared", "已回滚：出现了 {code}"),
    "failed": Text("`{command}` ended with status {status}; rolled back", "`{command}` 以状态 {status} 结束；已回滚"),
    "undo": Text("Undo with: envdoctor fix --undo {id}", "撤销命令：envdoctor fix --undo {id}"),
    "nothing": Text("nothing to do: it is so already", "无需修改：当前已是如此"),
    "none-found": Text("{code} was not found on this machine: nothing to fix", "本机未发现 {code}：无需修复"),
    "absent": Text("{code} was not found: {absent}", "未发现 {code}：{absent}"),
    "python": Text("Python: {python} - {why}", "Python：{python} - {why}"),
    "undone": Text("{id} is taken back; every file is as it was", "{id} 已撤销；所有文件恢复原样"),
    "restored": Text("restored {path}", "已恢复 {path}"),
    "as-was": Text("every file is already as it was", "所有文件已是原样"),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a run, in both forms: the text that is still to be printed, and the whole as a document."""

    text: str
    told: dict[str, Any] = field(default_factory=dict)

    def document(self) -> str:
        """The JSON document."""
        return json.dumps(portable({"schema": SCHEMA, **self.told}), indent=1, allow_nan=False) + "\n"


def _word(name: str, style: Style, **values: str | int) -> str:
    return WORDS[name].say(style.language, values)


def _count(thing: str, count: int, style: Style) -> str:
    return _word(f"{thing}s" if count else f"no-{thing}s", style, count=count)


def _mark(name: str, style: Style) -> tuple[str, str]:
    look = {"done": "green", "not": "red", "warning": "yellow"}.get(name, "dim")
    return (MARKS[name][0] if style.unicode else MARKS[name][1]) + " ", look


def diff(path: str, before: bytes | None, after: bytes | None, redactor: Redactor) -> list[str]:
    """A unified diff of a file's bytes, lines clean and without secrets."""

    def lines(data: bytes | None) -> list[str]:
        text = (data or b"").decode("utf-8", "backslashreplace")
        if crlf:
            text = text.replace("\r\n", "\n")
        return [_exact(line, redactor) for line in LINE.findall(text)]

    # Where all lines end alike, their ends are no news.
    crlf = all((data or b"").count(b"\r\n") == (data or b"").count(b"\n") for data in (before, after))
    told: list[str] = []
    names = ("/dev/null" if before is None else path, "/dev/null" if after is None else path)
    for line in difflib.unified_diff(lines(before), lines(after), redactor.own(names[0]), redactor.own(names[1])):
        told.append(line.rstrip("\n"))
        if not line.endswith("\n"):
            told.append("\\ No newline at end of file")
    return told


def _show_diff(page: Page, path: str, before: bytes | None, after: bytes | None, redactor: Redactor) -> None:
    page.line(("", ""))
    for line in diff(path, before, after, redactor):
        look = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        page.line((line, "bold" if line.startswith(("---", "+++")) else look), indent=None)


def looked_at(target: Target, style: Style, redactor: Redactor) -> str:
    """The Python that the plan is for, and why it."""
    page = Page(style)
    why = CHOICES[target.why].say(style.language)
    page.line((_word("python", style, python=_own(target.python, redactor), why=why), "dim"))
    return page.text()


def proposal(plan: Plan, style: Style, redactor: Redactor) -> str:
    """The plan for people: what it makes so, the diff, the commands, what to know."""
    page = Page(style)
    _propose(page, plan, style, redactor)
    return page.text()


def _propose(page: Page, plan: Plan, style: Style, redactor: Redactor) -> None:
    page.line((_own(plan.title.say(style.language), redactor), "bold"))
    for edit in plan.edits:
        _show_diff(page, edit.path, edit.before, edit.after, redactor)
    page.line(("", ""))
    for command in plan.commands:
        page.line((_own(command.why.say(style.language), redactor), ""))
        page.line(("  ", ""), (quoted(command.argv, redactor), "cyan"), indent=4)
        back = _word("undo-by", style, command=quoted(command.undo, redactor)) if command.undo else ""
        page.line(("  " + (back or _word("no-undo", style)), "dim"), indent=4)
    _by_hand(page, plan, style, redactor)
    if plan.changes:
        counts = (_count("file", len(plan.edits), style), _count("command", len(plan.commands), style))
        page.line((_word("and", style).join(counts), "dim"))
    for remark in plan.remarks:
        look = "yellow" if remark.level == "warning" else "dim"
        said = _exact(remark.said.say(style.language), redactor)  # there may be a command in it
        page.line((_word(remark.level, style), look), (said, ""), indent=6)


def _by_hand(page: Page, plan: Plan, style: Style, redactor: Redactor) -> None:
    for step in plan.by_hand:
        page.line((_word("by-hand", style, why=_own(step.why.say(style.language), redactor)), "yellow"))
        shown = _exact(step.command, redactor)
        # What a shell reads to its last line is pasted as it stands: an indent would be part of it.
        indent = "" if "\n" in shown else "  "
        for line in shown.split("\n"):
            page.line((indent, ""), (line, "cyan"), indent=None)
        if shown != step.command:
            page.line((_word("hidden", style), "yellow"))


def _exact(text: str, redactor: Redactor) -> str:
    """A command or a line of a file: with the user's own names, which belong to it, and without secrets."""
    return clean(redactor.text(text, names=False))


def _own(text: str, redactor: Redactor) -> str:
    """A sentence or a path for the user's own eyes."""
    return clean(redactor.own(text))


def quoted(argv: tuple[str, ...], redactor: Redactor) -> str:
    """A command as a shell takes it, without secrets."""
    return _exact(shlex.join(argv), redactor)


def result(
    fix: Fix, plan: Plan, entry: Entry | None, verdict: Verdict, state: str, style: Style, redactor: Redactor,
    failed: tuple[RunCommand, int] | None = None,
) -> Outcome:  # fmt: skip
    """What was done and what was seen when the machine was looked at again."""
    page = Page(style)

    def line(mark: str, text: str) -> None:
        page.line(_mark(mark, style), (_own(text, redactor), ""), indent=2)

    if entry is None:
        _propose(page, plan, style, redactor)
        if state == "nothing-to-do":
            line("done", _word("nothing", style))
    elif failed is None:
        for edit in plan.edits:
            line("done", _word("removed" if edit.after is None else "wrote", style, path=edit.path))
        for command in plan.commands:
            line("done", _word("ran", style, command=shlex.join(command.argv)))
    if failed is not None:
        line("not", _word("failed", style, command=shlex.join(failed[0].argv), status=failed[1]))
    for code in verdict.gone:
        line("done", _word("gone", style, code=code))
    for reason in verdict.against:
        line("not", _word("against", style, why=reason.say(style.language)))
    for code in verdict.unmended:
        line("not", _word("unmended", style, code=code))
    if state in ("applied", "by-hand-left") and not verdict.gone and fix.verify is not None:
        line("done", _word("effective", style))
    for finding in verdict.broken:
        line("not", _word("back", style, code=finding.code))
    if state == "not-effective" or verdict.broken:
        for finding in verdict.left:
            _finding(page, finding, style, redactor)
    if entry is not None and entry.undoable:
        page.line((_word("undo", style, id=entry.id), "dim"))
    told = _plan(fix.name, plan, state, style, redactor)
    told |= {
        "not_in_effect": [_own(reason.say(style.language), redactor) for reason in verdict.against],
        "gone": list(verdict.gone),
        "unmended": list(verdict.unmended),
        "findings": [_told(finding, style, redactor) for finding in verdict.left],
        "undo": entry.id if entry is not None and entry.undoable else None,
    }
    return Outcome(page.text(), told)


def planned(fix: Fix | None, plan: Plan, state: str, style: Style, redactor: Redactor) -> Outcome:
    """A plan that was not applied. As text it has been shown already, unless nothing of it is automatic."""
    return Outcome(
        proposal(plan, style, redactor) if state == "by-hand" else "",
        _plan(fix.name if fix else None, plan, state, style, redactor),
    )


def _plan(name: str | None, plan: Plan, state: str, style: Style, redactor: Redactor) -> dict[str, Any]:
    return {
        "fix": name,
        "state": state,
        "title": _own(plan.title.say(style.language), redactor),
        "edits": [_edit(edit, redactor) for edit in plan.edits],
        "commands": [
            {"command": quoted(one.argv, redactor), "why": _own(one.why.say(style.language), redactor),
             "undo": quoted(one.undo, redactor) if one.undo else None}
            for one in plan.commands
        ],
        "by_hand": [
            {"command": _exact(one.command, redactor), "why": _own(one.why.say(style.language), redactor)}
            for one in plan.by_hand
        ],
        "remarks": [
            {"level": one.level, "text": _exact(one.said.say(style.language), redactor)} for one in plan.remarks
        ],
    }  # fmt: skip


def _edit(edit: EditFile | Edited, redactor: Redactor) -> dict[str, Any]:
    return {
        "path": _own(edit.path, redactor),
        "made": edit.before is None,
        "removed": edit.after is None,
        "diff": diff(edit.path, edit.before, edit.after, redactor),
    }


def _finding(page: Page, finding: Finding, style: Style, redactor: Redactor) -> None:
    label = SEVERITIES[finding.severity].say(style.language)
    look = COLOURS.get(finding.severity.value, "")
    said = COLON.say(style.language) + title(finding, style.language, redactor)
    page.line((f"{label}[{finding.code}]", look), (said, ""), indent=2)
    for one in seen(finding, style.language, redactor):
        page.line((f"  {clean(one)}", "dim"), indent=4)
    if finding.command:
        page.line(("  ", ""), (_exact(finding.command, redactor), "cyan"), indent=4)


def _told(finding: Finding, style: Style, redactor: Redactor) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "title": title(finding, style.language, redactor),
        "why": sentence(finding.words.why, finding, style.language, redactor),
        "evidence": redactor.value(dict(finding.evidence)),
        "command": _exact(finding.command, redactor) if finding.command else None,
    }


def nothing_found(code: str, absent: str, style: Style, redactor: Redactor) -> Outcome:
    """A code that was asked for and is not there; `absent` is what the machine lacks for it, "" for nothing."""
    said = _word("absent", style, code=code, absent=_own(absent, redactor)) if absent else ""
    said = said or _word("none-found", style, code=code)
    return Outcome(said + "\n", {"fix": None, "state": "nothing-to-do", "title": said})


def failure(message: str, exit_code: int) -> str:
    """The document of a run that ended without a result."""
    error = {"message": message, "exit_code": exit_code}
    return Outcome("", {"fix": None, "state": "error", "error": error}).document()


def undoing(entry: Entry, edits: tuple[Edited, ...], style: Style, redactor: Redactor) -> str:
    """What taking an entry back is going to change."""
    page = Page(style)
    heading = f"{entry.id}  {entry.title.get(style.language) or entry.fix}"
    page.line((_own(heading, redactor), "bold"))
    for edit in edits:
        _show_diff(page, edit.path, edit.after, edit.before, redactor)
    for command in reversed(entry.commands):
        if command.began and command.undo:
            page.line(("  ", ""), (quoted(command.undo, redactor), "cyan"), indent=4)
    if not edits:
        page.line((_word("as-was", style), ""))
    return page.text()


def undone(entry: Entry, edits: tuple[Edited, ...], state: str, style: Style, redactor: Redactor) -> Outcome:
    """What was taken back."""
    page = Page(style)
    if state == "undone":
        for edit in edits:
            word = _word("removed" if edit.before is None else "restored", style, path=edit.path)
            page.line(_mark("done", style), (_own(word, redactor), ""), indent=2)
        page.line(_mark("done", style), (_word("undone", style, id=entry.id), ""), indent=2)
    back = [replace(edit, before=edit.after, after=edit.before) for edit in edits]
    told = {"fix": entry.fix, "state": state, "id": entry.id, "edits": [_edit(edit, redactor) for edit in back]}
    return Outcome(page.text(), told)


def changed_since(error: Changed, style: Style, redactor: Redactor) -> str:
    """The difference between what a file should hold and what it holds."""
    page = Page(style)
    _show_diff(page, error.path, error.expected, error.found, redactor)
    return page.text()
