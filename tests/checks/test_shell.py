"""checks/shell.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles, ShellLine, StartUpFile
from envdoctor.model import Missing
from envdoctor.testing import Case, checks_of, findings, topic_file
from tests import CHECKS

FILE = CHECKS / "shell.py"
NOTHING = Environment()
HOME = "/home/me"
ROOT = (f"{HOME}/miniconda3",)
BLOCK = ShellLine(f"{HOME}/.bashrc", 120, "conda-block")


def bashrc(*lines: ShellLine, shell: str = "bash") -> tuple[StartUpFile, ...]:
    return (StartUpFile(f"{HOME}/.{shell}rc", shell, lines),)


def setting(name: str, value: str, *missing: str) -> ShellLine:
    return ShellLine(f"{HOME}/.bashrc", 7, "setting", name, value, missing)


CASES = [
    Case("an empty home", (ShellFiles("bash", HOME), NOTHING, Host())),
    Case("conda is set up, and this shell is no login", (ShellFiles("bash", HOME, bashrc(BLOCK), ROOT), NOTHING)),
    Case("conda is on PATH", (ShellFiles("bash", HOME, (), ROOT, conda="/opt/conda/bin/conda"), NOTHING)),
    Case("an environment is active", (ShellFiles("bash", HOME, (), ROOT), Environment({"CONDA_PREFIX": "/opt/conda"}))),
    Case("nvcc comes from elsewhere", (ShellFiles(toolkits=("/usr/local/cuda-12.4",), nvcc="/usr/bin/nvcc"), NOTHING)),
    Case(
        "CUDA_HOME is enough",
        (ShellFiles(toolkits=("/usr/local/cuda-12.4",)), Environment({"CUDA_HOME": "/usr/local/cuda"})),
    ),
    Case("folders that exist", (ShellFiles("bash", HOME, bashrc(setting("CUDA_HOME", "/usr/local/cuda"))), NOTHING)),
    Case(
        "a dead entry of PATH",
        (ShellFiles("bash", HOME, bashrc(setting("PATH", "/opt/x/bin:$PATH", "/opt/x/bin"))), NOTHING),
    ),
    Case(
        "a stale line of a shell that is not in use",
        (ShellFiles("zsh", HOME, bashrc(setting("CUDA_HOME", "/gone", "/gone"))), NOTHING),
    ),
    Case(
        "a stale line of the system's",
        (
            ShellFiles("bash", HOME, (StartUpFile("/etc/profile", "bash", (setting("CUDA_HOME", "/gone", "/gone"),)),)),
            NOTHING,
        ),
    ),
    Case("the module is loaded", (ShellFiles(modules=("cuda/12.4",)), Host(modules=("cuda/12.4",)))),
    Case("nvcc is there without its module", (ShellFiles(modules=("cuda/12.4",), nvcc="/usr/bin/nvcc"), Host())),
    Case("nothing is known", (Missing("shell-files", "hung"), NOTHING, Host())),
    Case("conda is set up nowhere, which another topic tells", (ShellFiles("zsh", HOME, bashrc(), ROOT), NOTHING)),
    Case("a shell that conda does not know", (ShellFiles("tcsh", HOME, bashrc(BLOCK), ROOT), NOTHING)),
    Case(
        "conda is set up for bash, the user has zsh and works in a venv",
        (ShellFiles("zsh", HOME, bashrc(BLOCK), ROOT), Environment({"VIRTUAL_ENV": "/v"})),
        {"conda-other-shell": "note"},
    ),
    Case(
        "conda is set up for bash, the user has zsh",
        (ShellFiles("zsh", HOME, bashrc(BLOCK), ROOT), NOTHING),
        {"conda-other-shell": "warning"},
    ),
    Case(
        "two toolkits and no PATH",
        (ShellFiles(toolkits=("/usr/local/cuda-9.2", "/usr/local/cuda-12.4")), NOTHING),
        {"cuda-not-on-path": "note"},
    ),
    Case(
        "a toolkit that was removed",
        (
            ShellFiles("bash", HOME, bashrc(setting("CUDA_HOME", "/usr/local/cuda-11.8", "/usr/local/cuda-11.8"))),
            NOTHING,
        ),
        {"shell-path-stale": "warning"},
    ),
    Case(
        "its libraries",
        (
            ShellFiles(
                "", HOME, bashrc(setting("LD_LIBRARY_PATH", "/usr/local/cuda-11.8/lib64", "/usr/local/cuda-11.8/lib64"))
            ),
            NOTHING,
        ),
        {"shell-path-stale": "note"},
    ),
    Case("CUDA as a module", (ShellFiles(modules=("cuda/11.8", "cuda/12.4")), Host()), {"module-not-loaded": "note"}),
    Case(
        "conda as a module",
        (ShellFiles(modules=("Anaconda/2024",)), Host(modules=("gcc/12",))),
        {"module-not-loaded": "note"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("conda is set up for bash, the user has zsh", "envdoctor fix conda-path --root /home/me/miniconda3"),
        ("two toolkits and no PATH", "envdoctor fix cuda-path --toolkit /usr/local/cuda-12.4"),
        ("CUDA as a module", "module load cuda/12.4"),
        ("a toolkit that was removed", "envdoctor fix env CUDA_HOME="),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.command or finding.look) == command


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        (ShellFiles(), "no start-up files"), (ShellFiles("bash", HOME, bashrc()), "bash, 1 start-up file"),
        (ShellFiles("", HOME, bashrc()), "1 start-up file"),
    ],
)  # fmt: skip
def test_the_topic_s_line(shell: ShellFiles, said: str) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(shell)
    assert told is not None
    assert told[0].say("en", told[1]) == said


@pytest.mark.parametrize(
    ("python", "command"),
    [
        (Python("/opt/py/bin/python"), "envdoctor fix cuda-path --toolkit /usr/local/cuda-12.4"),
        (
            Python("/opt/conda/envs/train/bin/python", conda="/opt/conda/envs/train"),
            "export CUDA_HOME=/usr/local/cuda-12.4 PATH=/usr/local/cuda-12.4/bin:$PATH",
        ),
    ],
)
def test_only_what_puts_nvcc_on_path_is_named_for_it(python: Python, command: str) -> None:
    facts = (ShellFiles(toolkits=("/usr/local/cuda-12.4",)), NOTHING, python)
    (finding,) = findings(checks_of(topic_file(FILE)), *facts)
    assert (finding.code, finding.command) == ("cuda-not-on-path", command)
