"""checks/environment_variable.py: `envdoctor fix env`."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor import Files, Plan, UsageError, load, testing
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.shell_files import ShellFiles, ShellLine, StartUpFile
from envdoctor.facts.torch import Pin, TorchInstall
from tests import CHECKS
from tests.unreadable import Unreadable

HOME = "/home/ada"
BASH = ShellFiles("bash", HOME)
WHEEL = TorchInstall("/site/torch", "2.8.0+cu128", "12.8", pins=(Pin("nvidia-nccl-cu12", "2.27.3"),), installer="pip")
BUILT = TorchInstall("/site/torch", "2.8.0a0+gita1b2c3d", "12.8")
THERE = Files({f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n"})


def plan(*words: str, torch: TorchInstall | None = WHEEL, host: Host | None = None) -> Plan:
    fix: Any = load.everything().fixes["env"]
    made = fix(BASH, torch, host, THERE, assignments=words)
    assert isinstance(made, Plan)
    return made


def remarks(made: Plan, level: str = "warning") -> list[str]:
    return [remark.said.say("en") for remark in made.remarks if remark.level == level]


def test_variables_are_set_and_taken_out() -> None:
    made = plan("OMP_NUM_THREADS=8", "TOKENIZERS_PARALLELISM=false", "NCCL_DEBUG=")
    assert [edit.after for edit in made.edits] == [
        b"# >>> envdoctor >>>\nexport OMP_NUM_THREADS=8\nexport TOKENIZERS_PARALLELISM=false\n# <<< envdoctor <<<\n"
    ]
    assert made.wants == {"env OMP_NUM_THREADS": "8", "env TOKENIZERS_PARALLELISM": "false", "env NCCL_DEBUG": None}
    assert made.title.say("en") == "Have OMP_NUM_THREADS=8 in every new shell (+2)"
    assert plan("NCCL_DEBUG=").title.say("en") == "Take NCCL_DEBUG out of the start-up files"
    assert not remarks(made)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name what to set"),
        (("NCCL_DEBUG",), "is no NAME=VALUE"),
        (("1A=x",), "is no name of a variable"),
        (("A B=x",), "is no name of a variable"),
        (("HF_TOKEN=hf_x",), "HF_TOKEN is a secret"),
        (("WANDB_API_KEY=x",), "is a secret"),
        (("LD_LIBRARY_PATH=/usr/local/cuda/lib64",), "a torch from wheels"),
        (("PATH=/usr/local/cuda/bin",), "would take all other folders away"),
        (("PATH=/usr/local/cuda/bin:$PATH",), "would not be expanded"),
        (("HOME=/scratch/ada",), "HOME=/scratch/ada would have every program look for its files elsewhere"),
        (("X=a\0b",), "NUL"),
    ],
)
def test_what_makes_no_sense_or_does_harm_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan(*words)


def test_a_library_for_every_program_must_be_there() -> None:
    there = {f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n", "/usr/lib/libjemalloc.so": b""}
    fix: Any = load.everything().fixes["env"]
    words = ("LD_PRELOAD=/usr/lib/libjemalloc.so:/gone/a.so /gone/b.so:libm.so.6:/opt/$LIB/c.so",)
    told = remarks(fix(BASH, None, None, Files(there), assignments=words))
    assert [one.split(":")[0] for one in told] == ["there is no /gone/a.so", "there is no /gone/b.so"]
    beyond = Unreadable({"/root/private.so"}, there)
    assert not remarks(fix(BASH, None, None, beyond, assignments=("LD_PRELOAD=/root/private.so",)))


def test_where_the_undo_record_moves_the_way_back_is_told() -> None:
    (told,) = remarks(plan("XDG_STATE_HOME=/scratch/state"))
    assert "`env -u XDG_STATE_HOME envdoctor fix env --undo`" in told


@pytest.mark.parametrize("name", ["dash", "ksh"])
def test_shells_that_read_a_file_on_login_only_are_named_so(name: str) -> None:
    fix: Any = load.everything().fixes["env"]
    made = fix(ShellFiles(name, HOME), None, None, THERE, assignments=("A=1",))
    assert [edit.path for edit in made.edits] == [f"{HOME}/.profile"]
    assert made.title.say("en") == "Have A=1 in new login shells"
    assert any("new login shells have it, all others keep" in one for one in remarks(made, "note"))


def test_a_secret_can_be_taken_out() -> None:
    assert plan("HF_TOKEN=").wants == {"env HF_TOKEN": None}


def test_a_torch_that_was_built_here_may_need_its_folders() -> None:
    made = plan("LD_LIBRARY_PATH=/opt/nccl/lib", torch=BUILT)
    assert made.wants == {"env LD_LIBRARY_PATH": "/opt/nccl/lib"}
    assert any("takes the place" in one for one in remarks(made))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("NCCL_SOCKET_IFNAMES=eth0", "did you mean NCCL_SOCKET_IFNAME?"),
        ("NCCL_QQQQ=1", "NCCL does not know NCCL_QQQQ"),
        ("NCCL_ASYNC_ERROR_HANDLING=1", "old name of TORCH_NCCL_ASYNC_ERROR_HANDLING"),
        ("NCCL_P2P_DISABLE=true", "NCCL_P2P_DISABLE=true is read as 0; accepted: 0, 1"),
        ("TORCH_NCCL_ASYNC_ERROR_HANDLING=maybe", "is refused at start-up; accepted: a number"),
        ("HF_HOME=~/hf", "~ is not expanded"),
        ("https_proxy=http://ann:hunter22@proxy:3128", "the value holds a password"),
    ],
)
def test_names_and_values_that_are_not_read_as_meant_get_a_warning(word: str, told: str) -> None:
    assert any(told in one for one in remarks(plan(word)))


def test_a_dollar_is_worth_a_word() -> None:
    assert any("not expanded" in one for one in remarks(plan("HF_HOME=$HOME/hf"), "note"))


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (Host(container="docker"), "docker run -e A=1"),
        (Host(container="kubernetes"), 'env: [{name: A, value: "1"}]'),
        (
            Host(scheduler=Scheduler("slurm", "7")),
            "in the batch script, before the line that starts training: export A=1",
        ),
    ],
)
def test_what_no_shell_starts_gets_the_words_for_it(host: Host, words: str) -> None:
    made = plan("A=1", host=host)
    assert made.edits and any(words in one for one in remarks(made, "note"))
    assert any("A=1" in one.said.say("zh") for one in made.remarks)


def test_findings_about_what_a_start_up_file_sets_point_here() -> None:
    def commands(file: str, *facts: object) -> list[str | None]:
        found = testing.findings(testing.checks_of(testing.topic_file(CHECKS / f"{file}.py")), *facts)
        return [finding.command for finding in found]

    def shell(name: str, path: str = f"{HOME}/.bashrc") -> ShellFiles:
        return ShellFiles("bash", HOME, (StartUpFile(path, "bash", (ShellLine(path, 3, "setting", name, "1"),)),))

    nccl, cuda = Environment({"NCCL_P2P_DISABLE": "1"}), Environment({"CUDA_LAUNCH_BLOCKING": "1"})
    assert commands("nccl", nccl, shell("NCCL_P2P_DISABLE")) == ["envdoctor fix env NCCL_P2P_DISABLE="]
    assert commands("nccl", nccl, shell("NCCL_P2P_DISABLE", "/etc/profile")) == ["unset NCCL_P2P_DISABLE"]
    assert commands("nccl", nccl) == ["unset NCCL_P2P_DISABLE"]
    assert commands("cuda_env", cuda, Driver(), shell("CUDA_LAUNCH_BLOCKING")) == [
        "envdoctor fix env CUDA_LAUNCH_BLOCKING="
    ]
    assert commands("cuda_env", cuda, Driver(), shell("PATH")) == ["unset CUDA_LAUNCH_BLOCKING"]
