"""envdoctor/edits/start_up.py: which file, and above which line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.edits import start_up
from envdoctor.edits.start_up import Place
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.remedy import Files

HOME = "/home/ada"
DEBIAN = b"# ~/.bashrc\n\n# If not interactive, don't do anything\ncase $- in\n    *i*) ;;\n      *) return;;\nesac\n"
SOURCES = b'if [ -n "$BASH_VERSION" ]; then\n    . "$HOME/.bashrc"\nfi\n'


def files(**content: bytes) -> Files:
    return Files({f"{HOME}/.{name}": value for name, value in content.items()})


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (DEBIAN, 2),
        (b'#!x\n[ -z "$PS1" ] && return\n', 1),
        (b"[[ $- != *i* ]] && return\n", 0),
        (b"[[ $- == *i* ]] || exit\n", 0),
        (b'a\n\nif [ -z "$PS1" ]; then\n  return\nfi\n', 2),
        (b'case "$-" in *i*) ;; *) return;; esac\n', 0),
        (b"[ -t 1 ] || return 0\n", 0),
        (b"tty -s || return\n", 0),
        (b"if ! [[ $- == *i* ]]; then return; fi\r\n", 0),
        (b"case ${-} in\n*i*) ;;\n*) return ;;\nesac\n", 0),
    ],
)
def test_a_line_that_leaves_the_file_is_found(content: bytes, line: int) -> None:
    assert start_up.guard(content) == line


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"case $- in *i*) alias l=ls ;; esac\nf() {\n  return 1\n}\n",
        b'if [ -n "$PS1" ]; then\n  alias l=ls\nfi\nreturn\n',
        b'# [ -z "$PS1" ] && return\n',
        b'[ -z "$PS1" ] # && return\n',
        b"if [ -f x ]; then return; fi\n",
    ],
)
def test_a_file_that_is_read_to_its_end(content: bytes | None) -> None:
    assert start_up.guard(content) is None


@given(st.binary())
def test_any_bytes_are_looked_through(content: bytes) -> None:
    found = start_up.guard(content)
    assert found is None or 0 <= found <= content.count(b"\n")


@pytest.mark.parametrize(
    ("shell", "there", "expected"),
    [
        ("bash", files(bashrc=DEBIAN, profile=SOURCES), [(".bashrc", "bash", 2)]),
        ("bash", files(bashrc=b"alias l=ls\n", bash_profile=b"source ~/.bashrc\n"), [(".bashrc", "bash", None)]),
        ("bash", files(bash_profile=b"# . ~/.bashrc\n"), [(".bashrc", "bash", None), (".bash_profile", "bash", None)]),
        ("bash", files(bash_login=b"", profile=SOURCES), [(".bashrc", "bash", None), (".bash_login", "bash", None)]),
        ("bash", files(), [(".bashrc", "bash", None), (".profile", "sh", None)]),
        ("bash", files(profile=b"tty -s || return\n"), [(".bashrc", "bash", None), (".profile", "sh", 0)]),
        ("zsh", files(zshrc=b""), [(".zshenv", "zsh", None)]),
        ("zsh", files(zshenv=b"a=1\n[[ -o interactive ]] || return\n"), [(".zshenv", "zsh", 1)]),
        ("fish", files(), [(".config/fish/conf.d/envdoctor.fish", "fish", None)]),
        ("ksh", files(), [(".profile", "sh", None)]),
        ("tcsh", files(), []),
        ("nu", files(), []),
    ],
)  # fmt: skip
def test_every_shell_has_its_file(shell: str, there: Files, expected: list[tuple[str, str, int | None]]) -> None:
    found = start_up.places(ShellFiles(shell, HOME), there)
    assert list(found) == [Place(f"{HOME}/{name}", kind, before) for name, kind, before in expected]


@pytest.mark.parametrize(
    ("login", "content"),
    [(".bash_profile", {f"{HOME}/.bashrc": DEBIAN}), (".profile", {f"{HOME}/.bashrc": DEBIAN}), (".profile", {})],
)
def test_a_login_file_that_leads_to_bashrc_is_written_once(login: str, content: dict[str, bytes]) -> None:
    one_file = Files(content, links={f"{HOME}/{login}": f"{HOME}/.bashrc"})
    shell = ShellFiles(shell="bash", home=HOME)
    (place,) = start_up.places(shell, one_file)
    assert (place.path, place.shell) == (f"{HOME}/.bashrc", "bash")


def test_what_is_for_interactive_shells_stands_below_the_guard() -> None:
    there = files(bashrc=DEBIAN, profile=SOURCES)
    assert start_up.places(ShellFiles("bash", HOME), there, interactive=True) == (Place(f"{HOME}/.bashrc", "bash"),)
    assert start_up.places(ShellFiles("zsh", HOME), files(), interactive=True) == (Place(f"{HOME}/.zshrc", "zsh"),)


def test_the_shell_in_use_comes_before_the_login_shell() -> None:
    assert start_up.user_shell(ShellFiles("zsh", HOME, login_shell="bash")) == "zsh"
    assert start_up.user_shell(ShellFiles("", HOME, login_shell="bash")) == "bash"
    assert start_up.user_shell(ShellFiles("weird", HOME, login_shell="fish")) == "fish"
    assert start_up.user_shell(ShellFiles("weird", HOME)) == "weird"
    assert start_up.user_shell(ShellFiles("", HOME)) == "sh"


@pytest.mark.parametrize(
    ("zshenv", "zdotdir", "environment_file", "folder"),
    [
        (b"", "", f"{HOME}/.zshenv", HOME),
        (b"", f"{HOME}/z", f"{HOME}/z/.zshenv", f"{HOME}/z"),
        (b'export ZDOTDIR="$HOME/.config/zsh"\n', f"{HOME}/.config/zsh", f"{HOME}/.zshenv", f"{HOME}/.config/zsh"),
        (b"ZDOTDIR=${XDG_CONFIG_HOME:-$HOME/.config}/zsh\n", "", f"{HOME}/.zshenv", f"{HOME}/.config/zsh"),
        (b"ZDOTDIR=~/z\n", "", f"{HOME}/.zshenv", f"{HOME}/z"),
        (b"ZDOTDIR=$(elsewhere)\n", f"{HOME}/y", f"{HOME}/.zshenv", f"{HOME}/y"),
    ],
)
def test_zsh_s_files_may_lie_elsewhere(zshenv: bytes, zdotdir: str, environment_file: str, folder: str) -> None:
    shell, there = ShellFiles("zsh", HOME, zdotdir=zdotdir), files(zshenv=zshenv)
    assert start_up.places(shell, there) == (Place(environment_file, "zsh"),)
    assert start_up.zsh_folder(shell, there) == folder


def test_fish_s_folder_may_lie_elsewhere() -> None:
    shell = ShellFiles("fish", HOME, config_home="/cfg")
    assert start_up.places(shell, files())[0].path == "/cfg/fish/conf.d/envdoctor.fish"
