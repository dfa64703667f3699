"""A home of its own, and what real new shells there have in their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.new_shells import NewShells
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.patient import new_shells, shell_files
from envdoctor.patient.sections import Ask
from envdoctor.remedy import EditFile, Files
from tests import needs

SHELLS = ("bash", "zsh", "fish", "ksh")


class Home:
    """A user's home folder for one shell."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder = folder
        self.shell = shell

    def write(self, content: Mapping[str, bytes | str]) -> None:
        for name, text in content.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def facts(self) -> ShellFiles:
        found = decode.fact("shell-files", shell_files.shell_files(Ask({})))
        assert isinstance(found, ShellFiles)
        # The start-up files of the machine that runs the tests are not this user's.
        return replace(found, files=tuple(file for file in found.files if file.path.startswith(str(self.folder))))

    def files(self) -> Files:
        there = (path for path in self.folder.rglob("*") if path.is_file())
        return Files({str(path): path.read_bytes() for path in there})

    def apply(self, edits: tuple[EditFile, ...]) -> None:
        for edit in edits:
            path = Path(edit.path)
            assert (path.read_bytes() if path.exists() else None) == edit.before
            if edit.after is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(edit.after)

    def new_shells(self) -> NewShells:
        found = decode.fact("new-shells", new_shells.new_shells(Ask({})))
        assert isinstance(found, NewShells)
        return found


def home_of(shell: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose owner has this shell."""
    program = needs.program(shell)
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME", "CONDA_EXE", "MODULEPATH", "BASH_ENV", "ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SHELL", program)
    assert os.environ["HOME"] == str(folder)
    return Home(folder, shell)
