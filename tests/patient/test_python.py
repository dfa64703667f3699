"""envdoctor/patient/python.py and broken_python.py: real venvs, whole and broken, and other Pythons."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from envdoctor.patient import broken_python
from envdoctor.patient import python as observer
from envdoctor.testing import topic_file
from envdoctor.transport import local
from envdoctor.transport.target import Target
from tests import CHECKS, needs
from tests.patient.fake_torch import environment, site_packages, startup

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


def look(python: Path, folder: Path, environ: dict[str, str] | None = None, limit_s: float = 10.0) -> dict[str, Any]:
    request = local.Request(
        limit_s=limit_s, quick=True, only=("python",), environ={**os.environ, **(environ or {})}, folder=str(folder)
    )
    answer, _ = local.examine_target(Target(str(python), "asked"), request)
    value: dict[str, Any] = answer.values["python"]
    return value


def training_path(python: Path, folder: Path, **environ: str) -> list[str]:
    """sys.path of a script in this folder, as the interpreter itself says it."""
    script = folder / "say_path.py"
    script.write_text("import sys; print('\\n'.join(sys.path))")
    said = subprocess.run(
        [python, str(script)], cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, **environ}
    )
    script.unlink()
    return said.stdout.splitlines()


def test_a_venv(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None)
    told = look(python, tmp_path)
    assert told["version"] == sys.version.split()[0]
    assert told["tag"] == f"cp{MINOR.replace('.', '')}"
    assert told["venv"] == told["prefix"] == str(tmp_path / "env")
    assert told["venv_version"] == told["version"]
    assert told["base_prefix"] == sys.base_prefix
    assert told["user_site"] == "" and told["shadows"] == [] and not told.get("failure")
    assert told["ssl"].startswith("OpenSSL")
    assert told["path"] == training_path(python, tmp_path)


def test_the_path_of_a_training_run(tmp_path: Path) -> None:
    base = sys.base_prefix + f"/bin/python{MINOR}"
    if not os.path.exists(base):
        pytest.skip("the base Python lies elsewhere")
    home = tmp_path / "home"
    user = home / ".local" / "lib" / f"python{MINOR}" / "site-packages"
    user.mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (user / "own.pth").write_text(f"# mine\nimport os\n{tmp_path}/project\n/nowhere\n")
    more = {"HOME": str(home), "PYTHONPATH": f"{tmp_path}:relative", "PYTHONUSERBASE": str(home / ".local")}
    told = look(Path(base), tmp_path, more)
    assert told["path"] == training_path(Path(base), tmp_path, **more)
    assert told["user_site"] == str(user)
    assert str(user) not in told["isolated_path"]
    without = {**more, "PYTHONNOUSERSITE": "1"}
    assert look(Path(base), tmp_path, without)["path"] == training_path(Path(base), tmp_path, **without)


def test_only_what_torch_imports_is_a_shadow(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None)
    (tmp_path / "work").mkdir()
    for name in ("random.py", "numpy/__init__.py", "json/data.txt", "datasets/__init__.py", "utils.py", "sys.py"):
        place = tmp_path / "work" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "types.so").write_text("")
    told = look(python, tmp_path / "work", {"PYTHONPATH": str(tmp_path / "more")})
    names = ["work/numpy/__init__.py", "work/random.py", "more/types.so"]
    assert told["shadows"] == [str(tmp_path / name) for name in names]
    library = sysconfig.get_path("stdlib")
    assert look(python, Path(library))["shadows"] == [], "the library does not hide itself"


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None)
    gone = tmp_path / "gone"
    source = (
        "from envdoctor.transport import local\n"
        f"answer = local.examine({str(python)!r}, local.Request(limit_s=10, quick=True, only=('python',)))\n"
        "print(answer.values['python']['path'])"
    )
    gone.mkdir()
    root = Path(local.__file__).parents[2]
    done = subprocess.run(
        ["sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh", sys.executable, "-c", source],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert str(root) in done.stdout and str(gone) not in done.stdout, done.stderr


def test_a_venv_whose_base_was_removed(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "bin").mkdir(parents=True)
    real = os.path.realpath(sys.executable)
    shutil.copy2(real, base / "bin" / f"python{MINOR}")
    (base / "lib").symlink_to(Path(sys.base_prefix) / "lib")
    made = [str(base / "bin" / f"python{MINOR}"), "-m", "venv", "--without-pip", str(tmp_path / "env")]
    if subprocess.run(made, capture_output=True).returncode != 0:
        pytest.skip("a copy of this Python makes no venv")
    (site_packages(tmp_path / "env") / "mine.py").write_text("")
    shutil.rmtree(base)
    told = look(tmp_path / "env" / "bin" / "python", tmp_path)
    assert told["failure_kind"] == "dangling"
    assert told["failure_about"] == str(base / "bin" / f"python{MINOR}")
    assert told["venv"] == str(tmp_path / "env")
    assert told["venv_home"] == str(base / "bin")
    assert told["venv_packages_of"] == [MINOR]


def test_the_command_that_mends_such_a_venv_mends_it(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None, files={"mine.py": "VALUE = 7\n"})
    python.with_name(f"python{MINOR}").unlink(missing_ok=True)
    python.unlink()
    python.symlink_to("/gone/python")
    relink = f"rm {tmp_path}/env/bin/python* && {sys.executable} -m venv --upgrade --without-pip {tmp_path}/env"
    subprocess.run(relink, shell=True, check=True)
    said = subprocess.run([python, "-c", "import mine; print(mine.VALUE)"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "7"


def test_a_venv_that_was_moved_and_the_command_that_mends_it(tmp_path: Path) -> None:
    environment(tmp_path / "old", None)
    pip = tmp_path / "old" / "bin" / "pip"
    script(pip, f"#!{tmp_path}/old/bin/python3\nprint('pip here')\n")
    assert look(tmp_path / "old" / "bin" / "python", tmp_path)["scripts_python"] == f"{tmp_path}/old/bin/python3"
    (tmp_path / "link").symlink_to("old")
    assert look(tmp_path / "link" / "bin" / "python", tmp_path)["scripts_python"] == f"{tmp_path}/link/bin/python3"
    new = tmp_path / "new"
    (tmp_path / "old").rename(new)
    told = look(new / "bin" / "python", tmp_path)
    assert (told["scripts_python"], told["scripts_python_exists"]) == (f"{tmp_path}/old/bin/python3", False)
    moved = next(problem for problem in topic_file(CHECKS / "python.py").problems if problem.code == "venv-moved")
    assert moved.command
    subprocess.run(moved.command.format(named=told["scripts_python"], folder=new), shell=True, check=True)
    assert subprocess.run([new / "bin" / "pip"], capture_output=True, text=True, check=True).stdout == "pip here\n"


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ("#!/x/bin/python3.11\n", "/x/bin/python3.11"),
        ('#!/bin/sh\n\'\'\'exec\' "/a b/bin/python" "$0" "$@"\n', "/a b/bin/python"),
        ("#!/bin/sh\n'''exec' /long/bin/python \"$0\" \"$@\"\n", "/long/bin/python"),
        ("#!/usr/bin/env python\n", ""),
        ("#!/bin/bash\n", ""),
        ("", ""),
    ],
)
def test_who_runs_a_program(tmp_path: Path, head: str, named: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").write_text(head)
    assert observer.scripts_python(str(tmp_path)) == named


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_bytes(text.encode("latin-1"))
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "kind", "about"),
    [
        ("#!/bin/sh\necho libpython3.9.so.1.0: cannot open shared object file >&2\nexit 127\n", "library",
         "libpython3.9.so.1.0"),
        ("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'encodings'\" >&2\nexit 1\n", "stdlib", ""),
        ("#!/bin/sh\necho 'Unknown option: -I' >&2\nexit 2\n", "too-old", ""),
        ("#!/bin/sh\nexit 5\n", "other", ""),
        ("\x7fELF\x02\x01\x01" + 9 * "\0" + "\x02\0\xb7\0" + 44 * "\0", "foreign", "aarch64"),
    ],
)  # fmt: skip
def test_why_a_python_does_not_start(tmp_path: Path, text: str, kind: str, about: str) -> None:
    if kind == "foreign" and os.uname().machine == "aarch64":
        pytest.skip("this machine is the foreign one")
    told = look(script(tmp_path / "python", text), tmp_path)
    assert (told["failure_kind"], told["failure_about"]) == (kind, about)


def test_no_python_at_all(tmp_path: Path) -> None:
    assert look(tmp_path / "python", tmp_path)["failure_kind"] == "absent"
    (tmp_path / "folder").mkdir()
    assert broken_python.kind_of(str(tmp_path / "folder"), "")[0] == "absent"
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert broken_python.kind_of(str(tmp_path / "a"), "") == ("dangling", "itself (a loop of links)")


def test_a_file_that_may_not_be_executed(tmp_path: Path) -> None:
    told = look(script(tmp_path / "python", "#!/bin/sh\n", 0o644), tmp_path)
    assert told["failure_kind"] == "denied"


def test_python_2_is_too_old_and_says_its_version(tmp_path: Path) -> None:
    told = look(Path(needs.python("2.7")), tmp_path)
    assert told["failure_kind"] == "too-old"
    assert told["version"].startswith("2.7.")


@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [("import time\n\ntime.sleep(600)\n", "silent", 3), ("raise SystemExit(4)\n", "startup", 1)],
)
def test_a_start_up_file_that_hangs_or_ends_it_is_named(tmp_path: Path, source: str, kind: str, line: int) -> None:
    python = environment(tmp_path / "env", None, files=startup(source))
    told = look(python, tmp_path, limit_s=3.0)
    place = site_packages(tmp_path / "env") / "startup_hook.py"
    assert (told["failure_kind"], told["failure_about"]) == (kind, f"{place}:{line}")
    assert not list(tmp_path.glob("core*"))


def test_whether_packages_may_be_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "lib" / "site-packages"
    own.mkdir(parents=True)
    monkeypatch.setattr("sys.path", ["/usr/lib/python3.11", str(own)])
    assert observer.writable()
    monkeypatch.setattr("sys.path", ["/usr/lib/python3.11", str(own / "gone" / "site-packages")])
    assert not observer.writable()
    monkeypatch.setattr("sys.path", ["/usr/lib/python3.11"])
    assert not observer.writable()
