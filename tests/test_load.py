"""envdoctor/load.py"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from envdoctor import load
from envdoctor.errors import UsageError
from envdoctor.model import Node

GOOD = '''
"""Is the tea hot?"""
from __future__ import annotations
from collections.abc import Iterable
from envdoctor import Finding, Problem, Severity, Text, check
from envdoctor.facts.host import Host
COLD = Problem("{code}", Severity.NOTE, Text("cold", "冷"), Text("sad", "难过"))
@check(COLD)
def tea_is_cold(host: Host) -> Iterable[Finding]:
    yield COLD.found()
'''


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content, encoding="utf-8")
    return folder


def test_a_file_becomes_a_topic(tmp_path: Path) -> None:
    loaded = load.load([write(tmp_path, tea_time=GOOD.format(code="tea-cold"), _private="raise SystemExit")])
    (file,) = loaded.files
    assert file.topic.name == "tea-time"
    assert file.topic.about.en == "Is the tea hot?"
    assert [check.name for check in loaded.checks] == ["tea_is_cold"]
    assert loaded.checks[0].topic == "tea-time"
    assert loaded.topic_of("tea-cold") == "tea-time"
    assert loaded.topic_of("unknown") == ""


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("def (", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "3"),
        (GOOD.format(code="Tea Cold"), "kebab-case"),
        (
            GOOD.format(code="tea-cold").replace(
                "@check(COLD)", "@check(Problem('x', Severity.NOTE, Text('', ''), Text('', '')))"
            ),
            "declares",
        ),
    ],
)
def test_a_broken_file_is_named_and_the_others_load(tmp_path: Path, content: str, word: str) -> None:
    loaded = load.load([write(tmp_path, broken=content, good=GOOD.format(code="tea-cold"))])
    (path,) = loaded.broken
    assert path.endswith("broken.py")
    assert word in loaded.broken[path]
    assert [file.topic.name for file in loaded.files] == ["good"]
    assert "envdoctor_checks.broken" not in sys.modules


def test_a_code_cannot_be_taken_twice(tmp_path: Path) -> None:
    loaded = load.load([write(tmp_path, a=GOOD.format(code="tea-cold"), b=GOOD.format(code="tea-cold"))])
    assert "already taken" in loaded.broken[str(tmp_path / "b.py")]


def test_folders_come_in_order_and_must_exist(tmp_path: Path) -> None:
    one, two = (
        write(tmp_path / "one", tea=GOOD.format(code="tea-cold")),
        write(tmp_path / "two", tea=GOOD.format(code="tea-bitter")),
    )
    assert set(load.load([one, two]).problems) == {"tea-cold", "tea-bitter"}
    with pytest.raises(UsageError, match="no folder"):
        load.load([tmp_path / "absent"])


def test_everything_holds_the_users_own_and_those_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "envdoctor").mkdir(parents=True)
    write(tmp_path / "config" / "envdoctor" / "checks", own=GOOD.format(code="own-code"))
    site = tmp_path / "site"
    (site / "teahouse" / "checks").mkdir(parents=True)
    (site / "teahouse" / "__init__.py").write_text("")
    (site / "teahouse" / "checks" / "__init__.py").write_text("")
    write(site / "teahouse" / "checks", brew=GOOD.format(code="brew-code"))
    info = site / "teahouse-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: teahouse\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[envdoctor.checks]\nteahouse = teahouse.checks\n")
    monkeypatch.syspath_prepend(str(site))
    loaded = load.everything()
    assert {"own-code", "brew-code", "shm-too-small"} <= set(loaded.problems)


def test_an_entry_point_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "lost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lost\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[envdoctor.checks]\nlost = no_such_package.checks\nflat = json.decoder\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    broken = load.everything().broken
    assert broken["entry point lost"].startswith("ModuleNotFoundError")
    assert "is no folder of check files" in broken["entry point flat"]


def test_nothing_is_loaded_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "checks", evil="raise SystemExit('loaded')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert not any("evil" in path for path in load.everything().broken)


def test_a_name_that_is_no_python_file_is_broken(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    assert list(load.load([tmp_path]).broken) == [str(tmp_path / "folder.py")]


def test_without_a_home_nothing_is_loaded_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~" / "envdoctor").mkdir(parents=True)
    write(tmp_path / "~" / "envdoctor" / "checks", tea_time=GOOD.format(code="tea-cold"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "~")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert load.everything().topic_of("tea-cold") == ""


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode, **rights: path != tmp_path)
    with pytest.raises(UsageError, match="that can be read"):
        load.load([tmp_path])


FIX = """
from envdoctor import Files, Plan, Text, fix, said
@fix("{name}", Text("boil water", "烧水"), mends=("tea-cold",))
def boil(files: Files, *, cups: int = 1) -> Plan:
    return Plan(said("hot", "热"))
"""


def test_a_file_brings_fixes(tmp_path: Path) -> None:
    loaded = load.load([write(tmp_path, tea=GOOD.format(code="tea-cold") + FIX.format(name="boil-water"))])
    assert loaded.broken == {}
    (name,) = loaded.fixes
    assert (name, loaded.fixes[name].topic, loaded.fixes[name].mends) == ("boil-water", "tea", ("tea-cold",))
    assert (loaded.mending("tea-cold"), loaded.mending("unknown")) == (("boil-water",), ())


def test_a_fix_cannot_have_a_taken_or_a_bad_name(tmp_path: Path) -> None:
    files = {"a": FIX.format(name="boil"), "b": FIX.format(name="boil"), "c": FIX.format(name="Boil Water")}
    loaded = load.load([write(tmp_path, **files)])
    assert list(loaded.fixes) == ["boil"]
    assert f"the fix boil is already made by {tmp_path / 'a.py'}" in loaded.broken[str(tmp_path / "b.py")]
    assert "'Boil Water' of a fix is not kebab-case" in loaded.broken[str(tmp_path / "c.py")]
    assert [file.topic.name for file in loaded.files] == ["a"]


def test_users_own_fixes_are_found_by_their_checks_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "envdoctor").mkdir(parents=True)
    write(tmp_path / "config" / "envdoctor" / "checks", own=FIX.format(name="boil-at-home"))
    extra = write(tmp_path / "extra", tea=GOOD.format(code="tea-cold") + FIX.format(name="boil-away"))
    loaded = load.everything([extra])
    assert {"boil-at-home", "boil-away"} <= set(loaded.fixes)
    # The one that is always loaded needs no option; the other is not found without.
    assert loaded.carried("boil-at-home") == ()
    assert loaded.carried("boil-away") == ("--checks", str(extra))


def test_findings_carry_what_their_fix_needs(tmp_path: Path) -> None:
    extra = write(tmp_path, tea=GOOD.format(code="tea-cold") + FIX.format(name="boil-away"))
    loaded = load.everything([extra])
    problem = loaded.problems["tea-cold"]
    findings = (problem.found(), problem.found().fixed_by("boil-away", "--cups", "2"))
    asked, found = Node(python="/opt/python", python_why="asked"), Node(python="/opt/python", python_why="path")
    plain, carrying = loaded.carrying(findings, [asked])
    assert plain == replace(findings[0], explained_with=("--checks", str(extra))), "the problem is known from there"
    assert load.everything([]).carrying(findings, [found]) == findings
    assert carrying.command == f"envdoctor fix boil-away --cups 2 --python /opt/python --checks {extra}"
    assert loaded.carrying(findings, [found])[1].carried == ("--checks", str(extra))
    assert loaded.carrying(findings, [asked, found])[1].carried == ("--checks", str(extra))
