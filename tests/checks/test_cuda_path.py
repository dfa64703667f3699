"""checks/cuda_path.py: `envdoctor fix cuda-path`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envdoctor import Files, Plan, UsageError, load
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.toolkit import CudaToolkit, Toolkit
from envdoctor.facts.torch import TorchInstall
from tests import needs
from tests.edits.real_shells import SHELLS, home_of
from tests.unreadable import Unreadable

HOME = "/home/ada"
BASH = ShellFiles("bash", HOME)
THERE = Files({f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n"})
TORCH = TorchInstall("/site/torch", "2.8.0+cu128", "12.8")


def toolkit(version: str, source: str = "/usr/local") -> CudaToolkit:
    return CudaToolkit(f"/usr/local/cuda-{version}/bin/nvcc", f"/usr/local/cuda-{version}", source, version)


MANY = Toolkit(toolkits=(toolkit("11.8", "/usr/local/cuda"), toolkit("12.4"), toolkit("12.6"), toolkit("13.0")))


def plan(
    found: Toolkit = MANY,
    torch: TorchInstall | None = TORCH,
    python: Python | None = None,
    shell: ShellFiles = BASH,
    files: Files = THERE,
    named: str = "",
) -> Plan:
    the_fix: Any = load.everything().fixes["cuda-path"]
    made = the_fix(found, torch, python or Python("/v/bin/python"), shell, files, toolkit=named)
    assert isinstance(made, Plan)
    return made


def told(made: Plan) -> str:
    return " / ".join(remark.said.say("en") for remark in made.remarks)


@pytest.mark.parametrize(
    ("cuda", "root"), [("12.8", "12.6"), ("12.4", "12.4"), ("12.5", "12.6"), ("11.7", "11.8"), ("13.2", "13.0")]
)
def test_the_toolkit_nearest_to_torch_s_cuda_is_taken(cuda: str, root: str) -> None:
    made = plan(torch=replace(TORCH, cuda=cuda))
    assert made.wants["env CUDA_HOME"] == f"/usr/local/cuda-{root}"
    assert str(made.wants["first PATH"]).startswith(f"/usr/local/cuda-{root}/bin:")
    assert all(b"export LD_LIBRARY_PATH" not in (edit.after or b"") for edit in made.edits)
    assert "LD_LIBRARY_PATH is not set" in told(made)


def test_where_none_fits_the_command_that_brings_one_is_given() -> None:
    made = plan(Toolkit(toolkits=(toolkit("11.8"),)))
    assert not made.edits
    assert made.by_hand[0].command == "conda install -c nvidia cuda-nvcc=12.8 cuda-cudart-dev=12.8"


def test_the_module_of_the_cluster_comes_first() -> None:
    shell = replace(BASH, modules=("cuda/11.8", "cuda/12.4.1", "cuda/12.6", "nvhpc/12.8", "gcc/12", "nccl/12.8"))
    made = plan(shell=shell)
    assert not made.edits and made.by_hand[0].command == "module load nvhpc/12.8"
    assert (
        plan(shell=replace(BASH, modules=("cuda/11.8", "cuda/12.4.1"))).by_hand[0].command == "module load cuda/12.4.1"
    )
    assert plan(shell=replace(BASH, modules=("cuda/11.8",))).edits
    assert plan(shell=shell, named="/usr/local/cuda-12.4").edits


def test_one_that_is_named_is_taken() -> None:
    made = plan(named="/usr/local/cuda-11.8/")
    assert made.wants["env CUDA_HOME"] == "/usr/local/cuda-11.8"
    assert "refuses to compile" in told(made)
    files = Files({"/opt/cuda/bin/nvcc": b"x"})
    assert plan(named="/opt/cuda", files=files).wants["env CUDA_HOME"] == "/opt/cuda"
    for name, text in (
        ("version.json", b'{"cuda": {"name": "x", "version": "12.4.1"}}'),
        ("version.txt", b"CUDA Version 12.4.1"),
    ):
        told_by = Files({"/opt/cuda/bin/nvcc": b"x", f"/opt/cuda/{name}": text})
        assert plan(named="/opt/cuda", files=told_by).title.values["version"] == "12.4"
    for wrong, why in (("/opt/none", "there is no /opt/none/bin/nvcc"), ("cuda", "absolute path")):
        with pytest.raises(UsageError, match=why):
            plan(named=wrong)


def test_without_a_cuda_torch_the_newest_is_taken() -> None:
    assert plan(torch=None).wants["env CUDA_HOME"] == "/usr/local/cuda-13.0"
    with pytest.raises(UsageError, match="no CUDA toolkit here"):
        plan(Toolkit(), torch=None)
    with pytest.raises(UsageError, match="ROCm"):
        plan(torch=replace(TORCH, cuda="", hip="6.3"))


def test_a_toolkit_that_may_only_be_run_is_known_by_its_name() -> None:
    root = "/opt/cuda-12.4"
    closed = {f"{root}/bin/nvcc", f"{root}/version.json", f"{root}/version.txt"}
    made = plan(named=root, files=Unreadable(closed, {f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n"}))
    assert made.wants["env CUDA_HOME"] == root
    assert "12.4" in told(made)


def test_a_script_of_the_environment_that_cannot_be_read_is_named(conda: Path) -> None:
    with pytest.raises(UsageError, match=r"envdoctor-cuda-path.sh cannot be read \(Permission denied\)"):
        plan(python=Python("/c/bin/python", conda=str(conda)), files=Unreadable())


def test_a_folder_that_no_list_can_hold() -> None:
    with pytest.raises(UsageError, match="colon"):
        plan(named="/opt/a:b", files=Files({"/opt/a:b/bin/nvcc": b""}))


@pytest.mark.parametrize("shell", SHELLS)
def test_real_shells_find_it_first(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(shell, tmp_path, monkeypatch)
    home.write(
        {
            ".bashrc": "export CUDA_HOME=/usr/local/cuda-11.8\nexport PATH=/usr/local/cuda-11.8/bin:$PATH\n",
            ".profile": ". ~/.bashrc\n" if shell == "bash" else "export CUDA_HOME=/usr/local/cuda-11.8\n",
            ".zshrc": "export CUDA_HOME=/usr/local/cuda-11.8\nexport PATH=/usr/local/cuda-11.8/bin:$PATH\n",
            ".config/fish/config.fish": "set -gx CUDA_HOME /old\nfish_add_path /usr/local/cuda-11.8/bin\n",
        }
    )
    made = plan(shell=replace(home.facts(), modules=()), files=home.files())
    home.apply(made.edits)
    the_fix: Any = load.everything().fixes["cuda-path"]
    assert [one.say("en") for one in the_fix.verify(made, home.new_shells(), home.facts())] == []
    assert plan(shell=replace(home.facts(), modules=()), files=home.files()).edits == ()


def test_what_wins_over_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("bash", tmp_path, monkeypatch)
    home.write(
        {
            ".bashrc": "[ -t 0 ] || true\n",
            ".profile": ". ~/.bashrc\nif true; then\n  PATH=/usr/local/cuda-11.8/bin:$PATH\nfi\n",
        }
    )
    made = plan(shell=replace(home.facts(), modules=()), files=home.files())
    home.apply(made.edits)
    the_fix: Any = load.everything().fixes["cuda-path"]
    (against,) = the_fix.verify(made, home.new_shells(), home.facts())
    assert f"{home.folder}/.profile:3 sets it" in against.say("en")


@pytest.fixture
def conda(tmp_path: Path) -> Path:
    """A folder with what `conda activate` looks at."""
    (tmp_path / "env" / "conda-meta").mkdir(parents=True)
    return tmp_path / "env"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash"])
@pytest.mark.parametrize("before", ["", "/it's old"])
def test_the_scripts_of_a_conda_environment(shell: str, before: str, conda: Path) -> None:
    made = plan(python=Python("/c/bin/python", conda=str(conda)))
    assert made.wants == {
        "activated CUDA_HOME": "/usr/local/cuda-12.6",
        "activated CUDACXX": "/usr/local/cuda-12.6/bin/nvcc",
    }
    for edit in made.edits:
        path = Path(edit.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(edit.after or b"")
    ending = "fish" if shell == "fish" else "sh"
    tell = f'{sys.executable} -I -S -c \'import os; print([os.environ.get(n) for n in ("CUDA_HOME", "CUDACXX")])\''
    say = "source" if shell == "fish" else "."
    # As conda does: every script in the folder, in this very shell.
    script = "\n".join(
        line
        for when in ("activate", "deactivate")
        for line in (f"{say} {conda}/etc/conda/{when}.d/envdoctor-cuda-path.{ending}", tell)
    )
    options = {"fish": ["--no-config"], "zsh": ["-f", "-u"], "bash": ["-u"], "dash": ["-u"]}[shell]
    env = {"PATH": "/usr/bin:/bin", **({"CUDA_HOME": before} if before else {})}
    done = subprocess.run(
        [needs.program(shell), *options, "-c", script], env=env, capture_output=True, text=True, timeout=30
    )
    assert not done.stderr
    on, off = done.stdout.splitlines()
    assert on == "['/usr/local/cuda-12.6', '/usr/local/cuda-12.6/bin/nvcc']"
    assert off == f"[{before or None!r}, None]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_new_shell_with_the_environment_active_has_it(
    shell: str, conda: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    home = home_of(shell, tmp_path / "home", monkeypatch)
    made = plan(python=Python("/c/bin/python", conda=str(conda)), shell=home.facts())
    the_fix: Any = load.everything().fixes["cuda-path"]
    monkeypatch.setattr(sys, "prefix", str(conda))
    (absent,) = the_fix.verify(made, home.new_shells(), home.facts())
    assert "are not there" in absent.say("en")
    home.apply(made.edits)
    assert [one.say("en") for one in the_fix.verify(made, home.new_shells(), home.facts())] == []
