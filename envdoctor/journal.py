"""The record of applied fixes: what every file held before, so that each can be taken back to the byte.

One JSON file per fix in the user's state folder, private to the user, written before anything else is touched.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from envdoctor import atomic
from envdoctor.errors import CannotMend, UsageError
from envdoctor.model import Text
from envdoctor.state import state_folder

SCHEMA = "envdoctor/journal/1"
LOCK_WAIT_S = 10.0  # another run holds the lock only while it writes; longer means that it stands still
STATES = {
    "begun": Text("interrupted", "中断"),
    "applied": Text("applied", "已应用"),
    "undone": Text("undone", "已撤销"),
    "rolled-back": Text("rolled back", "已回滚"),
}


@dataclass(frozen=True)
class Edited:
    """A file as it was and as it was made.

    Attributes:
        path: as the user knows it.
        file: the file it led to; that one was changed.
        mode, owner, group: of the old file, None where there was none.
        modified_ns: time of its last change, ns.
        attributes: extended attributes of a file that is removed: name -> value in base64.
        folders: that were missing above it, the outermost first.
    """

    path: str
    file: str
    before: bytes | None
    after: bytes | None
    mode: int | None = None
    owner: int | None = None
    group: int | None = None
    modified_ns: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ran:
    """A command of the plan. `began` says whether it was started."""

    argv: tuple[str, ...]
    undo: tuple[str, ...] = ()
    began: bool = False


@dataclass(frozen=True)
class Entry:
    """One applied fix. `state` is a key of STATES; `when` is the time in UTC."""

    id: str
    fix: str
    title: Mapping[str, str]
    when: str
    state: str = "begun"
    arguments: tuple[str, ...] = ()
    python: str = ""
    edits: tuple[Edited, ...] = ()
    commands: tuple[Ran, ...] = ()
    made_by: str = ""

    @property
    def undoable(self) -> bool:
        """There may be something left of it."""
        return self.state in ("begun", "applied")


class Journal:
    """The entries in a folder. `alone` is false while work goes on in one whose file system has no locks."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (state_folder() / "fixes") if folder is None else folder
        self.alone = True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs of this user from applying or undoing meanwhile.

        Raises:
            CannotMend: the folder cannot be written, or another run holds the lock for 10 s.
        """
        try:
            atomic.make_folders(str(self.folder), 0o700)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotMend(
                f"the undo record cannot be written in {self.folder} ({error.strerror}), so nothing was changed; "
                "set XDG_STATE_HOME to a folder of yours",
                f"无法在 {self.folder} 写入撤销记录（{error.strerror}），因此未做任何改动；"
                "请将 XDG_STATE_HOME 设为自己的目录",
            ) from error
        try:
            with contextlib.suppress(OSError):
                atomic.give_to_owner_of(str(self.folder), descriptor)
            self.alone = _lock(descriptor, self.folder)
            if self.alone:
                atomic.sweep(str(self.folder))
            yield
        finally:
            os.close(descriptor)

    def write(self, entry: Entry) -> None:
        """Write an entry, whole or not at all. Raises OSError."""
        text = json.dumps(_encode(entry), indent=1) + "\n"
        atomic.replace(str(self._place(entry.id)), text.encode(), f"{os.getpid()}", mode=0o600)

    def forget(self, entry: Entry) -> None:
        """Take an entry out that stands for nothing."""
        with contextlib.suppress(OSError):
            atomic.remove(str(self._place(entry.id)))

    def _place(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def fresh_id(self, when: str) -> str:
        """The local time to the second, with a number behind it where that is taken.

        Args:
            when: the time as the entry has it: of two entries of one second the number tells the order.
        """
        utc = datetime.datetime.strptime(when, "%Y-%m-%dT%H:%M:%S%z")
        stem = utc.astimezone().strftime("%Y%m%d-%H%M%S")
        if not self.alone:
            stem += f"-{os.getpid()}"  # where nothing can be locked, another run may choose a name at this moment
        number = 1
        while os.path.lexists(self._place(stem if number == 1 else f"{stem}-{number}")):
            number += 1
        return stem if number == 1 else f"{stem}-{number}"

    def entries(self) -> list[Entry]:
        """All entries that can be read, the oldest first."""
        return self._all()[0]

    def unreadable(self) -> list[str]:
        """What is wrong with each entry that cannot be read."""
        return self._all()[1]

    def _all(self) -> tuple[list[Entry], list[str]]:
        found: list[Entry] = []
        broken: list[str] = []
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(".json") and name[0] != ".")
        except OSError:
            names = []
        for name in names:
            try:
                found.append(self._read(self.folder / name))
            except UsageError as error:
                broken.append(str(error))
        return sorted(found, key=lambda entry: (entry.when, len(entry.id), entry.id)), broken

    def last(self, fix: str = "") -> Entry | None:
        """The newest that can be undone, of this fix or of all."""
        return next((one for one in reversed(self.entries()) if one.undoable and fix in ("", one.fix)), None)

    def get(self, name: str) -> Entry:
        """The entry with this id. Raises UsageError where there is none or it cannot be read."""
        path = self._place(name)
        if os.path.basename(name) != name or not os.path.lexists(path):
            known = [entry.id for entry in self.entries() if entry.undoable]
            told = f"those that can be undone: {', '.join(known[-5:])}" if known else "there is none to undo"
            told_zh = f"可撤销的有：{'、'.join(known[-5:])}" if known else "没有可撤销的修复"
            raise UsageError(
                f"no applied fix has the id {name!r}; {told}; `envdoctor fix --history` shows all",
                f"没有编号为 {name!r} 的修复；{told_zh}；全部记录见 `envdoctor fix --history`",
            )
        return self._read(path)

    def _read(self, path: Path) -> Entry:
        try:
            return _decode(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"the undo record {path} cannot be read ({error})",
                f"无法读取撤销记录 {path}（{error}）",
            ) from error


def _lock(descriptor: int, folder: Path) -> bool:
    """Wait for the lock; False on a file system that has none: the bytes are compared before each file is replaced."""
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            _try_lock(descriptor)
            return True
        except (BlockingIOError, PermissionError):
            if time.monotonic() > until:
                raise CannotMend(
                    f"another `envdoctor fix` has been at work for {LOCK_WAIT_S:.0f} s (it holds {folder / 'lock'}); "
                    "nothing was changed; try again when it has ended",
                    f"另一个 `envdoctor fix` 已运行 {LOCK_WAIT_S:.0f} 秒（占用 {folder / 'lock'}）；"
                    "未做任何改动；请在它结束后重试",
                ) from None
            time.sleep(0.05)
        except OSError:
            return False


def _try_lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _bytes(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _data(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _encode(entry: Entry) -> dict[str, Any]:
    told = {name: value for name, value in vars(entry).items() if name not in ("edits", "commands")}
    told["title"] = dict(entry.title)
    edits = [
        {**vars(edit), "before": _bytes(edit.before), "after": _bytes(edit.after), "attributes": dict(edit.attributes)}
        for edit in entry.edits
    ]
    return {"schema": SCHEMA, **told, "edits": edits, "commands": [vars(command) for command in entry.commands]}


def _decode(told: dict[str, Any]) -> Entry:
    if told["schema"] != SCHEMA:
        raise ValueError(f"its schema is {told['schema']!r}, not {SCHEMA!r}")
    edits = tuple(
        Edited(**{
            **edit, "before": _data(edit["before"]), "after": _data(edit["after"]), "folders": tuple(edit["folders"]),
        })
        for edit in told["edits"]
    )  # fmt: skip
    commands = tuple(
        Ran(tuple(command["argv"]), tuple(command["undo"]), bool(command["began"])) for command in told["commands"]
    )
    plain = {name: told[name] for name in ("id", "fix", "title", "when", "state", "python", "made_by")}
    entry = Entry(**plain, arguments=tuple(told["arguments"]), edits=edits, commands=commands)
    if entry.state not in STATES or not isinstance(entry.title, dict):
        raise ValueError(f"its state is {entry.state!r}, its title {type(entry.title).__name__}")
    return entry


def with_command(entry: Entry, number: int, began: bool) -> Entry:
    """The entry once the command with this number is about to run, or could not be started."""
    commands = list(entry.commands)
    commands[number] = replace(commands[number], began=began)
    return replace(entry, commands=tuple(commands))
