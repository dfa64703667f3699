"""envdoctor/plan.py"""

from __future__ import annotations

import errno
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import plan as plans
from envdoctor.errors import CannotMend, Changed, UsageError
from envdoctor.journal import Edited, Journal
from envdoctor.plan import apply, roll_back, undo
from tests import needs
from tests.bench.faults import FIX, plan_for, tree
from tests.changes import Commands, applied, change, command, edit, home, journal
from tests.users import NOBODY, acting_as, home_of

__all__ = ["home", "journal"]  # fixtures
posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and signals of POSIX")


@posix
def test_everything_is_applied_and_taken_back_to_the_byte(home: Path, journal: Journal) -> None:
    before = tree(home)
    entry = apply(plan_for(home), FIX, journal, ("--tuna",), "/opt/python").entry
    assert (entry.state, entry.fix, entry.arguments, entry.python) == ("applied", "try", ("--tuna",), "/opt/python")
    assert (home / "linked").is_symlink()
    assert b"envdoctor" in (home / "dotfiles" / "rc").read_bytes()
    assert (home / "windows").read_bytes() == b"new\r\nlast line without an end"
    assert stat.S_IMODE((home / "windows").stat().st_mode) == 0o600
    assert (home / "new" / "folders" / "made").read_bytes() == b"made\n"
    assert not (home / "removed").exists()
    assert (home / "flag").exists()
    assert undo(entry, journal).state == "undone"
    assert tree(home) == before
    with pytest.raises(CannotMend, match="taken back already"):
        undo(entry, journal)


@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_any_bytes_come_back(before: bytes, after: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "file").write_bytes(before)
    journal = Journal(folder / "state")
    done, _ = applied(journal, change(edit(folder / "file", after)))
    assert (folder / "file").read_bytes() == after
    undo(done.entry, journal)
    assert (folder / "file").read_bytes() == before


@posix
def test_a_link_that_leads_nowhere_yet_stays_a_link(home: Path, journal: Journal) -> None:
    (home / "rc").symlink_to("dotfiles/not/yet")
    before = tree(home)
    done, _ = applied(journal, change(edit(home / "rc", b"x")))
    assert (home / "rc").is_symlink()
    assert (home / "dotfiles" / "not" / "yet").read_bytes() == b"x"
    undo(done.entry, journal)
    assert tree(home) == before


@posix
def test_a_removed_file_comes_back_with_its_mode_owner_and_attributes(home: Path, journal: Journal) -> None:
    place = home / "removed"
    place.chmod(0o606)
    try:
        os.setxattr(place, "user.origin", b"\xff")
    except (OSError, AttributeError):
        pytest.skip("the file system of the temporary folder keeps no attributes")
    before = place.stat()
    done, _ = applied(journal, change(edit(place, None)))
    assert not place.exists()
    mask = os.umask(0o077)
    undo(done.entry, journal)
    os.umask(mask)
    assert os.getxattr(place, "user.origin") == b"\xff"
    after = place.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)


@posix
def test_root_edits_a_users_file_which_stays_the_users(tmp_path: Path) -> None:
    needs.root()
    with home_of(NOBODY) as home:
        (home / "rc").write_bytes(b"old")
        os.chown(home / "rc", NOBODY, NOBODY)
        journal = Journal(home / ".local" / "state" / "envdoctor" / "fixes")
        plan = change(edit(home / "rc", b"new"), edit(home / ".config" / "pip" / "pip.conf", b"x"))
        done, _ = applied(journal, plan)
        for folder, names, files in os.walk(home):
            for name in [*names, *files]:
                assert os.lstat(os.path.join(folder, name)).st_uid == NOBODY, name
        # What root has done the user can take back.
        with acting_as(NOBODY):
            undo(done.entry, journal)
        assert sorted(os.listdir(home)) == [".local", "rc"]
        assert ((home / "rc").read_bytes(), (home / "rc").stat().st_uid) == (b"old", NOBODY)


def test_a_file_that_changed_since_it_was_read_is_left_alone(home: Path, journal: Journal) -> None:
    plan = plan_for(home)
    (home / "windows").write_bytes(b"the user's own change")
    before = tree(home)
    with pytest.raises(Changed, match="windows has been changed meanwhile, so nothing was done") as caught:
        apply(plan, FIX, journal)
    assert caught.value.found == b"the user's own change"
    assert tree(home) == before
    assert journal.entries() == []


