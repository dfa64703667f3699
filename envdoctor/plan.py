"""Applies a plan all or none, and takes it back to the byte.

The order is what makes it safe: the undo record is on the disk before the first file is touched, every file is
replaced whole, and commands run last. Whatever ends the program between two steps, each file is the old one or the
new one, and the record tells which.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from envdoctor import atomic
from envdoctor.errors import CannotMend, Changed, EnvdoctorError, Interrupted
from envdoctor.journal import Edited, Entry, Journal, Ran, with_command
from envdoctor.permission import contents
from envdoctor.remedy import EditFile, Fix, Plan, RunCommand
from envdoctor.undisturbed import undisturbed

# Runs a command on the user's terminal and gives its exit status.
Runner = Callable[[tuple[str, ...]], int]


class NotStarted(CannotMend):
    """A command that could not be started: there is nothing of it to take back."""


@dataclass(frozen=True)
class Applied:
    """What became of a plan. `failed` is the command that ended with another status than 0; all was taken back then."""

    entry: Entry
    failed: RunCommand | None = None
    status: int = 0


def on_terminal(argv: tuple[str, ...]) -> int:
    """Run a command with this program's own streams; its output goes to standard error, where no report is.

    Raises:
        CannotMend: it could not be started.
    """
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
    except OSError as error:
        raise NotStarted(
            f"{argv[0]} could not be started: {error.strerror}",
            f"无法启动 {argv[0]}：{error.strerror}",
        ) from error


def apply(
    plan: Plan, fix: Fix, journal: Journal, arguments: tuple[str, ...] = (), python: str = "", run: Runner = on_terminal
) -> Applied:
    """Do what the plan says, all or nothing.

    Args:
        plan: settled, with something to change.
        arguments: as the fix was called, for the record.
        python: the Python it is for.

    Raises:
        Changed: a file is not what the plan was made for; nothing has changed.
        CannotMend: the system refused; everything is as it was, or the message says what is not.
        Interrupted: by Ctrl-C, likewise.
    """
    from envdoctor.examination import MADE_BY, now

    with journal.locked():
        _clear_up(journal)
        when = now()
        entry = Entry(
            id=journal.fresh_id(when), fix=fix.name, title={"en": plan.title.say("en"), "zh": plan.title.say("zh")},
            when=when, arguments=arguments, python=python, made_by=MADE_BY,
            edits=tuple(_edited(edit) for edit in plan.edits),
            commands=tuple(Ran(command.argv, command.undo) for command in plan.commands),
        )  # fmt: skip
        try:
            journal.write(entry)
        except OSError as error:
            raise CannotMend(
                f"the undo record cannot be written in {journal.folder} ({error.strerror}), so nothing was changed",
                f"无法在 {journal.folder} 写入撤销记录（{error.strerror}），因此未做任何改动",
            ) from error
        done: list[Edited] = []
        try:
            with undisturbed() as heard:
                for edit in entry.edits:
                    _put(edit, edit.before, edit.after, entry.id)
                    done.append(edit)
            if heard:
                raise KeyboardInterrupt
            for number, command in enumerate(plan.commands):
                begun = with_command(entry, number, True)
                journal.write(begun)
                entry = begun
                try:
                    status = run(command.argv)
                except NotStarted:
                    entry = with_command(entry, number, False)
                    raise
                if status:
                    return Applied(_take_back(entry, journal, run, done), command, status)
            entry = replace(entry, state="applied")
            journal.write(entry)
        except (Exception, KeyboardInterrupt) as error:
            told, told_zh = _sentences(error)
            _take_back(entry, journal, run, done, error)
            if isinstance(error, Changed):
                raise  # by another, whose change stands
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(f"{told}; everything is as it was", f"{told_zh}；一切均已恢复原状") from error
            if isinstance(error, (OSError, EnvdoctorError)):
                raise CannotMend(f"{told}; everything is as it was", f"{told_zh}；一切均已恢复原状") from error
            raise
    return Applied(entry)


def _sentences(error: BaseException) -> tuple[str, str]:
    """What went wrong, in English and in Chinese."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "已中断"
    if isinstance(error, OSError):
        # On Windows a file that another program has open cannot be replaced.
        held = sys.platform == "win32" and isinstance(error, PermissionError)
        hint = "; close the program that has it open and run the fix again" if held else ""
        hint_zh = "；请关闭占用它的程序后重新运行" if held else ""
        why = error.strerror or error
        return f"{error.filename or 'a file'}: {why}{hint}", f"{error.filename or '某个文件'}：{why}{hint_zh}"
    said = str(error) or type(error).__name__
    return said, error.zh if isinstance(error, EnvdoctorError) else said


