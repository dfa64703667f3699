"""`envdoctor explain FILE...|-` and `check --log FILE`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.cli.app import run
from envdoctor.errors import UsageError

SHM = "RuntimeError: DataLoader worker (pid 2718) is killed by signal: Bus error. It is possible that dataloader's"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text(f"epoch 1\n[rank3]: {SHM}\n")
    return path


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_log_is_explained(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(log)]) == 1
    out = capsys.readouterr().out
    assert f"on the text of {log}" in out
    assert "\n\nerror[shm-too-small]" in out and "\n\n\n" not in out
    assert f"{log}:2 (rank 3): {SHM[:60]}" in out


def test_the_json_is_the_report_of_check(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(log), "--json"]) == 1
    report = said(capsys)
    assert report["schema"] == "envdoctor/report/1"
    (finding,) = report["findings"]
    assert (finding["code"], finding["severity"]) == ("shm-too-small", "error")
    assert (finding["evidence"]["line"], finding["evidence"]["rank"]) == (2, 3)


def test_chinese(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(log), "--lang", "zh"]) == 1
    out = capsys.readouterr().out
    assert "错误[shm-too-small]：DataLoader" in out
    assert "所读文本" in out


def test_an_empty_text_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.log").touch()
    assert run(["explain", str(tmp_path / "empty.log")]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"envdoctor: {tmp_path}/empty.log is empty: ") and told.count("\n") == 1
    assert run(["explain", str(tmp_path / "empty.log"), "--quiet"]) == 0
    assert not capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "explain", "-", "--lang", "zh"], input=b"", capture_output=True
    )
    assert done.stderr.decode().startswith("envdoctor: 标准输入：内容为空")


def test_standard_input(log: Path) -> None:
    command = [sys.executable, "-m", "envdoctor", "explain", "-", "--json"]
    done = subprocess.run(command, input=log.read_bytes(), capture_output=True)
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["evidence"]["file"] == "-"


def test_a_text_without_errors_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fine.log"
    path.write_text("epoch 1 loss 2.5\n")
    assert run(["explain", str(path)]) == 0
    assert "no problems found" in capsys.readouterr().out


def test_notes_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.log"
    path.write_text("ValueError: nobody knows this\n")
    assert run(["explain", str(path)]) == 0
    assert "note[error-unrecognised]" in capsys.readouterr().out


def test_several_files(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "fine.log"
    other.write_text("epoch 1\n")
    assert run(["explain", str(other), str(log), "--json"]) == 1
    assert said(capsys)["findings"][0]["evidence"]["file"] == str(log)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-thing"], "neither a file nor a finding code"),
        (["{log}", "no-such.log"], "there is no file 'no-such.log'"),
        (["{log}", "shm-too-small"], "explain codes one at a time"),
        (["{folder}"], "is a folder; name the files in it"),
        (["-", "-"], "standard input can be read once"),
        ([], "Missing argument"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], sentence: str, log: Path) -> None:
    given = [one.format(log=log, folder=log.parent) for one in arguments]
    with pytest.raises(UsageError, match=sentence):
        run(["explain", *given])


def test_a_file_is_a_text_even_if_it_is_named_like_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shm-too-small").write_text("epoch 1\n")
    assert run(["explain", "shm-too-small"]) == 0
    assert "no problems found" in capsys.readouterr().out


def test_secrets_of_a_log_are_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pip.log"
    path.write_text(
        "WARNING: Retrying after connection broken by 'NewConnectionError(Failed to establish a new connection: "
        "[Errno 111] Connection refused': https://me:hunter2-secret@mirror.example/simple/torch/\n"
    )
    assert run(["explain", str(path)]) == 1
    out = capsys.readouterr().out
    assert "mirror.example" in out
    assert "hunter2" not in out


def test_this_machine_with_its_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--quick", "--log", str(log), "--json"]) == 1
    report = said(capsys)
    found = next(finding for finding in report["findings"] if finding["code"] == "shm-too-small")
    assert found["severity"] == "error"
    assert str(found["evidence"]["seen" if "seen" in found["evidence"] else "quoted"]).startswith(f"{log}:2")
    assert report["nodes"][0]["python"]


def test_without_a_log_a_machine_is_not_told_what_a_log_would_show(capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", "--quick", "--json"])
    checks = {outcome["check"] for outcome in said(capsys)["outcomes"]}
    assert not any(name.endswith("_in_text") for name in checks)


def test_no_progress_where_nobody_watches(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.open() as text:
        monkeypatch.setattr(sys, "stdin", text)
        run(["explain", "-"])
    assert capsys.readouterr().err == ""
