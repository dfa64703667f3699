"""envdoctor/answering.py"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor import answering
from tests import ROOT, needs

# With a file system that nobody serves over its folder, in a mount namespace that ends with it.
HUNG = """
import sys
from envdoctor import answering
from tests.lab import hung_files
device = hung_files.mount(sys.argv[1])
print(answering.answers("/usr", sys.argv[1] + "/bin"), answering.search_path("/usr/bin:" + sys.argv[1] + "/bin:/bin"))
"""


def test_what_is_there_and_what_is_not_answer_alike(tmp_path: Path) -> None:
    assert answering.answers("/", tmp_path, tmp_path / "none of these; false")
    assert answering.answers()


def test_a_search_path_whose_folders_answer_stays_as_it_is() -> None:
    assert answering.search_path("/usr/bin::/nowhere") == "/usr/bin::/nowhere"
    assert answering.search_path("") == ""
    assert answering.search_path(None) == os.defpath


LOCAL = """\
overlay / overlay rw,relatime,lowerdir=/a,upperdir=/b,workdir=/c 0 0
proc /proc proc rw 0 0
systemd-1 /proc/sys/fs/binfmt_misc autofs rw,fd=29,pgrp=1 0 0
lxcfs /proc/meminfo fuse.lxcfs rw 0 0
gvfsd-fuse /run/user/1000/gvfs fuse.gvfsd-fuse rw 0 0
/dev/nvme0n1p2 /home/some\\040one ext4 rw 0 0
"""


@pytest.mark.parametrize(
    "other",
    [
        "server:/home /home nfs4 rw,vers=4.2 0 0", "/etc/auto.home /home autofs rw 0 0", "C:\\134 /mnt/c 9p rw 0 0",
        "10.0.0.1@tcp:/scratch /scratch lustre rw 0 0", "squashfuse /cvmfs fuse.squashfuse ro 0 0", "cut",
    ],
)  # fmt: skip
def test_a_shell_is_sent_ahead_only_where_a_server_or_a_process_answers_for_files(other: str) -> None:
    mounts = LOCAL.splitlines()
    assert answering.all_local(mounts)
    assert not answering.all_local([])
    assert not answering.all_local([*mounts, other])


def test_a_list_without_the_root_tells_nothing() -> None:
    assert not answering.all_local(["proc /proc proc rw 0 0\n", "tmpfs /dev/shm tmpfs rw 0 0\n"])


def test_a_program_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "some-program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}")
    assert answering.which("some-program") == str(program)
    assert answering.which("sh") is None


def test_what_does_not_answer_is_found_by_another(tmp_path: Path) -> None:
    needs.fuse()
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", HUNG, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "/usr/bin:/bin"], done.stderr
