"""envdoctor/permission.py"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envdoctor import permission
from envdoctor.errors import CannotMend
from envdoctor.permission import LocalFiles, settled, whole_file
from envdoctor.remedy import ByHand, EditFile, Files, Plan, said
from tests import needs
from tests.users import NOBODY, acting_as, home_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")
OLD, NEW = b"[global]\ntimeout = 60\n", b"[global]\ntimeout = 60\nindex-url = https://mirror/simple\n"


@pytest.fixture
def home() -> Iterator[Path]:
    needs.root()
    with home_of(NOBODY) as folder:
        yield folder


@pytest.fixture
def sudo(tmp_path: Path) -> dict[str, str]:
    """An environment whose `sudo` is root already."""
    program = tmp_path / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nexec "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:/usr/sbin:/sbin:{os.environ['PATH']}"}


def plan(*edits: EditFile) -> Plan:
    return Plan(said("a change", "修改"), edits)


def by_hand(edit: EditFile, user: int = NOBODY) -> ByHand:
    """The command to paste in the place of an edit."""
    with acting_as(user) if user else contextlib.nullcontext():
        told = settled(plan(edit), LocalFiles())
    assert told.edits == ()
    (step,) = told.by_hand
    return step


def paste(command: str, environ: dict[str, str], shell: str = "bash") -> None:
    done = subprocess.run([shell, "-c", command], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), command


def roots_file(home: Path, data: bytes = OLD) -> Path:
    folder = home / "etc"
    folder.mkdir()
    place = folder / "pip.conf"
    place.write_bytes(data)
    return place


@pytest.mark.parametrize(
    "after",
    [
        NEW,
        b"a\r\nb\r\n",
        b"no end",
        b"\x00\xff%s\\n'!\n",
        b"",
        b"END\n",
        b"x\nEND\ny\n",
        b"\ttab\n",
        "路径 = 值\n".encode(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_the_command_for_a_file_of_roots_makes_exactly_the_wanted_bytes(
    home: Path, sudo: dict[str, str], after: bytes, shell: str
) -> None:
    place = roots_file(home)
    place.chmod(0o640)
    before = place.stat()
    with acting_as(NOBODY):
        step = ByHand(whole_file(EditFile(str(place), OLD, after), str(place)), said("", ""))
    assert "sudo tee" in step.command
    paste(step.command, sudo, needs.program(shell))
    assert place.read_bytes() == after
    assert (place.stat().st_mode, place.stat().st_ino) == (before.st_mode, before.st_ino)


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
@example(b"%d \\x41 \\\\ '' \n")
@example(b"END\n")
@example(b"- no end")
def test_any_bytes_survive_the_shell(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "it's a file"
        told = whole_file(EditFile(str(place), b"", data), str(place)).replace("sudo ", "")
        done = subprocess.run(["sh", "-c", told], capture_output=True)
        assert (done.returncode, done.stderr, place.read_bytes()) == (0, b"", data)


def test_a_file_of_roots_that_is_missing_is_made_with_its_folders_and_mode(home: Path, sudo: dict[str, str]) -> None:
    home.chmod(0o755)
    os.chown(home, 0, 0)
    for mode in (0o644, 0o600):
        place = home / f"etc{mode:o}" / "xdg" / "pip.conf"
        step = by_hand(EditFile(str(place), None, NEW, mode))
        assert str(home) in step.why.say("en")
        assert "不能写入" in step.why.say("zh")
        paste(step.command, sudo)
        assert place.read_bytes() == NEW
        assert place.stat().st_mode & 0o777 == mode


def test_a_removal_is_a_command_too(home: Path, sudo: dict[str, str]) -> None:
    place = roots_file(home)
    step = by_hand(EditFile(str(place), OLD, None))
    assert step.command == f"sudo rm {place}"
    paste(step.command, sudo)
    assert not place.exists()


def test_the_makers_own_command_wins(home: Path) -> None:
    place = roots_file(home)
    assert by_hand(EditFile(str(place), OLD, NEW, by_hand="sudo pip config ...")).command == "sudo pip config ..."


def test_a_file_shared_through_its_group_is_written_in_place(home: Path, sudo: dict[str, str]) -> None:
    place = home / "shared"
    place.write_bytes(OLD)
    os.chown(place, 12, NOBODY)
    place.chmod(0o664)
    step = by_hand(EditFile(str(place), OLD, NEW))
    assert "another user" in step.why.say("en")
    assert "sudo" not in step.command
    with acting_as(NOBODY):
        done = subprocess.run(["sh", "-c", step.command], env=sudo)
    assert done.returncode == 0
    assert (place.read_bytes(), place.stat().st_uid) == (NEW, 12)


def test_a_file_whose_group_the_user_is_not_in_would_lose_it(home: Path) -> None:
    place = home / "file"
    place.write_bytes(OLD)
    os.chown(place, NOBODY, 34)
    assert "group" in by_hand(EditFile(str(place), OLD, NEW)).why.say("en")
    with acting_as(NOBODY, groups=(34,)):
        assert LocalFiles().writable(str(place))


def test_hard_links_stay_together(home: Path, sudo: dict[str, str]) -> None:
    place = home / "file"
    place.write_bytes(OLD)
    os.link(place, home / "other")
    os.chown(place, NOBODY, NOBODY)
    step = by_hand(EditFile(str(place), OLD, NEW))
    assert "2 names" in step.why.say("en")
    paste(step.command, sudo)
    assert (home / "other").read_bytes() == NEW
    assert (home / "other").stat().st_ino == place.stat().st_ino
    # Root needs no sudo, which a container may not have.
    assert "sudo" not in by_hand(EditFile(str(place), NEW, OLD), user=0).command


@pytest.mark.parametrize("mark", ["i", "a"])
def test_immutable_and_append_only_files(home: Path, sudo: dict[str, str], mark: str) -> None:
    chattr = needs.program("chattr", "e2fsprogs")
    place = home / "file"
    place.write_bytes(OLD)
    os.chown(place, NOBODY, NOBODY)
    if subprocess.run([chattr, f"+{mark}", str(place)], capture_output=True).returncode:
        pytest.skip("the file system of the temporary folder has no such marks")
    try:
        step = by_hand(EditFile(str(place), OLD, NEW), user=0 if mark == "a" else NOBODY)
        assert "marked" in step.why.say("en")
        paste(step.command, sudo)
        assert place.read_bytes() == NEW
        lsattr = subprocess.run(["lsattr", str(place)], capture_output=True, text=True, env=sudo).stdout
        assert mark in lsattr.split()[0]
        paste(by_hand(EditFile(str(place), NEW, None)).command, sudo)
        assert not place.exists()
    finally:
        subprocess.run([chattr, f"-{mark}", str(place)], capture_output=True)


def mounts(script: str, folder: Path) -> str:
    """Run a script in a mount namespace, with `python -c` ready as $PY to tell what stands in the way of a file."""
    needs.namespaces()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    tell = "import sys; from envdoctor import permission; print(permission.obstacle(sys.argv[1]))"
    command = ["unshare", "--mount", "sh", "-ec", script, sys.executable, tell, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_that_is_mounted_by_itself_is_written_in_place(home: Path) -> None:
    for name in ("file", "a name\\", "other"):
        (home / name).write_bytes(OLD)
    script = 'cd "$2"; for f in file "a name\\\\"; do mount --bind other "$f"; "$0" -c "$1" "$2/$f"; done'
    assert mounts(script, home).split() == ["mount", "mount"]


def test_a_read_only_file_system_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_bytes(OLD)
    script = (
        'mount --bind "$2" "$2"; mount -o remount,ro,bind "$2"; for f in file new a/b; do "$0" -c "$1" "$2/$f"; done'
    )
    assert mounts(script, home).split() == ["read-only"] * 3
    monkeypatch.setattr(permission, "_read_only", lambda place: True)
    told = settled(plan(EditFile(str(home / "file"), OLD, NEW)), LocalFiles())
    assert len(told.edits) == 1
    assert told.by_hand == ()
    assert "read-only" in told.remarks[0].said.say("en")


def test_what_may_be_replaced(home: Path) -> None:
    (home / "own").write_bytes(OLD)
    os.chown(home / "own", NOBODY, NOBODY)
    (home / "own").chmod(0o444)
    (home / "link").symlink_to("own")
    (home / "secret").mkdir(mode=0o700)
    (home / "secret" / "file").write_bytes(OLD)
    files = LocalFiles()
    with acting_as(NOBODY):
        assert files.writable(str(home / "own"))  # a mode is no owner: it is kept
        assert files.writable(str(home / "link"))
        assert files.writable(str(home / "new" / "folder" / "file"))
        assert not files.writable(str(home / "secret" / "file"))
        assert not files.writable("/etc/envdoctor-is-not-here")
    assert files.writable(str(home / "secret" / "file"))
    assert files.resolve(str(home / "link")) == os.path.realpath(home / "own")


def test_only_plain_files_of_a_sensible_size_are_read(tmp_path: Path) -> None:
    files = LocalFiles()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", (32 << 20) + 1)
    (tmp_path / "file").write_bytes(OLD)
    for name, word in (("pipe", "regular"), ("null", "regular"), (".", "regular"), ("large", "32 MiB")):
        with pytest.raises(OSError, match=word):
            files.read(str(tmp_path / name))
    assert files.read(str(tmp_path / "file")) == OLD
    assert files.read(str(tmp_path / "absent")) is None
    assert files.read(str(tmp_path / "file" / "inside")) is None


def test_a_read_that_fails_says_of_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(OSError, match="error") as caught:
        LocalFiles().read(str(tmp_path / "file"))
    assert caught.value.filename == str(tmp_path / "file")


def test_two_names_of_one_file_are_one_edit(tmp_path: Path) -> None:
    (tmp_path / "rc").write_bytes(OLD)
    (tmp_path / "profile").symlink_to("rc")
    one, other = EditFile(str(tmp_path / "rc"), OLD, NEW), EditFile(str(tmp_path / "profile"), OLD, NEW)
    assert settled(plan(one, other), LocalFiles()).edits == (one,)
    after = EditFile(str(tmp_path / "rc"), NEW, b"third")
    assert settled(plan(one, after), LocalFiles()).edits == (EditFile(one.path, OLD, b"third"),)
    assert settled(plan(one, EditFile(one.path, NEW, OLD)), LocalFiles()).edits == ()
    with pytest.raises(CannotMend, match="are one file"):
        settled(plan(one, EditFile(other.path, OLD, b"else")), LocalFiles())


def test_files_by_hand_know_what_is_locked() -> None:
    files = Files({"/etc/pip.conf": OLD}, locked=("/etc/pip.conf",), links={"/link": "/etc/pip.conf"})
    told = settled(
        plan(EditFile("/link", OLD, NEW), EditFile("/same", OLD, OLD), EditFile("/home/x", None, NEW)), files
    )
    assert [edit.path for edit in told.edits] == ["/home/x"]
    assert "may not replace /link" in told.by_hand[0].why.say("en")
    assert "/etc/pip.conf" in told.by_hand[0].command


def test_every_obstacle_speaks_both_languages() -> None:
    for text in permission.OBSTACLES.values():
        assert text.en and any("\u4e00" <= letter <= "\u9fff" for letter in text.zh)


def test_elsewhere_than_on_linux_and_on_odd_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "file"
    place.write_bytes(OLD)
    assert permission._flag(str(tmp_path / "absent")) == ""
    assert permission._flag("/dev/null") == ""
    with monkeypatch.context() as patched:
        patched.setattr(permission, "_mounted", lambda path: path == str(place))
        assert permission.obstacle(str(place)) == "mount"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert permission._flag(str(place)) == ""
    monkeypatch.delattr(os, "statvfs")
    assert not permission._read_only(str(place))
    monkeypatch.setattr(permission, "open", absent, raising=False)
    assert not permission._mounted(str(place))
    monkeypatch.setattr(os, "lstat", absent)
    assert permission.obstacle(str(place)) == "folder"


def absent(*arguments: object, **options: object) -> os.stat_result:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_owners_and_groups_are_those_of_a_user_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "file"
    place.write_bytes(OLD)
    own = place.stat()
    monkeypatch.setattr(os, "geteuid", lambda: own.st_uid + 1)
    assert permission.obstacle(str(place)) == "owner"
    monkeypatch.setattr(os, "geteuid", lambda: own.st_uid or 1)
    monkeypatch.setattr(os, "lstat", lambda path: _Owned(own))
    monkeypatch.setattr(os, "getgroups", list)
    monkeypatch.setattr(os, "getegid", lambda: own.st_gid + 1)
    assert permission.obstacle(str(place)) == "group"


class _Owned:
    """What lstat tells of a file of a user that is not root."""

    def __init__(self, state: os.stat_result) -> None:
        self.st_uid = state.st_uid or 1
        self.st_gid = state.st_gid
        self.st_nlink = 1
