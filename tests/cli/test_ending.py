"""envdoctor/cli: how runs end that bring no report, and streams that are closed or full."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envdoctor.cli import ending, options
from envdoctor.errors import EnvdoctorError, ExaminationError

PROGRAM = [sys.executable, "-m", "envdoctor"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "--json", "--from", "absent.json"], 2),
        (["check", "--format", "json", "--no-such-option"], 2),
        (["check", "--format=json", "--timeout", "nan"], 2),
        (["explain", "--json", "no-such-code"], 2),
        (["check", "--json", "--quick", "no-such-topic"], 2),
    ],
)
def test_json_is_one_document_whatever_the_exit_code(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    document = json.loads(done.stdout)
    assert document["schema"] == "envdoctor/report/1"
    assert document["error"]["exit_code"] == code
    assert document["error"]["message"] in done.stderr
    assert document["findings"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "op"),
    [
        (["bench", "allreduce", "--json", "--sizes", "big"], 2, "allreduce"),
        (["bench", "allreduce", "--json", "--no-such-option"], 2, "allreduce"),
        (["bench", "allreduce", "--json", "--assert", "speed"], 2, "allreduce"),
        (["bench", "allreduce", "--json", "--baseline", "absent.json"], 2, "allreduce"),
        (["bench", "links", "--nnodes", "2", "--json"], 2, "links"),
        (["bench", "links", "--json", "--python", "./broken"], 3, "links"),
        (["bench", "mirrors", "--json", "no-such-mirror"], 2, "mirrors"),
    ],
)
def test_a_benchmark_that_fails_is_a_document_of_a_benchmark(
    arguments: list[str], code: int, op: str, tmp_path: Path
) -> None:
    (tmp_path / "broken").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "broken").chmod(0o755)
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["op"], document["findings"]) == ("envdoctor/bench/1", op, [])
    assert document["error"]["exit_code"] == code
    assert document["error"]["message"] in done.stderr
    if op != "mirrors":
        assert (document["stage"], document["sizes"], document["asserts"]) == ("start", [], [])
    if code == 3:
        (tmp_path / "failed.json").write_text(done.stdout)
        again = subprocess.run(
            [*PROGRAM, "check", "--from", "failed.json"], capture_output=True, text=True, cwd=tmp_path
        )
        assert (again.returncode, "holds no facts to judge" in again.stderr) == (2, True)


def test_the_document_of_a_failed_run_goes_where_the_report_would(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [*PROGRAM, "check", "--json", "-o", str(out), "--from", str(tmp_path / "absent.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "absent.json" in json.loads(out.read_text())["error"]["message"]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_an_interrupt_is_130_and_still_one_document(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    begun = tmp_path / "begun"
    slow.write_text(f"#!/bin/sh\n: >'{begun}'\nexec sleep 60\n")
    slow.chmod(0o755)
    command = [*PROGRAM, "check", "--json", "--python", str(slow)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not begun.exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert json.loads(out)["error"] == {"message": "interrupted", "exit_code": 130}
    assert err == "envdoctor: interrupted\n"


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    if os.name != "posix":
        pytest.skip("closes descriptors with a POSIX shell")
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *PROGRAM, "list", "shm"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_words_of_other_programs_cannot_steer_the_terminal_or_tell_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    error = ExaminationError("it said \x1b]0;gone\x07 \u202e http://bob:hunter22@proxy:8080/")
    assert ending.exit_code(error, []) == 3
    said = capsys.readouterr().err
    assert "hunter22" not in said
    assert said.isascii() or said.replace("\ufffd", "").isascii()
    assert said.rstrip("\n").isprintable()


def test_a_bug_is_3_and_names_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("nothing")
    except KeyError as error:
        assert ending.exit_code(error, ["check"]) == 3
        told = capsys.readouterr().err
        assert "bug in envdoctor: KeyError: 'nothing' (test_ending.py:" in told
        assert "Traceback" not in told
        ending.exit_code(error, ["check", "-vv"])
        assert "Traceback" in capsys.readouterr().err


def test_a_link_stays_a_link_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to("real")
    options.write("new", link)
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this platform")
def test_a_device_is_written_to_and_never_replaced() -> None:
    options.write("gone", Path("/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(EnvdoctorError, match="No space left"):
        options.write("gone", Path("/dev/full"))
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "--hosts", "a,a"], "--hosts a,a：a 出现了两次；每台主机只参加一次"),
        (["check", "--hosts", "a[1-"], "--hosts：'a[1-' 中的方括号没有闭合；应写作 a,b,c 或 node[01-16]"),
        (
            ["check", "--quick", "drivr"],
            "'drivr' 既不是主题也不是问题代码（是否指 'driver'？）；全部见 `envdoctor list`",
        ),
        (["diff", "-", "-"], "- 给出了两次，而标准输入只能读一次"),
        (["bench", "allreduce", "--sizes", "big"], "--sizes big：'big' 不是大小；应为 FROM:TO，例如 8:64M"),
        (["check", "--hosts", ""], "--hosts 的值为空；请给出内容，或去掉该选项"),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_in_chinese(arguments: list[str], said: str, tmp_path: Path) -> None:
    asked = subprocess.run([*PROGRAM, *arguments, "--lang", "zh"], capture_output=True, text=True, cwd=tmp_path)
    assert (asked.returncode, asked.stderr) == (2, f"envdoctor：{said}\n")
    environ = {**os.environ, "LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}
    by_locale = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert by_locale.stderr == asked.stderr
    english = subprocess.run([*PROGRAM, *arguments, "--lang=en"], capture_output=True, text=True, env=environ)
    assert (english.returncode, english.stderr.isascii()) == (2, True)


def test_a_document_is_in_english_unless_another_language_is_asked_for() -> None:
    environ = {**os.environ, "LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}
    for more, word in ((), "named twice"), (("--lang", "zh"), "出现了两次"):
        command = [*PROGRAM, "check", "--hosts", "a,a", "--json", *more]
        done = subprocess.run(command, capture_output=True, text=True, env=environ)
        assert word in json.loads(done.stdout)["error"]["message"]


def test_an_error_that_nobody_translated_is_said_in_english() -> None:
    assert EnvdoctorError("it failed").zh == "it failed"
