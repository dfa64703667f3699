"""checks/conda_path.py: `envdoctor fix conda-path`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envdoctor import Files, Missing, Plan, UsageError, load
from envdoctor.facts.conda import CondaConfig
from envdoctor.facts.new_shells import NewShell, NewShells
from envdoctor.facts.shell_files import ShellFiles, ShellLine, StartUpFile
from envdoctor.patient import conda_config
from tests.edits.real_shells import SHELLS, Home, home_of
from tests.unreadable import Unreadable

HOME = "/home/ada"
NONE = Missing("conda-config", "not-here")
# What conda 24 ships in these files, as far as it sets variables.
CONDA_SH = "export CONDA_EXE='{root}/bin/conda'\nconda() {{ echo \"$@\"; }}\n"
CONDA_FISH = "set -gx CONDA_EXE '{root}/bin/conda'\nfunction conda; echo $argv; end\n"


def the_fix() -> Any:
    return load.everything().fixes["conda-path"]


def plan(shell: ShellFiles, files: Files, config: CondaConfig | Missing = NONE, root: str = "") -> Plan:
    made = the_fix()(config, shell, files, root=root)
    assert isinstance(made, Plan)
    return made


def install(folder: Path) -> Path:
    for name, text in (
        ("etc/profile.d/conda.sh", CONDA_SH),
        ("etc/fish/conf.d/conda.fish", CONDA_FISH),
        ("bin/conda", ""),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(root=folder))
    (folder / "conda-meta").mkdir()
    return folder


@pytest.fixture(params=SHELLS)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return home_of(request.param, tmp_path, monkeypatch)


def test_a_new_terminal_knows_conda(home: Home) -> None:
    root = install(home.folder / "mini conda3")
    home.write(
        {
            ".bashrc": "case $- in *i*) ;; *) return ;; esac\n",
            ".profile": ". ~/.bashrc\n" if home.shell == "bash" else "",
        }
    )
    made = plan(home.facts(), home.files(), CondaConfig(installations=(str(root),)))
    home.apply(made.edits)
    assert [one.say("en") for one in the_fix().verify(made, home.new_shells())] == []
    assert plan(home.facts(), home.files(), CondaConfig(installations=(str(root),))).edits == ()
    assert conda_config.initialised({"HOME": str(home.folder)})
    assert any("no environment is activated" in remark.said.say("en") for remark in made.remarks)


def test_it_stands_below_the_guard_where_only_terminals_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("bash", tmp_path, monkeypatch)
    root = install(tmp_path / "miniconda3")
    home.write({".bashrc": "case $- in *i*) ;; *) return ;; esac\n", ".profile": ". ~/.bashrc\n"})
    (edit,) = plan(home.facts(), home.files()).edits
    assert edit.after is not None and edit.after.startswith(edit.before or b"")
    assert f". {root}/etc/profile.d/conda.sh; fi  # envdoctor: conda-path".encode() in edit.after


def test_another_root_takes_the_place_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("bash", tmp_path, monkeypatch)
    one, other = install(tmp_path / "miniconda3"), install(tmp_path / "other")
    home.write({".bashrc": "", ".profile": ". ~/.bashrc\n"})
    home.apply(plan(home.facts(), home.files()).edits)
    made = plan(home.facts(), home.files(), root=f"{other}/")
    home.apply(made.edits)
    text = (tmp_path / ".bashrc").read_text()
    assert str(one) not in text and text.count("conda.sh; fi") == 1
    assert not list(the_fix().verify(made, home.new_shells()))


def test_what_conda_init_has_done_is_left() -> None:
    block = StartUpFile(f"{HOME}/.bashrc", "bash", (ShellLine(f"{HOME}/.bashrc", 9, "conda-block"),))
    made = plan(ShellFiles("bash", HOME, (block,), ("/opt/conda",)), Files({"/opt/conda/etc/profile.d/conda.sh": b""}))
    assert not made.changes and "/home/ada/.bashrc:9" in made.remarks[0].said.say("en")


@pytest.mark.parametrize(
    ("roots", "root", "why"),
    [
        ((), "", "no installation of conda"),
        (("/opt/conda",), "", "not a whole installation"),
        ((), "/opt/none", "there is no /opt/none/etc/profile.d/conda.sh"),
        ((), "conda", "absolute path"),
        ((), "/opt/a\nb", "sh has no notation for a line break"),
    ],
)
def test_without_an_installation_there_is_no_plan(roots: tuple[str, ...], root: str, why: str) -> None:
    files = Files({"/opt/a\nb/etc/profile.d/conda.sh": b""})
    with pytest.raises(UsageError, match=why):
        plan(ShellFiles("ksh", HOME, (), roots), files, root=root)


def test_a_start_up_file_that_cannot_be_read_gets_no_line() -> None:
    files = Unreadable({f"{HOME}/.bashrc"}, {"/opt/conda/etc/profile.d/conda.sh": b""})
    with pytest.raises(UsageError, match=r"/home/ada/.bashrc cannot be read \(Permission denied\), so no line"):
        plan(ShellFiles("bash", HOME, (), ("/opt/conda",)), files)


def test_other_shells_are_left_to_conda_itself() -> None:
    made = plan(ShellFiles("tcsh", HOME, (), ("/opt/my conda",)), Files())
    assert made.by_hand[0].command == "'/opt/my conda/bin/conda' init tcsh"
    with pytest.raises(UsageError):
        plan(ShellFiles("tcsh", HOME), Files())


def test_what_a_new_shell_says_is_compared() -> None:
    made = plan(ShellFiles("bash", HOME, (), ("/opt/conda",)), Files({"/opt/conda/etc/profile.d/conda.sh": b""}))

    def told(shells: NewShells | Missing) -> list[str]:
        return [one.say("en") for one in the_fix().verify(made, shells)]

    def one(**variables: str) -> NewShells:
        return NewShells("bash", "/bin/bash", (NewShell("interactive", variables),))

    assert told(one(CONDA_EXE="/opt/conda/bin/conda")) == []
    assert told(one()) == ["a new shell does not know conda"]
    assert told(one(CONDA_EXE="/opt/other/bin/conda")) == ["a new shell has the conda of /opt/other/bin/conda"]
    assert "hung" in told(Missing("new-shells", "failed", "hung"))[0]
    assert "late" in told(NewShells("bash", "", (NewShell("interactive", error="late"),)))[0]
    assert replace(made, wants={}) and not list(the_fix().verify(replace(made, wants={}), one()))
