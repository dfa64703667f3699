"""`check --kubectl` with the real kubectl; pods are hosts of a lab."""

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

from envdoctor.transport.containers import KUBECTL
from envdoctor.transport.hosts import Host
from tests import ROOT
from tests.lab.hosts import Lab
from tests.lab.kubernetes import ApiServer

ENVDOCTOR = (sys.executable, "-m", "envdoctor")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(2) as lab:
        yield lab


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer({"trainer-0": lab[0], "trainer-1": lab[1], "ended": None}, tmp_path) as server:
        yield server


def test_each_pod_is_examined_from_within(lab: Lab, server: ApiServer) -> None:
    done = subprocess.run(
        [*ENVDOCTOR, "check", "--quick", "--kubectl", "trainer-0,ml/trainer-1:main,ended,absent", "--json"],
        capture_output=True, text=True, env={**server.environ, "PYTHONPATH": str(ROOT)}, cwd="/",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert {node["name"] for node in told["nodes"] if node["python"]} == {"node0", "node1"}, told["nodes"]
    errors = {finding["title"]: finding["nodes"] for finding in told["findings"] if finding["severity"] == "error"}
    assert sorted(errors.values()) == [["absent"], ["ended"]], errors
    assert not lab.orphans(10.0)


@pytest.mark.parametrize(
    ("pod", "outcome"),
    [
        ("absent", "no-container"), ("ended", "not-running"), ("closed/trainer-0", "failed"),
        ("trainer-0:other", "no-container"), ("trainer-0", "ok"),
    ],
)  # fmt: skip
def test_the_words_of_kubectl(server: ApiServer, pod: str, outcome: str) -> None:
    done = run(server, pod, "exec echo here")
    assert reached(done) == outcome, done.stderr


def test_the_words_of_kubectl_where_nobody_serves(server: ApiServer) -> None:
    server.close()
    done = run(server, "trainer-0", "true")
    assert reached(done) == "no-daemon", done.stderr
    (server.folder / "config").unlink()
    done = run(server, "trainer-0", "true")
    assert reached(done) == "no-daemon", done.stderr


def run(server: ApiServer, pod: str, line: str) -> subprocess.CompletedProcess[str]:
    argv = KUBECTL.argv(Host(pod), line)
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=server.environ)


def reached(done: subprocess.CompletedProcess[str]) -> str:
    heard = done.stdout == "here\n"
    return KUBECTL.reach(Host("trainer"), done.returncode, done.stderr, done.stdout, heard).outcome


def test_a_line_arrives_as_it_is(server: ApiServer) -> None:
    line = """printf '%s|' "$(hostname)" 'a  b' "c'd" '$HOME' \\; 'é'; exit 7"""
    done = run(server, "trainer-1", line)
    assert (done.returncode, done.stdout) == (7, "node1|a  b|c'd|$HOME|;|é|")


def test_nothing_runs_on_in_a_pod_when_the_doctor_is_killed(lab: Lab, server: ApiServer, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python3*/site-packages")
    (site / "torch").mkdir()
    (site / "torch" / "__init__.py").write_text("import time\ntime.sleep(600)\n")
    running = subprocess.Popen(
        [*ENVDOCTOR, "check", "--kubectl", "trainer-[0-1]", "--python", str(venv), "--json"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**server.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not all(any("w['boot']" in words for words in host.at_work().values()) for host in lab.hosts):
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait(10)
    assert not lab.orphans(20.0)
