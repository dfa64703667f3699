"""checks/pip.py"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from envdoctor.facts.pip import PipConfig, PipEffective
from envdoctor.facts.python import Python
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.pip_configs import index, written

FILE = CHECKS / "pip.py"
ALIYUN = "https://mirrors.aliyun.com/pypi/simple/"
BROKEN = {"pip-config-broken": "error"}

CASES = [
    Case("a byte order mark", (written(user="\ufeff" + index(ALIYUN)),), BROKEN),
    Case("no section", (written(user="index-url = https://a.example/simple"),), BROKEN),
    Case("a key twice", (written(user=index(ALIYUN, "index-url = https://b.example/simple")),), BROKEN),
    Case("a section twice", (written(user=index(ALIYUN, "[global]", "timeout = 3")),), BROKEN),
    Case("a line that is nothing", (written(user=index(ALIYUN, "nonsense")),), BROKEN),
    Case("a value pip refuses", (written(user=index(ALIYUN, "no-index = maybe")),), BROKEN),
    Case(
        "a file pip may not read",
        (
            written(
                more={"files": [{"path": "/etc/pip.conf", "fault": "unreadable", "detail": "denied", "own": False}]}
            ),
        ),
        {"pip-config-broken": "warning"},
    ),
    Case(
        "pip says more than the files show",
        (written(), PipEffective(source="files", error="ValueError: unknown locale: UTF-8")),
        {"pip-config-broken": "warning"},
    ),
    Case("a comment in the URL", (written(user=index("https://a.example/simple  # fast")),), BROKEN),
    Case("a flat page as index", (written(user=index("https://mirrors.aliyun.com/pytorch-wheels/cu126/")),), BROKEN),
    Case(
        "a mirror without /simple as extra index",
        (written(user=index(ALIYUN, "extra-index-url = https://mirrors.aliyun.com/pypi")), None, None),
        {"pip-config-broken": "error"},
    ),
    Case(
        "a flat page as extra index",
        (written(user=index(ALIYUN, "extra-index-url = https://mirrors.aliyun.com/pytorch-wheels/cu126/")),),
        BROKEN,
    ),
    Case(
        "an invented page", (written(user=index("https://mirrors.tuna.tsinghua.edu.cn/pytorch-wheels/cu118")),), BROKEN
    ),
    Case("a mirror without /simple", (written(user=index("https://mirrors.aliyun.com/pypi/")),), BROKEN),
    Case(
        "another index without /simple",
        (written(user=index("https://nexus.example/pypi")),),
        {"pip-config-broken": "warning"},
    ),
    Case(
        "an old host", (written(user=index("https://pypi.mirrors.ustc.edu.cn/simple/")),), {"pip-config-broken": "note"}
    ),
    Case("a mirror as it should be", (written(user=index(ALIYUN)), Python(executable="/opt/venv/bin/python"))),
    Case("devpi and Artifactory end as they like", (written(user=index("https://d.example/root/pypi/+simple/")),)),
    Case(
        "a flat page as find-links",
        (written(user=index(ALIYUN, "find-links = https://mirrors.aliyun.com/pytorch-wheels/cu126/")),),
    ),
    Case(
        "a wrong index that nobody uses", (written(etc=index("https://mirrors.aliyun.com/pypi/"), user=index(ALIYUN)),)
    ),
    Case("a dead mirror is said elsewhere", (written(user=index("http://pypi.douban.com/")),)),
    Case("nothing written", (written(), PipEffective(source="pip"))),
    Case("no pip configuration could be had", (Missing("pip-config", "failed"),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize("case", CASES[:5], ids=str)
def test_the_command_mends_the_file(case: Case, tmp_path: Path) -> None:
    """What is to be pasted is run on a copy of the file, and pip's rules accept the result (an editor aside)."""
    from envdoctor.patient import ini

    texts = [
        "\ufeff" + index(ALIYUN),
        "index-url = https://a.example/simple",
        index(ALIYUN, "index-url = https://b.example/simple"),
        index(ALIYUN, "[global]", "timeout = 3"),
        index(ALIYUN, "nonsense"),
    ]
    (finding,) = case.assert_holds(FILE)
    copy = tmp_path / "pip.conf"
    copy.write_text(texts[CASES.index(case)])
    assert finding.command is not None
    command = finding.command.replace("/home/ada/.config/pip/pip.conf", shlex.quote(str(copy)))
    if "EDITOR" in command:
        assert command.startswith("${EDITOR:-vi} +3 ")
        return
    subprocess.run(["sh", "-c", command], check=True)
    assert ini.read(copy.read_text().split("\n"))[0].key == "index-url"


def command_of(case_number: int) -> str:
    (finding,) = CASES[case_number].assert_holds(FILE)
    assert finding.command is not None
    return finding.command


def test_the_right_address_is_put_in_place_of_the_wrong() -> None:
    commands = {case.about: case.assert_holds(FILE)[0].command for case in CASES if "pip-config-broken" in case.expect}
    fix = "envdoctor fix pip-mirror"
    assert commands["a comment in the URL"] == f"{fix} --url https://a.example/simple"
    assert commands["a flat page as index"] == f"{fix} --aliyun"
    assert commands["a mirror without /simple"] == f"{fix} --aliyun"
    assert commands["another index without /simple"] == f"{fix} --url https://nexus.example/pypi/simple"
    assert commands["an old host"] == f"{fix} --ustc"
    assert commands["a flat page as extra index"] == "python -m pip config --user unset global.extra-index-url"
    assert commands["a mirror without /simple as extra index"] == (
        "python -m pip config --user set global.extra-index-url https://mirrors.aliyun.com/pypi/simple"
    )
    assert commands["a file pip may not read"] == "sudo chmod a+r /etc/pip.conf"


def said(*facts: object) -> str:
    file = topic_file(FILE)
    assert file.summary is not None
    told = file.summary.line(*facts)
    assert told is not None
    text, values = told
    assert text.say("zh", values)
    return text.say("en", values)


def test_summary() -> None:
    assert said(written(user=index(ALIYUN)), None) == f"{ALIYUN} (/home/ada/.config/pip/pip.conf:2)"
    more = written(user=index(ALIYUN, "extra-index-url = https://x.example https://y.example"))
    assert said(more, None).endswith(":2), 2 more")
    assert (
        said(written(), PipEffective(default_index="https://d.example/simple"))
        == "pip 26.3, https://d.example/simple (the default)"
    )
    assert said(written(), None) == "pip 26.3, the default index"
    assert said(PipConfig(), None) == "no pip in this Python"
    assert said(written(user="\ufeff[global]"), None) == "cannot read /home/ada/.config/pip/pip.conf:1"
