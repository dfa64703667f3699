"""envdoctor/journal.py"""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import journal as journals
from envdoctor.errors import CannotMend, UsageError
from envdoctor.journal import Edited, Entry, Journal, Ran, with_command
from tests import ROOT

ENTRY = Entry(
    id="20261121-120000", fix="pip-mirror", title={"en": "use a mirror", "zh": "使用镜像"}, when="2026-11-21T12:00:00Z",
    arguments=("--tuna",), python="/opt/bin/python", made_by="envdoctor",
    edits=(
        Edited("/link", "/real", b"\x00\xff", "路径\n".encode(), 0o640, 1, 2, 10**18, {"user.a": "eA=="}),
        Edited("/new", "/new", None, b"", folders=("/a", "/a/b")),
        Edited("/old", "/old", b"x", None),
    ),
    commands=(Ran(("a", "b c"), ("undo",), True), Ran(("x",))),
)  # fmt: skip
posix = pytest.mark.skipif(os.name != "posix", reason="modes and locks of POSIX")


def made(folder: Path) -> Journal:
    journal = Journal(folder / "state" / "fixes")
    with journal.locked():
        pass
    return journal


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = made(tmp_path)
    journal.write(ENTRY)
    assert journal.get(ENTRY.id) == ENTRY
    assert journal.last() == ENTRY
    assert ENTRY.undoable
    journal.write(replace(ENTRY, state="undone"))
    assert journal.last() is None
    assert [entry.state for entry in journal.entries()] == ["undone"]
    journal.forget(ENTRY)
    journal.forget(ENTRY)
    assert journal.entries() == []


@given(st.binary(max_size=100), st.text(max_size=30))
def test_any_bytes_and_names_come_back(data: bytes, name: str) -> None:
    entry = replace(ENTRY, edits=(Edited(name, name, data, data),), arguments=(name,))
    assert journals._decode(json.loads(json.dumps(journals._encode(entry)))) == entry


@posix
def test_the_record_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = made(tmp_path)
        journal.write(ENTRY)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in journal.folder.iterdir()}
    assert modes == {"lock": 0o600, f"{ENTRY.id}.json": 0o600}
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700


def test_entries_are_in_order_and_ids_are_not_taken_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = made(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    names = []
    for number in range(12):
        when = f"2026-11-21T12:00:0{number // 11}Z"
        name = journal.fresh_id(when)
        names.append(name)
        journal.write(replace(ENTRY, id=name, when=when))
    assert names[0] == "20261121-120000"
    assert names[10:] == ["20261121-120000-11", "20261121-120001"]
    assert [entry.id for entry in journal.entries()] == names
    journal.alone = False
    assert journal.fresh_id(when) == f"20261121-120001-{os.getpid()}"
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    assert journal.fresh_id(when).startswith("20261121-200001")
    monkeypatch.undo()
    time.tzset()


def test_what_cannot_be_read_is_said_and_keeps_nothing_else_from_being_read(tmp_path: Path) -> None:
    journal = made(tmp_path)
    journal.write(ENTRY)
    whole = json.loads((journal.folder / f"{ENTRY.id}.json").read_text())
    broken = {
        "cut": "{", "list": "[]", "schema": json.dumps({**whole, "schema": "other/2"}), "bytes": "\x00",
        "state": json.dumps({**whole, "state": "odd"}), "title": json.dumps({**whole, "title": "x"}),
        "field": json.dumps({name: value for name, value in whole.items() if name != "edits"}),
        "edit": json.dumps({**whole, "edits": [1]}),
        "base64": json.dumps({**whole, "edits": [{**whole["edits"][0], "before": "!"}]}),
    }  # fmt: skip
    for name, text in broken.items():
        (journal.folder / f"{name}.json").write_text(text)
    (journal.folder / "folder.json").mkdir()
    assert journal.entries() == [ENTRY]
    assert len(journal.unreadable()) == len(broken) + 1
    with pytest.raises(UsageError, match=r"cut\.json cannot be read"):
        journal.get("cut")
    assert Journal(tmp_path / "absent").entries() == []


def test_an_unknown_id_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    journal = made(tmp_path)
    with pytest.raises(UsageError, match="there is none to undo"):
        journal.get("20261121")
    journal.write(ENTRY)
    for name in ("20261121", "../lock", "/etc/passwd", ""):
        with pytest.raises(UsageError, match=ENTRY.id):
            journal.get(name)


def test_a_commands_begin_is_part_of_the_record() -> None:
    entry = with_command(ENTRY, 1, True)
    assert [command.began for command in entry.commands] == [True, True]
    assert with_command(entry, 0, False).commands[0] == Ran(("a", "b c"), ("undo",))


def test_a_record_that_cannot_be_kept_is_told_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(CannotMend, match=r"so nothing was changed; set XDG_STATE_HOME"),
        Journal(tmp_path / "file" / "fixes").locked(),
    ):
        raise AssertionError


HOLD = """
import sys, time, pathlib
from envdoctor.journal import Journal
with Journal(pathlib.Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


@posix
def test_one_run_waits_for_another_and_a_killed_one_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = made(tmp_path)
    command = [sys.executable, "-c", HOLD, str(journal.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr(journals, "LOCK_WAIT_S", 0.2)
        with pytest.raises(CannotMend, match="another `envdoctor fix` has been at work") as caught, journal.locked():
            raise AssertionError
        assert "lock" in str(caught.value)
        other.kill()
    (journal.folder / f".{ENTRY.id}.json.envdoctor-1").write_bytes(b"half")
    with journal.locked():
        assert journal.alone
    assert sorted(os.listdir(journal.folder)) == ["lock"]


@posix
def test_a_file_system_without_locks_is_worked_on_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    journal = Journal(tmp_path)
    (tmp_path / ".x.json.envdoctor-1").write_bytes(b"of another run, it may be")
    with journal.locked():
        assert not journal.alone
    assert (tmp_path / ".x.json.envdoctor-1").exists()


def test_windows_locks_with_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType

    asked: list[tuple[object, ...]] = []
    module = ModuleType("msvcrt")
    module.LK_NBLCK = 2  # type: ignore[attr-defined]
    module.locking = lambda *arguments: asked.append(arguments)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr(sys, "platform", "win32")
    journals._try_lock(7)
    assert asked == [(7, 2, 1)]
