"""The edits of start-up files that give variables to every new shell of the user's, or take them away."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from envdoctor.edits import shell_block, shell_words, start_up
from envdoctor.edits.shell_block import Line
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.model import Scalar
from envdoctor.remedy import ByHand, EditFile, Files, Remark, said


@dataclass(frozen=True)
class Change:
    """The part of a plan that changes start-up files. `wants` goes into the plan's, for `takes_effect`."""

    edits: tuple[EditFile, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    remarks: tuple[Remark, ...] = ()
    wants: Mapping[str, Scalar] = field(default_factory=dict)


def exporting(
    shell: ShellFiles, files: Files, values: Mapping[str, str | None], statements: Iterable[Statement] = ()
) -> Change:
    """Give variables values in every new shell of the user's; None takes a variable out of the start-up files.

    The user's own plain settings of the same variables that would win are turned into comments.

    Args:
        statements: further ones for the block.

    Raises:
        CannotSay: a value that the shell has no notation for.
    """
    kind, statements = start_up.user_shell(shell), tuple(statements)
    if not (shell.shell or shell.login_shell) and re.match(r"[A-Za-z]:[\\/]", shell.home):
        return Change(by_hand=_by_setx(values))
    known = kind if kind in shell_words.LANGUAGES else "sh"
    here = [
        shell_words.setting(name, value, known) if value is not None else shell_words.unsetting(name, known)
        for name, value in values.items()
    ]
    here += [(one.here or one.say)(known) for one in statements]
    try:
        found = start_up.places(shell, files)
        if not found:
            return Change(by_hand=_by_hand(kind, shell.home, here))
        changed = Edits(files)
        for place in found:
            for name, value in values.items():
                if value is None:
                    changed.take(place, name)
                else:
                    changed.put(place, Line(name, shell_words.setting(name, value, place.shell)))
            for one in statements:
                there = replace(place, before=None) if one.last else place
                changed.put(there, Line(one.purpose, one.say(place.shell)))
        patterns = [(name, shell_block.sets(name)) for name in values]
        patterns += [(one.purpose, one.instead_of) for one in statements if one.instead_of is not None]
        for path in start_up.read_by(kind, shell, files):
            for purpose, pattern in patterns:
                changed.supersede(path, purpose, pattern)
    except OSError as error:
        why = said(
            "{path} cannot be read ({error}), so no start-up file is changed: add this to yours",
            "无法读取 {path}（{error}），因此未修改任何启动文件：请自行加入此行",
            path=error.filename,
            error=error.strerror,
        )
        return Change(by_hand=(ByHand("\n".join(here), why),))
    remarks = [in_this_shell("; ".join(here), start_up.only_login(shell))] if changed.made() else []
    wants = {f"env {name}": value for name, value in values.items()}
    return Change(changed.made(), (), (*remarks, *changed.warnings()), wants)


@dataclass(frozen=True)
class Statement:
    """A statement for the block that is more than a setting.

    Attributes:
        purpose: a word of its own, without blanks.
        say: the name of a shell -> the statement; may raise CannotSay.
        instead_of: lines of the user's own that would undo it.
        here: the same for the shell that runs already, where that is shorter.
        last: it comes after all else in the file, below what only interactive shells read.
    """

    purpose: str
    say: Callable[[str], str]
    instead_of: re.Pattern[bytes] | None = None
    here: Callable[[str], str] | None = None
    last: bool = False


class Edits:
    """Edits of start-up files as they come together, one for each file."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.before: dict[str, bytes | None] = {}
        self.after: dict[str, bytes | None] = {}
        self.lines: dict[str, list[Line]] = {}

    def put(self, place: start_up.Place, line: Line) -> None:
        """Have a line in the block of a file."""
        content = self._content(place.path)
        self.after[place.path] = shell_block.put(
            content, line, start_up.guard(content) if place.before is not None else None
        )
        self.lines.setdefault(place.path, []).append(line)

    def take(self, place: start_up.Place, purpose: str) -> None:
        """Have no line of a purpose in the block. A file that held nothing else is removed, if it is our own."""
        left = shell_block.take(self._content(place.path), purpose)
        own = place.path.endswith("/conf.d/envdoctor.fish")
        self.after[place.path] = None if own and not left else left

    def supersede(self, path: str, purpose: str, pattern: re.Pattern[bytes]) -> None:
        """Have no line of a pattern outside of the block behind the block's line of a purpose."""
        content = self._content(path)
        if content is not None:
            self.after[path] = shell_block.supersede(content, pattern, shell_block.after_block(content, purpose))

    def _content(self, path: str) -> bytes | None:
        if path not in self.before:
            self.before[path] = self.after[path] = self.files.read(path)
        return self.after[path]

    def made(self) -> tuple[EditFile, ...]:
        """The edits that change something."""
        edits = (
            EditFile(path, self.before[path], self.after[path], by_hand=self._by_hand(path)) for path in self.before
        )
        return tuple(edit for edit in edits if edit.changes)

    def _by_hand(self, path: str) -> str:
        """For a file that this user may not replace: the block at its end, as far as lines are added."""
        if path not in self.lines or self.before[path] is None:
            return ""
        block = shell_block.BEGIN, *(line.written() for line in self.lines[path]), shell_block.END
        words = " ".join(shlex.quote(line.decode("utf-8", "surrogateescape")) for line in block)
        return f"printf '%s\\n' {words} | sudo tee -a {shlex.quote(path)} >/dev/null"

    def warnings(self) -> tuple[Remark, ...]:
        """What to know about the files that change."""
        ends = said(
            "{path} has Windows line ends, which shells take for a part of each value; the lines added here have none",
            "{path} 使用 Windows 换行符，shell 会把它当作值的一部分；此处新增的行不含该字符",
            path=next((edit.path for edit in self.made() if b"\r\n" in (edit.before or b"")), ""),
        )
        return (Remark(ends, "warning"),) if ends.values["path"] else ()


def _by_hand(kind: str, home: str, statements: Iterable[str]) -> tuple[ByHand, ...]:
    if kind in ("csh", "tcsh", "xonsh"):
        why = said(
            "envdoctor does not write start-up files of {shell}: add this to {file}",
            "envdoctor 不写 {shell} 的启动文件：请将此行加入 {file}",
            shell=kind,
            file=f"{home}/.{kind}rc",
        )
    else:
        why = said(
            "envdoctor does not write start-up files of {shell}: add this to its own",
            "envdoctor 不写 {shell} 的启动文件：请将此行加入该 shell 的启动文件",
            shell=kind,
        )
    return (ByHand("\n".join(statements), why),)


def _by_setx(values: Mapping[str, str | None]) -> tuple[ByHand, ...]:
    """Windows keeps variables in the registry and has no start-up file. setx(1) cannot take one away."""
    why = said("Windows keeps variables in the registry", "Windows 将环境变量保存在注册表中")
    commands = (
        rf"reg delete HKCU\Environment /v {name} /f"
        if value is None
        else 'setx {} "{}"'.format(name, value.replace('"', '\\"'))
        for name, value in values.items()
    )
    return tuple(ByHand(command, why) for command in commands)


def in_this_shell(statement: str, only_login: bool = False) -> Remark:
    """Shells that run already keep what they have; what to say in this one.

    Args:
        only_login: of the new shells, those that do not log in go without as well.
    """
    if only_login:
        return Remark(
            said(
                "new login shells have it, all others keep what they had; here: {statement}",
                "新的登录 shell 才会生效，其他 shell 不变；当前 shell 请执行：{statement}",
                statement=statement,
            )
        )
    return Remark(
        said(
            "new shells have it, those that run keep what they had; here: {statement}",
            "新开的 shell 才会生效，已打开的不变；当前 shell 请执行：{statement}",
            statement=statement,
        )
    )
