"""What judges and what changes files is covered to the last line and branch by its own tests."""

from __future__ import annotations

import subprocess
import sys

from tests import ROOT

JUDGING = ("checks", "envdoctor.engine", "envdoctor.summaries", "envdoctor.load")
CHANGING = ("plan", "journal", "atomic", "state", "permission", "mending", "last_check")
TESTS = ("tests/checks", "tests/test_engine.py", "tests/test_summaries.py", "tests/test_load.py")


def expect_complete(sources: tuple[str, ...], tests: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "pytest", *tests, "--cov-report=term-missing:skip-covered", "--cov-fail-under=100"]
    command += [f"--cov={source}" for source in sources]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "Required test coverage of 100" in done.stdout


def test_engine_load_and_checks_are_covered_completely() -> None:
    expect_complete(JUDGING, TESTS)


def test_all_that_changes_files_is_covered_completely() -> None:
    sources = tuple(f"envdoctor.{name}" for name in CHANGING)
    tests = sorted(path for name in CHANGING for path in (ROOT / "tests").glob(f"test_{name}*.py"))
    expect_complete(sources, tuple(map(str, tests)))
