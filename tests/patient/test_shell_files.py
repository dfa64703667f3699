"""envdoctor/patient/shell_files.py: real homes, what real shells would run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.patient import reading, shell_files
from envdoctor.patient.sections import Ask

CONDA = """
# >>> conda initialize >>>
# !! Contents within this block are managed by 'conda init' !!
export PATH="/home/me/miniconda3/bin:$PATH"
# <<< conda initialize <<<
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own: root of the file system, and a home on it."""
    folder = tmp_path / "home/me"
    folder.mkdir(parents=True)
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    for name in ("CONDA_EXE", "ZDOTDIR", "MODULEPATH", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    monkeypatch.setenv("PATH", "/bin:/usr/local/cuda/bin")
    monkeypatch.setattr(shell_files, "login_shell", lambda: "/bin/bash")
    return folder


def make(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def told() -> dict[str, Any]:
    return shell_files.shell_files(Ask({}))


def test_an_empty_home(home: Path) -> None:
    assert told() == {
        "shell": "zsh", "home": "/home/me", "files": [], "conda_roots": [], "conda": "", "toolkits": [], "nvcc": "",
        "modules": [], "module_folders": [], "login_shell": "bash", "zdotdir": "", "config_home": "", "sbatch": "",
    }  # fmt: skip


def test_lines_that_matter_are_told_with_their_place(home: Path) -> None:
    make(home.parent.parent / "opt/cuda-12.4/lib64/x")
    make(
        home / ".bashrc",
        "# export CUDA_HOME=/commented\n"
        "alias ll='ls -l'\n"
        "export CUDA_HOME=/opt/cuda-11.8\n"
        'export LD_LIBRARY_PATH="/opt/cuda-12.4/lib64:$HOME/lib:$LD_LIBRARY_PATH"   # both\n'
        "export NCCL_DEBUG=INFO\n"
        "export HF_TOKEN=hf_secret\n"
        "export PIP_KEYRING_PASSWORD=x\n"
        "module load cuda/12.4 gcc\n"
        ". /opt/conda/etc/profile.d/conda.sh\n" + CONDA,
    )
    (file,) = told()["files"]
    assert (file["path"], file["shell"]) == ("/home/me/.bashrc", "bash")
    assert [(line["line"], line["kind"], line.get("name"), line.get("missing")) for line in file["lines"]] == [
        (3, "setting", "CUDA_HOME", ["/opt/cuda-11.8"]),
        (4, "setting", "LD_LIBRARY_PATH", ["/home/me/lib"]),
        (5, "setting", "NCCL_DEBUG", []),
        (8, "module", None, None),
        (9, "conda-hook", None, None),
        (11, "conda-block", None, None),
    ]
    assert "secret" not in str(file)


def test_fish_and_zsh_have_their_own_words(home: Path) -> None:
    make(home / ".config/fish/config.fish", "set -gx CUDA_HOME /gone\nfish_add_path -p /gone/bin\nset -x x y\n")
    make(home / ".config/fish/conf.d/conda.fish", "source /opt/conda/etc/fish/conf.d/conda.fish\n")
    make(home / ".zshrc", CONDA + "path+=(/gone)\nCUDA_VISIBLE_DEVICES=0\n")
    files = {file["path"]: file["lines"] for file in told()["files"]}
    assert [(line["name"], line["missing"]) for line in files["/home/me/.config/fish/config.fish"]] == [
        ("CUDA_HOME", ["/gone"]),
        ("PATH", ["/gone/bin"]),
    ]
    assert files["/home/me/.config/fish/conf.d/conda.fish"][0]["kind"] == "conda-hook"
    assert [line["kind"] for line in files["/home/me/.zshrc"]] == ["conda-block", "setting"]


def test_installations_are_found_by_the_programs_they_hold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home.parent.parent
    make(home / "miniconda3/bin/conda")
    make(home / "anaconda3/readme")
    make(root / "srv/conda/condabin/conda")
    make(root / "usr/local/cuda-12.4/bin/nvcc")
    make(root / "usr/local/cuda-11.8/readme")
    (root / "usr/local/cuda").symlink_to(root / "usr/local/cuda-12.4")
    monkeypatch.setenv("CONDA_EXE", "/srv/conda/bin/conda")
    found = told()
    assert found["conda_roots"] == ["/srv/conda", "/home/me/miniconda3"]
    assert found["toolkits"] == ["/usr/local/cuda-12.4"]
    assert found["nvcc"] == "/usr/local/cuda/bin/nvcc"
    assert found["conda"] == ""


def test_modules_are_listed_from_their_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home.parent.parent
    for name in ("cuda/11.8.lua", "cuda/12.4.lua", "cuda/.version", "gcc/12", "Anaconda3/2024.02", "pytorch.lua"):
        make(root / "modules" / name)
    monkeypatch.setenv("MODULEPATH", "/modules:/no/such:relative")
    found = told()
    assert found["modules"] == ["Anaconda3/2024.02", "cuda/11.8", "cuda/12.4", "pytorch"]
    assert found["module_folders"] == ["/modules", "/no/such"]


def test_every_line_of_our_block_is_told(home: Path) -> None:
    make(
        home / ".bashrc",
        "export FOO=0\n# >>> envdoctor >>>\nexport FOO=1\nexport MY_TOKEN=x\n# <<< envdoctor <<<\nFOO=2\n",
    )
    (file,) = told()["files"]
    assert file["lines"] == [
        {
            "file": "/home/me/.bashrc", "line": 3, "kind": "setting", "name": "FOO", "value": "1", "missing": [],
            "ours": True,
        },
    ]  # fmt: skip


def test_files_are_looked_for_where_variables_say(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZDOTDIR", "/home/me/z")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/me/c")
    for name in (".zshenv", "z/.zshrc", "c/fish/config.fish", "c/fish/conf.d/a.fish", ".config/fish/config.fish"):
        make(home / name)
    assert [file["path"].replace("/home/me/", "") for file in told()["files"]] == [
        ".zshenv", "z/.zshrc", "c/fish/config.fish", "c/fish/conf.d/a.fish",
    ]  # fmt: skip


def test_the_login_shell_is_a_path() -> None:
    assert shell_files.login_shell() == "" or shell_files.login_shell().startswith("/")


def test_a_fifo_or_binary_in_place_of_a_start_up_file_stops_nobody(home: Path) -> None:
    import os

    os.mkfifo(home / ".bashrc")
    (home / ".profile").write_bytes(bytes(range(256)) * 100)
    assert all(file["lines"] == [] for file in told()["files"])


@given(st.text(max_size=80))
def test_no_line_breaks_it(line: str) -> None:
    found = shell_files.setting(line)
    if found is not None:
        assert all(folder.startswith("/") for folder in shell_files.missing_folders(found[1]))


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("cd /data/project", "/data/project"),
        ("[ -n \"$PS1\" ] && cd '/data/project'", "/data/project"),
        ("if true; then source /nfs/tools/env.sh; fi", "/nfs/tools/env.sh"),
        ('. "/nfs/tools/env.sh" || true', "/nfs/tools/env.sh"),
        ("cd -- /data", "/data"),
        ("cd /home/me/work", ""),
        ("source /etc/bashrc", ""),
        (". ~/.bash_aliases", ""),
        ("cd $WORK", ""),
        ("echo cd /data", ""),
        ("export DIR=/data", ""),
    ],
)
def test_what_a_start_up_file_enters(home: Path, line: str, path: str) -> None:
    make(home / ".bashrc", f"\n{line}\n")
    (file,) = shell_files.start_up_files()
    entered = [(told["line"], told["value"]) for told in file["lines"] if told["kind"] == "enters"]
    assert entered == ([(2, path)] if path else [])


def test_a_line_that_sets_something_and_enters_a_folder_tells_both(home: Path) -> None:
    make(home / ".bashrc", "export CUDA_HOME=/usr/local/cuda; . /nfs/tools/env.sh\n")
    (file,) = shell_files.start_up_files()
    assert [(told["kind"], told.get("name", "")) for told in file["lines"]] == [
        ("enters", ""),
        ("setting", "CUDA_HOME"),
    ]
