"""The engine, the loader and every check are covered to the last line by their own tests."""

from __future__ import annotations

import subprocess
import sys

from tests import ROOT

COVERED = ("checks", "envdoctor.engine", "envdoctor.load")
TESTS = ("tests/checks", "tests/test_engine.py", "tests/test_load.py")


def test_engine_load_and_checks_are_covered_completely() -> None:
    command = [sys.executable, "-m", "pytest", *TESTS, "--cov-report=term-missing:skip-covered", "--cov-fail-under=100"]
    command += [f"--cov={source}" for source in COVERED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "Required test coverage of 100" in done.stdout