def test_a_file_that_changes_while_the_plan_is_applied_ends_it(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(home)
    plan = plan_for(home)
    fsync = os.fsync
    user = b"saved by an editor at this very moment"

    def slow(descriptor: int) -> None:
        fsync(descriptor)
        if any(name.startswith(".rc.envdoctor-") for name in os.listdir(home / "dotfiles")):
            (home / "dotfiles" / "rc").write_bytes(user)

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(Changed, match="linked has been changed meanwhile; run the fix again"):
        apply(plan, FIX, journal)
    monkeypatch.undo()
    # The user's change stands, and what was changed before it is as it was.
    assert journal.entries() == []
    assert (home / "dotfiles" / "rc").read_bytes() == user
    assert {name for name, told in tree(home).items() if told != before.get(name)} == {"dotfiles/rc"}


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = change(edit(home / "fresh", b"ours"))
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        fsync(descriptor)
        if any(name.startswith(".fresh.envdoctor-") for name in os.listdir(home)):
            (home / "fresh").write_bytes(b"theirs")

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(Changed, match="fresh has been changed"):
        apply(plan, FIX, journal)
    assert (home / "fresh").read_bytes() == b"theirs"


def test_undo_refuses_what_was_changed_since_and_names_a_later_fix(home: Path, journal: Journal) -> None:
    first, _ = applied(journal, change(edit(home / "existing", b"one"), edit(home / "windows", b"two")))
    second, _ = applied(journal, change(edit(home / "existing", b"three")))
    with pytest.raises(Changed, match="has been changed since") as caught:
        undo(first.entry, journal)
    assert (caught.value.expected, caught.value.found) == (b"one", b"three")
    with pytest.raises(Changed, match=f"fix --undo {second.entry.id}"):
        plans.still_there(first.entry, journal.entries())
    assert (home / "windows").read_bytes() == b"two"
    undo(second.entry, journal)
    undo(first.entry, journal)
    (home / "existing").write_bytes(b"by hand")
    third, _ = applied(journal, change(edit(home / "existing", b"four")))
    (home / "existing").unlink()
    with pytest.raises(Changed, match="mend the file by hand"):
        plans.still_there(third.entry, journal.entries())


def test_what_is_as_before_already_is_no_obstacle(home: Path, journal: Journal) -> None:
    done, _ = applied(journal, change(edit(home / "existing", b"one"), edit(home / "a" / "b", b"two")))
    (home / "existing").write_bytes(b"# mine\n[global]\ntimeout = 60\n")
    assert [change.path for change in plans.still_there(done.entry)] == [str(home / "a" / "b")]
    (home / "a" / "kept").write_bytes(b"")
    undo(done.entry, journal)
    assert os.listdir(home / "a") == ["kept"]


def test_a_command_that_fails_takes_everything_back(home: Path, journal: Journal) -> None:
    before = tree(home)
    plan = change(
        edit(home / "existing", b"new"),
        commands=(command("first", undo=("unfirst",)), command("second", undo=("unsecond",)), command("third")),
    )
    done, run = applied(journal, plan, second=3)
    assert run.ran == ["first", "second", "unsecond", "unfirst"]
    assert done.failed is not None
    assert (done.failed.argv, done.status, done.entry.state) == (("second",), 3, "rolled-back")
    assert tree(home) == before
    assert [entry.state for entry in journal.entries()] == ["rolled-back"]
    assert journal.last() is None


def test_a_command_that_does_not_start_has_nothing_to_take_back(home: Path, journal: Journal) -> None:
    before = tree(home)
    absent = str(home / "no-such-program")
    plan = change(edit(home / "existing", b"new"), commands=(command(absent, undo=(absent, "--undo")),))
    with pytest.raises(CannotMend, match=r"could not be started: No such file.*; everything is as it was"):
        apply(plan, FIX, journal)
    assert tree(home) == before
    assert journal.entries() == []


def test_a_command_that_cannot_be_taken_back_leaves_the_files_and_a_way(home: Path, journal: Journal) -> None:
    before = tree(home)
    plan = change(
        edit(home / "existing", b"new"),
        commands=(command("first", undo=("unfirst",)), command("second", undo=("unsecond",))),
    )
    done, _ = applied(journal, plan)
    failing = Commands(unfirst=1)
    with pytest.raises(CannotMend, match=f"`unfirst` ended with status 1.*--undo {done.entry.id}"):
        undo(done.entry, journal, failing)
    assert failing.ran == ["unsecond", "unfirst"]
    assert (home / "existing").read_bytes() == b"new"
    # What has been taken back is not taken back twice.
    again = Commands()
    undo(done.entry, journal, again)
    assert again.ran == ["unfirst"]
    assert tree(home) == before


def test_a_roll_back_that_fails_says_what_is_left(home: Path, journal: Journal) -> None:
    plan = change(edit(home / "existing", b"new"), commands=(command("first", undo=("unfirst",)), command("second")))
    with pytest.raises(CannotMend, match=r"could not be taken back whole .*unfirst.*tries again"):
        applied(journal, plan, second=1, unfirst=1)
    (entry,) = journal.entries()
    assert entry.undoable
    undo(entry, journal, Commands())
    done, _ = applied(journal, change(edit(home / "existing", b"newer")))
    assert roll_back(done.entry, journal).state == "rolled-back"
    assert [entry.state for entry in journal.entries()] == ["undone"]


def test_a_command_runs_without_our_input_and_prints_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print(repr(sys.stdin.read())); sys.exit(5)"
    assert plans.on_terminal((sys.executable, "-c", code)) == 5
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "''\n")


def test_the_hint_for_windows_is_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    error = PermissionError(errno.EACCES, "Access is denied", "pip.ini")
    assert plans._sentences(error) == ("pip.ini: Access is denied", "pip.ini：Access is denied")
    monkeypatch.setattr(sys, "platform", "win32")
    en, zh = plans._sentences(error)
    assert "close the program that has it open" in en and "请关闭占用它的程序" in zh
    assert plans._sentences(ZeroDivisionError()) == ("ZeroDivisionError", "ZeroDivisionError")
    assert plans._sentences(UsageError("no", "不行")) == ("no", "不行")


def test_without_posix_a_file_comes_back_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = Edited("x", "x", b"", b"", 0o600, 0, 0, 10**18)
    descriptor = os.open(home / "existing", os.O_RDONLY)
    monkeypatch.setattr(os, "name", "nt")
    plans._as_before(edited, descriptor)
    monkeypatch.undo()
    plans._as_before(Edited("x", "x", b"", b""), descriptor)  # of which nothing is known
    assert (home / "existing").stat().st_mtime_ns == 10**18 + 7
    os.close(descriptor)


def test_entries_know_when_they_are_done(home: Path, journal: Journal) -> None:
    done, _ = applied(journal, change(edit(home / "existing", b"new")))
    assert replace(done.entry, state="undone").undoable is False
