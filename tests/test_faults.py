"""Every system call of an apply and an undo may fail: a part of what `python -m tests.bench.faults` tries in full."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests import needs
from tests.bench import faults


@pytest.fixture(autouse=True)
def traced() -> None:
    strace = needs.program("strace")
    if subprocess.run([strace, "-qq", "-e", "trace=none", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to trace processes (ptrace)")


@pytest.mark.parametrize("what", ["apply", "undo"])
def test_no_file_is_lost_or_damaged_whichever_call_breaks(what: str) -> None:
    # A number of calls that has no factor in common with the pattern of one edit: all kinds of calls are met.
    tally = faults.all_runs(what, every=17)
    assert tally.faults == []
    assert tally.runs > 20


def test_the_calls_that_matter_are_among_those_that_are_broken() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        names = {point.syscall for point in faults.points(Path(scratch) / "home0", "apply")}
    assert {"openat", "write", "fsync", "close", "fchmod", "flock"} <= names
    assert any(name.startswith("rename") for name in names)
    assert any(name.startswith("mkdir") for name in names)
    assert any(name.startswith("unlink") for name in names)


def test_damage_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (point, *_) = faults.points(tmp_path / "home0", "apply")
    real = faults.run

    def damaging(home: Path, what: str, tracing: list[str]) -> tuple[int, str]:
        told = real(home, what, tracing)
        (home / "existing").write_bytes(b"[glo")
        return told

    monkeypatch.setattr(faults, "run", damaging)
    assert "neither old nor new: ['existing']" in faults.check(tmp_path / "home1", "apply", point, "signal=KILL")
