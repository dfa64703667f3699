"""envdoctor/edits/shell_words.py: real shells read back what was quoted for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.edits import shell_words
from tests import needs

SHELLS = {"bash": "bash", "zsh": "zsh", "fish": "fish", "dash": "dash", "ksh": "ksh", "tcsh": "tcsh"}
HOSTILE = (
    "", " ", "it's", "''", "'", "a'b'c", '"$HOME"', "`id`", "$(id)", "\\", "a\\", "\\'", "!!", "a!b", "~", "~root",
    "#x", "*", "=ls", "-n", "a b  c", "%s", "{a,b}", "[x]", "a;b|c&d>e<f", "\u4e2d\u6587", "\udcff\udc80", "$'x'",
    "(a)", "^x^y",
)  # fmt: skip
CONTROL = ("a\nb", "a\tb", "\x01\x7f", "a\r", "\x1b[31m", "x\n'y\\n'")
TELL = "import os, sys; sys.stdout.buffer.write(os.fsencode(os.environ.get('ENVDOCTOR_TEST_X', 'unset')))"


def read_back(shell: str, script: str, folder: Path, tell: str = TELL) -> bytes:
    """What a program sees that a real shell starts after it has read a script."""
    file = folder / "script"
    file.write_bytes(script.encode("utf-8", "surrogateescape") + f'\n"{sys.executable}" -I -S -c "{tell}"\n'.encode())
    program = needs.program(SHELLS[shell], {"ksh": "ksh"}.get(shell, ""))
    extra = {"zsh": ["-f"], "tcsh": ["-f"], "fish": ["--no-config"]}.get(shell, [])
    done = subprocess.run([program, *extra, str(file)], capture_output=True, cwd=folder, timeout=30)
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_hostile_values_back(shell: str, tmp_path: Path) -> None:
    values = [*HOSTILE, *(CONTROL if shell in ("bash", "zsh", "fish") else ())]
    for value in values:
        script = shell_words.setting("ENVDOCTOR_TEST_X", value, shell)
        assert "\n" not in script
        assert read_back(shell, script, tmp_path) == value.encode("utf-8", "surrogateescape"), (shell, value)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@settings(max_examples=25)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_a_shell_reads_any_value_back(shell: str, tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    script = shell_words.setting("ENVDOCTOR_TEST_X", value, shell)
    assert read_back(shell, script, tmp_path_factory.mktemp(shell)) == value.encode()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_variable_is_taken_away(shell: str, tmp_path: Path) -> None:
    both = [shell_words.setting("ENVDOCTOR_TEST_X", "1", shell), shell_words.unsetting("ENVDOCTOR_TEST_X", shell)]
    assert read_back(shell, "\n".join(both), tmp_path) == b"unset"


@pytest.mark.parametrize(("value", "shell"), [("a\0b", "bash"), ("a\0b", "fish"), ("a\nb", "sh"), ("a\nb", "tcsh")])
def test_what_no_line_can_say_is_refused(value: str, shell: str) -> None:
    with pytest.raises(shell_words.CannotSay):
        shell_words.quoted(value, shell)


def listed(shell: str, statements: list[str], folder: Path, start: str) -> str:
    first = shell_words.setting("XPATH", start, shell)
    tell = TELL.replace("ENVDOCTOR_TEST_X", "XPATH")
    return read_back(shell, "\n".join([first, *statements]), folder, tell).decode()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash", "ksh"])
@pytest.mark.parametrize("folder", ["/new", "/it's here", "/a*[b]", "/back\\slash", "/$HOME"])
def test_a_folder_comes_first_once(shell: str, folder: str, tmp_path: Path) -> None:
    statement = shell_words.first_on("XPATH", folder, shell)
    assert listed(shell, [statement, statement], tmp_path, "/a:/b") == f"{folder}:/a:/b"
    assert listed(shell, [statement], tmp_path, f"/a:{folder}") == f"{folder}:/a:{folder}"
    assert listed(shell, [shell_words.first_here("XPATH", folder, shell)], tmp_path, "/a") == f"{folder}:/a"


def test_a_folder_comes_first_of_an_empty_list(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert listed(shell, [shell_words.first_on("XPATH", "/new", shell)], tmp_path, "") in ("/new", "/new:")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash", "ksh"])
@pytest.mark.parametrize("folder", ["/x", "/it's here", "/a*[b]", "/back\\slash", "/$HOME"])
def test_a_folder_is_taken_out_wherever_it_stands(shell: str, folder: str, tmp_path: Path) -> None:
    statement = shell_words.without("XPATH", folder, shell)
    for start, left in (
        (f"/a:{folder}:/b", "/a:/b"), (f"{folder}:{folder}:/b", "/b"), (f"/a:{folder}", "/a"),
        (f"/a:{folder}x", f"/a:{folder}x"),
        (f"{folder}:/a:{folder}:{folder}", "/a"), (folder, ""),
    ):  # fmt: skip
        assert listed(shell, [statement, statement], tmp_path, start) == left


def test_a_list_cannot_hold_a_colon() -> None:
    with pytest.raises(shell_words.CannotSay, match="colon"):
        shell_words.first_on("PATH", "/a:b", "bash")
    with pytest.raises(shell_words.CannotSay):
        shell_words.without("LD_LIBRARY_PATH", "/a", "tcsh")
