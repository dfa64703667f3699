"""Which Python is to be examined."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envdoctor import answering
from envdoctor.errors import UsageError
from envdoctor.model import Text

# How a target was chosen, in words for the report.
CHOICES = {
    "asked": Text("given with --python", "由 --python 指定"),
    "virtual-env": Text("the active venv", "当前激活的 venv"),
    "conda": Text("the active conda environment", "当前激活的 conda 环境"),
    "own": Text("envdoctor's own environment", "envdoctor 自身的环境"),
    "path": Text("the first Python on PATH", "PATH 中的第一个 Python"),
    "there": Text("the one that a shell there finds first", "该主机上的 shell 首先找到的 Python"),
    "last": Text("envdoctor's own Python, for want of another", "envdoctor 自身的 Python（没有别的可用）"),
}


@dataclass(frozen=True)
class Target:
    """The Python under examination: an absolute path, not resolved, and the key of CHOICES that says why."""

    python: str
    why: str


def _interpreter(folder: Path) -> Path:
    """The interpreter of an environment folder, whether or not it still works."""
    places = [
        folder / "bin" / "python",
        folder / "bin" / "python3",
        folder / "python.exe",
        folder / "Scripts" / "python.exe",
    ]
    # lexists: a venv whose base is gone holds a dangling link, which is just what is to be examined.
    return next((place for place in places if os.path.lexists(place)), places[0])


def _asked(given: str, environ: Mapping[str, str]) -> Path:
    path = Path(os.path.expanduser(given))
    if os.path.isdir(path):
        return _interpreter(path)
    if os.path.lexists(path) and ("/" in given or os.sep in given):
        return path
    if found := shutil.which(given, path=environ.get("PATH")):
        return Path(found)
    for base in _conda_roots(environ):
        if os.path.isdir(named := base / "envs" / given):
            return _interpreter(named)
    try:
        os.lstat(path)
    except PermissionError as error:
        raise UsageError(
            f"--python {given}: this user may not look there ({error.strerror})",
            f"--python {given}：当前用户无权查看（{error.strerror}）",
        ) from error
    except (OSError, ValueError):
        pass
    raise UsageError(
        f"--python {given}: neither a Python, an environment folder nor a conda environment; give a path",
        f"--python {given}：既不是 Python，也不是环境目录或 conda 环境；请给出路径",
    )


def _conda_roots(environ: Mapping[str, str]) -> list[Path]:
    executable = environ.get("CONDA_EXE") or shutil.which("conda", path=environ.get("PATH")) or ""
    roots = [Path(executable).parent.parent] if executable else []
    return [*roots, Path(os.path.expanduser("~/.conda"))]


def choose(asked: str = "", environ: Mapping[str, str] | None = None) -> Target:
    """The Python to examine: --python, the active venv, the active conda environment, the doctor's own if it holds
    torch, then the first `python` or `python3` on PATH.

    What is named and lies on a file system that does not answer is taken unseen; such a folder on PATH is passed over.

    Raises:
        UsageError: --python names nothing that could be a Python.
    """
    environ = os.environ if environ is None else environ
    environ = {**environ, "PATH": answering.search_path(environ.get("PATH"))}
    if asked:
        if "/" in asked and os.path.isabs(named := os.path.expanduser(asked)) and not answering.answers(named):
            return Target(os.path.normpath(named), "asked")
        try:
            return Target(os.path.abspath(_asked(asked, environ)), "asked")
        except FileNotFoundError as error:
            raise UsageError(
                f"--python {asked}: the working directory is gone; give an absolute path",
                f"--python {asked}：当前工作目录已不存在；请给出绝对路径",
            ) from error
    for variable, why in (("VIRTUAL_ENV", "virtual-env"), ("CONDA_PREFIX", "conda")):
        if folder := environ.get(variable):
            if not answering.answers(folder):
                return Target(os.path.join(os.path.abspath(folder), "bin", "python"), why)
            place = _interpreter(Path(folder))
            # A conda environment without a Python of its own is common (base tools only). A venv without one is
            # gone, or not this user's to read: what it was activated for does not work.
            if os.path.lexists(place) or why == "virtual-env":
                return Target(os.path.abspath(place), why)
    if _holds_torch():
        return Target(sys.executable, "own")
    for name in ("python", "python3"):
        if found := shutil.which(name, path=environ.get("PATH")):
            return Target(os.path.abspath(found), "path")
    return Target(sys.executable, "last")


def _holds_torch() -> bool:
    return any(
        os.path.isdir(os.path.join(entry, "torch"))
        for entry in sys.path
        if "site-packages" in entry or "dist-packages" in entry
    )
