"""envdoctor/edits/exports.py and shell_effect.py: real new shells have what was written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor import Files, Plan, said
from envdoctor.edits import exports, shell_effect
from envdoctor.edits.shell_words import CannotSay
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.model import Missing
from tests import ROOT, needs
from tests.edits.real_shells import SHELLS, Home, home_of
from tests.edits.test_start_up import DEBIAN, SOURCES
from tests.unreadable import Unreadable

HOSTILE = 'it\'s $HOME `x` $(y) \\ "!" caf\u00e9 # ; & *'


@pytest.fixture(params=SHELLS)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return home_of(request.param, tmp_path, monkeypatch)


@pytest.fixture
def bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return home_of("bash", tmp_path, monkeypatch)


def against(home: Home, change: exports.Change) -> list[str]:
    plan = Plan(said("t", "t"), wants=change.wants)
    return [one.say("en") for one in shell_effect.takes_effect(plan, home.new_shells(), home.facts())]


def exported(home: Home, values: dict[str, str | None]) -> exports.Change:
    change = exports.exporting(home.facts(), home.files(), values)
    home.apply(change.edits)
    return change


def test_every_new_shell_has_the_value(home: Home) -> None:
    change = exported(home, {"ENVDOCTOR_X": HOSTILE, "HF_ENDPOINT": "https://hf-mirror.com"})
    shells = home.new_shells()
    assert shells.shells and not any(one.error for one in shells.shells)
    assert {one.variables.get("ENVDOCTOR_X") for one in shells.shells} == {HOSTILE}
    assert against(home, change) == []
    assert "here: " in change.remarks[0].said.say("en")


def test_again_changes_nothing_and_another_value_takes_its_place(home: Home) -> None:
    exported(home, {"ENVDOCTOR_X": HOSTILE})
    again = exported(home, {"ENVDOCTOR_X": HOSTILE})
    assert again.edits == () and again.remarks == ()
    assert against(home, exported(home, {"ENVDOCTOR_X": "2"})) == []


def test_taking_it_out_leaves_the_files_as_they_were(home: Home) -> None:
    home.write({".bashrc": DEBIAN, ".profile": SOURCES, ".zshenv": b"alias l=ls\n"})
    before = {path: content for path in home.folder.rglob("*") if path.is_file() for content in [path.read_bytes()]}
    exported(home, {"ENVDOCTOR_X": "1"})
    assert against(home, exported(home, {"ENVDOCTOR_X": None})) == []
    assert {path: path.read_bytes() for path in home.folder.rglob("*") if path.is_file()} == before


PIECES = {
    "bash": [
        b"alias l=ls\n", b"# caf\xe9\n", b"export HF_ENDPOINT=https://old\n", b"  export HF_ENDPOINT='x y'\n", b"\n",
        b"export HF_ENDPOINT=$HOME/x\n", b"if true; then\nexport HF_ENDPOINT=https://old\nfi\n", DEBIAN,
        b"f() {\n  return 1\n}\n", b"cat >/dev/null <<'E'\nexport HF_ENDPOINT=x\nE\n", b"true \\\n",
        b"x='\n# >>> envdoctor >>>\n'\n", b"unset HF_ENDPOINT\n", b"# >>> envdoctor >>>\n", b"# <<< envdoctor <<<\n",
        b"export A='caf\xe9'; export B=2\n", b"[ -z \"$PS1\" ] && return\n",
        b"# >>> envdoctor >>>\nexport HF_ENDPOINT=https://older\nalias k=ls\n# <<< envdoctor <<<\n",
    ],
    "zsh": [
        b"alias l=ls\n", b"export HF_ENDPOINT=https://old\n", b"setopt rc_quotes\n", b"unset HF_ENDPOINT\n",
        b"if true; then\nexport HF_ENDPOINT=https://old\nfi\n", b"# caf\xe9\n", b"path+=(/x)\n",
        b"[[ -o interactive ]] || return\n",
    ],
    "fish": [
        b"alias l=ls\n", b"set -gx HF_ENDPOINT https://old\n", b"set -x HF_ENDPOINT 'x y'\n", b"# caf\xe9\n",
        b"if true\nset -gx HF_ENDPOINT https://old\nend\n", b"status is-interactive; or exit\n", b"set -U x 1\n",
        b"set -l HF_ENDPOINT y\n",
    ],
}  # fmt: skip
NAMES = {"bash": (".bashrc", ".profile"), "zsh": (".zshenv", ".zshrc"), "fish": (".config/fish/config.fish",)}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@settings(max_examples=12)
@given(st.data())
def test_start_up_files_of_any_make(shell: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Either new shells have it, or what stands against it is told; no line of the user's is lost; twice is once."""
    with pytest.MonkeyPatch.context() as patch:
        home = home_of(shell, tmp_path_factory.mktemp("home"), patch)
        pieces = st.lists(st.sampled_from(PIECES[shell]), max_size=6).map(b"".join)
        home.write({name: data.draw(pieces) for name in NAMES[shell] if data.draw(st.booleans())})
        before = home.files()
        change = exported(home, {"HF_ENDPOINT": HOSTILE})
        for edit in change.edits:
            kept = (edit.after or b"").replace(b": # taken out by envdoctor: ", b"").split(b"\n")
            lost = [line for line in (edit.before or b"").split(b"\n") if line not in kept]
            assert all(line.startswith(b"export HF_ENDPOINT=") for line in lost), lost  # in the block, by this one
        shells = home.new_shells()
        told = against(home, change)
        wrong = [one for one in shells.shells if one.variables.get("HF_ENDPOINT") != HOSTILE]
        assert len(told) == len(wrong), (told, wrong)
        assert exported(home, {"HF_ENDPOINT": HOSTILE}).edits == ()
        assert all(edit.before == before.read(edit.path) for edit in change.edits)


