"""envdoctor/patient/disks.py: real mounts, a full tmpfs, and a file system that does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envdoctor.patient import disks, reading
from envdoctor.patient.sections import Ask
from tests import needs

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/self/mountinfo")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [variable for _, variable, _, _ in disks.CACHES] + ["TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def place(use: str) -> dict[str, Any]:
    return next(one for one in disks.disks(Ask({}))["places"] if one["use"] == use)


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    needs.root()
    mount = needs.program("mount")
    folder = tmp_path / "small disk"
    folder.mkdir()
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m,nr_inodes=64,noexec", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
def test_a_full_file_system_without_exec(tmpfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmpfs))
    empty = place("temporary")
    assert empty["free_bytes"] == empty["size_bytes"] == 1 << 20
    with pytest.raises(OSError, match="No space"):
        (tmpfs / "filler").write_bytes(b"x" * (2 << 20))
    full = place("temporary")
    assert full["free_bytes"] == 0 and full["writable"] and full["exists"] and full["answers"]
    assert (full["file_system"], full["mount_point"], full["no_exec"]) == ("tmpfs", str(tmpfs), True)
    assert full["variable"] == "TMPDIR"
    assert sorted(os.listdir(tmpfs)) == ["filler"], "nothing of ours may stay"


@pytest.mark.root
def test_inodes_run_out_before_room(tmpfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmpfs))
    with pytest.raises(OSError, match="No space"):
        for number in range(100):
            (tmpfs / str(number)).touch()
    told = place("temporary")
    assert told["files"] == 64 and told["free_files"] == 0 and told["free_bytes"] > 0


def test_a_folder_that_is_not_there_counts_by_its_nearest_ancestor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no" / "such"))
    told = place("huggingface")
    assert not told["exists"] and told["size_bytes"] > 0 and told["variable"] == "HF_HOME"


@pytest.mark.parametrize(
    ("variables", "use", "path"),
    [
        ({}, "pip-cache", "~/.cache/pip"),
        ({"XDG_CACHE_HOME": "/big"}, "pip-cache", "/big/pip"),
        ({"XDG_CACHE_HOME": "/big", "HF_HOME": "/hf"}, "huggingface", "/hf"),
        ({"XDG_CACHE_HOME": "/big"}, "triton", "~/.triton"),
        ({"TORCHINDUCTOR_CACHE_DIR": "/fast"}, "inductor", "/fast"),
        ({}, "temporary", "/tmp"),
        ({"TMP": "/t"}, "temporary", "/t"),
    ],
    ids=str,
)
def test_where_things_are_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], use: str, path: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = {one: where for one, where, _ in disks.places()}
    assert found[use] == path.replace("~", str(tmp_path))


def test_a_silent_file_system_is_named_and_delays_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in for a dead server: looking at this one folder takes for ever.
    silent = str(tmp_path / "silent")
    look = disks.look

    def looks(path: str) -> dict[str, Any]:
        while path == silent:
            time.sleep(1)
        return look(path)

    monkeypatch.setattr(disks, "look", looks)
    began = time.monotonic()
    answers = disks.looked([("a", str(tmp_path), ""), ("b", silent, ""), ("c", "/", "")], 0.5)
    assert time.monotonic() - began < 5
    assert set(answers) == {str(tmp_path), "/"}
    # The same through the section: the folder is told, without an answer.
    monkeypatch.setenv("TMPDIR", silent)
    monkeypatch.setattr(disks, "LIMIT_S", 0.3)
    told = place("temporary")
    assert not told["answers"] and told["path"] == silent and told["mount_point"]
    assert place("home")["answers"]
    # What is only read is told where it does not answer, and not otherwise.
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), silent)))
    read = [one for one in disks.disks(Ask({}))["places"] if one["use"] == "search-path"]
    assert [(one["path"], one["variable"], one["answers"]) for one in read] == [(silent, "PATH", False)]


@pytest.mark.root
def test_another_users_folder_cannot_be_looked_into(tmp_path: Path) -> None:
    needs.root()
    (tmp_path / "secret").mkdir(mode=0o700)
    answers: list[dict[str, Any]] = []
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        disks.look_at_all([str(tmp_path / "secret" / "x")], answers.append)
        os._exit(0 if answers[1].get("value", {}).get("writable") is False or "missing" in answers[1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_mount_points_are_read_with_their_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /data\\040sets ro,noexec - nfs4 nas:/data rw,vers=4.2\n"
        "31 22 0:41 / /data rw - xfs /dev/sdb rw\n"
        "garbage\n"
    )
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    mounts = disks.mounts()
    assert disks.mount_of("/data sets/imagenet", mounts)["type"] == "nfs4"
    assert "ro" in disks.mount_of("/data sets", mounts)["options"]
    assert disks.mount_of("/database", mounts)["point"] == "/"
    assert disks.mount_of("/data/x", mounts)["type"] == "xfs"
    assert disks.mount_of("relative", mounts) == {}
