"""A home with the checks of tea.py in it, and `envdoctor fix` called there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.cli.app import run
from tests.cli import tea

POURED = "[global]\nretries = 2\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    # The active venv goes without saying; which Python it is otherwise is for tests of that.
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    tea.folder(place / "own")
    return place


@pytest.fixture
def fix(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, own: bool = True) -> tuple[int, str, str]:
        code = run(["fix", *arguments, *(("--checks", str(home / "own")) if own else ())])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def conf(home: Path) -> Path:
    return home / ".config" / "pip" / "pip.conf"
