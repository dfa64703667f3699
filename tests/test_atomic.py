"""envdoctor/atomic.py"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from envdoctor import atomic
from tests import needs
from tests.users import NOBODY, acting_as, home_of

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")


def test_a_file_is_made_and_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / "file"
    before = os.umask(0o027)
    try:
        atomic.replace(str(place), b"one", "t", mode=0o666)
    finally:
        os.umask(before)
    assert place.read_bytes() == b"one"
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    place.chmod(0o4604)
    atomic.replace(str(place), b"two", "t")
    assert place.read_bytes() == b"two"
    assert stat.S_IMODE(place.stat().st_mode) == 0o4604
    atomic.replace(str(place), b"three", "t", mode=0o600, durable=False)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_long_names_leave_room_for_the_mark(tmp_path: Path) -> None:
    for name in ("路" * 85, "x" * 255):
        place = tmp_path / name
        atomic.replace(str(place), b"x", "20261121-163126-12")
        assert place.read_bytes() == b"x"
        assert len(os.fsencode(os.path.basename(atomic.temporary(str(place), "20261121-163126-12")))) <= 255


def test_what_is_raised_at_the_last_moment_leaves_all_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"old")

    def refuse() -> None:
        assert len(os.listdir(tmp_path)) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.replace(str(place), b"new", "t", before=refuse)
    assert (place.read_bytes(), os.listdir(tmp_path)) == (b"old", ["file"])


def test_errors_name_the_file_whichever_call_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "file"

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic.replace(str(place), b"new", "t")
    assert caught.value.filename == str(place)
    assert os.listdir(tmp_path) == []


def test_a_short_write_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    atomic.replace(str(tmp_path / "file"), b"seven b", "t")
    assert (tmp_path / "file").read_bytes() == b"seven b"


@posix
def test_devices_pipes_and_links_are_not_turned_into_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for place in (tmp_path / "pipe", tmp_path / "link", tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match="no regular file"):
            atomic.replace(str(place), b"x", "t")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_temporary_file_of_another_run_is_not_touched(tmp_path: Path) -> None:
    other = Path(atomic.temporary(str(tmp_path / "file"), "t"))
    other.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        atomic.replace(str(tmp_path / "file"), b"ours", "t")
    assert other.read_bytes() == b"theirs"
    atomic.discard(str(other))
    atomic.discard(str(other))
    assert os.listdir(tmp_path) == []


@posix
def test_root_gives_what_it_makes_in_a_home_to_the_user_and_leaves_files_their_owner() -> None:
    needs.root()
    with home_of(NOBODY) as home:
        made = atomic.make_folders(str(home / "a" / "b"))
        assert made == [str(home / "a"), str(home / "a" / "b")]
        atomic.replace(str(home / "a" / "b" / "new"), b"x", "t")
        for place in (home / "a", home / "a" / "b", home / "a" / "b" / "new"):
            assert (place.stat().st_uid, place.stat().st_gid) == (NOBODY, NOBODY)
        (home / "a" / "theirs").write_bytes(b"old")
        os.chown(home / "a" / "theirs", 12, 34)
        atomic.replace(str(home / "a" / "theirs"), b"new", "t")
        assert ((home / "a" / "theirs").stat().st_uid, (home / "a" / "theirs").stat().st_gid) == (12, 34)
        with acting_as(NOBODY), pytest.raises(PermissionError):
            atomic.replace(str(home / "a" / "theirs"), b"mine", "t")  # its owner cannot be kept
        assert (home / "a" / "theirs").read_bytes() == b"new"
        assert sorted(os.listdir(home / "a")) == ["b", "theirs"]


@posix
def test_access_lists_and_attributes_stay(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"old")
    setfacl, getfacl = needs.program("setfacl", "acl"), needs.program("getfacl", "acl")
    done = subprocess.run([setfacl, "-m", "u:12:rw,g:34:r", str(place)], capture_output=True)
    try:
        os.setxattr(place, "user.origin", b"\x00made by hand")
    except OSError:
        pytest.skip("the file system of the temporary folder keeps no attributes")
    assert done.returncode == 0

    def access() -> str:
        return subprocess.run([getfacl, "-cp", str(place)], capture_output=True, text=True, check=True).stdout

    before = access()
    assert "user:12:rw-" in before
    atomic.replace(str(place), b"new", "t")
    assert access() == before
    assert os.getxattr(place, "user.origin") == b"\x00made by hand"


@posix
def test_attributes_that_cannot_be_kept_are_an_error_unless_they_are_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"old")
    monkeypatch.setattr(os, "listxattr", lambda path: ["security.selinux"], raising=False)
    monkeypatch.setattr(os, "getxattr", lambda path, name: b"label", raising=False)

    def refuse(place: int, name: str, value: bytes) -> None:
        raise PermissionError(errno.EPERM, "refused")

    monkeypatch.setattr(os, "setxattr", refuse, raising=False)
    atomic.replace(str(place), b"new", "t")
    assert place.read_bytes() == b"new"
    monkeypatch.setattr(os, "listxattr", lambda path: ["system.posix_acl_access"], raising=False)
    with pytest.raises(PermissionError):
        atomic.replace(str(place), b"newer", "t")
    assert place.read_bytes() == b"new"

    def absent(path: str) -> list[str]:
        raise OSError(errno.ENOTSUP, "none here")

    monkeypatch.setattr(os, "listxattr", absent, raising=False)
    assert atomic.attributes(str(place)) == {}

    def broken(path: str) -> list[str]:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "listxattr", broken, raising=False)
    with pytest.raises(OSError, match="broken"):
        atomic.replace(str(place), b"newer", "t")
    monkeypatch.delattr(os, "listxattr")
    assert atomic.attributes(str(place)) == {}


def test_folders_that_were_made_go_again_when_one_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        atomic.make_folders(str(tmp_path / "file" / "a"))
    made = atomic.make_folders(str(tmp_path / "a" / "b" / "c"))
    assert made == [str(tmp_path / "a"), str(tmp_path / "a" / "b"), str(tmp_path / "a" / "b" / "c")]
    assert atomic.make_folders(str(tmp_path / "a" / "b")) == []
    (tmp_path / "a" / "kept").write_bytes(b"")
    atomic.remove_folders([*made, str(tmp_path / "a" / "b" / "c" / "absent")])
    assert os.listdir(tmp_path / "a") == ["kept"]
    with pytest.raises(OSError, match="too long"):
        atomic.make_folders(str(tmp_path / "b" / ("x" * 300)))
    assert not (tmp_path / "b").exists()


def test_a_folder_that_another_program_makes_meanwhile_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def raced(path: str, mode: int = 0o777) -> None:
        if path.endswith("theirs"):
            mkdir(path)
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", raced)
    assert atomic.make_folders(str(tmp_path / "theirs" / "ours")) == [str(tmp_path / "theirs" / "ours")]


def test_a_folder_that_cannot_be_removed_though_empty_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> None:
        raise OSError(errno.EIO, "broken", path)

    monkeypatch.setattr(os, "rmdir", broken)
    with pytest.raises(OSError, match="broken"):
        atomic.remove_folders([str(tmp_path)])


def test_leftovers_are_swept_and_nothing_else(tmp_path: Path) -> None:
    names = (".a.json.envdoctor-1", ".b.envdoctor-2", "a.json", ".hidden", "x.envdoctor-3")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".folder.envdoctor-4").mkdir()
    os.utime(tmp_path / ".b.envdoctor-2", (time.time() - 7200,) * 2)
    atomic.sweep(str(tmp_path), 3600)
    assert not (tmp_path / ".b.envdoctor-2").exists()
    assert (tmp_path / ".a.json.envdoctor-1").exists()
    atomic.sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [".folder.envdoctor-4", ".hidden", "a.json", "x.envdoctor-3"]
    atomic.sweep(str(tmp_path / "absent"))


def test_folders_that_cannot_be_synced_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "no fsync here")

    close = os.close

    def failing(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, "broken")

    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "close", failing)
    atomic.sync_folder(str(tmp_path))
    atomic.sync_folder(str(tmp_path / "absent"))
    atomic.remove(str(tmp_path / "file"))
    assert os.listdir(tmp_path) == []


def test_without_posix_neither_owners_nor_folders_are_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    synced: list[int] = []

    def counted(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    folder = str(tmp_path)  # a path made later would be one of another system
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(os, "fsync", counted)
    monkeypatch.delattr(os, "fchmod")
    assert atomic.make_folders(folder + "/a") == [folder + "/a"]
    atomic.replace(folder + "/a/file", b"x", "t")
    monkeypatch.undo()
    assert (tmp_path / "a" / "file").read_bytes() == b"x"
    assert len(synced) == 1


@posix
def test_only_root_gives_files_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(os, "chown", lambda place, user, group: given.append((user, group)))
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        atomic.make_folders(str(tmp_path / str(user)))
    assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)]


@posix
def test_a_new_file_is_dressed_before_it_is_in_place(tmp_path: Path) -> None:
    place = tmp_path / "file"

    def dressed(descriptor: int) -> None:
        assert not place.exists()
        os.utime(descriptor, ns=(10**18, 10**18))

    atomic.replace(str(place), b"x", "t", dressed=dressed)
    assert place.stat().st_mtime_ns == 10**18
