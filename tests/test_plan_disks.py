"""envdoctor/plan.py on real disks: full, read-only, of another file system, and two runs on one file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.journal import Journal
from envdoctor.plan import undo
from tests import ROOT, needs

posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and signals of POSIX")


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
