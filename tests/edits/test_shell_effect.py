"""envdoctor/edits/shell_effect.py: what new shells said is compared with what a plan wants."""

from __future__ import annotations

import pytest

from envdoctor import Plan, said
from envdoctor.edits import shell_effect
from envdoctor.facts.new_shells import NewShell, NewShells
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.model import Missing, Scalar


def told(wants: dict[str, Scalar], *shells: NewShell) -> list[str]:
    plan = Plan(said("t", "t"), wants=wants)
    found = shell_effect.takes_effect(plan, NewShells("bash", "/bin/bash", shells), ShellFiles())
    return [one.say("en") for one in found]


def shell(mode: str = "interactive", **variables: str) -> NewShell:
    return NewShell(mode, variables, tuple(variables))


@pytest.mark.parametrize(
    ("wants", "seen", "holds"),
    [
        ({"env X": "1"}, shell(X="1"), True),
        ({"env X": "1"}, shell(X="2"), False),
        ({"env X": None}, shell(), True),
        ({"env X": None}, NewShell("interactive", {}, ("X",)), False),
        ({"first PATH": "/a:/b"}, shell(PATH="/usr/bin:/a/:/b"), True),
        ({"first PATH": "/a:/b"}, shell(PATH="/b:/a"), False),
        ({"first PATH": "/a"}, shell(), False),
        ({"without L": "/a:/b"}, shell(L="/c:/ab"), True),
        ({"without L": "/a:/b"}, shell(L="/c:/b/"), False),
        ({"without L": "/a"}, shell(), True),
        ({"conda": "/opt/conda"}, shell(), True),
    ],
)
def test_each_kind_of_wish(wants: dict[str, Scalar], seen: NewShell, holds: bool) -> None:
    assert (told(wants, seen) == []) == holds


def test_what_holds_in_an_environment_is_asked_there_alone() -> None:
    plain, active = shell(), shell("activated", X="1")
    assert told({"activated X": "1"}, plain, active) == []
    assert told({"activated X": "2"}, plain, active) == ["in a new shell (bash, activated) X is 1"]
    assert told({"activated X": "1"}, plain) == ["the scripts of the conda environment are not there"]
    assert told({"env X": None}, plain, active) == []


def test_the_environment_that_is_judged_is_that_of_a_new_shell() -> None:
    plan = Plan(said("t", "t"), wants={"env X": "1", "env GONE": None, "first PATH": "/a", "conda": "/c"})
    shells = NewShells(
        "bash", "/bin/bash", (NewShell("interactive", error="late"), shell("login", X="1", PATH="/a:/b", Y="2"))
    )
    here = {"GONE": "1", "PATH": "/b", "HOME": "/h"}
    assert shell_effect.environment_there(plan, shells, here) == {"HOME": "/h", "X": "1", "PATH": "/a:/b"}
    assert shell_effect.environment_there(Plan(said("t", "t")), shells, here) is None
    assert shell_effect.environment_there(plan, Missing("new-shells", "hung"), here) is None
    assert shell_effect.environment_there(plan, None, here) is None
