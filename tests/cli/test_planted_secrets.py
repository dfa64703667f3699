"""Passwords in the configuration of pip, conda and uv never leave the machine, in a report or in a snapshot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRETS = ("hunter22secret", "tok%20en99", "swordfish77", "conda_pw_88", "uvpass_77", "prxy_pw_55")
PIP = """[global]
index-url = https://ada:hunter22secret@pypi.douban.com/simple
extra-index-url = http://bob:tok%20en99@x.example/simple
proxy = http://p:prxy_pw_55@proxy.example:3128
[Global]
index-url = https://carol:swordfish77@x.example/simple
"""
CONDA = "channels:\n  - https://dave:conda_pw_88@conda.example/cloud/main/main\n"
UV = '[[index]]\nurl = "https://eve:uvpass_77@nexus.example/simple"\ndefault = true\n'


@pytest.mark.parametrize("verb", [["check", "--json"], ["check", "-v"], ["snapshot"]], ids=lambda verb: "-".join(verb))
def test_no_planted_secret_is_told(verb: list[str], tmp_path: Path) -> None:
    for place, text in ((".config/pip/pip.conf", PIP), (".condarc", CONDA), ("work/uv.toml", UV)):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "XDG_", "UV_", "CONDA"))}
    argv = [sys.executable, "-m", "envdoctor", *verb, "--quick"]
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=tmp_path / "work", env={**kept, "HOME": str(tmp_path)}, timeout=60
    )
    told = done.stdout + done.stderr
    assert "pypi.douban.com" in told and "conda.example" in told
    assert [secret for secret in SECRETS if secret in told] == []
