"""envdoctor check --format nagios | prometheus, --good-hosts, --bad-hosts: what other programs read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from envdoctor import examination, facts
from envdoctor.cli.app import run
from envdoctor.errors import UsageError
from envdoctor.facts.asked import Asked
from envdoctor.facts.host import Host
from envdoctor.facts.hostlist import expand
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.model import Node
from envdoctor.snapshot import Snapshot, to_json

PROGRAM = [sys.executable, "-m", "envdoctor"]
SMALL, PLENTY = (Limits(shm=SharedMemory(size, size)) for size in (64 << 20, 32 << 30))


def save(folder: Path, node: Node, limits: Limits) -> Path:
    names = {facts.kind(name): name for name in facts.KINDS}
    held = (limits, Host(container="docker" if limits is SMALL else "", name=node.name), Asked())
    snapshot = Snapshot(node, "2026-11-20T12:00:00Z", examination.MADE_BY, {names[type(one)]: one for one in held})
    path = folder / f"{node.address or node.name}.json"
    path.write_text(json.dumps(to_json(snapshot)))
    return path


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    folder = tmp_path / "nodes"
    folder.mkdir()
    for number in range(1, 5):
        node = Node(f"gpu-{number:02d}", f"10.0.0.{number}", "/opt/python")
        save(folder, node, SMALL if number == 3 else PLENTY)
    return folder


def check(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, "check", *arguments], capture_output=True, text=True, cwd=cwd)


def test_good_and_bad_hosts_are_files_that_read_back(nodes: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    told = ["check", "shm", "--from", str(nodes), "--good-hosts", str(good), "--bad-hosts", str(bad)]
    assert run([*told, "--fail-on", "warning"]) == 1
    assert good.read_text() == "10.0.0.1\n10.0.0.2\n10.0.0.4\n"
    assert bad.read_text() == "10.0.0.3\n"
    assert expand(good.read_text()) == ("10.0.0.1", "10.0.0.2", "10.0.0.4")
    assert run(told) == 0, "a warning is no error"
    assert len(good.read_text().splitlines()) == 4
    assert bad.read_text() == ""


def test_files_that_cannot_be_written_are_refused_before_anything_is_done(nodes: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--good-hosts", str(tmp_path / "no" / "good")], "--good-hosts .* there is no folder"),
        (["--bad-hosts", str(tmp_path)], "--bad-hosts .* is a folder"),
        (["--good-hosts", "x", "--bad-hosts", "./x"], "the same file"),
    ):
        with pytest.raises(UsageError, match=said):
            run(["check", "shm", "--from", str(nodes), *arguments])


def test_a_name_that_is_no_host_is_said_and_left_out(
    nodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(nodes, replace(Node("evil\nroot@other"), python="/p"), PLENTY).rename(nodes / "z.json")
    assert run(["check", "shm", "--from", str(nodes), "--good-hosts", str(tmp_path / "good")]) == 0
    assert "other" not in (tmp_path / "good").read_text()
    assert "neither list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "state"),
    [
        (["shm", "--from", "nodes"], 1, "WARNING"),
        (["shm", "--from", "nodes", "--fail-on", "never"], 1, "WARNING"),
        (["shm", "--from", "nodes/10.0.0.1.json"], 0, "OK"),
        (["--from", "absent.json"], 3, "UNKNOWN"),
        (["--no-such-option"], 3, "UNKNOWN"),
        (["no-such-topic", "--from", "nodes"], 3, "UNKNOWN"),
    ],
)
def test_a_plugin_ends_as_its_first_word_says(
    nodes: Path, tmp_path: Path, arguments: list[str], code: int, state: str
) -> None:
    done = check(*arguments, "--format", "nagios", cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[:2]) == (code, ["ENVDOCTOR", state]), done.stdout + done.stderr


def test_metrics_are_written_whole_and_readable_by_the_collector(nodes: Path, tmp_path: Path) -> None:
    out = tmp_path / "envdoctor.prom"
    assert check("shm", "--from", str(nodes), "--format", "prometheus", "-o", str(out)).returncode == 0
    told = {family.name: family for family in text_string_to_metric_families(out.read_text())}
    (finding,) = told["envdoctor_problem"].samples
    assert finding.labels == {"code": "shm-too-small", "severity": "warning", "node": "gpu-03"}
    assert out.stat().st_mode & 0o444 == 0o444
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["envdoctor.prom"]
    done = check("--from", "absent.json", "--format", "prometheus", "-o", str(out))
    assert done.returncode == 2
    told = {family.name: family for family in text_string_to_metric_families(out.read_text())}
    assert told["envdoctor_success"].samples[0].value == 0


def test_explain_has_no_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [*PROGRAM, "explain", "--format", "prometheus", "shm-too-small"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "envdoctor check --format prometheus" in done.stderr
