"""envdoctor/cli/snapshot.py: what of it needs no other host, see test_elsewhere.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.cli import snapshot
from envdoctor.cli.app import run
from envdoctor.errors import EnvdoctorError


def test_json_may_be_asked_for_as_of_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "envdoctor/snapshot/1"


def test_where_one_file_cannot_be_written_none_is_left(tmp_path: Path) -> None:
    """Some of the machines would be judged as if they were all."""
    files = [tmp_path / "a.json", tmp_path / "b.json", tmp_path / "missing" / "c.json"]
    with pytest.raises(EnvdoctorError, match=r"cannot write .*c\.json"):
        snapshot._write(files, ["{}", "{}", "{}"])
    assert list(tmp_path.iterdir()) == []

    def interrupted() -> Iterator[str]:
        yield "{}"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        snapshot._write(files[:2], interrupted())
    assert list(tmp_path.iterdir()) == []
    snapshot._write(files[:2], ["{}", "[]"])
    assert (tmp_path / "b.json").read_text() == "[]"
