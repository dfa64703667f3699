"""envdoctor/last_check.py"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from envdoctor import last_check
from envdoctor.cli.app import run
from envdoctor.last_check import LastCheck, Mendable, read, write
from envdoctor.model import Node, Problem, Report, Severity, Text
from envdoctor.redact import Redactor
from envdoctor.state import state_folder

PLAIN = Problem(
    "index-plain", Severity.WARNING, Text("pip downloads from {url}", "pip 从 {url} 下载"), Text("", ""),
    command="pip config set global.index-url {url}",
)  # fmt: skip
NOTE = replace(PLAIN, code="a-note", severity=Severity.NOTE)
SILENT = replace(PLAIN, code="no-command", command=None)
REDACTOR = Redactor(b"k" * 16)


def report(*nodes: Node) -> Report:
    found = tuple(
        replace(problem.found(url="http://bob:hunter22@mirror/simple"), nodes=("here",))
        for problem in (PLAIN, NOTE, SILENT)
    )
    elsewhere = replace(PLAIN.found(url="http://x"), nodes=("there",))
    chosen = nodes or (Node("there", address="10.0.0.2"), Node("here", python="/opt/python"))
    return Report("envdoctor", "2026-11-21T12:00:00Z", 1.0, chosen, (*found, elsewhere), (), ())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return tmp_path


def place() -> Path:
    return state_folder() / last_check.NAME


def test_what_a_command_mends_here_is_remembered_without_secrets() -> None:
    write(report(), REDACTOR, ("pip",))
    told = read()
    assert told is not None
    assert (told.taken_at, told.python, told.only) == ("2026-11-21T12:00:00Z", "/opt/python", ("pip",))
    (one,) = told.mendable
    assert (one.code, one.severity, one.automatic, one.because_of) == ("index-plain", "warning", False, "")
    assert one.command.startswith("pip config set global.index-url http://***")
    assert "hunter22" not in place().read_text()
    assert "下载" in one.title_zh


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_it_is_for_this_users_eyes() -> None:
    write(report(), REDACTOR)
    assert stat.S_IMODE(place().stat().st_mode) == 0o600
    assert stat.S_IMODE(place().parent.stat().st_mode) == 0o700
    assert os.listdir(place().parent) == [last_check.NAME]


def test_a_report_of_other_machines_mends_nothing_here() -> None:
    write(report(Node("there", address="10.0.0.2")), REDACTOR)
    assert read() == LastCheck("2026-11-21T12:00:00Z", "")


def test_where_nothing_can_be_written_nothing_happens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "/nonexistent", str(home / "file")):
        (home / "file").write_text("")
        monkeypatch.setenv("HOME", value)
        write(report(), REDACTOR)
        assert read() is None
    assert not os.path.exists("/nonexistent")
    monkeypatch.setenv("HOME", str(home))
    (home / ".local").write_text("no folder")
    write(report(), REDACTOR)
    assert read() is None


def test_a_home_that_does_not_answer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envdoctor.answering.answers", lambda *paths: False)  # a real one is among the hosts of a lab
    write(report(), REDACTOR)
    assert not place().exists()


def test_a_text_that_does_not_fit_its_values_is_no_error() -> None:
    odd = replace(PLAIN, title=Text("{url:.1f}", "{url:.1f}"))
    broken = replace(report(), findings=(replace(odd.found(url="x"), nodes=("here",)),))
    write(broken, REDACTOR)
    assert read() is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"schema": "other"}', '{"schema": "envdoctor/last-check/1"}', "\x00",
     '{"schema": "envdoctor/last-check/1", "taken_at": "", "python": "", "mendable": [{"x": 1}]}',
     '{"schema": "envdoctor/last-check/1", "taken_at": "", "python": "", "mendable": 7}'],
)  # fmt: skip
def test_what_cannot_be_read_is_as_if_it_were_not_there(text: str) -> None:
    place().parent.mkdir(parents=True)
    place().write_text(text)
    assert read() is None
    write(report(), REDACTOR)
    assert read() is not None


def test_leftovers_of_killed_runs_go_in_time(home: Path) -> None:
    write(report(), REDACTOR)
    old, young = (place().parent / f".{last_check.NAME}.envdoctor-{number}" for number in (1, 2))
    for left in (old, young):
        left.write_text("")
    os.utime(old, (0, 0))
    write(report(), REDACTOR)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_check_of_this_machine_is_remembered_and_one_of_a_snapshot_is_not(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "shm", "--quick"]) in (0, 1)
    told = read()
    assert told is not None and told.only == ("shm",)
    place().unlink()
    run(["snapshot", "-o", str(home / "here.json"), "--quick"])
    run(["check", "shm", "--from", str(home / "here.json")])
    assert not place().exists()
    assert capsys.readouterr().out


def test_it_is_written_as_it_is_read() -> None:
    one = Mendable("a", "error", "t", "题", "cmd", True, "b")
    place().parent.mkdir(parents=True)
    place().write_text(
        json.dumps({"schema": last_check.SCHEMA, "taken_at": "t", "python": "p", "mendable": [vars(one)]})
    )
    assert read() == LastCheck("t", "p", (one,))
