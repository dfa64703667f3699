"""`envdoctor fix` on start-up files: applied, proven by new shells, changing nothing again, taken back to the byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.checks.test_conda_path import install
from tests.edits.test_start_up import DEBIAN, SOURCES

FILES = {
    "bash": {".bashrc": DEBIAN + b"# caf\xe9\nexport HF_ENDPOINT=https://old\n", ".profile": SOURCES},
    "zsh": {".zshrc": b"alias l=ls\nexport HF_ENDPOINT=https://old"},
    "fish": {".config/fish/config.fish": b"set -gx HF_ENDPOINT https://old\r\n"},
}


@dataclass
class User:
    """Somebody with a home folder and a shell."""

    home: Path
    shell: str

    def content(self) -> dict[str, bytes]:
        """All files but envdoctor's own records."""
        found = (path for path in self.home.rglob("*") if path.is_file() and ".local" not in path.parts)
        return {str(path.relative_to(self.home)): path.read_bytes() for path in found}

    def run(self, *arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
        """`envdoctor fix` with --json: exit status and the document."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", "envdoctor", "fix", *arguments, "--json"],
            env={**kept, "HOME": str(self.home), "SHELL": self.shell, **variables},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        told = json.loads(done.stdout) if done.stdout else {}
        assert isinstance(told, dict) and "Traceback" not in done.stderr, done.stderr
        return done.returncode, told


@pytest.fixture(params=["bash", "zsh", "fish"])
def user(request: pytest.FixtureRequest, tmp_path: Path) -> User:
    home = tmp_path / "home"
    for name, content in FILES[request.param].items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    return User(home, needs.program(request.param))


def test_a_variable_is_set_proven_and_taken_back(user: User) -> None:
    before = user.content()
    status, told = user.run("env", "HF_ENDPOINT=https://hf-mirror.com", "--yes")
    assert (status, told["state"], told["not_in_effect"]) == (0, "applied", [])
    after = user.content()
    assert after != before
    assert user.run("env", "HF_ENDPOINT=https://hf-mirror.com", "--yes")[1]["state"] == "nothing-to-do"
    assert user.run("env", "HF_ENDPOINT=https://other", "--diff")[0] == 1
    assert user.content() == after
    assert user.run("--undo", "--yes")[0] == 0
    assert user.content() == before


def test_what_wins_over_it_is_no_success(user: User) -> None:
    late = {
        "bash": (".bashrc", DEBIAN + b"if true; then\n  export NCCL_DEBUG=INFO\nfi\n"),
        "zsh": (".zshrc", b"if true; then\n  export NCCL_DEBUG=INFO\nfi\n"),
        "fish": (".config/fish/config.fish", b"if true\n  set -gx NCCL_DEBUG INFO\nend\n"),
    }
    name, content = late[Path(user.shell).name]
    (user.home / name).write_bytes(content)
    status, told = user.run("env", "NCCL_DEBUG=WARN", "--yes")
    assert (status, told["state"]) == (1, "not-effective")
    assert any(f"{name}:" in why and "NCCL_DEBUG is INFO" in why for why in told["not_in_effect"])


def test_refusals_are_usage_errors(user: User) -> None:
    before = user.content()
    for words in (("HF_TOKEN=x",), ("NOT-A-NAME=x",), ("PATH=/x",), ()):
        assert user.run("env", *words, "--yes")[0] == 2
    assert user.content() == before


def test_a_toolkit_is_found_by_new_shells(user: User, tmp_path: Path) -> None:
    before, root = user.content(), tmp_path / "cuda-12.4"
    (root / "bin").mkdir(parents=True)
    (root / "bin/nvcc").write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.4, V12.4.131'\n")
    (root / "bin/nvcc").chmod(0o755)
    status, told = user.run("cuda-path", "--toolkit", str(root), "--yes")
    assert (status, told["state"], told["not_in_effect"]) == (0, "applied", [])
    assert user.run("cuda-path", "--toolkit", str(root), "--yes")[1]["state"] == "nothing-to-do"
    assert user.run("--undo", "--yes")[0] == 0
    assert user.content() == before


def test_conda_is_known_to_new_shells(user: User) -> None:
    before = user.content()
    root = install(user.home / "miniconda3")
    known = user.content()
    status, told = user.run("conda-path", "--root", str(root), "--yes")
    assert (status, told["state"], told["not_in_effect"]) == (0, "applied", [])
    assert user.run("--undo", "--yes")[0] == 0
    assert user.content() == known and before.items() <= known.items()


def test_a_folder_that_hides_the_driver_goes(user: User, tmp_path: Path) -> None:
    stubs = tmp_path / "cuda/lib64/stubs"
    stubs.mkdir(parents=True)
    line = {"fish": f"set -gx LD_LIBRARY_PATH {stubs} /opt/x\n"}.get(
        Path(user.shell).name, f"export LD_LIBRARY_PATH={stubs}:/opt/x\n"
    )
    name = next(iter(FILES[Path(user.shell).name]))
    (user.home / name).write_bytes(FILES[Path(user.shell).name][name].rstrip() + b"\n" + line.encode())
    before = user.content()
    status, told = user.run("library-path", "--yes", LD_LIBRARY_PATH=f"{stubs}:/opt/x")
    assert (status, told["state"], told["not_in_effect"]) == (0, "applied", [])
    assert str(stubs).encode() not in user.content()[name].rpartition(b"\n# >>>")[0]
    assert user.run("--undo", "--yes")[0] == 0
    assert user.content() == before


def test_by_hand_fixes_end_with_1_and_change_nothing(user: User) -> None:
    before = user.content()
    status, told = user.run("hosts", "--diff")
    assert status in (0, 1, 2) and user.content() == before
    if told.get("by_hand"):
        assert status == 1
