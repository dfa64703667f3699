"""envdoctor/cli/fix_session.py: what a run says of itself besides its plan."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from envdoctor.errors import UsageError
from envdoctor.transport.target import CHOICES, choose
from tests.cli.fixing import fix, home

__all__ = ["fix", "home"]  # fixtures


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("arguments", [("tea",), ("no-kettle",), ("tea", "--diff")])
def test_the_python_is_named_where_the_user_did_not_choose_it(
    fix: Any, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], language: Any
) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    target = choose()
    _, out, _ = fix(*arguments, "--lang", language)
    heading, *rest = out.splitlines()
    assert heading.startswith("Python") and target.python in heading
    assert heading.endswith(" - " + CHOICES[target.why].say(language))
    assert target.python not in "".join(rest)


def test_what_was_chosen_needs_no_word(fix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fix("tea")[1].startswith("2 cups of tea\n")
    monkeypatch.delenv("VIRTUAL_ENV")
    assert fix("tea", "--python", sys.executable)[1].startswith("2 cups of tea\n")
    assert fix("tea", "--quiet")[1].startswith("2 cups of tea\n")


@pytest.mark.parametrize("arguments", [("tea", "--diff"), ("tea", "--yes"), ("no-kettle",)])
def test_programs_are_told_the_python_always(fix: Any, arguments: tuple[str, ...]) -> None:
    told = json.loads(fix(*arguments, "--json", "--python", sys.executable)[1])
    assert told["python_why"] == "asked"
    assert os.path.expanduser(told["python"]) == sys.executable


def test_lists_and_undo_are_one_at_a_time(fix: Any) -> None:
    for flags in (("--list", "--undo"), ("--list", "--history"), ("--undo", "--history")):
        with pytest.raises(UsageError, match=f"{flags[0]} and {flags[1]} exclude each other"):
            fix(*flags, own=False)
