"""envdoctor/cli/fix.py, fix_options.py and fix_session.py: every way a run of `envdoctor fix` can go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor import examination
from envdoctor.cli import fix_session, measuring
from envdoctor.cli.app import run
from envdoctor.errors import CannotMend, UsageError
from envdoctor.journal import Journal
from envdoctor.render import Style
from tests.cli.fixing import POURED, conf, fix, home

__all__ = ["fix", "home"]  # fixtures

PROGRAM = [sys.executable, "-m", "envdoctor"]


def test_a_plan_is_shown_applied_verified_listed_and_taken_back(home: Path, fix: Any) -> None:
    code, out, err = fix("tea", "--yes")
    (entry,) = Journal().entries()
    assert (code, err) == (0, "")
    assert out == (
        "2 cups of tea\n\n--- /dev/null\n+++ ~/.config/pip/pip.conf\n@@ -0,0 +1,2 @@\n+[global]\n+retries = 2\n\n"
        "1 file changes; no command runs\n✓ wrote ~/.config/pip/pip.conf\n✓ checked again: no-kettle is gone\n"
        f"✓ checked again: no-tea is gone\nUndo with: envdoctor fix --undo {entry.id}\n"
    )
    assert conf(home).read_text() == POURED
    code, out, _ = fix("tea", "--yes")
    assert (code, out.splitlines()[-1]) == (0, "✓ nothing to do: it is so already")
    assert len(Journal().entries()) == 1, "a run that changes nothing leaves no record"
    code, out, _ = fix("--history", own=False)
    assert (code, out) == (0, f"{entry.id}  applied     2 cups of tea\n    ~/.config/pip/pip.conf\n")
    code, out, _ = fix("--undo", entry.id, "--yes", own=False)
    assert code == 0
    assert f"✓ {entry.id} is taken back" in out
    assert sorted(path.name for path in home.iterdir()) == [".local", "own"]
    assert " undone " in fix("--history", own=False)[1]


def test_nothing_is_changed_without_a_yes(home: Path, fix: Any) -> None:
    code, out, err = fix("tea", "--cups", "4", "--offline")
    assert (code, conf(home).exists()) == (1, False)
    assert "+retries = 4" in out
    assert f"not applied; `envdoctor fix tea --cups 4 --checks {home / 'own'} --offline --yes` does" in err.replace(
        "~", str(home)
    )
    assert fix("tea", "--diff") == (1, out.replace("4", "2"), "")
    assert not conf(home).exists()
    fix("tea", "--yes")
    code, out, _ = fix("tea", "--diff")
    assert (code, "nothing to do" in out) == (0, True)


def test_a_code_is_mended_by_the_fix_its_finding_names(home: Path, fix: Any) -> None:
    code, out, err = fix("no-tea", "--yes")
    assert code == 0
    assert "3 cups of tea" in out
    assert err == "it comes of no-kettle: `buy a kettle` mends that\n"
    code, out, _ = fix("no-tea")
    assert (code, out) == (0, "no-tea was not found on this machine: nothing to fix\n")


def test_a_code_with_only_a_command_shows_it(fix: Any) -> None:
    code, out, _ = fix("no-kettle", "--yes")
    assert code == 1
    assert out == "there is no kettle\n\nnot automatic: envdoctor does not do this by itself\n  buy a kettle\n"
    with pytest.raises(UsageError, match="'--cups' belongs to no fix: none mends no-kettle"):
        fix("no-kettle", "--cups", "3")


def test_a_code_with_neither_says_where_to_read(home: Path, fix: Any) -> None:
    conf(home).parent.mkdir(parents=True)
    conf(home).write_text("[global]\nretries = 13\n")
    with pytest.raises(UsageError, match="no command mends tea-cold; `envdoctor explain tea-cold` says what does"):
        fix("tea-cold")


def test_a_fix_that_breaks_something_is_rolled_back(home: Path, fix: Any) -> None:
    code, out, _ = fix("tea", "--cups", "13", "--yes")
    assert code == 1
    assert "✗ rolled back: tea-cold appeared" in out
    assert "error[tea-cold]: the tea is cold" in out
    assert "Undo with" not in out
    assert not conf(home).parent.exists()
    assert Journal().entries() == []


def test_what_did_not_take_effect_has_no_tick_and_can_be_taken_back(home: Path, fix: Any) -> None:
    code, out, _ = fix("tea", "--wrong", "--yes")
    assert code == 1
    assert "✗ not in effect: 3 cups are not there" in out
    assert "in effect\n" not in out.replace("not in effect", "")
    assert "Undo with: envdoctor fix --undo" in out
    assert conf(home).read_text() == POURED
    code, out, _ = fix("tea", "--wrong", "--yes")
    assert (code, "✗ not in effect" in out) == (1, True), "nothing to change, and still not in effect"


@pytest.mark.parametrize("name", ["stubborn", "tea-stolen"])
def test_a_fix_without_a_verdict_of_its_own_is_judged_by_what_it_mends(fix: Any, name: str) -> None:
    code, out, _ = fix(name, *(("Ann", "Bob") if name == "stubborn" else ()), "--yes")
    assert code == 1
    assert "✗ checked again: tea-stolen is still there" in out
    assert "error[tea-stolen]" in out
    code, out, _ = fix("stubborn", *(("Ann", "Bob") if name == "stubborn" else ()))
    assert (code, "tea-stolen is still there" in out) == (1, True)


def test_a_command_that_fails_takes_the_files_back(home: Path, fix: Any) -> None:
    code, out, _ = fix("tea", "--run", f"touch {home}/ran; exit 3", "--yes")
    assert code == 1
    assert "which nothing takes back" in out
    assert "✗ `sh -c 'touch ~/ran; exit 3'` ended with status 3; rolled back" in out
    assert not conf(home).exists()
    assert (home / "ran").exists()
    assert "rolled back" in fix("--history")[1]
    code, out, _ = fix("tea", "--run", "true", "--yes")
    assert (code, "✓ ran sh -c true" in out) == (0, True)


def test_a_step_by_hand_is_not_success(home: Path, fix: Any) -> None:
    code, out, _ = fix("tea", "--hand", "--yes")
    assert code == 1
    assert "not automatic: only you can\n  pour the tea" in out
    assert conf(home).read_text() == POURED
    code, out, _ = fix("tea", "--hand", "--yes")
    assert (code, "pour the tea" in out, "nothing to do" in out) == (1, True, False)
    code, out, _ = fix("tea", "--hand", "--json")
    assert (code, json.loads(out)["state"]) == (1, "by-hand")


def test_places_are_asked_before_the_plan_is_made(fix: Any) -> None:
    _, out, _ = fix("tea", "--ask", "--diff")
    assert "note: the shop is refused" in out
    _, out, _ = fix("tea", "--ask", "--diff", "--offline")
    assert "the shop" not in out


def test_wrong_options_are_wrong_usage(fix: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--cups 0 is no tea"):
        fix("tea", "--cups", "0")
    for arguments, word in (
        (("tea", "--sugar"), "No such option: --sugar"),
        (("tea", "--cups", "many"), "many"),
        (("tea", "milk"), "milk"),
    ):
        with pytest.raises(UsageError, match=word):
            fix(*arguments)
        assert word in capsys.readouterr().err
    with pytest.raises(UsageError, match="--cups stands before the name"):
        fix("--cups", "--yes", "tea")
    for arguments in (("--list", "a", "b"), ("--undo", "a", "b"), ("--history", "a", "b")):
        with pytest.raises(UsageError, match="'b' is one argument too many"):
            fix(*arguments)


def test_unknown_names_have_a_hint(home: Path, fix: Any) -> None:
    for words, meant in (
        (("te",), "tea"), (("TEA", "--cups", "3"), "tea"), (("pip_mirror", "--tuna"), "pip-mirror"),
        (("pip", "mirror"), "pip-mirror"), (("pip",), "pip-mirror"), (("no", "kettle"), "no-kettle"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=rf"is neither a fix nor a code \(did you mean '{meant}'\?\)"):
            fix(*words)
    (home / "own" / "broken.py").write_text("import no_such_module")
    with pytest.raises(UsageError, match=r"'zzz' is neither.*--list` shows them all; .*broken.py did not load"):
        fix("zzz", "--help")


def test_the_last_of_a_fix_is_taken_back_by_its_name(home: Path, fix: Any) -> None:
    fix("tea", "--yes")
    fix("stubborn", "x", "--yes")
    code, _, _ = fix("tea", "--undo", "--yes")
    assert (code, conf(home).exists()) == (0, False)
    assert [entry.fix for entry in Journal().entries() if entry.undoable] == ["stubborn"]
    with pytest.raises(UsageError, match="no applied fix has the id 'tea'"):
        fix("tea", "--undo")


def test_a_list_needs_no_home(home: Path, fix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    code, out, err = fix("--json")
    assert (code, json.loads(out)["mendable"], err) == (0, [], "")


def test_help_is_the_fixs_own(fix: Any) -> None:
    code, out, _ = fix("tea", "--help")
    assert code == 0
    assert "Usage: envdoctor fix tea [OPTIONS]" in out
    assert "--cups N" in out and "how many" in out and "--yes" in out
    _, out, _ = fix("tea", "--help", "--lang", "zh")
    assert "几杯" in out and "泡茶" in out
    _, out, _ = fix("stubborn", "--help")
    assert "fix stubborn [OPTIONS] [NAME]" in out
    code, out, _ = fix("--help", own=False)
    assert (code, "--undo" in out, "[NAME|CODE]" in out) == (0, True, True)


def test_all_fixes_are_listed(fix: Any) -> None:
    code, out, _ = fix("--list")
    assert code == 0
    lines = out.splitlines()
    assert any(line.split() == ["tea", "make", "tea"] for line in lines)
    assert any(line.split() == ["no-tea,", "no-kettle"] for line in lines)
    assert "泡茶" in fix("--list", "--lang", "zh")[1]
    told = json.loads(fix("--list", "--json")[1])
    assert told["schema"] == "envdoctor/fix/1"
    assert {"name": "tea", "about": "make tea", "mends": ["no-tea", "no-kettle"]} in told["fixes"]


@pytest.mark.parametrize(
    ("arguments", "code", "state"),
    [
        (("tea", "--json"), 1, "would-change"),
        (("tea", "--json", "--diff"), 1, "would-change"),
        (("tea", "--json", "--yes"), 0, "applied"),
        (("tea", "--json", "--yes", "--cups", "13"), 1, "rolled-back"),
        (("tea", "--json", "--yes", "--wrong"), 1, "not-effective"),
        (("tea", "--json", "--yes", "--hand"), 1, "by-hand-left"),
        (("tea", "--json", "--yes", "--run", "false"), 1, "failed"),
        (("no-kettle", "--json"), 1, "by-hand"),
        (("tea-cold", "--json"), 0, "nothing-to-do"),
    ],
)
def test_json_is_one_document(fix: Any, arguments: tuple[str, ...], code: int, state: str) -> None:
    ended, out, _ = fix(*arguments)
    told = json.loads(out)
    assert (ended, told["schema"], told["state"]) == (code, "envdoctor/fix/1", state)
    if arguments[0] == "tea":
        (edit,) = told["edits"]
        assert (edit["path"], edit["made"], edit["removed"]) == ("~/.config/pip/pip.conf", True, False)
        assert edit["diff"][-1].startswith("+retries = ")
    if state == "applied":
        assert told["gone"] == ["no-kettle", "no-tea"]
        assert json.loads(fix("--history", "--json")[1])["history"][0]["id"] == told["undo"]
        back = json.loads(fix("--undo", "--json", "--yes")[1])
        assert (back["state"], back["id"], back["edits"][0]["removed"]) == ("undone", told["undo"], True)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["zzz", "--json"], 2, "neither a fix nor a code"),
        (["--json", "--undo", "20200101-000000"], 2, "no applied fix has the id"),
        (["--json", "--undo"], 2, "no applied fix is left to undo"),
        (["--json", "--no-such"], 2, "stands before the name"),
    ],
)
def test_an_error_is_a_document_of_the_same_schema(home: Path, arguments: list[str], code: int, word: str) -> None:
    done = subprocess.run([*PROGRAM, "fix", *arguments], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert (done.returncode, told["schema"], told["state"]) == (code, "envdoctor/fix/1", "error")
    assert told["error"]["exit_code"] == code
    assert word in told["error"]["message"]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_an_interrupt_is_a_document_too(home: Path) -> None:
    command = [*PROGRAM, "fix", "tea", "--json", "--yes", "--run", "echo running >&2; exec sleep 60", "--checks"]
    process = subprocess.Popen(
        [*command, str(home / "own")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "running\n"
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    told = json.loads(out)
    assert (process.returncode, told["schema"]) == (130, "envdoctor/fix/1")
    assert told["error"] == {"message": "interrupted; everything is as it was", "exit_code": 130}
    assert not conf(home).exists()


def test_a_file_takes_the_whole_report(home: Path, fix: Any) -> None:
    out = home / "out"
    assert fix("tea", "--diff", "-o", str(out)) == (1, "", "")
    assert "+retries = 2" in out.read_text()
    assert fix("tea", "--yes", "-o", str(out))[:2] == (0, "")
    assert "+retries = 2" in out.read_text() and "✓ wrote" in out.read_text()
    assert fix("--undo", "--diff", "-o", str(out))[:2] == (1, "")
    assert "-retries = 2" in out.read_text()
    assert fix("--undo", "--yes", "--json", "-o", str(out))[:2] == (0, "")
    assert json.loads(out.read_text())["state"] == "undone"
    with pytest.raises(UsageError, match="there is no folder"):
        fix("tea", "-o", str(home / "absent" / "out"))


def test_quiet_leaves_the_plan_and_the_hints_out(fix: Any) -> None:
    code, out, err = fix("tea", "--yes", "--quiet")
    assert (code, err) == (0, "")
    assert out.startswith("✓ wrote")
    assert fix("tea", "--cups", "5", "--quiet")[2] == ""


def test_both_languages_and_colour(fix: Any) -> None:
    _, out, _ = fix("tea", "--yes", "--lang", "zh", "--color", "always", "--ask")
    assert "2 杯茶" in out and "修改 1 个文件；不执行命令" in out and "提示：" in out
    assert "\x1b[32m" in out
    assert "已写入" in out and "撤销命令：envdoctor fix --undo" in out
    assert "\x1b" not in fix("tea", "--diff")[1]


def test_what_the_last_check_found_is_where_to_begin(home: Path, fix: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = fix(own=False)
    assert (code, out) == (0, "no check of this machine is remembered; `envdoctor check` says what is wrong\n")
    own = str(home / "own")
    run(["check", "tea", "--checks", own, "--python", sys.executable, "--quick"])
    capsys.readouterr()
    code, out, _ = fix(own=False)
    assert code == 1
    command = f"envdoctor fix tea --cups 3 --python {sys.executable} --checks {own}".replace(str(home), "~")
    assert out.count("warning[") == 2
    assert f"warning[no-tea]: there is no tea\n  {command}\n" in out
    assert "warning[no-kettle]: there is no kettle\n  buy a kettle\n" in out
    told = json.loads(fix("--json", own=False)[1])
    assert [(one["code"], one["automatic"]) for one in told["mendable"]] == [
        ("tea-stolen", True), ("no-kettle", False), ("no-tea", True),
    ]  # fmt: skip
    assert told["only"] == ["tea"]
    assert "没有茶" in fix("--lang", "zh", own=False)[1]
    conf(home).parent.mkdir(parents=True)
    conf(home).write_text("[global]\nretries = 2\nno-color = true\n")
    run(["check", "no-tea", "--checks", own, "--quick"])
    capsys.readouterr()
    code, out, _ = fix(own=False)
    assert (code, "found nothing that a command mends" in out) == (0, True)


def test_the_python_is_carried_on_into_every_command(home: Path, fix: Any) -> None:
    code, out, err = fix("tea", "--python", sys.executable)
    assert code == 1
    assert f"envdoctor fix tea --python {sys.executable} --checks" in err
    conf(home).parent.mkdir(parents=True)
    conf(home).write_text("[global]\ntimeout = 1\n")
    _, out, _ = fix("tea-stolen", "--python", sys.executable, "--yes")
    assert f"envdoctor fix stubborn --python {sys.executable} --checks" in out


def test_a_code_is_looked_for_with_what_its_checks_need_alone(fix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    observe = examination.of_this_machine
    asked: list[tuple[str, ...]] = []

    def noted(target: Any, request: Any, *rest: Any) -> Any:
        asked.append(request.only)
        return observe(target, request, *rest)

    monkeypatch.setattr(examination, "of_this_machine", noted)
    fix("no-tea", "--yes")
    assert asked == [("pip-config", "python")] * 2, "one look before and one after"


def test_no_home_is_a_sentence(fix: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "absent"))
    with pytest.raises(CannotMend, match="the home folder does not exist"):
        fix("--history", own=False)
    assert not (tmp_path / "absent").exists()


def test_without_threads_everything_is_imported_when_it_is_needed(fix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    def refuse(*arguments: object, **options: object) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", refuse)
        fix_session._import_meanwhile()
    assert fix("tea", "--diff")[0] == 1


def test_a_fact_that_is_measured_is_asked_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nothing measures 'tea-leaves'"):
        measuring.measure("tea-leaves", {}, Style(), False)
