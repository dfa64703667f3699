"""checks/library_path.py: `envdoctor fix library-path`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envdoctor import Files, Plan, UsageError, load
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import AbsentLibrary, Libraries, LibraryCopy, SearchFolder
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import Pin, TorchInstall
from tests.edits.real_shells import home_of
from tests.unreadable import Unreadable

HOME = "/home/ada"
BASH = ShellFiles("bash", HOME)
CUDA, OTHER = "/usr/local/cuda/lib64", "/opt/mpi/lib"
TORCH = TorchInstall(
    "/site/torch", "2.8.0+cu128", "12.8", pins=(Pin("nvidia-cublas-cu12", "12.8.4.1"),), installer="pip"
)
BUILT = TorchInstall("/site/torch", "2.8.0a0+gita1b2c3d", "12.8")
OWN = LibraryCopy("libcublas", "libcublas.so.12", "/site/nvidia/cublas/lib/libcublas.so.12", "", "12.8.4", "wheel")
THERE = {f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n"}


def libraries(set_in: str = "", stub: bool = False) -> Libraries:
    polluted = SearchFolder(CUDA, True, stub, () if stub else ("libcublas.so.12",), set_in)
    return Libraries((SearchFolder(OTHER, holds=("libmpi.so.40",)), polluted), copies=(OWN,))


def plan(
    found: Libraries,
    torch: TorchInstall | None = TORCH,
    host: Host | None = None,
    files: Files | None = None,
    shell: ShellFiles = BASH,
    python: Python | None = None,
    folders: tuple[str, ...] = (),
) -> Plan:
    the_fix: Any = load.everything().fixes["library-path"]
    made = the_fix(found, torch, python or Python("/v/bin/python"), shell, host, files or Files(THERE), folders=folders)
    assert isinstance(made, Plan)
    return made


@pytest.mark.parametrize("stub", [False, True])
def test_the_user_s_own_line_is_changed(stub: bool) -> None:
    line = f"export LD_LIBRARY_PATH={CUDA}:$LD_LIBRARY_PATH\n".encode()
    made = plan(libraries("~/.bashrc:2", stub), files=Files({**THERE, f"{HOME}/.bashrc": b"alias l=ls\n" + line}))
    (edit,) = made.edits
    assert edit.after == b"alias l=ls\n: # taken out by envdoctor: " + line
    assert made.wants == {"without LD_LIBRARY_PATH": CUDA} and not made.by_hand
    assert "here: export LD_LIBRARY_PATH=/opt/mpi/lib" in made.remarks[0].said.say("en")


def test_where_nobody_is_seen_to_set_it_new_shells_take_it_out() -> None:
    made = plan(libraries())
    (edit,) = made.edits
    assert b"# envdoctor: without:/usr/local/cuda/lib64\n" in (edit.after or b"")
    assert b"export LD_LIBRARY_PATH=/usr" not in (edit.after or b"")


def test_a_line_that_spells_it_in_another_way_stays_and_is_outdone() -> None:
    content = b"export LD_LIBRARY_PATH=$CUDA_HOME/lib64:$LD_LIBRARY_PATH\n"
    made = plan(libraries("~/.bashrc:1"), files=Files({**THERE, f"{HOME}/.bashrc": content}))
    (edit,) = made.edits
    assert (edit.after or b"").startswith(content + b"# >>> envdoctor >>>\n")


def test_a_line_in_a_file_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match=r"/home/ada/.bashrc cannot be read \(Permission denied\)"):
        plan(libraries("~/.bashrc:2"), files=Unreadable())


def test_a_shell_that_has_no_words_for_it() -> None:
    with pytest.raises(UsageError, match="tcsh cannot take a folder out of LD_LIBRARY_PATH in one line"):
        plan(libraries(), shell=ShellFiles("tcsh", HOME))


def test_two_folders_of_one_file_are_one_edit() -> None:
    both = Libraries(
        (
            SearchFolder(CUDA, holds=("libcublas.so.12",), set_in="~/.bashrc:1"),
            SearchFolder("/opt/cublas", holds=("libcublas.so.12",)),
        ),
        copies=(OWN,),
    )
    content = f"export LD_LIBRARY_PATH={CUDA}:$LD_LIBRARY_PATH\n".encode()
    made = plan(both, files=Files({**THERE, f"{HOME}/.bashrc": content}))
    (edit,) = made.edits
    assert edit.before == content
    assert b"taken out by envdoctor" in (edit.after or b"") and b"without:/opt/cublas" in (edit.after or b"")
    assert "here: unset LD_LIBRARY_PATH" in made.remarks[0].said.say("en")


@pytest.mark.parametrize(
    ("set_in", "host", "command"),
    [
        ("/etc/profile.d/cuda.sh:3", Host(), "sudo sed -i '3s/^/# /' /etc/profile.d/cuda.sh"),
        ("", Host(container="docker"), "docker run -e LD_LIBRARY_PATH=/opt/mpi/lib ..."),
        ("", Host(modules=("gcc/12", "cuda/12.4")), "module unload cuda/12.4"),
    ],
)
def test_what_others_set_is_shown_by_hand(set_in: str, host: Host, command: str) -> None:
    assert [step.command for step in plan(libraries(set_in), host=host).by_hand] == [command]


def test_nothing_in_the_way_is_nothing_to_do() -> None:
    made = plan(Libraries((SearchFolder(OTHER),), copies=(OWN,)))
    assert not made.changes and not made.by_hand and not made.wants


def test_a_stub_does_harm_without_torch_too() -> None:
    assert plan(libraries(stub=True), torch=None).wants == {"without LD_LIBRARY_PATH": CUDA}
    assert not plan(libraries(), torch=None).wants and not plan(NEEDED, torch=None).by_hand


def test_folders_can_be_named() -> None:
    assert plan(libraries(), folders=(OTHER + "/",)).wants == {"without LD_LIBRARY_PATH": OTHER}
    with pytest.raises(UsageError, match="/none is not on LD_LIBRARY_PATH, which is /opt/mpi/lib:/usr"):
        plan(libraries(), folders=("/none",))


NEEDED = Libraries(
    absent=(AbsentLibrary("libcudnn.so.9", "/site/torch/lib/libtorch_cuda.so"),),
    copies=(LibraryCopy("libcudnn", "libcudnn.so.9", "/opt/cudnn/lib/libcudnn.so.9", "", "9.1.0", "toolkit"),),
)


def test_a_torch_that_was_built_here_gets_what_it_needs() -> None:
    made = plan(NEEDED, BUILT)
    assert [step.command for step in made.by_hand] == [
        "echo /opt/cudnn/lib | sudo tee /etc/ld.so.conf.d/envdoctor.conf && sudo ldconfig"
    ]
    scripts = plan(NEEDED, BUILT, python=Python("/c/bin/python", conda="/c"))
    assert len(scripts.edits) == 4 and scripts.wants == {"activated LD_LIBRARY_PATH": "/opt/cudnn/lib"}
    assert not plan(replace(NEEDED, copies=()), BUILT).by_hand


def test_a_torch_from_wheels_never_gets_a_folder() -> None:
    assert not plan(NEEDED, TORCH).edits and not plan(NEEDED, TORCH).by_hand


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_real_shells_no_longer_have_it(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(shell, tmp_path, monkeypatch)
    line = f"export LD_LIBRARY_PATH={OTHER}:$XDIR:$LD_LIBRARY_PATH\n"
    fish = f"set -gx LD_LIBRARY_PATH {OTHER} $XDIR\n"
    home.write({".bashrc": f"XDIR={CUDA}\n{line}", ".profile": ". ~/.bashrc\n", ".zshenv": f"XDIR={CUDA}\n{line}"})
    home.write({".config/fish/conf.d/a.fish": f"set XDIR {CUDA}\n{fish}"})
    made = plan(libraries(), files=home.files(), shell=home.facts())
    the_fix: Any = load.everything().fixes["library-path"]
    assert list(the_fix.verify(made, home.new_shells(), home.facts()))
    home.apply(made.edits)
    assert [one.say("en") for one in the_fix.verify(made, home.new_shells(), home.facts())] == []
    interactive = home.new_shells().of("interactive")
    assert interactive is not None and interactive.variables["LD_LIBRARY_PATH"].strip(":") == OTHER
