"""The recipes of README.md, as a reader would copy them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests import ROOT

README = ROOT / "README.md"


def block(language: str, about: str) -> str:
    """The code block of a language that holds some words.

    Raises:
        AssertionError: there is none, or more than one.
    """
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    (found,) = (one for one in blocks if about in one)
    assert isinstance(found, str)
    return found


def slurm_script(folder: Path, doctor: str = "", topics: str = "", patient: bool = False, more: str = "") -> Path:
    """The script for slurm.conf in `folder`.

    Args:
        doctor: a shell script to stand for envdoctor; the installed one by default.
        topics: that it looks at, instead of the README's.
        patient: it waits longer, as a busy test machine needs.
        more: lines at its head.
    """
    program = folder / "doctor"
    ours = f'PYTHONPATH={ROOT} exec {sys.executable} -m envdoctor "$@"'
    program.write_text(f"#!/bin/sh\n{doctor or ours}\n")
    text = block("sh", "scontrol update")
    for old, new in (
        ("/opt/envdoctor/bin/envdoctor", str(program)),
        ('TOPICS="driver gpu gpu-health nvlink rdma disk"', f'TOPICS="{topics}"' if topics else ""),
        ("timeout -k 1 7", "timeout -k 1 50" if patient else ""),
        ("--timeout 5", "--timeout 40" if patient else ""),
        ("timeout 1 ", "timeout 20 " if patient else ""),
        ("export PATH\n", f"export PATH\n{more}\n"),
    ):
        assert old in text, f"the recipe has no {old!r}"
        text = text.replace(old, new or old)
    script = folder / "envdoctor"
    script.write_text(text)
    for file in (script, program):
        file.chmod(0o755)
    return script
