"""The line is read by real shells, as sshd has a login shell read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.errors import UsageError
from envdoctor.transport import commands
from tests import needs

PROGRAM = "import sys;print(sys.executable, 'it''s me', sys.stdin.readline().strip())"
SHELLS = {"sh": "dash", "bash": "bash", "zsh": "zsh", "csh": "tcsh", "tcsh": "tcsh", "fish": "fish", "ksh": "ksh"}


def run(shell: str, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = needs.program(shell, SHELLS[shell])
    return subprocess.run(
        [path, "-c", line], input="a line\n", capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/", **variables},
    )  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_it(shell: str) -> None:
    done = run(shell, commands.start(sys.executable, PROGRAM))
    assert done.stdout.split(maxsplit=1) == [sys.executable, "its me a line\n"], done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "hostile", ["$(touch pwned)", "`touch pwned`", "it's; touch pwned", '"; touch pwned; "', "{touch,pwned}", "~ * #"]
)
def test_no_shell_runs_a_path(shell: str, hostile: str, tmp_path: Path) -> None:
    folder = tmp_path / hostile
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    path = needs.program(shell, SHELLS[shell])
    done = subprocess.run(
        [path, "-c", commands.start(str(folder / "python"), PROGRAM)], input="", capture_output=True, text=True,
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": "/"},
    )  # fmt: skip
    assert done.stdout.startswith(str(folder)), done.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("path", ["/a!b/python", "/a\\b/python", "/a\nb/python"])
def test_what_shells_read_in_different_ways_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="cannot be named on other hosts"):
        commands.start(path, PROGRAM)


def test_without_that_python_the_venv_then_the_path(tmp_path: Path) -> None:
    for name in ("venv", "conda"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").symlink_to(sys.executable)
    both = {"VIRTUAL_ENV": str(tmp_path / "venv"), "CONDA_PREFIX": str(tmp_path / "conda")}
    line = commands.start("/nowhere/python", PROGRAM)
    assert run("sh", line, **both).stdout.startswith(str(tmp_path / "venv"))
    assert run("sh", line, CONDA_PREFIX=both["CONDA_PREFIX"]).stdout.startswith(str(tmp_path / "conda"))
    own = tmp_path / "own"
    own.mkdir()
    (own / "python").write_text("#!/bin/sh\nexit 1\n")  # as Python 2 says of an option it does not know
    (own / "python").chmod(0o755)
    (own / "python3").symlink_to(sys.executable)
    assert run("sh", line, PATH=str(own)).stdout.startswith(str(own / "python3"))


@pytest.mark.parametrize("shell", SHELLS)
def test_another_python_stands_in(shell: str, tmp_path: Path) -> None:
    line = commands.stand_in("/nfs/it's gone/bin/python", PROGRAM)
    assert line is not None
    own = tmp_path / "bin"
    own.mkdir()
    (own / "python3").symlink_to(sys.executable)
    done = run(shell, line, PATH=f"/usr/bin:/bin:{own}")
    assert done.stdout.endswith("its me a line\n") and "it's gone" not in done.stdout, done.stderr
    assert commands.apart(done.stderr)[1] == done.stdout.split()[0]


def test_what_was_tried_last_is_told_apart_from_what_was_said() -> None:
    said = "motd\nenvdoctor tries /a/python\nenvdoctor tries /b b/python\nSegmentation fault\n"
    assert commands.apart(said) == ("motd\nSegmentation fault\n", "/b b/python")
    assert commands.apart("motd") == ("motd", "")
    assert commands.stand_in("/a!b/python", PROGRAM) is None


def test_no_python_at_all() -> None:
    done = run("sh", commands.start("/nowhere/python", PROGRAM), PATH="/nonexistent")
    assert done.returncode == commands.NO_PYTHON
    assert "envdoctor: no Python: neither /nowhere/python nor" in done.stderr
