"""envdoctor/put_back.py: the steps that lead back; tests/checks/test_torch_install.py has them run by pip and uv."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor import put_back
from tests.patient.made_wheels import Venv, wheel

OLD = {"torch": "2.8.0+cu126", "nvidia-nccl-cu12": "2.27.3", "triton": "3.4.0"}


def test_what_is_as_recorded_needs_no_step() -> None:
    assert put_back.steps(OLD, OLD, "python", "", "https://x.example/cu126") == []


def test_what_came_goes_and_what_went_comes_back() -> None:
    now = {"torch": "2.14.1", "nvidia-nccl-cu13": "2.30.7", "triton": "3.4.0"}
    uninstall, install = put_back.steps(now, OLD, "/e/python", "", "https://x.example/cu126")
    assert uninstall == ("/e/python", "-m", "pip", "uninstall", "-y", "nvidia-nccl-cu13")
    assert install == (
        "/e/python", "-m", "pip", "install", "--no-deps", "nvidia-nccl-cu12==2.27.3", "torch==2.8.0+cu126",
        "--index-url", "https://x.example/cu126",
    )  # fmt: skip


def test_a_wheel_whose_files_went_along_is_installed_again() -> None:
    now = {**OLD, "nvidia-nccl-cu13": "2.30.7"}
    _, install = put_back.steps(now, OLD, "/e/python", "uv", "")
    assert install == (
        "uv", "pip", "install", "--python", "/e/python", "--no-deps", "--force-reinstall", "nvidia-nccl-cu12==2.27.3",
    )  # fmt: skip


def test_nothing_there_before_means_nothing_there_after() -> None:
    assert put_back.steps({"torch": "2.8.0"}, {}, "p", "", "") == [("p", "-m", "pip", "uninstall", "-y", "torch")]


def test_the_family_is_read_from_the_environment(tmp_path: Path) -> None:
    venv = Venv(tmp_path / "env")
    made = [wheel(tmp_path / "w", name, "1.0", {f"{name}.py": b""}) for name in ("torch", "numpy", "nvidia-nccl-cu12")]
    venv.install(*made)
    assert put_back.installed(venv.python) == {"torch": "1.0", "nvidia-nccl-cu12": "1.0"}
    assert put_back.main(["--python", venv.python, "torch==1.0", "nvidia-nccl-cu12==1.0"]) == 0


def test_a_python_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(0o755)
    for path in (str(tmp_path / "none"), str(silent)):
        assert put_back.main(["--python", path, "torch==1.0"]) == 1
        assert "nothing was put back" in capsys.readouterr().err


def test_a_tool_that_fails_or_is_not_there_is_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(put_back, "installed", lambda python: {})
    assert put_back.main(["--python", "/nowhere/python", "torch==1.0"]) == 1
    assert "/nowhere/python could not be started" in capsys.readouterr().err
    assert put_back.main(["--python", "/bin/false", "torch==1.0"]) == 1


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "envdoctor.put_back", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--index-url" in done.stdout


def test_conda_s_builds_come_back_where_they_are_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "pytorch-2.5.1-cpu_generic_py312_0.json").write_text("{}")
    (tmp_path / "conda-meta" / "history").write_text("")
    wanted = {"pytorch": "2.5.1=cpu_generic_py312_0"}
    assert put_back.conda_installed(str(tmp_path)) == wanted
    assert put_back.conda_steps(wanted, wanted, "conda", "/e", []) == []
    arguments = ["--conda", "/bin/echo", "--prefix", str(tmp_path), "--channel", "conda-forge"]
    assert put_back.main([*arguments, "pytorch==2.5.1=cpu_generic_py312_0"]) == 0
    assert capfd.readouterr().out == ""
    assert put_back.main([*arguments, "pytorch==2.6.0=x"]) == 0
    assert f"install -p {tmp_path} --yes -c conda-forge pytorch=2.6.0=x" in capfd.readouterr().out
