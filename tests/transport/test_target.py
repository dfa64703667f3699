"""envdoctor/transport/target.py"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from envdoctor.errors import UsageError
from envdoctor.transport import target
from envdoctor.transport.target import CHOICES, choose


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_holds_torch", lambda: False)


def environment(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    return folder


def test_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_torch: None) -> None:
    venv, conda, path = (environment(tmp_path / name) for name in ("venv", "conda", "path"))
    environ = {"VIRTUAL_ENV": str(venv), "CONDA_PREFIX": str(conda), "PATH": str(path / "bin")}
    asked = choose(str(path / "bin" / "python"), environ)
    assert (asked.python, asked.why) == (str(path / "bin" / "python"), "asked")
    assert choose("", environ).python == str(venv / "bin" / "python")
    del environ["VIRTUAL_ENV"]
    assert choose("", environ).why == "conda"
    del environ["CONDA_PREFIX"]
    assert choose("", environ) == target.Target(str(path / "bin" / "python"), "path")
    assert choose("", {"PATH": ""}) == target.Target(sys.executable, "last")


def test_the_doctors_own_environment_counts_if_it_holds_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site-packages" / "torch").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])
    assert choose("", {"PATH": ""}) == target.Target(sys.executable, "own")


def test_python_may_be_a_folder_a_name_or_a_conda_environment(tmp_path: Path) -> None:
    venv = environment(tmp_path / "venv")
    named = environment(tmp_path / "conda" / "envs" / "train")
    environ = {"PATH": str(venv / "bin"), "CONDA_EXE": str(tmp_path / "conda" / "bin" / "conda")}
    assert choose(str(venv), environ).python == str(venv / "bin" / "python")
    assert choose("python", environ).python == str(venv / "bin" / "python")
    assert choose("train", environ).python == str(named / "bin" / "python")


def test_a_dangling_interpreter_is_chosen_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/nowhere/python3.9")
    assert choose("", {"VIRTUAL_ENV": str(tmp_path)}).why == "virtual-env"
    assert choose(str(tmp_path / "bin" / "python"), {}).python == str(tmp_path / "bin" / "python")


def test_a_name_that_is_nothing_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-env"):
        choose("no-such-env", {"PATH": str(tmp_path)})


def test_every_choice_has_words() -> None:
    assert {"asked", "virtual-env", "conda", "own", "path", "there", "last"} == set(CHOICES)
    assert os.path.isabs(choose().python)


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()

    def gone(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os.path, "abspath", gone)
    with pytest.raises(UsageError, match="the working directory is gone"):
        choose("bin/python", {})


def test_an_activated_venv_that_is_gone_is_examined_all_the_same(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert choose("", {"VIRTUAL_ENV": str(gone)}) == target.Target(str(gone / "bin" / "python"), "virtual-env")


def test_a_python_behind_a_locked_door_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", locked)
    with pytest.raises(UsageError, match="may not look there"):
        choose("/locked/python", {})
