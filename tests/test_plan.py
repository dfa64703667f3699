"""envdoctor/plan.py"""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import atomic
from envdoctor import plan as plans
from envdoctor.errors import CannotMend, Changed, Interrupted
from envdoctor.journal import Edited, Entry, Journal
from envdoctor.plan import Applied, apply, roll_back, undo
from envdoctor.remedy import EditFile, Plan, RunCommand, said
from tests import ROOT, needs
from tests.bench.faults import FIX, make, plan_for, tree
from tests.users import NOBODY, acting_as, home_of

posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and signals of POSIX")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    make(place)
    return place


@pytest.fixture
def journal(home: Path) -> Journal:
    return Journal(home / "state" / "fixes")


def edit(place: Path, after: bytes | None, mode: int = 0o644) -> EditFile:
    return EditFile(str(place), place.read_bytes() if place.exists() else None, after, mode)


def change(*edits: EditFile, commands: tuple[RunCommand, ...] = ()) -> Plan:
    return Plan(said("a change", "修改"), edits, commands)


def command(*argv: str, undo: tuple[str, ...] = ()) -> RunCommand:
    return RunCommand(argv, said("why", "原因"), undo)


class Commands:
    """Runs nothing: remembers what was to be run, and gives the statuses it was told to."""

    def __init__(self, **statuses: int) -> None:
        self.ran: list[str] = []
        self.statuses = statuses

    def __call__(self, argv: tuple[str, ...]) -> int:
        self.ran.append(argv[0])
        return self.statuses.get(argv[0], 0)


def applied(journal: Journal, plan: Plan, **statuses: int) -> tuple[Applied, Commands]:
    run = Commands(**statuses)
    return apply(plan, FIX, journal, ("--tuna",), "/opt/python", run), run


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


def full(*arguments: object, **options: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


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


def test_outside_the_main_thread_and_with_other_handlers_signals_are_left_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with plans.undisturbed() as heard:
            seen.append(heard)
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [[], before, [], signal.SIG_IGN]


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


def test_a_command_runs_without_our_input_and_prints_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print(repr(sys.stdin.read())); sys.exit(5)"
    assert plans.on_terminal((sys.executable, "-c", code)) == 5
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "''\n")


def test_the_hint_for_windows_is_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    error = PermissionError(errno.EACCES, "Access is denied", "pip.ini")
    assert plans._sentence(error) == "pip.ini: Access is denied"
    monkeypatch.setattr(sys, "platform", "win32")
    assert "close the program that has it open" in plans._sentence(error)
    assert plans._sentence(ZeroDivisionError()) == "ZeroDivisionError"


def test_without_posix_a_file_comes_back_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = Edited("x", "x", b"", b"", 0o600, 0, 0, 10**18)
    descriptor = os.open(home / "existing", os.O_RDONLY)
    monkeypatch.setattr(os, "name", "nt")
    plans._as_before(edited, descriptor)
    monkeypatch.undo()
    plans._as_before(Edited("x", "x", b"", b""), descriptor)  # of which nothing is known
    assert (home / "existing").stat().st_mtime_ns == 10**18 + 7
    os.close(descriptor)


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


# --- real disks ---------------------------------------------------------------------------------------------------

DISK = """
import sys
from pathlib import Path
from envdoctor import plan as plans
from envdoctor.errors import EnvdoctorError
from envdoctor.journal import Journal
from tests.bench.faults import FIX, make, plan_for, tree
home, state = Path(sys.argv[1]), Path(sys.argv[2])
before = tree(home)
try:
    plans.apply(plan_for(home), FIX, Journal(state / "fixes"))
    print("done")
except EnvdoctorError as error:
    print(error)
print(tree(home) == before)
"""


def on_a_disk(script: str, home: Path) -> Iterator[str]:
    """Make a home, set a disk up by a script in a mount namespace, and apply a plan there."""
    needs.namespaces()
    code = f"from pathlib import Path; from tests.bench.faults import make; make(Path({str(home)!r}))"
    script = script.replace("MAKE", f'"$PY" -c "{code}"').replace("APPLY", '"$PY" -c "$CODE"')
    environ = {**os.environ, "PY": sys.executable, "CODE": DISK, "HOME_": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    yield from done.stdout.splitlines()


def test_a_full_disk(tmp_path: Path) -> None:
    home = tmp_path / "disk" / "home"
    home.parent.mkdir()
    script = (
        'mount -t tmpfs -o size=64k none "$(dirname $HOME_)"; MAKE; state=$HOME_/state; mkdir -p $state;'
        "dd if=/dev/zero of=$HOME_/../fill bs=4k >/dev/null 2>&1 || true; APPLY $HOME_ $state;"
        # The journal on another, the files on the full one.
        "APPLY $HOME_ " + str(tmp_path)
    )
    own, untouched, elsewhere, untouched_too = on_a_disk(script, home)
    assert "the undo record cannot be written" in own
    assert "No space left on device" in elsewhere
    assert "everything is as it was" in elsewhere
    assert (untouched, untouched_too) == ("True", "True")


def test_a_read_only_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = (
        "MAKE; mount --bind $HOME_ $HOME_; mount -o remount,ro,bind $HOME_; APPLY $HOME_ $HOME_/state;"
        "APPLY $HOME_ " + str(tmp_path)
    )
    own, untouched, elsewhere, untouched_too = on_a_disk(script, home)
    assert "(Read-only file system), so nothing was changed; set XDG_STATE_HOME" in own
    assert elsewhere.endswith("Read-only file system; everything is as it was")
    assert (untouched, untouched_too) == ("True", "True")


def test_the_journal_on_another_file_system(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = "MAKE; mkdir $HOME_/../other; mount -t tmpfs none $HOME_/../other; APPLY $HOME_ $HOME_/../other"
    said, untouched = on_a_disk(script, home)
    assert (said, untouched) == ("done", "False")


# --- two at once --------------------------------------------------------------------------------------------------

RACE = """
import sys
from pathlib import Path
from envdoctor import plan as plans
from envdoctor.errors import Changed
from envdoctor.journal import Journal
from envdoctor.remedy import EditFile, Plan, said
from tests.bench.faults import FIX
name, home = sys.argv[1], Path(sys.argv[2])
place, journal = home / "file", Journal(Path(sys.argv[3]))
won = lost = 0
while won < int(sys.argv[4]):
    before = place.read_bytes()
    edit = EditFile(str(place), before, before + name.encode() + b"\\n")
    try:
        plans.apply(Plan(said("x", "x"), (edit,)), FIX, journal)
        won += 1
    except Changed as error:
        assert "run the fix again" in str(error)
        lost += 1
print(lost)
"""


@posix
def test_two_at_once_lose_no_edit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    rounds = 15
    command = [sys.executable, "-c", RACE]
    both = [
        subprocess.Popen(
            [*command, name, str(tmp_path), str(tmp_path / "state"), str(rounds)], cwd=ROOT, stdout=subprocess.PIPE
        )
        for name in "ab"
    ]
    for process in both:
        process.communicate(timeout=120)
        assert process.returncode == 0
    lines = (tmp_path / "file").read_text().split()
    assert sorted(lines) == ["a"] * rounds + ["b"] * rounds
    journal = Journal(tmp_path / "state")
    assert len(journal.entries()) == 2 * rounds
    for entry in reversed(journal.entries()):
        undo(entry, journal)
    assert (tmp_path / "file").read_bytes() == b""


def test_entries_know_when_they_are_done(home: Path, journal: Journal) -> None:
    done, _ = applied(journal, change(edit(home / "existing", b"new")))
    assert replace(done.entry, state="undone").undoable is False
