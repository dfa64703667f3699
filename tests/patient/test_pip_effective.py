"""patient/pip_effective.py: the real pip of this environment is asked, well and broken."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envdoctor import decode
from envdoctor.facts.pip import PipEffective
from envdoctor.patient import pip_config, pip_effective
from envdoctor.patient.sections import Ask, NotHere
from tests.patient.real_pip import Tree

A = b"[global]\nindex-url = https://a.example/simple\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def clean_environ(tree: Tree, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, **tree.environ, **variables}


def test_pip_itself_says_what_takes_effect(tree: Tree) -> None:
    tree.write({"user": A + b"trusted-host = a.example\nproxy = http://p.example:3128\n"})
    found = pip_effective.ask_pip(sys.executable, 20.0, clean_environ(tree))
    fact = decode.fact("pip-effective", found)
    assert isinstance(fact, PipEffective)
    install = fact.command("install")
    assert (install.index_url, install.trusted_hosts) == ("https://a.example/simple", ("a.example",))
    assert install.proxy == "http://p.example:3128"
    assert fact.user_agent.startswith(f"pip/{fact.version} {{")
    assert fact.default_index.startswith("https://") and fact.default_index != install.index_url
    assert "index-url" in fact.options


def test_a_broken_pip_is_told_in_its_own_words_and_our_reading_stands_in(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write({"user": b"[global]\nno-index = maybe\n", "site": A})
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in tree.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "prefix", str(tree.prefix))
    found = decode.fact("pip-effective", pip_effective.pip_effective(Ask({})))
    assert isinstance(found, PipEffective)
    assert found.source == "files"
    assert "maybe is not a valid value for no-index option" in found.error
    assert found.indexes() == ("https://a.example/simple",)


def test_pip_and_our_reading_agree_on_this_machine() -> None:
    found = pip_effective.pip_effective(Ask({}))
    assert found["source"] == "pip"
    assert found["disagreements"] == []


def test_a_disagreement_is_told() -> None:
    config: dict[str, Any] = {"values": [], "winners": {name: {} for name in pip_config.COMMANDS}}
    told: dict[str, Any] = {"default_index": "https://d.example", "commands": pip_effective.from_files(config)}
    for command in told["commands"]:
        command["index_url"] = "https://d.example"
    assert pip_effective.disagreements(told, config) == []
    told["commands"][0]["index_url"] = "https://other.example"
    assert pip_effective.disagreements(told, config) == [
        "install index_url: pip 'https://other.example', files 'https://d.example'"
    ]


def test_without_pip_nothing_is_asked() -> None:
    ask = Ask({})
    ask.facts["pip-config"] = {"pip_version": ""}
    with pytest.raises(NotHere):
        pip_effective.pip_effective(ask)


def test_a_pip_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nsleep 30\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    began = time.perf_counter()
    assert "no answer" in pip_effective.ask_pip(str(slow), 0.5)["error"]
    assert time.perf_counter() - began < 3.0