def _untouched(error: OSError) -> CannotMend:
    en, zh = _sentences(error)
    return CannotMend(f"{en}; nothing was changed", f"{zh}；未做任何改动")


def roll_back(entry: Entry, journal: Journal, run: Runner = on_terminal) -> Entry:
    """Take an applied plan back because it broke something. Raises CannotMend or Interrupted where that fails."""
    with journal.locked():
        return _take_back(entry, journal, run, entry.edits)


def undo(entry: Entry, journal: Journal, run: Runner = on_terminal) -> Entry:
    """Take an applied or interrupted fix back: commands first, then files, each to the byte.

    Raises:
        Changed: a file has been changed since; nothing was touched.
        CannotMend: the system refused.
        Interrupted: by Ctrl-C.
    """
    with journal.locked():
        entry = journal.get(entry.id)
        if not entry.undoable:
            raise CannotMend(
                f"{entry.id} is taken back already",
                f"{entry.id} 已经撤销",
            )
        try:
            entry = _backwards(entry, run, journal, still_there(entry))
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"interrupted; `envdoctor fix --undo {entry.id}` goes on with it",
                f"已中断；可用 `envdoctor fix --undo {entry.id}` 继续撤销",
            ) from error
        entry = replace(entry, state="undone")
        _note(entry, journal)
        return entry


def still_there(
    entry: Entry, others: Iterable[Entry] = (), edits: Iterable[Edited] | None = None
) -> tuple[Edited, ...]:
    """The edits of an entry that undoing it would take back.

    Args:
        others: entries among which a later one may have changed the same files.
        edits: those of the entry that were made, where that is known; else what the files hold tells.

    Raises:
        Changed: a file has been changed since.
        CannotMend: a file cannot be read.
    """
    found = []
    for edit in entry.edits if edits is None else edits:
        now = _now(edit.file)
        if now == edit.before:
            continue
        if now != edit.after:
            way, way_zh = _way_out(edit, now, others)
            raise Changed(
                f"{edit.path} has been changed since {entry.id}, so nothing was undone; {way}",
                edit.path, edit.after, now,
                f"{edit.path} 在 {entry.id} 之后又被修改，因此未撤销任何内容；{way_zh}",
            )  # fmt: skip
        found.append(edit)
    return tuple(found)


def _way_out(edit: Edited, now: bytes | None, others: Iterable[Entry]) -> tuple[str, str]:
    """What to do about a file that is no longer what a fix made of it, in English and in Chinese."""
    for other in others:
        if other.undoable and any(later.file == edit.file and later.after == now for later in other.edits):
            command = f"`envdoctor fix --undo {other.id}`"
            return f"{other.id} did it: take that back first, {command}", f"是 {other.id} 所改：请先撤销它，{command}"
    return (
        "mend the file by hand, or make it again what the fix had made of it",
        "请手工修改该文件，或将其恢复为修复后的内容",
    )


def _now(path: str) -> bytes | None:
    try:
        return contents(path)
    except OSError as error:
        raise _untouched(error) from error


def _edited(edit: EditFile) -> Edited:
    place = os.path.realpath(edit.path)
    found = _now(place)
    if found != edit.before:
        raise Changed(
            f"{edit.path} has been changed meanwhile, so nothing was done; run the fix again",
            edit.path, edit.before, found,
            f"{edit.path} 在此期间被修改，因此未做任何改动；请重新运行修复",
        )  # fmt: skip
    if edit.before is None:
        folders = tuple(atomic.missing_folders(os.path.dirname(place)))
        return Edited(edit.path, place, None, edit.after, edit.mode, folders=folders)
    try:
        state = os.stat(place)
        kept = atomic.attributes(place) if edit.after is None else {}
    except OSError as error:
        raise _untouched(error) from error
    attributes = {name: base64.b64encode(value).decode() for name, value in kept.items()}
    return Edited(
        edit.path, place, edit.before, edit.after, stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid,
        state.st_mtime_ns, attributes,
    )  # fmt: skip


def _put(edit: Edited, old: bytes | None, new: bytes | None, token: str) -> None:
    """Make `new` of a file that holds `old`. Raises OSError, or Changed where it holds something else."""

    def compare() -> None:
        found = contents(edit.file)
        if found != old:
            raise Changed(
                f"{edit.path} has been changed meanwhile; run the fix again", edit.path, old, found,
                f"{edit.path} 在此期间被修改；请重新运行修复",
            )  # fmt: skip

    if new is None:
        compare()
        atomic.remove(edit.file)
        return
    made = atomic.make_folders(os.path.dirname(edit.file))
    try:
        dressed = functools.partial(_as_before, edit) if new == edit.before else None
        atomic.replace(edit.file, new, token, edit.mode if old is None else None, dressed, compare)
    except BaseException:
        with contextlib.suppress(OSError):
            atomic.remove_folders(made)
        raise


