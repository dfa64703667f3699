"""`envdoctor explain` at a terminal, with pipes, endless devices and thousands of files."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.cli import texts
from envdoctor.cli.app import run

SHM = "RuntimeError: DataLoader worker (pid 2718) is killed by signal: Bus error. It is possible that dataloader's"
EXPLAIN = [sys.executable, "-m", "envdoctor", "explain"]
LONG_S = 120.0  # for a machine under load


class Terminal:
    """A terminal with a program in it: what it shows, and what one types."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.own, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [*EXPLAIN, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **(environment or {})},
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other side was closed
            while data := os.read(self.own, 4096):
                self.shown += data.decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self.own, text.encode())

    def wait_for(self, pattern: str) -> None:
        until = time.monotonic() + LONG_S
        while not re.search(pattern, self.shown):
            assert time.monotonic() < until, self.shown
            assert self.process.poll() is None or self._reader.is_alive(), self.shown
            time.sleep(0.05)

    def end(self) -> int:
        code = self.process.wait(LONG_S)
        self._reader.join(LONG_S)
        return code


@contextlib.contextmanager
def terminal(*arguments: str, **environment: str) -> Iterator[Terminal]:
    one = Terminal(*arguments, environment=environment)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        os.close(one.own)


def test_at_a_terminal_it_says_what_to_paste_and_one_end_is_enough() -> None:
    with terminal("-") as one:
        one.wait_for(r"paste the text .*press Enter and Ctrl-D")
        one.type(SHM + "\n")
        one.wait_for("Bus error")
        one.type("\x04")
        assert one.end() == 1
        assert "error[shm-too-small]" in one.shown


def test_at_a_chinese_terminal() -> None:
    with terminal("-", LC_ALL="zh_CN.UTF-8") as one:
        one.wait_for("请粘贴文本.*Ctrl-D")
        one.type("\x04")
        assert one.end() == 0


def test_interrupted_while_one_pastes() -> None:
    with terminal("-") as one:
        one.wait_for("paste the text")
        one.process.send_signal(signal.SIGINT)
        assert one.end() == 130
        assert "envdoctor: interrupted" in one.shown
        assert "Traceback" not in one.shown


def test_a_pipe_that_nobody_writes_to_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with terminal(str(pipe)) as one:
        one.wait_for(f"waiting for {pipe}"[:60])
        pipe.write_text(SHM)
        assert one.end() == 1
        assert "error[shm-too-small]" in one.shown


def test_what_never_ends_is_read_until_one_has_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pipe = Path("pipe")
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            while True:
                file.write(b"epoch 1\n" * 8192)

    writer = threading.Thread(target=write)
    writer.start()
    with terminal(str(pipe)) as one:
        one.wait_for(r"reading pipe [0-9]{2,} MB, [0-9]+ MB/s")
        one.process.send_signal(signal.SIGINT)
        assert one.end() == 130
        assert "envdoctor: interrupted" in one.shown
    writer.join()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "envdoctor: /dev/zero does not end and is no text, so only its first 64 MiB were read; name the file"),
        ("zh", "envdoctor：/dev/zero 没有结尾，也不是文本，因此只读取了开头 64 MiB；请给出日志所在的文件"),
    ],
)
def test_a_device_without_an_end_is_refused(language: str, said: str) -> None:
    done = subprocess.run([*EXPLAIN, "/dev/zero", "--lang", language], capture_output=True, text=True, timeout=LONG_S)
    assert done.returncode == 2
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1


def test_thousands_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"rank{number}.log" for number in range(3000)]
    for name in names[:-1]:
        Path(name).touch()
    Path(names[-1]).write_text(SHM)
    assert run(["explain", *names, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (finding,) = report["findings"]
    assert finding["evidence"]["file"] == "rank2999.log"
    assert report["nodes"][0]["name"] == "rank0.log, rank1.log, rank2.log, ... (3000)"


def test_what_cannot_be_read_is_named_and_the_rest_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "train.log"
    log.write_text("epoch 1\n")
    gone = [str(tmp_path / f"gone{number}.log") for number in range(8)]
    # Nothing was found, and not everything was looked at.
    assert run(["explain", str(log), *gone]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"envdoctor: cannot read {gone[0]}: no such file or directory"
    assert len(told) == texts.MOST_NAMED + 1
    assert told[-1] == "envdoctor: 3 more files cannot be read"
    log.write_text(SHM)
    assert run(["explain", gone[0], str(log)]) == 1


def test_standard_input_that_is_closed() -> None:
    command = " ".join(f"'{word}'" for word in [*EXPLAIN, "-"])
    done = subprocess.run(f"{command} <&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "envdoctor: cannot read standard input: it is closed\n")
