"""envdoctor/knowledge/installing.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.installing import for_python, in_own_environment, install_command, reinstall
from envdoctor.knowledge.verdict import Fit

PYTHON = "/opt/envs/train/bin/python"
INDEX = "--index-url https://download.pytorch.org/whl"


def fit(version: str, tag: str) -> Fit:
    return Fit(version, tag, "full")


def test_the_default_wheel_comes_from_where_pip_is_told_to_look() -> None:
    assert install_command(fit("2.10.0", "cu128"), PYTHON) == f"{PYTHON} -m pip install torch==2.10.0"
    assert install_command(fit("2.15.0", "cu132"), installed="2.4.1") == "python -m pip install torch==2.15.0"


def test_into_a_venv_where_the_python_is_not_the_user_s() -> None:
    assert in_own_environment(fit("2.11.0", "cu126"), "/usr/bin/python3") == (
        "/usr/bin/python3 -m venv ~/venvs/torch && "
        f"~/venvs/torch/bin/python -m pip install torch==2.11.0+cu126 {INDEX}/cu126 && "
        "envdoctor check --python ~/venvs/torch"
    )
    python = r"C:\Users\Ada L\uv\python.exe"
    assert in_own_environment(fit("2.11.0", "cu126"), python, "windows") == (
        rf'"{python}" -m venv venvs\torch && '
        rf"venvs\torch\Scripts\python.exe -m pip install torch==2.11.0+cu126 {INDEX}/cu126 && "
        r"envdoctor check --python venvs\torch"
    )


def test_another_build_is_named_with_its_cuda() -> None:
    command = install_command(fit("2.11.0", "cu126"), PYTHON, installed="2.11.0")
    assert command == f"{PYTHON} -m pip install torch==2.11.0+cu126 {INDEX}/cu126"


def test_the_default_build_of_the_installed_release_must_be_named_to_be_taken() -> None:
    """pip calls an installed 2.13.0+cpu an answer to torch==2.13.0."""
    command = install_command(fit("2.13.0", "cu130"), PYTHON, installed="2.13.0")
    assert command == f"{PYTHON} -m pip install torch==2.13.0+cu130 {INDEX}/cu130"


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "aarch64", f"{PYTHON} -m pip install torch==2.10.0+cu128 {INDEX}/cu128"),
        ("windows", "x86_64", f"{PYTHON} -m pip install torch==2.10.0+cu128 {INDEX}/cu128"),
    ],
)
def test_the_default_wheel_is_another_elsewhere(system: str, machine: str, expected: str) -> None:
    assert install_command(fit("2.10.0", "cu128"), PYTHON, system=system, machine=machine) == expected


def test_uv_keeps_no_pip_in_the_environment() -> None:
    command = install_command(fit("2.11.0", "cu126"), PYTHON, installer="uv", installed="2.11.0")
    assert command == f"uv pip install --python {PYTHON} torch==2.11.0+cu126 {INDEX}/cu126"
    assert install_command(fit("2.10.0", "cu128"), installer="uv") == "uv pip install torch==2.10.0"


def test_companions_match() -> None:
    both = ("torchvision", "torchaudio")
    command = install_command(fit("2.10.0", "cu128"), PYTHON, beside=both)
    assert command == f"{PYTHON} -m pip install torch==2.10.0 torchvision==0.25.0 torchaudio==2.10.0"
    command = install_command(fit("2.11.0", "cu126"), PYTHON, beside=both)
    assert "torchvision==0.26.0+cu126 torchaudio==2.11.0+cu126" in command
    # torchaudio stopped at 2.11.0 and has no build for CUDA 13.2.
    assert "torchaudio" not in install_command(fit("2.13.0", "cu132"), PYTHON, beside=both)
    on_arm = install_command(fit("2.11.0", "cu126"), PYTHON, machine="aarch64", beside=("torchvision",))
    assert "torchvision==0.26.0 " in on_arm


def test_wheels_that_share_files_with_those_of_another_cuda_go_first() -> None:
    nvidia = ("nvidia-cublas", "nvidia-cudnn-cu13", "nvidia-nccl-cu13", "triton", "nvidia-cuda-cupti-cu12")
    command = install_command(fit("2.11.0", "cu126"), PYTHON, nvidia=nvidia)
    removed, _, installed = command.partition(" && ")
    assert removed == f"{PYTHON} -m pip uninstall -y nvidia-cudnn-cu13 nvidia-nccl-cu13"
    assert installed.startswith(f"{PYTHON} -m pip install torch==2.11.0+cu126")
    assert "uninstall" not in install_command(fit("2.14.1", "cu130"), PYTHON, nvidia=nvidia)
    with_uv = install_command(fit("2.11.0", "cu126"), PYTHON, installer="uv", nvidia=nvidia)
    assert with_uv.startswith(
        f"uv pip uninstall --python {PYTHON} nvidia-cudnn-cu13 nvidia-nccl-cu13 && uv pip install"
    )


def test_paths_are_quoted_for_their_shell() -> None:
    assert install_command(fit("2.10.0", "cu128"), "/a b/python").startswith("'/a b/python' -m pip")
    on_windows = install_command(fit("2.10.0", "cu128"), r"C:\Program Files\python.exe", system="windows")
    assert on_windows.startswith('"C:\\Program Files\\python.exe" -m pip')
    assert install_command(fit("2.10.0", "cu128"), r"C:\py.exe", system="windows").startswith(r"C:\py.exe -m")


def test_commands_are_made_for_the_python_under_examination() -> None:
    command = "pip uninstall -y a && pip install --no-deps b"
    here = Python(executable="/my env/bin/python")
    assert for_python(command, here) == (
        "'/my env/bin/python' -m pip uninstall -y a && '/my env/bin/python' -m pip install --no-deps b"
    )
    assert for_python(command, here, TorchInstall(installer="uv")) == (
        "uv pip uninstall --python '/my env/bin/python' a && uv pip install --python '/my env/bin/python' --no-deps b"
    )
    windows = Python(r"C:\train\Scripts\python.exe")
    assert for_python("pip install torch", windows) == r"'C:\train\Scripts\python.exe' -m pip install torch"
    assert for_python(command, None) == command and for_python(None, here) is None
    assert for_python("unset LD_LIBRARY_PATH", here) == "unset LD_LIBRARY_PATH"
    assert for_python("python -m pip install a", here) == "'/my env/bin/python' -m pip install a"
    assert for_python("python -m pip install a", None, TorchInstall(installer="uv")) == "uv pip install a"


def test_the_same_build_again_comes_from_where_it_came_from() -> None:
    here = Python(executable=PYTHON, conda="/opt/envs/train")
    again = f"{PYTHON} -m pip install --force-reinstall"
    own, default = TorchInstall(dist_version="2.11.0+cu126"), TorchInstall(version="2.7.1+cu126", dist_version="2.7.1")
    assert reinstall(own, here) == f"{again} --no-deps torch==2.11.0+cu126 {INDEX}/cu126"
    assert reinstall(own, here, dependencies=True) == f"{again} torch==2.11.0+cu126 {INDEX}/cu126"
    assert reinstall(default, here) == f"{again} --no-deps torch==2.7.1"
    assert reinstall(replace(default, installer="uv"), here, dependencies=True) == (
        f"uv pip install --python {PYTHON} --force-reinstall torch==2.7.1"
    )
    assert reinstall(replace(own, installer="conda"), here) == (
        "conda install -p /opt/envs/train --force-reinstall pytorch"
    )
    assert reinstall(None, None) == "python -m pip install --force-reinstall --no-deps torch"
