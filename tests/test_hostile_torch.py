"""`envdoctor check` on Pythons and torches that misbehave: each is named in one sentence, in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT, needs
from tests.patient.fake_torch import FINE, environment, startup

LIMIT_S = 5.0
DEAF = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(99)"


def check(python: Path | str, folder: Path, **environ: str) -> dict[str, Any]:
    """The report of a check as a user runs it, with the time it took as "took"."""
    # The modules of this checkout, with the folder a user is in as working directory.
    start = f"import sys; sys.path[0] = {str(ROOT)!r}; import envdoctor.cli; envdoctor.cli.main()"
    options = ["--json", "--offline", "--timeout", f"{LIMIT_S:g}", "--python", str(python)]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", start, "check", *options],
        cwd=folder, capture_output=True, text=True, env={**os.environ, **environ},
    )  # fmt: skip
    took = time.monotonic() - began
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["took"] = took
    assert report["tally"]["crashed"] == 0, report["outcomes"]
    return report


def titles(report: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["title"] for finding in report["findings"]}


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        (DEAF, "torch-import-hangs", "__init__.py:3"),
        ("while True: pass", "torch-import-unfinished", "had not finished"),
        ("import os\nos.kill(os.getpid(), 11)", "torch-import-crashes", "SIGSEGV"),
        ("import os\nos._exit(0)", "torch-import-fails", "exit status 0"),
        ("raise SystemExit(3)", "torch-import-fails", "SystemExit: 3"),
        ("raise ImportError('libc10.so: undefined symbol: _ZN3')", "torch-import-fails", "undefined symbol: _ZN3"),
    ],
    ids=["hangs", "spins", "segfaults", "exits", "raises SystemExit", "lacks a symbol"],
)  # fmt: skip
def test_a_torch_that_misbehaves(tmp_path: Path, source: str, code: str, says: str) -> None:
    report = check(environment(tmp_path / "env", source), tmp_path)
    assert says in titles(report)[code]
    # A second for the start and the judgement, and one for a loaded machine.
    assert report["took"] < LIMIT_S + 2
    known = {outcome["check"] for outcome in report["outcomes"] if outcome["status"] == "ran"}
    assert {"shm_too_small", "python_does_not_start", "torch_leftover"} <= known


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("import time\ntime.sleep(600)", "python-does-not-start", "startup_hook.py:2"),
        ("raise RuntimeError('hook')", "python-startup-noise", "RuntimeError: hook"),
        ("print('welcome ' * 100000)", "python-startup-noise", "welcome"),
    ],
    ids=["hangs", "raises", "prints"],
)
def test_a_start_up_file_that_misbehaves(tmp_path: Path, source: str, code: str, says: str) -> None:
    report = check(environment(tmp_path / "env", FINE, files=startup(source)), tmp_path)
    assert says in titles(report)[code]
    assert report["took"] < LIMIT_S + 2


def test_a_venv_whose_base_is_gone(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    python.unlink()
    python.symlink_to("/gone/python3.9")
    report = check(tmp_path / "env", tmp_path)
    assert "has lost the Python" in titles(report)["venv-broken"]
    assert "torch-missing" not in titles(report), "its torch is still there"


def test_a_variable_that_breaks_the_import_is_proven(tmp_path: Path) -> None:
    source = "import os\nif 'LD_LIBRARY_PATH' in os.environ: raise ImportError('undefined symbol: ncclCommResume')\n"
    report = check(environment(tmp_path / "env", source + FINE), tmp_path, LD_LIBRARY_PATH="/opt/cuda/lib64")
    finding = next(finding for finding in report["findings"] if finding["code"] == "torch-import-fails")
    assert finding["fix"]["command"] == "env -u LD_LIBRARY_PATH python -c 'import torch'"


def test_a_stray_file_explains_the_failed_import(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("SEED = 1\n")
    report = check(environment(tmp_path / "env", "import random\nrandom.choice([1])\n" + FINE), tmp_path)
    finding = next(finding for finding in report["findings"] if finding["code"] == "torch-import-fails")
    assert finding["because_of"] == "python-module-shadowed"


def test_python_2(tmp_path: Path) -> None:
    report = check(needs.python("2.7"), tmp_path)
    assert "is Python 2.7" in titles(report)["python-does-not-start"]


def test_nothing_is_left_running(tmp_path: Path) -> None:
    marker = f"marker{os.getpid()}"
    source = (
        "import subprocess, sys\n"
        f"helper = [sys.executable, '-c', 'import time; time.sleep(99)', '{marker}']\n"
        "subprocess.Popen(helper, start_new_session=True).wait()\n"
    )
    check(environment(tmp_path / "env", source), tmp_path)
    running = [
        entry for entry in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in _read(entry)
    ]  # fmt: skip
    assert not running


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
