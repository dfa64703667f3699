"""The real pip, in several versions, and a tree of the places in which it looks for its configuration."""

from __future__ import annotations

import ensurepip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import ROOT

PATIENT = ROOT / "envdoctor" / "patient"
ORACLE = Path(__file__).with_name("pip_oracle.py")


def wheels() -> list[str]:
    """The pip of this environment, the one Python brings, and those in the folder ENVDOCTOR_PIP_WHEELS names."""
    bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    further = sorted(Path(folder).glob("pip-*.whl")) if (folder := os.environ.get("ENVDOCTOR_PIP_WHEELS")) else []
    return ["", *(str(path) for path in bundled + further)]


class Pip:
    """A pip that stays at hand in a process of its own."""

    def __init__(self, wheel: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        if wheel:
            environ["PYTHONPATH"] = wheel
        argv = [sys.executable, "-B", str(ORACLE), str(PATIENT)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)
        self.version = self._answer()["version"]

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, environ: dict[str, str], prefix: Path) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"environ": environ, "prefix": str(prefix)}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(10)


class Tree:
    """The folders in which pip looks, all in one place."""

    def __init__(self, top: Path) -> None:
        self.files = {
            "xdg": top / "xdg/pip/pip.conf",
            "xdg2": top / "xdg2/pip/pip.conf",
            "legacy": top / "home/.pip/pip.conf",
            "user": top / "home/.config/pip/pip.conf",
            "site": top / "venv/pip.conf",
            "extra": top / "extra.conf",
        }
        for path in self.files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        self.prefix = top / "venv"
        self.environ = {
            "HOME": str(top / "home"),
            "XDG_CONFIG_DIRS": f"{top / 'xdg'}:{top / 'xdg2'}",
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
        }

    def write(self, contents: dict[str, bytes]) -> None:
        for name, path in self.files.items():
            path.unlink(missing_ok=True)
            if name in contents:
                path.write_bytes(contents[name])
