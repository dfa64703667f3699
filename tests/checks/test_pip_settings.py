"""checks/pip_settings.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles, ShellLine, StartUpFile
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.pip_configs import index, written

FILE = CHECKS / "pip_settings.py"
A, B = "https://a.example/simple", "https://b.example/simple"
SHADOWED = {"pip-config-shadowed": "warning"}
NOTED = {"pip-config-shadowed": "note"}
SECRET = index("https://ada:hunter22@a.example/simple")
SYSTEM = Python(executable="/usr/bin/python3", externally_managed="/usr/lib/python3.12/EXTERNALLY-MANAGED")


def bashrc(name: str, value: str) -> ShellFiles:
    line = ShellLine("/home/ada/.bashrc", 7, "setting", name, value)
    return ShellFiles("bash", "/home/ada", (StartUpFile("/home/ada/.bashrc", "bash", (line,)),))


CASES = [
    Case(
        "a variable of a start-up file beats the user's file",
        (written(user=index(A), variables={"PIP_INDEX_URL": B}), bashrc("PIP_INDEX_URL", f"'{B}'")),
        SHADOWED,
    ),
    Case("a variable beats the user's file", (written(user=index(A), variables={"PIP_INDEX_URL": B}),), SHADOWED),
    Case("a variable beats the machine's file", (written(etc=index(A), variables={"PIP_INDEX_URL": B}),), NOTED),
    Case(
        "[install] of a weaker file beats [global]",
        (written(etc="[install]\nindex-url = " + A, user=index(B)),),
        SHADOWED,
    ),
    Case("[install] of the same file", (written(user=index(A, "[install]", "index-url = " + B)),), NOTED),
    Case("the user's file beats the machine's", (written(etc=index(A), user=index(B)),), NOTED),
    Case("the new file beats the legacy one", (written(legacy=index(A), user=index(B)),), NOTED),
    Case(
        "an extra index is lost",
        (
            written(
                etc="[global]\nextra-index-url = https://x.example",
                user="[global]\nextra-index-url = https://y.example",
            ),
        ),
        SHADOWED,
    ),
    Case(
        "a trusted host is lost",
        (written(etc="[global]\ntrusted-host = x.example", user="[global]\ntrusted-host = y.example"),),
        NOTED,
    ),
    Case("a section in capitals", (written(user="[Global]\nindex-url = " + A),), SHADOWED),
    Case(
        "a section in capitals beside a good one", (written(user=index(A, "[Global]", "index-url = " + B)),), SHADOWED
    ),
    Case("an empty variable", (written(user=index(A), variables={"PIP_INDEX_URL": ""}),), NOTED),
    Case(
        "PIP_CONFIG_FILE switches the user's file off",
        (
            written(
                env=index(A),
                more={"config_file_variable": "/srv/pip.conf", "switched_off": ["/home/ada/.config/pip/pip.conf"]},
            ),
        ),
        SHADOWED,
    ),
    Case(
        "/dev/null is meant",
        (written(more={"config_file_variable": "/dev/null", "switched_off": ["/home/ada/.config/pip/pip.conf"]}),),
        NOTED,
    ),
    Case("a password all can read", (written(user=SECRET, open_to_others=True),), {"pip-config-secret": "warning"}),
    Case(
        "a password in the machine's file",
        (written(etc=SECRET, open_to_others=True),),
        {"pip-config-secret": "warning"},
    ),
    Case(
        "the system's Python, torch to come",
        (SYSTEM, Missing("torch-install", "not-here"), Gpus(count=1)),
        {"pip-externally-managed": "warning"},
    ),
    Case(
        "the system's Python, torch to come, in a job",
        (SYSTEM, Missing("torch-install", "not-here"), Environment({"RANK": "0", "WORLD_SIZE": "2"})),
        {"pip-externally-managed": "warning"},
    ),
    Case(
        "the system's Python of a machine that nobody trains on",
        (SYSTEM, Missing("torch-install", "not-here"), Missing("gpu", "not-here")),
        {"pip-externally-managed": "note"},
    ),
    Case(
        "the system's Python, torch there",
        (SYSTEM, TorchInstall(version="2.9.1"), written()),
        {"pip-externally-managed": "note"},
    ),
    Case(
        "the system's Python, opened",
        (SYSTEM, Missing("torch-install", "not-here"), written(variables={"PIP_BREAK_SYSTEM_PACKAGES": "1"})),
    ),
    Case("a venv", (Python(executable="/opt/venv/bin/python", venv="/opt/venv"), Missing("torch-install", "not-here"))),
    Case("a password behind a closed door", (written(user=SECRET),)),
    Case("a user name is no secret", (written(user=index("https://git@a.example/simple"), open_to_others=True),)),
    Case(
        "a password left to the environment",
        (written(user=index("https://ada:$PASS@a.example/simple"), open_to_others=True),),
    ),
    Case("the same value twice", (written(etc=index(A), user=index(A), variables={"PIP_INDEX_URL": A}),)),
    Case(
        "a list that holds the weaker one's",
        (written(etc="[global]\ntrusted-host = x", user="[global]\ntrusted-host = x y"),),
    ),
    Case("[download] is for downloads", (written(user=index(A, "[download]", "index-url = " + B)),)),
    Case("options that choose no place", (written(etc="[global]\ntimeout = 3", user="[global]\ntimeout = 9"),)),
    Case("nothing written", (written(),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_commands_undo_what_wins() -> None:
    commands = {case.about: case.assert_holds(FILE)[0].command for case in CASES if case.expect}
    assert commands["a variable beats the user's file"] == "unset PIP_INDEX_URL"
    assert commands["[install] of a weaker file beats [global]"] == f"envdoctor fix pip-mirror --url {B}"
    assert commands["the new file beats the legacy one"] == "sed -i 2d /home/ada/.pip/pip.conf"
    assert commands["an extra index is lost"] == (
        "python -m pip config --user set global.extra-index-url 'https://y.example https://x.example'"
    )
    assert commands["a section in capitals"] == f"python -m pip config --user set global.index-url {A}"
    assert commands["a section in capitals beside a good one"] == "sed -i 4d /home/ada/.config/pip/pip.conf"
    assert commands["PIP_CONFIG_FILE switches the user's file off"] == "unset PIP_CONFIG_FILE"
    assert commands["a password all can read"] == "chmod 600 /home/ada/.config/pip/pip.conf"


def test_a_setting_with_credentials_is_not_proposed_on_a_command_line() -> None:
    config = written(user=index("https://ada:hunter22@x.example/simple"), etc=f"[install]\nindex-url = {A}")
    (finding,) = Case("", (config,), {"pip-config-shadowed": "warning"}).assert_holds(FILE)
    assert finding.fix == () and finding.command == "sudo python -m pip config --global unset install.index-url"


def test_a_venv_that_wins_is_mended_by_the_fix() -> None:
    config = written(user=index("https://mirrors.aliyun.com/pypi/simple"), site=index(A))
    (finding,) = Case("", (config,), {"pip-config-shadowed": "note"}).assert_holds(FILE)
    assert finding.fix == ("pip-mirror", "--aliyun")


def test_a_variable_of_a_start_up_file_is_taken_out_there() -> None:
    (finding,) = CASES[0].assert_holds(FILE)
    assert finding.command == "envdoctor fix env PIP_INDEX_URL=" and finding.fix == ("env", "PIP_INDEX_URL=")
    assert finding.words.seen is not None and finding.words.why is not None
    seen = finding.words.seen.say("en", finding.evidence).splitlines()
    assert seen[1] == f"/home/ada/.bashrc:7: {B}, which wins"
    assert finding.words.why.say("en", finding.evidence).startswith("PIP_INDEX_URL beats every file")


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (bashrc("PIP_INDEX_URL", '"$MIRROR/simple"'), "envdoctor fix env PIP_INDEX_URL="),
        (bashrc("PIP_INDEX_URL", "https://c.example/simple"), "unset PIP_INDEX_URL"),  # a job set it to another one
        (bashrc("PIP_EXTRA_INDEX_URL", B), "unset PIP_INDEX_URL"),
        (ShellFiles("bash", "/home/ada"), "unset PIP_INDEX_URL"),
    ],
)
def test_a_variable_that_no_start_up_file_sets_is_unset(shell: ShellFiles, expected: str) -> None:
    config = written(user=index(A), variables={"PIP_INDEX_URL": B})
    (finding,) = Case("", (config, shell), SHADOWED).assert_holds(FILE)
    assert finding.command == expected


def test_an_index_that_is_to_be_replaced_is_not_replaced_by_what_it_hides() -> None:
    """pip-index-unreachable names another one, and the two would undo each other."""
    config = written(user=index("https://mirrors.aliyun.com/pypi/simple"), site=index(A))
    probes = IndexProbes((IndexProbe(option="index-url", url=A, outcome="refused"),))
    (finding,) = Case("", (config, probes), NOTED).assert_holds(FILE)
    assert finding.fix == ("pip-mirror", "--aliyun")
    config = written(user=index(B), site=index(A))
    (finding,) = Case("", (config, probes), NOTED).assert_holds(FILE)
    assert finding.fix == ("pip-mirror", "--aliyun")


def test_the_winner_is_named_with_its_place() -> None:
    (finding,) = next(case for case in CASES if case.about.startswith("[install] of a weaker")).assert_holds(FILE)
    assert finding.words.seen is not None
    assert finding.words.seen.say("en", finding.evidence).splitlines() == [
        f"/home/ada/.config/pip/pip.conf:2: {B}",
        f"/etc/pip.conf:2: {A}, which wins",
    ]


def test_a_password_is_no_evidence() -> None:
    for case in CASES:
        for finding in case.assert_holds(FILE):
            assert finding.code != "pip-config-secret" or "hunter22" not in str(finding.evidence)
