"""`check --docker` with a real dockerd and real containers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.lab.containers import Daemon

ENVDOCTOR = (sys.executable, "-m", "envdoctor")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("docker")) as daemon:
        for name in ("trainer-0", "trainer-1", "ended"):
            daemon.container(name, "--shm-size", "32m" if name == "trainer-1" else "2g")
        assert daemon.docker("stop", "--time", "0", "ended").returncode == 0
        yield daemon


def test_each_container_is_examined_from_within(daemon: Daemon) -> None:
    done = subprocess.run(
        [*ENVDOCTOR, "check", "--quick", "--docker", "trainer-[0-1],ended,absent", "--json"],
        capture_output=True, text=True, env={**daemon.environ, "PYTHONPATH": str(ROOT)}, cwd="/",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    nodes = {node["name"]: node["python"] for node in told["nodes"]}
    assert {name: nodes[name] for name in ("ended", "absent")} == {"ended": "", "absent": ""}
    assert all(nodes[name].startswith("/usr/") for name in ("trainer-0", "trainer-1")), nodes
    errors = {finding["title"]: finding["nodes"] for finding in told["findings"] if finding["severity"] == "error"}
    assert sorted(errors.values()) == [["absent"], ["ended"]], errors
    assert any("is there and does not run" in title for title in errors)
    small = next(finding for finding in told["findings"] if finding["code"] == "shm-too-small")
    assert small["nodes"] == ["trainer-1"], "the memory that the container was given, not the machine's"
    assert daemon.at_work("trainer-0") == daemon.at_work("trainer-1") == []


def test_nothing_runs_on_in_a_container_when_the_doctor_is_killed(daemon: Daemon, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python3*/site-packages")
    (site / "torch").mkdir()
    (site / "torch" / "__init__.py").write_text("import time\ntime.sleep(600)\n")
    daemon.container("stuck", "--volume", f"{venv}:{venv}:ro", "--env", f"PATH={venv}/bin:/usr/bin:/bin")
    running = subprocess.Popen(
        [*ENVDOCTOR, "check", "--docker", "trainer-0,stuck", "--json"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**daemon.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not any("w['boot']" in words for words in daemon.at_work("stuck")):
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait(10)
    while daemon.at_work("trainer-0") or daemon.at_work("stuck"):
        assert time.monotonic() < until, daemon.at_work("trainer-0") + daemon.at_work("stuck")
        time.sleep(0.1)