def test_what_stands_above_a_guard_reaches_remote_commands(bash: Home) -> None:
    bash.write({".bashrc": DEBIAN + b"alias l=ls\n", ".profile": SOURCES})
    change = exported(bash, {"ENVDOCTOR_X": "1"})
    (edit,) = change.edits
    assert edit.after is not None and edit.after.index(b"ENVDOCTOR_X") < edit.after.index(b"# If not interactive")
    assert against(bash, change) == []


def test_the_user_s_own_later_setting_is_taken_out(bash: Home) -> None:
    bash.write({".bashrc": DEBIAN + b"export HF_ENDPOINT=https://old\n", ".profile": SOURCES})
    change = exported(bash, {"HF_ENDPOINT": "https://new"})
    assert b": # taken out by envdoctor: export HF_ENDPOINT=https://old\n" in (change.edits[0].after or b"")
    assert against(bash, change) == []


def test_what_wins_all_the_same_is_named(bash: Home) -> None:
    bash.write({".bashrc": b"if true; then\n  export HF_ENDPOINT=https://old\nfi\n", ".profile": SOURCES})
    change = exported(bash, {"HF_ENDPOINT": "https://new"})
    assert against(bash, change) == []  # the block stands at the end
    bash.write({".bashrc": DEBIAN + b"if true; then\n  export HF_ENDPOINT=https://old\nfi\n"})
    change = exported(bash, {"HF_ENDPOINT": "https://new"})
    told = against(bash, change)
    assert f"in a new shell (bash, interactive) HF_ENDPOINT is https://old; {bash.folder}/.bashrc:12 sets it" in told
    assert len(told) == 2  # a remote command has it


def test_a_shell_that_says_nothing_is_no_success(bash: Home) -> None:
    bash.write({".bashrc": b"exit 3\n"})
    told = against(bash, exported(bash, {"ENVDOCTOR_X": "1"}))
    assert any("said nothing: it ended with status 3" in one for one in told)


def test_shells_that_could_not_be_asked_are_no_success() -> None:
    plan = Plan(said("t", "t"), wants={"env X": "1"})
    (told,) = shell_effect.takes_effect(plan, Missing("new-shells", "hung"), ShellFiles())
    assert "hung" in told.say("en")
    assert not list(shell_effect.takes_effect(Plan(said("t", "t")), Missing("new-shells", "hung"), ShellFiles()))


