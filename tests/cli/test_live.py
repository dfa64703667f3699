"""envdoctor/cli/live.py and progress.py: what appears while the doctor is still looking."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest

from envdoctor import judgement, load
from envdoctor.cli.live import Live
from envdoctor.cli.progress import Progress
from envdoctor.examination import MADE_BY, node_of
from envdoctor.facts.asked import Asked
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.facts.python import Python
from envdoctor.model import Node
from envdoctor.redact import Redactor
from envdoctor.render import Style, text
from envdoctor.snapshot import Snapshot

RECORDS: list[dict[str, Any]] = [
    {"begin": "limits"},
    {"fact": "limits", "value": {"shm": {"size_bytes": 67108864, "free_bytes": 60000000}}},
    {"fact": "host", "value": {"name": "gpu-a01", "container": "docker"}},
    {"missing": "rdma", "reason": "not-here", "detail": ""},
    {"missing": "gpu", "reason": "not-here", "detail": ""},
    {"missing": "pci", "reason": "not-here", "detail": ""},
    {"missing": "torch-install", "reason": "not-here", "detail": ""},
    {"fact": "environment", "value": {}},
    {"fact": "python", "value": {"version": "3.11.7"}},
]


def test_lines_appear_once_they_are_certain_and_are_part_of_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = load.load([load.bundled()])
    node, style, redactor = Node(python="/opt/python", python_why="asked"), Style(), Redactor(b"k" * 16)
    rooms: list[int] = []
    live = Live(lambda: loaded, ["shm"], node, Asked(), style, redactor, lambda: rooms.append(1))
    for record in RECORDS[:-1]:
        live.record(record)
    assert capsys.readouterr().out == "", "who is examined is not known yet"
    live.record(RECORDS[-1])
    first = capsys.readouterr().out
    assert first.startswith("envdoctor")
    assert "gpu-a01" in first and "3.11.7" in first
    assert re.search(r"^! shm +0.1 GB", first, re.M)
    assert rooms == [1]
    shm = SharedMemory(67108864, 60000000)
    sections: dict[str, object] = {
        "host": Host(name="gpu-a01", container="docker"),
        "python": Python(version="3.11.7"),
        "limits": Limits(shm=shm),
    }
    report = judgement.judge([Snapshot(node_of(node, sections), "", MADE_BY, sections)], loaded, ["shm"])
    whole = text.render(report, style, redactor)
    assert first + live.finish(whole) == whole


def test_a_line_that_changed_after_all_makes_everything_be_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    live = Live(lambda: None, [], Node(), Asked(), Style(), Redactor(), lambda: None)
    live.printed = "one thing"
    assert live.finish("another") == "another"
    assert "superseded" in capsys.readouterr().err


def on_a_terminal(*arguments: str, columns: int = 80) -> str:
    """What a person sees of `envdoctor ...` on a terminal of that width, escape sequences included."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-m", "envdoctor", *arguments], stdin=slave, stdout=slave, stderr=slave, env=environ
    ) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        process.wait(30)
    os.close(master)
    return seen.decode().replace("\r\n", "\n")


def test_on_a_terminal_there_is_colour_and_one_report() -> None:
    page = on_a_terminal("check", "shm", "--quick")
    assert page.count(", looking at") == 1
    assert "\x1b[1m" in page
    assert len(re.findall(r"shm  ", page)) == 1


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("en", 60, quiet=False) as progress:
        progress.record({"begin": "torch-import"})
    assert capsys.readouterr().err == ""


def test_progress_names_what_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import time

    from envdoctor.cli import progress as module

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    monkeypatch.setattr(module, "LONG_S", 0.02)
    with Progress("zh", 60, quiet=False) as progress:
        progress.record({"begin": "torch-import"})
        progress.record({"begin": "host"})
        progress.record({"fact": "host", "value": {}})
        time.sleep(0.3)
    told = capsys.readouterr().err
    assert "等待 torch-import" in told
    assert told.endswith("\r\x1b[K")