def _backwards(entry: Entry, run: Runner, journal: Journal, edits: tuple[Edited, ...]) -> Entry:
    """Take these edits of an entry back, and its commands. The entry that is returned knows which of those are left."""
    for number in reversed(range(len(entry.commands))):
        command = entry.commands[number]
        if not command.began or not command.undo:
            continue
        if status := run(command.undo):
            raise CannotMend(
                f"`{shlex.join(command.undo)}` ended with status {status}, so the files were left as the fix made "
                f"them; run `envdoctor fix --undo {entry.id}` again when it works",
                f"`{shlex.join(command.undo)}` 以状态 {status} 结束，因此文件保持修复后的样子；"
                f"待其可用后，请再次运行 `envdoctor fix --undo {entry.id}`",
            )
        entry = with_command(entry, number, False)
        with contextlib.suppress(OSError):
            journal.write(entry)  # else it is taken back a second time, should the rest fail
    try:
        with undisturbed():
            for edit in reversed(entry.edits):
                atomic.discard(atomic.temporary(edit.file, entry.id))
                if edit in edits:
                    _put(edit, edit.after, edit.before, entry.id)
                if edit.before is None:
                    atomic.remove_folders(list(edit.folders))
    except OSError as error:
        en, zh = _sentences(error)
        raise CannotMend(
            f"{en}; run `envdoctor fix --undo {entry.id}` again when it can be written",
            f"{zh}；待其可写后，请再次运行 `envdoctor fix --undo {entry.id}`",
        ) from error
    return entry


def _as_before(edit: Edited, descriptor: int) -> None:
    """Owner, mode and time of a file that is put back; a system that refuses them keeps no byte from coming back."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        if edit.owner is not None and edit.group is not None and os.geteuid() == 0:
            os.fchown(descriptor, edit.owner, edit.group)
    with contextlib.suppress(OSError):
        if edit.mode is not None and edit.after is None:
            os.fchmod(descriptor, edit.mode)
            atomic.dress(descriptor, {name: base64.b64decode(value) for name, value in edit.attributes.items()})
    with contextlib.suppress(OSError):
        if edit.modified_ns is not None:
            os.utime(descriptor, ns=(edit.modified_ns, edit.modified_ns))


def _clear_up(journal: Journal) -> None:
    """Remove what killed runs left beside the files, and their records where nothing is left of them.

    The lock is held: whoever wrote a record that is only begun is gone.
    """
    if not journal.alone:
        return
    for entry in journal.entries():
        if not entry.undoable:
            continue
        for edit in entry.edits:
            atomic.discard(atomic.temporary(edit.file, entry.id))
        if entry.state != "begun" or any(command.began for command in entry.commands):
            continue
        try:
            if not still_there(entry):
                for edit in entry.edits:
                    atomic.remove_folders(list(edit.folders))
                journal.forget(entry)
        except (EnvdoctorError, OSError):
            continue  # it stays in the history as interrupted


def _take_back(
    entry: Entry, journal: Journal, run: Runner, done: Iterable[Edited], because: BaseException | None = None
) -> Entry:
    began = any(command.began for command in entry.commands)
    try:
        entry = _backwards(entry, run, journal, still_there(entry, edits=done))
    except (EnvdoctorError, KeyboardInterrupt) as error:
        kind = Interrupted if isinstance(error, KeyboardInterrupt) else CannotMend
        first, first_zh = _sentences(because) if because else ("", "")
        en, zh = _sentences(error)
        raise kind(
            f"{first + '; ' if because else ''}it could not be taken back whole ({en}); "
            f"`envdoctor fix --undo {entry.id}` tries again",
            f"{first_zh + '；' if because else ''}未能全部撤销（{zh}）；可用 `envdoctor fix --undo {entry.id}` 重试",
        ) from error
    entry = replace(entry, state="rolled-back")
    if began:
        _note(entry, journal)
    else:
        journal.forget(entry)  # every byte is as it was: nothing is left to tell
    return entry


def _note(entry: Entry, journal: Journal) -> None:
    try:
        journal.write(entry)
    except OSError as error:
        raise CannotMend(
            f"every file is as it was before, but the undo record cannot be written ({error.strerror})",
            f"所有文件均已恢复原状，但无法写入撤销记录（{error.strerror}）",
        ) from error