def test_shells_without_a_known_file_get_the_line_to_add() -> None:
    change = exports.exporting(ShellFiles("tcsh", "/home/ada"), Files(), {"X": "a b", "Y": None})
    assert not change.edits
    assert change.by_hand[0].command == "setenv X 'a b'\nunsetenv Y"
    assert "/home/ada/.tcshrc" in change.by_hand[0].why.say("en")


def test_windows_has_no_start_up_file() -> None:
    change = exports.exporting(ShellFiles("", r"C:\Users\ada"), Files(), {"X": 'a "b"', "Y": None})
    assert [step.command for step in change.by_hand] == [
        'setx X "a \\"b\\""', r"reg delete HKCU\Environment /v Y /f",
    ]  # fmt: skip


def test_a_file_that_cannot_be_read_is_named() -> None:
    change = exports.exporting(ShellFiles("bash", "/home/ada"), Unreadable(), {"X": "1"})
    assert change.by_hand[0].command == "export X=1"
    assert "/home/ada/.bashrc cannot be read (Permission denied), so no" in change.by_hand[0].why.say("en")


@pytest.mark.parametrize(("shell", "file"), [("tcsh", "/home/ada/.tcshrc"), ("nu", "该 shell 的启动文件")])
def test_a_shell_whose_files_are_not_written_is_told_where_to_add_it(shell: str, file: str) -> None:
    (step,) = exports.exporting(ShellFiles(shell, "/home/ada"), Files(), {"X": "1"}).by_hand
    assert file in step.why.say("zh")


def test_a_file_that_may_not_be_replaced_gets_the_block_by_hand(bash: Home) -> None:
    bash.write({".bashrc": b"alias l=ls\n", ".profile": SOURCES})
    (edit,) = exports.exporting(bash.facts(), bash.files(), {"ENVDOCTOR_X": HOSTILE}).edits
    assert "sudo tee -a" in edit.by_hand
    pasted = edit.by_hand.replace("sudo ", "")
    subprocess.run([needs.program("bash"), "-c", pasted], check=True)
    assert (bash.folder / ".bashrc").read_bytes() == edit.after


AS_NOBODY = """
import fcntl, json, os, sys
from envdoctor import Plan, said
from envdoctor.edits import exports
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.permission import LocalFiles, settled
os.setgroups([]); os.setgid(65534); os.setuid(65534)
change = exports.exporting(ShellFiles("bash", sys.argv[1]), LocalFiles(), {"ENVDOCTOR_X": "1"})
plan = settled(Plan(said("t", "t"), change.edits, by_hand=change.by_hand), LocalFiles())
print(json.dumps([len(plan.edits), [step.command for step in plan.by_hand]]))
"""


@pytest.mark.parametrize(
    ("mode", "owner", "edits", "command"),
    [
        (0o644, 65534, 1, ""),
        (
            0o644,
            0,
            0,
            "printf '%s\\n' '# >>> envdoctor >>>' 'export ENVDOCTOR_X=1' '# <<< envdoctor <<<' | sudo tee -a",
        ),
        (0o600, 0, 0, "export ENVDOCTOR_X=1"),
    ],
)
def test_another_s_file_is_left_to_its_owner(mode: int, owner: int, edits: int, command: str) -> None:
    needs.root()
    # Not below pytest's folder, which is closed to others.
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / ".bashrc").write_bytes(b"alias l=ls\n")
        (home / ".profile").write_bytes(SOURCES)
        os.chown(home, 65534, 65534)
        os.chown(home / ".bashrc", owner, owner)
        (home / ".bashrc").chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, name], capture_output=True, text=True, cwd=ROOT, check=True
        )
    made, shown = json.loads(done.stdout)
    assert made == edits and len(shown) == (not edits)
    assert all(one.startswith(command) for one in shown)


def test_windows_line_ends_are_worth_a_word() -> None:
    there = Files({"/home/ada/.bashrc": b"alias l=ls\r\n", "/home/ada/.profile": SOURCES})
    change = exports.exporting(ShellFiles("bash", "/home/ada"), there, {"X": "1"})
    assert any("Windows line ends" in remark.said.say("en") for remark in change.remarks)


def test_what_no_shell_can_say_is_refused() -> None:
    with pytest.raises(CannotSay):
        exports.exporting(ShellFiles("bash", "/home/ada"), Files(), {"X": "a\0b"})
