"""envdoctor fix on a terminal: the question, its answers, and Ctrl-C at every stage."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import tea

PROGRAM = [sys.executable, "-m", "envdoctor", "fix"]
LIMIT_S = 60


class Terminal:
    """A run of the program on a terminal of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.said = ""
        main, other = pty.openpty()
        environ = {**os.environ, "HOME": str(home), "TERM": "xterm", "COLUMNS": "100"}
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
            environ.pop(name, None)

        def own_terminal() -> None:
            import fcntl
            import termios

            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*PROGRAM, *arguments, "--checks", str(tea.folder(home / "own"))], stdin=other, stdout=other, stderr=other,
            env=environ, start_new_session=True, preexec_fn=own_terminal,
        )  # fmt: skip
        os.close(other)
        self.main = main

    def until(self, word: str) -> None:
        """Read until a word is on the screen."""
        end = time.monotonic() + LIMIT_S
        while word not in self.said:
            assert time.monotonic() < end, self.said
            self._read(0.2)

    def type(self, keys: str) -> None:
        os.write(self.main, keys.encode())

    def end(self) -> int:
        """Wait for the end; the exit status."""
        end = time.monotonic() + LIMIT_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.said
            self._read(0.1)
        self._read(0)
        os.close(self.main)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        while select.select([self.main], [], [], seconds)[0]:
            try:
                data = os.read(self.main, 65536)
            except OSError:
                return  # nobody writes any longer
            if not data:
                return
            self.said += re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", data.decode("utf-8", "replace")).replace("\r", "")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    return place


def conf(home: Path) -> Path:
    return home / ".config" / "pip" / "pip.conf"


@pytest.mark.parametrize(("answer", "language"), [("y\n", "en"), ("YES\n", "en"), ("是\n", "zh")])
def test_a_yes_applies(home: Path, answer: str, language: str) -> None:
    terminal = Terminal(home, "tea", "--lang", language)
    terminal.until("[y/N] ")
    assert "+retries = 2" in terminal.said, "the change is shown before the question"
    assert not conf(home).exists()
    terminal.type(answer)
    assert terminal.end() == 0
    assert conf(home).exists()
    assert "✓" in terminal.said


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "yes please\n", "\udcff\n"], ids=repr)
def test_everything_else_changes_nothing(home: Path, answer: str) -> None:
    terminal = Terminal(home, "tea")
    terminal.until("Apply? [y/N] ")
    os.write(terminal.main, answer.encode("utf-8", "surrogateescape"))
    assert terminal.end() == 1
    assert "nothing was changed" in terminal.said
    assert not conf(home).exists()


def test_ctrl_c_at_the_question_is_130(home: Path) -> None:
    terminal = Terminal(home, "tea")
    terminal.until("[y/N] ")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "envdoctor: interrupted; nothing was changed" in terminal.said
    assert "Traceback" not in terminal.said
    assert not conf(home).exists()


def test_what_goes_into_a_file_is_shown_before_it_is_asked_for(home: Path) -> None:
    terminal = Terminal(home, "tea", "-o", str(home / "out"))
    terminal.until("[y/N] ")
    assert "+retries = 2" in terminal.said
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "+retries = 2" in (home / "out").read_text() and "✓ wrote" in (home / "out").read_text()


def test_ctrl_c_during_a_command_takes_everything_back(home: Path) -> None:
    terminal = Terminal(home, "tea", "--yes", "--run", "echo running; exec sleep 60")
    terminal.until("running\n")
    assert conf(home).exists()
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "interrupted; everything is as it was" in terminal.said
    assert not conf(home).exists()


def test_ctrl_c_while_it_is_checked_again_leaves_the_way_back(home: Path) -> None:
    # A Python that examines once and then hangs.
    slow = home / "python"
    slow.write_text(
        f'#!/bin/sh\n[ -e "{home}/once" ] && touch "{home}/twice" && exec sleep 60\n'
        f'touch "{home}/once"\nexec {sys.executable} "$@"\n'
    )
    slow.chmod(0o755)
    terminal = Terminal(home, "tea", "--yes", "--python", str(slow))
    end = time.monotonic() + LIMIT_S
    while not (home / "twice").exists() and time.monotonic() < end:
        terminal._read(0.1)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert re.search(r"interrupted before it was checked again; .*`envdoctor fix --undo \d", terminal.said)
    assert conf(home).exists()


def test_undo_asks_as_well(home: Path) -> None:
    first = Terminal(home, "tea", "--yes")
    assert first.end() == 0
    terminal = Terminal(home, "--undo")
    terminal.until("Take this back? [y/N] ")
    terminal.type("n\n")
    assert terminal.end() == 1
    assert conf(home).exists()
    terminal = Terminal(home, "--undo")
    terminal.until("[y/N] ")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert not conf(home).exists()


def test_no_colour_is_no_colour(home: Path) -> None:
    environ = {**os.environ, "HOME": str(home), "NO_COLOR": "1"}
    command = [*PROGRAM, "tea", "--diff", "--checks", str(tea.folder(home / "own"))]
    main, other = pty.openpty()
    done = subprocess.run(command, stdout=other, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environ)
    os.close(other)
    said = os.read(main, 65536)
    os.close(main)
    assert done.returncode == 1
    assert b"\x1b" not in said and b"+retries" in said
