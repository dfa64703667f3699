"""envdoctor/cli/nodes_bar.py"""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from rich.cells import cell_len

from envdoctor.cli import nodes_bar
from envdoctor.cli.nodes_bar import NodesBar
from envdoctor.facts.allreduce import AllreduceResult, Member

NAMES = [f"计算节点-{number:02d}" for number in range(64)]


def as_on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Standard error is a terminal so wide, and the line is shown at once."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(nodes_bar, "SILENT_S", -1.0)
    monkeypatch.setattr(nodes_bar, "OFTEN_S", -1.0)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.split("\r\x1b[K")[1:]


def test_a_line_stays_on_its_line_in_chinese_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What wraps is not taken off the screen by the next line."""
    as_on_a_terminal(monkeypatch, 40)
    with NodesBar("zh", NAMES, quiet=False) as bar:
        for number in range(0, 64, 2):
            bar.record(number, {"over": "ok"})
    told = lines(capsys)
    assert told[-1] == "" and "正在等待" in told[-2]
    assert max(map(cell_len, told)) in (38, 39)  # a wide character may not fit into the last cell


@pytest.mark.parametrize("words", ["\x1b]0;owned\x07", "\x1b[2J", "a\nwarning[x]: forged\r"])
def test_what_a_node_tells_steers_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    as_on_a_terminal(monkeypatch, 120)
    result = AllreduceResult(members=(Member(0, rung=words),))
    with NodesBar("en", ["a", "b"], quiet=False) as bar:
        bar.record(1, {"over": "ok"})
        bar.record(0, {"begin": words})
        bar.rung(result)
    told = lines(capsys)
    assert len(told) == 4 and "waiting for a (" in told[1]
    assert all(one.isprintable() for one in told)


def test_nodes_that_say_nothing_are_waited_for_in_sight(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_on_a_terminal(monkeypatch, 80)
    monkeypatch.setattr(nodes_bar, "EVERY_S", 0.01)
    shown = threading.Event()
    monkeypatch.setattr(NodesBar, "_write", lambda bar, line: shown.set() if "0 of 2 nodes" in line else None)
    with NodesBar("en", ["gpu01", "gpu02"], quiet=False):
        assert shown.wait(30), "before any node has told anything"
    assert not any("_run" in one.name for one in threading.enumerate()), "nothing writes on afterwards"


def test_off_a_terminal_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    record: dict[str, Any] = {"begin": "host"}
    with NodesBar("en", ["a"], quiet=False) as bar:
        bar.record(0, record)
    assert capsys.readouterr().err == ""
