"""envdoctor/patient/new_shells.py: real shells, their real start-up files, and those that do not answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from envdoctor.patient import new_shells, shell_files
from envdoctor.patient.sections import Ask, NotHere
from tests.edits.real_shells import home_of


def test_shells_begin_with_no_more_than_a_login_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("bash", tmp_path, monkeypatch)
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    home.write(
        {
            ".bashrc": "export NCCL_ALGO=Ring HF_TOKEN=secret\nunrelated=1\nexport PRIVATE=1\n",
            ".profile": "export IN_PROFILE=1\n",
        }
    )
    found = home.new_shells()
    interactive, login, command = (found.of(mode) for mode in ("interactive", "login", "command"))
    assert interactive and login and command
    assert interactive.variables["NCCL_ALGO"] == "Ring" and "NCCL_DEBUG" not in interactive.names
    assert "HF_TOKEN" in interactive.names and "HF_TOKEN" not in interactive.variables
    assert "PRIVATE" in interactive.names and "PRIVATE" not in interactive.variables
    assert "IN_PROFILE" in login.names and "NCCL_ALGO" not in login.names
    assert "NCCL_ALGO" in command.names
    assert found.shell == "bash" and all(one.seconds > 0 for one in found.shells)


def test_a_start_up_file_that_waits_is_left_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("bash", tmp_path, monkeypatch)
    monkeypatch.setattr(new_shells, "LIMIT_S", 0.5)
    home.write({".bashrc": "sleep 60\n", ".profile": "echo noise; echo more >&2\n"})
    began = time.monotonic()
    found = home.new_shells()
    assert time.monotonic() - began < 15
    assert {one.mode: one.error for one in found.shells}["interactive"].startswith("no answer in 0.5 s")
    assert {one.mode: one.error for one in found.shells}["login"] == ""


def test_a_start_up_file_that_becomes_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("bash", tmp_path, monkeypatch)
    home.write({".bashrc": "exec true\n"})
    interactive = home.new_shells().of("interactive")
    assert interactive is not None and interactive.error == "it ended with status 0"


def test_zdotdir_that_zshenv_sets_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("zsh", tmp_path, monkeypatch)
    monkeypatch.setenv("ZDOTDIR", str(tmp_path / "wrong"))
    home.write({".zshenv": "export ZDOTDIR=$HOME/z\nexport NCCL_ALGO=Tree\n", "z/.zshrc": "export NCCL_PROTO=LL\n"})
    interactive = home.new_shells().of("interactive")
    assert interactive is not None
    assert (interactive.variables["NCCL_ALGO"], interactive.variables["NCCL_PROTO"]) == ("Tree", "LL")


def test_a_shell_whose_files_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/nu")
    monkeypatch.setattr(shell_files, "login_shell", lambda: "/usr/sbin/nologin")
    with pytest.raises(NotHere, match="nologin is no shell"):
        new_shells.new_shells(Ask({}))


def test_a_shell_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/no/such/zsh")
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(NotHere, match="there is no zsh"):
        new_shells.new_shells(Ask({}))
