"""envdoctor fix --undo and --history: what was changed since, what was interrupted, what ends the second look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from envdoctor import examination
from envdoctor.errors import Changed, ExaminationError, Interrupted, UsageError
from envdoctor.journal import Journal
from tests.cli.fixing import POURED, conf, fix, home

__all__ = ["fix", "home"]  # fixtures


def test_undo_of_what_was_changed_since_shows_the_difference(
    home: Path, fix: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fix("tea", "--yes")
    conf(home).write_text(POURED + "timeout = 5\n")
    with pytest.raises(Changed, match="has been changed since") as caught:
        fix("--undo", "--yes")
    assert caught.value.exit_code == 1 and "又被修改，因此未撤销任何内容" in caught.value.zh
    assert "+timeout = 5" in capsys.readouterr().err
    assert conf(home).read_text() == POURED + "timeout = 5\n"
    conf(home).write_text(POURED)
    assert fix("--undo", "--yes")[0] == 0
    with pytest.raises(UsageError, match="no applied fix is left to undo"):
        fix("--undo", "--yes")
    (entry,) = Journal().entries()
    with pytest.raises(UsageError, match="is taken back already"):
        fix("--undo", entry.id, "--yes")


def test_undo_shows_and_asks_too(home: Path, fix: Any) -> None:
    fix("tea", "--yes")
    code, out, err = fix("--undo")
    assert (code, "-retries = 2" in out, "--yes` does" in err) == (1, True, True)
    assert fix("--undo", "--diff")[0] == 1
    assert conf(home).exists()
    conf(home).unlink()
    code, out, _ = fix("--undo", "--diff")
    assert (code, "every file is already as it was" in out) == (0, True)
    # Nothing would change: no question is needed.
    assert fix("--undo")[0] == 0


def test_an_interrupted_run_is_told_and_a_broken_record_named(
    home: Path, fix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()

    def killed(self: Journal, entry: Any) -> None:
        if entry.state == "applied":
            os._exit(9)
        write(self, entry)

    write = Journal.write
    if (child := os.fork()) == 0:
        monkeypatch.setattr(Journal, "write", killed)
        fix("tea", "--yes", "--quiet")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert conf(home).read_text() == POURED
    (entry,) = journal.entries()
    (journal.folder / "x.json").write_text("{")
    assert f"{entry.id} was interrupted" in fix(own=False)[2]
    code, out, err = fix("--history", own=False)
    assert (code, "interrupted" in out, "x.json cannot be read" in err) == (0, True, True)
    assert fix("--undo", "--yes")[0] == 0
    assert not conf(home).exists()
    assert fix("--history", "--json", own=False)[0] == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ExaminationError("gone")])
def test_what_ends_the_second_look_leaves_the_way_back(
    home: Path, fix: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    observe = examination.of_this_machine
    looks: list[int] = []

    def once(*arguments: Any) -> Any:
        looks.append(1)
        if len(looks) > 1:
            raise error
        return observe(*arguments)

    monkeypatch.setattr(examination, "of_this_machine", once)
    kind = Interrupted if isinstance(error, KeyboardInterrupt) else ExaminationError
    with pytest.raises(kind) as caught:
        fix("tea", "--yes")
    told = f"{caught.value}{capsys.readouterr().err}"
    (entry,) = Journal().entries()
    assert f"the change is applied; `envdoctor fix --undo {entry.id}` takes it back" in told
    assert conf(home).read_text() == POURED
