"""patient/uv_effective.py: what the real uv says of its settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.uv import UvEffective
from envdoctor.patient import uv_effective
from envdoctor.patient.sections import Ask, NotHere
from tests import needs

URL = "https://mirror.example/simple"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".config/uv").mkdir(parents=True)
    return tmp_path


def asked() -> UvEffective:
    found = decode.fact("uv-effective", uv_effective.ask_uv(needs.uv(), 20.0))
    assert isinstance(found, UvEffective)
    return found


def test_uv_says_which_index_it_takes(home: Path) -> None:
    assert asked().default("project") == asked().default("pip") == ""
    (home / ".config/uv/uv.toml").write_text(f'[[index]]\nname = "m"\nurl = "{URL}"\ndefault = true\n')
    found = asked()
    assert found.version[0].isdigit()
    assert (found.default("project"), found.default("pip"), found.default("other")) == (URL, URL, None)


def test_a_file_that_uv_refuses(home: Path) -> None:
    (home / ".config/uv/uv.toml").write_text("[[index]]\nurl = ")
    found = asked()
    assert "Failed to parse" in found.error
    assert found.default("pip") is None


def test_other_words_are_no_answer() -> None:
    assert uv_effective.default_of("GlobalSettings {}\n") is None
    assert uv_effective.default_of("") is None


def test_what_is_no_uv_is_no_answer(tmp_path: Path) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    assert uv_effective.ask_uv(str(program)) == {"version": "", "answers": [], "error": ""}


def test_the_section_finds_the_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(needs.uv()).parent))
    assert uv_effective.uv_effective(Ask({}))["answers"] == [
        {"command": "project", "default": ""},
        {"command": "pip", "default": ""},
    ]
    with pytest.raises(NotHere):
        uv_effective.uv_effective(Ask({"given": {"uv-config": {"program": ""}}}))
