"""envdoctor/patient/fresh.py: our own modules get into a new interpreter, from files or from memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.patient import fresh, torch_import

PROBE = "import sys\ndef main(request):\n    print(request['word'], __file__, sys.stdin.read() == '')\n"


def test_a_module_from_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "marshal.py").write_text("raise SystemExit('a file of the user came first')\n")
    monkeypatch.setattr(fresh, "SOURCES", {"envdoctor_patient.probe": PROBE, fresh.BINDING: "x = 1\n" * 1000})
    given = fresh.given()
    assert given is not None and len(given) < 1000, "the binding stays behind"
    done = subprocess.run(
        [sys.executable, "-c", fresh.code("probe", {"word": "seen"})],
        stdin=fresh.in_memory(given), capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.split() == ["seen", "<envdoctor_patient.probe>", "True"], done.stderr


@pytest.mark.parametrize("without", [False, True])
def test_bytes_of_any_size_are_read_from_the_start(without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a Python that has no files in memory."""
    if without:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = fresh.in_memory(b"12345678" * 100_000)
    with open(descriptor, "rb") as file:
        assert file.read() == b"12345678" * 100_000


def test_from_files_nothing_is_given() -> None:
    assert fresh.given() is None
    assert str(Path(fresh.__file__).parent) in fresh.code("torch_import", {})


def test_the_mark_of_a_beginning_is_the_one_that_is_looked_for() -> None:
    """The module that imports torch may import nothing of ours before."""
    assert torch_import.BEGUN == fresh.MARK
