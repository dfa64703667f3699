"""envdoctor/plan.py: what ends a change in the middle, and what the system refuses while it is taken back."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from envdoctor import atomic
from envdoctor import plan as plans
from envdoctor.errors import CannotMend, Interrupted
from envdoctor.journal import Entry, Journal
from envdoctor.plan import apply, undo
from envdoctor.remedy import Plan
from tests.bench.faults import FIX, plan_for, tree
from tests.changes import Commands, applied, change, command, edit, full, home, journal

__all__ = ["home", "journal"]  # fixtures
posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and signals of POSIX")


def test_without_a_record_nothing_is_changed(home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(home)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CannotMend, match=r"record cannot be written in .*No space left.*so nothing was changed"):
        apply(plan_for(home), FIX, journal)
    assert tree(home) == before
    assert os.listdir(journal.folder) == ["lock"]


@pytest.mark.parametrize(
    "error", [OSError(errno.EDQUOT, "Disk quota exceeded"), KeyboardInterrupt(), ZeroDivisionError()]
)
def test_whatever_ends_it_in_the_middle_leaves_everything_as_it_was(
    error: BaseException, home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(home)
    replace_file = os.replace

    def failing(source: str, target: str) -> None:
        if target.endswith("made"):
            raise error
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", failing)
    kind = {OSError: CannotMend, KeyboardInterrupt: Interrupted}.get(type(error), type(error))
    with pytest.raises(kind) as caught:
        apply(plan_for(home), FIX, journal)
    if kind is not type(error):
        assert str(caught.value).endswith("; everything is as it was")
        assert isinstance(error, KeyboardInterrupt) or "made: Disk quota" in str(caught.value)
    assert tree(home) == before
    assert journal.entries() == []


def test_a_record_that_cannot_be_written_in_the_end_is_told(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _ = applied(journal, change(edit(home / "existing", b"new")))
    write = Journal.write
    monkeypatch.setattr(Journal, "write", full)
    with pytest.raises(CannotMend, match="every file is as it was before, but the undo record cannot be written"):
        undo(done.entry, journal)
    assert (home / "existing").read_bytes().startswith(b"# mine")
    monkeypatch.setattr(Journal, "write", write)
    assert undo(done.entry, journal).state == "undone"


def test_a_disk_that_refuses_while_it_is_undone_keeps_the_record(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _ = applied(journal, change(edit(home / "existing", b"new")))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CannotMend, match=f"existing: No space left.*--undo {done.entry.id}"):
            undo(done.entry, journal)
    with monkeypatch.context() as patched:
        patched.setattr(plans, "contents", full)
        with pytest.raises(CannotMend, match="No space left on device; nothing was changed"):
            undo(done.entry, journal)
    assert undo(done.entry, journal).state == "undone"


def test_a_file_that_cannot_be_looked_at_ends_it_before_it_begins(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = change(edit(home / "removed", None))
    monkeypatch.setattr(atomic, "attributes", full)
    with pytest.raises(CannotMend, match="nothing was changed"):
        apply(plan, FIX, journal)
    assert journal.entries() == []


@posix
def test_ctrl_c_waits_until_the_files_are_whole_and_takes_them_back(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(home)
    replace_file = os.replace
    done: list[str] = []

    def interrupted(source: str, target: str) -> None:
        if target.endswith("existing"):
            os.kill(os.getpid(), signal.SIGINT)
        replace_file(source, target)
        done.append(target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(Interrupted, match=r"^interrupted; everything is as it was$"):
        apply(plan_for(home), FIX, journal)
    assert any(target.endswith("made") for target in done), "all edits were done before the interrupt was heard"
    assert tree(home) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupting(argv: tuple[str, ...]) -> int:
    raise KeyboardInterrupt


def test_ctrl_c_during_a_command_takes_back_what_was_done(home: Path, journal: Journal) -> None:
    before = tree(home)
    plan = change(edit(home / "existing", b"new"), commands=(command("first"),))
    with pytest.raises(Interrupted, match="everything is as it was"):
        apply(plan, FIX, journal, run=interrupting)
    assert tree(home) == before


def test_ctrl_c_while_it_is_taken_back_leaves_a_way(home: Path, journal: Journal) -> None:
    before = tree(home)
    plan = change(edit(home / "existing", b"new"), commands=(command("first", undo=("unfirst",)),))
    with pytest.raises(Interrupted, match=r"interrupted; it could not be taken back whole .*--undo"):
        apply(plan, FIX, journal, run=interrupting)
    (entry,) = journal.entries()
    with pytest.raises(Interrupted, match=f"--undo {entry.id}` goes on with it"):
        undo(entry, journal, interrupting)
    undo(entry, journal, Commands())
    assert tree(home) == before


def killed(journal: Journal, plan: Plan, edits_done: int) -> Entry:
    """What a run leaves that was killed after some of its edits, in the middle of the next."""
    entry = Entry(
        "20261121-000000", "try", {"en": "x", "zh": "x"}, "2026-11-21T00:00:00Z",
        edits=tuple(plans._edited(edit) for edit in plan.edits),
    )  # fmt: skip
    with journal.locked():
        journal.write(entry)
    for edited in entry.edits[:edits_done]:
        plans._put(edited, edited.before, edited.after, entry.id)
    left = entry.edits[edits_done]
    os.makedirs(os.path.dirname(left.file), exist_ok=True)
    Path(atomic.temporary(left.file, entry.id)).write_bytes(b"half")
    return entry


def test_the_next_run_clears_up_after_a_killed_one(home: Path, journal: Journal) -> None:
    before = tree(home)
    killed(journal, change(edit(home / "a" / "b" / "c", b"new")), 0)
    done, _ = applied(journal, change(edit(home / "existing", b"new")))
    assert [entry.id for entry in journal.entries()] == [done.entry.id]
    undo(done.entry, journal)
    assert tree(home) == before


def test_what_a_killed_run_has_changed_stays_until_it_is_undone(home: Path, journal: Journal) -> None:
    before = tree(home)
    entry = killed(journal, change(edit(home / "existing", b"new"), edit(home / "windows", b"new")), 1)
    done, _ = applied(journal, change(edit(home / "linked", b"else")))
    assert not any(".envdoctor-" in name for name in tree(home))
    assert [other.id for other in journal.entries()] == [entry.id, done.entry.id]
    undo(done.entry, journal)
    (home / "existing").write_bytes(b"the user's")
    last, _ = applied(journal, change(edit(home / "linked", b"else")))  # it cannot be judged and stays as it is
    undo(last.entry, journal)
    (home / "existing").write_bytes(b"new")
    undo(entry, journal)
    assert {name: told[:3] for name, told in tree(home).items()} == {name: told[:3] for name, told in before.items()}


def test_where_nothing_can_be_locked_the_records_of_others_are_left(home: Path, journal: Journal) -> None:
    entry = killed(journal, change(edit(home / "a", b"new")), 0)
    journal.alone = False
    plans._clear_up(journal)
    assert journal.get(entry.id) == entry


def test_a_system_that_refuses_owner_mode_and_time_still_gives_the_bytes_back(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _ = applied(journal, change(edit(home / "existing", b"new"), edit(home / "removed", None)))
    for name in ("fchown", "utime"):
        monkeypatch.setattr(os, name, full)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(atomic, "dress", lambda place, wanted: None)
    monkeypatch.setattr(atomic, "give_to_owner_of", lambda folder, place: None)
    undo(done.entry, journal)
    assert (home / "removed").read_bytes() == b"old settings\n"
