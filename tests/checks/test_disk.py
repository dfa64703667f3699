"""checks/disk.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.disks import Disks, Place
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "disk.py"
GB = 10**9

CWD = Place(
    "working-directory",
    "/work",
    size_bytes=1000 * GB,
    free_bytes=500 * GB,
    files=1000,
    free_files=900,
    mount_point="/",
    file_system="ext4",
)
TMP = replace(CWD, use="temporary", path="/tmp")
HOME = replace(CWD, use="home", path="/home/me", variable="HOME")
CACHE = replace(CWD, use="huggingface", path="/home/me/.cache/huggingface", exists=False)
OWN_CACHE = replace(CACHE, path="/data/hf", variable="HF_HOME", mount_point="/data")
NFS = replace(
    HOME, answers=False, size_bytes=None, free_bytes=None, mount_point="/home", file_system="nfs4", source="nas:/home"
)


def disks(*places: Place) -> Disks:
    return Disks(places)


CASES = [
    Case("room everywhere", (disks(CWD, HOME, TMP, CACHE),)),
    Case("a disk of 100 TB with 3 % left", (disks(replace(CWD, size_bytes=100_000 * GB, free_bytes=3000 * GB)),)),
    Case("a file system without a fixed number of inodes", (disks(replace(CWD, files=0, free_files=0)),)),
    Case("a small tmpfs with room", (disks(replace(TMP, size_bytes=8 * GB, free_bytes=7 * GB)),)),
    Case("could not be looked at", (disks(replace(CWD, size_bytes=None, free_bytes=None, error="Permission denied")),)),
    Case("an unwritable default cache, which nothing has used", (disks(replace(CACHE, writable=False)),)),
    Case("no exec where data lie", (disks(replace(OWN_CACHE, no_exec=True)),)),
    Case(
        "no exec on /tmp, and inductor writes elsewhere",
        (disks(replace(TMP, no_exec=True), replace(CWD, use="inductor", path="/fast")),),
    ),
    Case("no disks known", (Missing("disks", "not-here"),)),
    Case("the working directory is full", (disks(replace(CWD, free_bytes=0)),), {"disk-full": "error"}),
    Case("4 GB of 1000 are left", (disks(replace(CWD, free_bytes=4 * GB)),), {"disk-full": "warning"}),
    Case(
        "a full tmpfs for temporary files",
        (disks(CWD, replace(TMP, mount_point="/tmp", size_bytes=1 << 20, free_bytes=0)),),
        {"disk-full": "error"},
    ),
    Case("the cache's own disk is full", (disks(CWD, replace(OWN_CACHE, free_bytes=0)),), {"disk-full": "warning"}),
    Case(
        "one full disk is told once",
        (disks(replace(CWD, free_bytes=0), replace(HOME, free_bytes=0)),),
        {"disk-full": "error"},
    ),
    Case("few inodes", (disks(replace(CWD, files=10**6, free_files=500)),), {"disk-full": "warning"}),
    Case("no inodes", (disks(replace(CWD, files=10**6, free_files=0)),), {"disk-full": "error"}),
    Case("/tmp cannot be written to", (disks(replace(TMP, writable=False)),), {"disk-full": "error"}),
    Case("a read-only home", (disks(replace(HOME, read_only=True)),), {"disk-full": "warning"}),
    Case("code lies in a read-only folder", (disks(replace(CWD, writable=False)),), {"disk-full": "note"}),
    Case("a cache of another user", (disks(replace(OWN_CACHE, writable=False)),), {"disk-full": "warning"}),
    Case(
        "TMPDIR of another node",
        (disks(replace(TMP, path="/scratch/7", variable="TMPDIR", exists=False)),),
        {"disk-full": "warning"},
    ),
    Case("/tmp without exec", (disks(replace(TMP, no_exec=True)),), {"filesystem-noexec": "warning"}),
    Case(
        "Triton's cache without exec",
        (disks(replace(TMP, use="triton", path="/data", no_exec=True)),),
        {"filesystem-noexec": "warning"},
    ),
    Case("the home's server is gone", (disks(CWD, NFS, replace(NFS, use="pip-cache")),), {"filesystem-hangs": "error"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    found = case.assert_holds(FILE)
    assert len(found) == len(case.expect), "each file system is told once"


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("a full tmpfs for temporary files", "export TMPDIR=$HOME/tmp && mkdir -p $TMPDIR"),
        ("a cache of another user", "export HF_HOME=/path/that/can/be/written"),
        ("code lies in a read-only folder", "ls -ld /work"),
        ("/tmp without exec", "export TORCHINDUCTOR_CACHE_DIR=$HOME/.cache/inductor"),
        ("the home's server is gone", "timeout -s KILL 5 stat -f /home/me"),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.command or finding.look) == command


def test_the_topic_s_line() -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(disks(NFS, CWD))
    assert told is not None
    assert told[0].say("en", told[1]) == "/work: 500 GB free"
    assert found.line(disks(NFS)) is None
