"""Plans of a few edits and commands, a home to apply them in, and the record of what was done."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from envdoctor.journal import Journal
from envdoctor.plan import Applied, apply
from envdoctor.remedy import EditFile, Plan, RunCommand, said
from tests.bench.faults import FIX, make


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    make(place)
    return place


@pytest.fixture
def journal(home: Path) -> Journal:
    return Journal(home / "state" / "fixes")


def edit(place: Path, after: bytes | None, mode: int = 0o644) -> EditFile:
    return EditFile(str(place), place.read_bytes() if place.exists() else None, after, mode)


def change(*edits: EditFile, commands: tuple[RunCommand, ...] = ()) -> Plan:
    return Plan(said("a change", "修改"), edits, commands)


def command(*argv: str, undo: tuple[str, ...] = ()) -> RunCommand:
    return RunCommand(argv, said("why", "原因"), undo)


class Commands:
    """Runs nothing: remembers what was to be run, and gives the statuses it was told to."""

    def __init__(self, **statuses: int) -> None:
        self.ran: list[str] = []
        self.statuses = statuses

    def __call__(self, argv: tuple[str, ...]) -> int:
        self.ran.append(argv[0])
        return self.statuses.get(argv[0], 0)


def applied(journal: Journal, plan: Plan, **statuses: int) -> tuple[Applied, Commands]:
    run = Commands(**statuses)
    return apply(plan, FIX, journal, ("--tuna",), "/opt/python", run), run


def full(*arguments: object, **options: object) -> int:
    """In the place of a call that the disk refuses."""
    raise OSError(errno.ENOSPC, "No space left on device")
