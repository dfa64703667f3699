"""envdoctor/state.py"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from envdoctor.errors import CannotMend
from envdoctor.state import state_folder


def test_the_state_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert state_folder() == tmp_path / "state" / "envdoctor"
    local = home / ".local" / "state" / "envdoctor"
    for platform, place in (
        ("linux", local),
        ("darwin", home / "Library" / "Application Support" / "envdoctor"),
        ("win32", home / "AppData" / "Local" / "envdoctor"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setenv("XDG_STATE_HOME", "relative")
        assert state_folder() == place
        monkeypatch.delenv("XDG_STATE_HOME")
        assert state_folder() == place
    monkeypatch.setenv("LOCALAPPDATA", str(home / "Local"))
    assert state_folder() == home / "Local" / "envdoctor"


@pytest.mark.parametrize(
    ("home", "why"),
    [("", "HOME is empty"), ("relative", "no absolute path"), ("/nonexistent/home", "the home folder does not exist")],
)
def test_a_home_that_is_none_is_not_made(home: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(CannotMend, match=f"{why}.*XDG_STATE_HOME"):
        state_folder()
    assert not os.path.exists("/nonexistent")
