"""Applies a plan all or none, and takes it back to the byte.

The order is what makes it safe: the undo record is on the disk before the first file is touched, every file is
replaced whole, and commands run last. Whatever ends the program between two steps, each file is the old one or the
new one, and the record tells which.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from envdoctor import atomic
from envdoctor.errors import CannotMend, Changed, EnvdoctorError
from envdoctor.journal import Edited, Entry, Journal, Ran, with_command_begun
from envdoctor.remedy import ByHand, EditFile, Files, Fix, Plan, RunCommand, said

MOST_BYTES = 32 << 20  # no start-up or configuration file is larger; the record keeps all of it

# Runs a command on the user's terminal and gives its exit status.
Runner = Callable[[tuple[str, ...]], int]


class LocalFiles(Files):
    """The files of this machine as they are now."""

    def read(self, path: str) -> bytes | None:
        try:
            if os.stat(path).st_size > MOST_BYTES:
                raise OSError(27, f"larger than {MOST_BYTES >> 20} MiB", path)
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def writable(self, path: str) -> bool:
        place = self.resolve(path)
        try:
            state = os.stat(place)
        except FileNotFoundError:
            folder = os.path.dirname(place)
            while not os.path.isdir(folder) and folder != os.path.dirname(folder):
                folder = os.path.dirname(folder)
            return os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            return False
        # Replacing another's file would make it this user's; one with several names would part from the others.
        own = os.name != "posix" or os.geteuid() in (0, state.st_uid)
        return own and state.st_nlink == 1 and os.access(os.path.dirname(place), os.W_OK | os.X_OK)


def settled(plan: Plan, files: Files) -> Plan:
    """The plan with the edits that this user may not make turned into commands to paste."""
    edits: list[EditFile] = []
    by_hand = list(plan.by_hand)
    for edit in plan.edits:
        if not edit.changes:
            continue
        if files.writable(edit.path):
            edits.append(edit)
        else:
            why = said("this user may not replace {path}", "当前用户不能改写 {path}", path=edit.path)
            by_hand.append(ByHand(edit.by_hand or _whole_file(edit, files.resolve(edit.path)), why))
    return replace(plan, edits=tuple(edits), by_hand=tuple(by_hand))


def _whole_file(edit: EditFile, path: str) -> str:
    quoted = shlex.quote(path)
    if edit.after is None:
        return f"sudo rm {quoted}"
    try:
        text = edit.after.decode()
    except UnicodeDecodeError:
        text = ""
    plain = text.endswith("\n") and text.replace("\n", "").replace("\t", "").isprintable()
    if plain and "\nEND\n" not in text:
        made = f"sudo mkdir -p {shlex.quote(os.path.dirname(path))} && " if edit.before is None else ""
        return f"{made}sudo tee {quoted} >/dev/null <<'END'\n{text}END"
    octal = "".join(f"\\{byte:03o}" for byte in edit.after)
    return f"printf '{octal}' | sudo tee {quoted} >/dev/null"


@dataclass(frozen=True)
class Applied:
    """What became of a plan. `failed` is the command that ended with another status than 0; all was taken back then."""

    entry: Entry
    failed: RunCommand | None = None
    status: int = 0


def on_terminal(argv: tuple[str, ...]) -> int:
    """Run a command with this program's own streams; its output goes to standard error, where no report is."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
    except OSError as error:
        raise CannotMend(f"{argv[0]} could not be started: {error.strerror}") from error


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
    """
    from envdoctor.examination import MADE_BY, now

    with journal.locked():
        entry = Entry(
            id=journal.fresh_id(), fix=fix.name, title={"en": plan.title.say("en"), "zh": plan.title.say("zh")},
            when=now(), arguments=arguments, python=python, made_by=MADE_BY,
            edits=tuple(_edited(edit) for edit in plan.edits),
            commands=tuple(Ran(command.argv, command.undo) for command in plan.commands),
        )  # fmt: skip
        try:
            journal.write(entry)
        except OSError as error:
            raise CannotMend(
                f"the undo record cannot be written in {journal.folder} ({error.strerror}), so nothing was changed"
            ) from error
        try:
            for edit in entry.edits:
                _put(edit, edit.before, edit.after, entry.id)
            for number, command in enumerate(plan.commands):
                entry = with_command_begun(entry, number)
                journal.write(entry)
                if status := run(command.argv):
                    return Applied(_take_back(entry, journal, run), command, status)
            entry = replace(entry, state="applied")
            journal.write(entry)
        except BaseException as error:
            _take_back(entry, journal, run)
            if isinstance(error, OSError):
                name = error.filename2 or error.filename or journal.folder
                raise CannotMend(f"{name}: {error.strerror}; everything is as it was") from error
            raise
    return Applied(entry)


def roll_back(entry: Entry, journal: Journal, run: Runner = on_terminal) -> Entry:
    """Take an applied plan back because it broke something. Raises as `undo` does."""
    with journal.locked():
        return _take_back(entry, journal, run)


def undo(entry: Entry, journal: Journal, run: Runner = on_terminal) -> Entry:
    """Take an applied or interrupted fix back: commands first, then files, each to the byte.

    Raises:
        Changed: a file has been changed since; nothing was touched.
        CannotMend: the system refused.
    """
    with journal.locked():
        entry = journal.get(entry.id)
        if not entry.undoable:
            raise CannotMend(f"{entry.id} is taken back already")
        _backwards(entry, run)
        entry = replace(entry, state="undone")
        _note(entry, journal)
        return entry


def still_there(entry: Entry) -> tuple[Edited, ...]:
    """The edits of an entry that undoing it would take back.

    Raises:
        Changed: a file has been changed since.
    """
    found = []
    for edit in entry.edits:
        now = _now(edit.file)
        if now == edit.before:
            continue
        if now != edit.after:
            raise Changed(
                f"{edit.path} has been changed since {entry.id}, so nothing was undone; mend the file by hand, or make "
                "it again what the fix had made of it",
                edit.path, edit.after, now,
            )  # fmt: skip
        found.append(edit)
    return tuple(found)


def _now(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CannotMend(f"{path}: {error.strerror}; nothing was changed") from error


def _edited(edit: EditFile) -> Edited:
    place = os.path.realpath(edit.path)
    found = _now(place)
    if found != edit.before:
        raise Changed(
            f"{edit.path} has been changed meanwhile, so nothing was done; run the fix again",
            edit.path,
            edit.before,
            found,
        )
    folders: list[str] = []
    folder = os.path.dirname(place)
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folders.insert(0, folder)
        folder = os.path.dirname(folder)
    if edit.before is None:
        return Edited(edit.path, place, None, edit.after, edit.mode, folders=tuple(folders))
    state = os.stat(place)
    return Edited(
        edit.path, place, edit.before, edit.after, state.st_mode & 0o7777, state.st_uid, state.st_gid,
        state.st_mtime_ns,
    )  # fmt: skip


def _put(edit: Edited, old: bytes | None, new: bytes | None, token: str) -> None:
    """Make `new` of a file that holds `old`. Raises OSError, or Changed where it holds something else."""
    found = _now(edit.file)
    if found != old:
        raise Changed(f"{edit.path} has been changed meanwhile; run the fix again", edit.path, old, found)
    if new is None:
        atomic.remove(edit.file)
        return
    made = atomic.make_folders(os.path.dirname(edit.file))
    try:
        atomic.replace(edit.file, new, token, edit.mode if found is None else None)
    except BaseException:
        atomic.remove_folders(made)
        raise


def _backwards(entry: Entry, run: Runner) -> None:
    edits = still_there(entry)
    for command in reversed(entry.commands):
        if command.began and command.undo and (status := run(command.undo)):
            raise CannotMend(
                f"`{shlex.join(command.undo)}` ended with status {status}, so the files were left as the fix made "
                f"them; run `envdoctor fix --undo {entry.id}` again when it works"
            )
    try:
        for edit in reversed(edits):
            _put(edit, edit.after, edit.before, entry.id)
            if edit.before is None:
                atomic.remove_folders(list(edit.folders))
            else:
                _as_before(edit)
        for edit in entry.edits:
            _sweep(edit, entry.id)
    except OSError as error:
        raise CannotMend(
            f"{error.filename}: {error.strerror}; run `envdoctor fix --undo {entry.id}` again when it can be written"
        ) from error


def _as_before(edit: Edited) -> None:
    """Owner and time of a file that was put back; a system that refuses keeps nothing from being whole."""
    try:
        if edit.mode is not None and edit.after is None:
            os.chmod(edit.file, edit.mode)
        if edit.owner is not None and edit.group is not None and os.name == "posix" and os.geteuid() == 0:
            os.chown(edit.file, edit.owner, edit.group)
        if edit.modified_ns is not None:
            os.utime(edit.file, ns=(os.stat(edit.file).st_atime_ns, edit.modified_ns))
    except OSError:
        pass


def _sweep(edit: Edited, token: str) -> None:
    """Remove the temporary file that a killed run left."""
    try:
        os.unlink(atomic.temporary(edit.file, token))
    except OSError:
        pass


def _take_back(entry: Entry, journal: Journal, run: Runner) -> Entry:
    try:
        _backwards(entry, run)
    except EnvdoctorError as error:
        raise CannotMend(
            f"it could not be taken back whole: {error}; `envdoctor fix --undo {entry.id}` tries again"
        ) from error
    entry = replace(entry, state="rolled-back")
    if any(command.began for command in entry.commands):
        _note(entry, journal)
    else:
        journal.forget(entry)  # every byte is as it was: nothing is left to tell
    return entry


def _note(entry: Entry, journal: Journal) -> None:
    try:
        journal.write(entry)
    except OSError as error:
        raise CannotMend(
            f"every file is as it was before, but the undo record cannot be written ({error.strerror})"
        ) from error
